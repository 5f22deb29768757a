"""Audit logs and a webhook's recent deliveries."""

from __future__ import annotations

import math
from typing import Any

from logto_sandbox.errors import ApiError, BareError, not_exists_with_id
from logto_sandbox.http.paging import PageOf
from logto_sandbox.http.routing import PAGED, Call, Routes
from logto_sandbox.http.schema import Obj, Text
from logto_sandbox.store.logs.store import LogQuery

COUNT_CAP = 10_000
DAY_MS = 86_400_000
# What PostgreSQL can hold as a timestamp, epoch ms: 4713 BC to 294276 AD.
_EARLIEST, _LATEST = -210_866_803_200_000, 9_224_318_016_000_000
_YES = frozenset({"1", "true", "y", "yes", "yep", "yeah"})

routes = Routes("/api")
_text = Text(optional=True)
_window = {"enableCap": _text, "start_time": _text, "end_time": _text}
_log_query = Obj({"userId": _text, "applicationId": _text, "logKey": _text, **_window})
_recent_query = Obj({"logKey": _text, **_window})


@routes.get("/logs", paging=PAGED, query=_log_query)
def list_logs(call: Call) -> PageOf:
    """``GET /logs``: newest first, without webhook deliveries."""
    low, high = _bounds(call, *_asked(call))
    return _page(
        call,
        LogQuery(
            "audit",
            low,
            high,
            key=call.first("logKey") or None,
            user=call.first("userId") or None,
            application=call.first("applicationId") or None,
        ),
    )


@routes.get("/logs/{id}")
def get_log(call: Call) -> dict[str, Any]:
    """``GET /logs/{id}``: any row, webhook deliveries included."""
    row = call.tenant.logs.get(call["id"])
    if row is None:
        raise not_exists_with_id("logs", call["id"])
    return row


@routes.get("/hooks/{id}/recent-logs", paging=PAGED, query=_recent_query)
def list_recent_logs(call: Call) -> PageOf:
    """``GET /hooks/{id}/recent-logs``: the last 24 hours unless a window is given; an unknown hook has none."""
    start, end = _asked(call)
    if start is None and end is None:
        since = call.tenant.now_ms() - DAY_MS
        window: tuple[float | None, float | None] = since * 1000 + (not call.tenant.has("log_window_inclusive")), None
    else:
        window = _bounds(call, start, end)
    query = LogQuery("webhook", *window, key=call.first("logKey") or None, hook=call["id"])
    found = _page(call, query)
    rows = [{key: value for key, value in row.items() if key != "tenantId"} for row in found.rows]
    return PageOf(rows, found.total, found.capped)


def _page(call: Call, query: LogQuery) -> PageOf:
    offset, limit = call.page.bounds() if call.page else (0, 20)
    logs = call.tenant.logs
    total, capped = logs.count(query), False
    if call.tenant.has("log_cap") and (call.first("enableCap") or "").lower() in _YES:
        total, capped = min(total, COUNT_CAP + 1), total > COUNT_CAP
    return PageOf(logs.page(offset, limit, query), total, capped)


def _asked(call: Call) -> tuple[float | None, float | None]:
    """The window asked for, epoch ms; versions before 1.40 do not know the parameters."""
    if not call.tenant.has("log_window"):
        return None, None
    start, end = (_number(call, name) for name in ("start_time", "end_time"))
    if start is not None and end is not None:
        inclusive = call.tenant.has("log_window_inclusive")
        if start > end or (start == end and not inclusive):
            message = "The window ends before it starts." if inclusive else "The window is empty."
            raise ApiError(400, "log.invalid_time_window", message)
    return start, end


def _number(call: Call, name: str) -> float | None:
    """A bound as JavaScript's ``Number()`` reads it: an empty text is 0."""
    text = call.first(name)
    if text is None:
        return None
    try:
        number = float(text.strip() or 0)
    except ValueError:
        number = math.nan
    if not math.isfinite(number) or "_" in text:
        raise ApiError(400, "guard.invalid_input", f"The request {name} is invalid.")
    return number


def _bounds(call: Call, start: float | None, end: float | None) -> tuple[float | None, float | None]:
    """A window as [low, high) in epoch microseconds.

    :raises BareError: a bound is beyond what the database can hold
    """
    for bound in (start, end):
        if bound is not None and not _EARLIEST <= bound <= _LATEST:
            raise BareError
    inclusive = call.tenant.has("log_window_inclusive")
    low = None if start is None else start * 1000 if inclusive else math.floor(start * 1000) + 1
    high = None if end is None else end * 1000 + (1000 if inclusive else 0)
    return low, high
