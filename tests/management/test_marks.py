"""The mark in customData: read, written, and whether it proves anything."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import fields
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_logto.exceptions import NotFound, NotFromLogto
from airflow_provider_logto.management.marks import (
    KEY,
    OWN_KEYS,
    Mark,
    date_of,
    end_users_may_edit,
    moment_of,
    stamp,
    write_mark,
)
from logto_sandbox import Sandbox
from tests.clients import Restarting

Run = Callable[..., Any]
NOW = datetime(2026, 3, 1, 12, 30, 15, 999, tzinfo=UTC)

TEXTS = st.none() | st.text(min_size=1, max_size=20)


@given(st.builds(Mark, *[TEXTS] * len(fields(Mark))))
def test_what_is_written_is_read_back(mark: Mark) -> None:
    assert Mark.read({"other": 1, **mark.custom_data()}) == mark


@pytest.mark.parametrize("custom_data", [None, [], "x", {}, {KEY: None}, {KEY: "hr"}, {KEY: ["hr"]}])
def test_no_mark(custom_data: Any) -> None:
    assert Mark.read(custom_data) is None
    assert Mark.of({"customData": custom_data}) == Mark()


def test_values_of_other_types_are_left_out() -> None:
    assert Mark.read({KEY: {"roster": "hr", "externalId": 5, "suspendedAt": "", "x": "y"}}) == Mark("hr")


@pytest.mark.parametrize("key", OWN_KEYS)
def test_nobody_can_write_a_mark_while_signing_in(key: str) -> None:
    """`extraProfile` takes any key of letters and digits; tests/real shows it on a real Logto."""
    assert not re.fullmatch("[0-9A-Za-z]+", key)


def test_times() -> None:
    assert stamp(NOW) == "2026-03-01T12:30:15Z"
    assert moment_of(stamp(NOW)) == NOW.replace(microsecond=0)
    assert moment_of("2026-03-01T12:30:15") == NOW.replace(microsecond=0)
    assert moment_of("yesterday") is None
    assert date_of("2026-03-01T12:30:15Z") == date(2026, 3, 1)
    assert date_of("soon") is None
    mark = Mark("hr", suspended_at=stamp(NOW - timedelta(days=30)))
    assert mark.suspended_days(NOW) == pytest.approx(30, abs=0.001)
    assert mark.with_(suspended_at=None).suspended_days(NOW) is None


def test_writing_a_mark_keeps_the_rest(run: Run, sandbox: Sandbox) -> None:
    sandbox.seed({"users": [{"username": "mika", "customData": {"department": "x", KEY: {"roster": "old", "a": 1}}}]})
    user = sandbox.state()["users"][0]
    run(write_mark, user["id"], Mark("hr", "E1"))
    kept = sandbox.state()["users"][0]["customData"]
    assert kept == {"department": "x", KEY: {"roster": "hr", "externalId": "E1"}}
    with pytest.raises(NotFound):
        run(write_mark, "absent", Mark("hr"))


@pytest.mark.parametrize(
    ("center", "allowed"),
    [
        ({}, False),
        ({"enabled": True, "fields": {"customData": "Edit"}}, True),
        ({"enabled": True, "fields": {"customData": "ReadOnly"}}, False),
        ({"enabled": False, "fields": {"customData": "Edit"}}, False),
        ({"enabled": True, "fields": {"name": "Edit"}}, False),
    ],
)
def test_whether_end_users_may_edit_it(run: Run, sandbox: Sandbox, center: Any, allowed: bool) -> None:
    run(lambda client: client.request("PATCH", "/account-center", body=center))
    assert run(end_users_may_edit) is allowed


def test_a_server_without_account_centre(run: Run, sandbox: Sandbox) -> None:
    sandbox.add_fault(kind="error", status=404, method="GET", path="/api/account-center")
    assert run(end_users_may_edit) is False

    async def ask_a_proxy(client: Any) -> bool:
        Restarting(client, "/api/account-center")
        return await end_users_may_edit(client)

    with pytest.raises(NotFromLogto):  # and not "nobody may"
        run(ask_a_proxy)
