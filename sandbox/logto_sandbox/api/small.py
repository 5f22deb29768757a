"""Families of a call or two: status, dashboard, and what an open-source server answers the same way always."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta

from logto_sandbox.errors import ApiError
from logto_sandbox.http.routing import ANONYMOUS, Call, Routes
from logto_sandbox.http.schema import Obj, Text
from logto_sandbox.store.relations import Row

routes = Routes("/api")

_QUIET = {"count": 0, "delta": 0}


@routes.get("/status", auth=ANONYMOUS)
def status(call: Call) -> None:
    return None


@routes.get("/domains")
def list_domains(call: Call) -> list[Row]:
    return []


@routes.get("/systems/application")
def get_system_application(call: Call) -> None:
    raise ApiError(501, "application.protected_app_not_configured")


@routes.get("/dashboard/users/total")
def count_users(call: Call) -> Row:
    return {"totalUserCount": len(call.tenant.tables["users"])}


def _today(call: Call) -> date:
    return datetime.fromtimestamp(call.tenant.now_ms() / 1000).date()


@routes.get("/dashboard/users/new")
def count_new_users(call: Call) -> Row:
    today = _today(call)
    ages = [
        (today - datetime.fromtimestamp(row["createdAt"] / 1000).date()).days
        for row in call.tenant.tables["users"].values()
    ]

    def born(first: int, last: int) -> int:
        return sum(first <= age <= last for age in ages)

    return {
        "today": {"count": born(0, 0), "delta": born(0, 0) - born(1, 1)},
        "last7Days": {"count": born(0, 6), "delta": born(0, 6) - born(7, 13)},
    }


_DATE = Text(pattern=re.compile(r"^\d{4}-(0?[1-9]|1[0-2])-(0?[1-9]|[12]\d|3[01])"), optional=True)


@routes.get("/dashboard/users/active", query=Obj({"date": _DATE}))
def count_active_users(call: Call) -> Row:
    """Nobody signs in to a sandbox, so nobody is active."""
    last = _today(call)
    if asked := call.first("date"):
        year, month, day = (int(part) for part in asked[:10].split("-"))
        # A day the month does not have runs over into the next one.
        last = date(year, month, 1) + timedelta(days=day - 1)
    days = [(last - timedelta(days=29 - day)).isoformat() for day in range(30)]
    return {"dauCurve": [{"date": day, "count": 0} for day in days], "dau": _QUIET, "wau": _QUIET, "mau": _QUIET}
