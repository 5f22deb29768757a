"""Paths of any operation, and what a sensor waits for."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from airflow_provider_logto.exceptions import InvalidInput, LogtoApiError, NotFound
from airflow_provider_logto.management.conditions import check_condition, holds
from airflow_provider_logto.management.operations import call_operation, filled_path
from logto_sandbox import Sandbox
from tests.clients import Run


def test_values_are_percent_encoded() -> None:
    assert filled_path("/users/{id}/identities/{target}", {"id": "a/b", "target": "x y?#"}) == (
        "/users/a%2Fb/identities/x%20y%3F%23"
    )


@pytest.mark.parametrize(
    ("path", "parameters", "message"),
    [
        ("/users/{id}", None, r"path_params\.id: missing"),
        ("/users/{id}", {"id": ""}, r"path_params\.id: missing"),
        ("/users/{id}", {"id": None}, r"path_params\.id: missing"),
        ("/users", {"id": "x"}, r"path_params\.id: is not in the path"),
        (5, None, "path: must be text"),
        ("/users/{id}", ["x"], "path_params: must be an object"),
    ],
)
def test_wrong_path_values_are_refused_by_name(path: Any, parameters: Any, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        filled_path(path, parameters)


@pytest.mark.parametrize(
    "arguments",
    [
        {"method": "GET", "path": "https://evil.example/api/users"},
        {"method": "GET", "path": "//evil.example/users"},
        {"method": "GET", "path": "/users/../roles"},
        {"method": "GET", "path": "/users/{id}", "path_params": {"id": ".."}},
        {"method": "GET", "path": "/users/%2e%2e/roles"},
        {"method": "GET", "path": "/users?page=1"},
        {"method": "GET", "path": "users"},
        {"method": "GET", "path": "/users", "query": ["a"]},
        {"method": "FETCH", "path": "/users"},
        {"method": "POST", "path": "/users", "paginate": True},
        {"method": "GET", "path": "/users", "query": {"page": 2}, "paginate": True},
        {"method": "POST", "path": "/users", "body": {"x": object()}},
        {"method": "POST", "path": "/users", "body": {"customData": {"x": "y" * 1_100_000}}},
        {"method": "POST", "path": "/users", "body": {"x": float("nan")}},
    ],
)
def test_what_must_not_leave_does_not_leave(run: Run, sandbox: Sandbox, arguments: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        run(call_operation, **arguments)
    assert sandbox.stats()["requests"] == 0


def test_an_unknown_operation_says_so(run: Run) -> None:
    with pytest.raises((NotFound, LogtoApiError), match=r"no such operation|not_modelled"):
        run(call_operation, "GET", "/no-such-thing")


USER = {"isSuspended": False, "lastSignInAt": 1000}


@pytest.mark.parametrize(
    ("user", "condition", "since", "expected"),
    [
        (None, "absent", None, True),
        (None, "exists", None, False),
        (None, "not_suspended", None, False),
        (USER, "absent", None, False),
        (USER, "exists", None, True),
        (USER, "suspended", None, False),
        (USER, "not_suspended", None, True),
        (USER, "signed_in", None, True),
        (USER, "signed_in", 1000, True),
        (USER, "signed_in", 1001, False),
        ({**USER, "lastSignInAt": None}, "signed_in", None, False),
        ({**USER, "isSuspended": True}, "suspended", None, True),
    ],
)
def test_conditions(user: Any, condition: str, since: int | None, expected: bool) -> None:
    assert holds(user, condition, since) is expected


def test_since_is_a_moment_with_a_zone() -> None:
    moment = datetime(2026, 1, 31, 8, tzinfo=UTC)
    assert check_condition("a", "signed_in", moment) == check_condition("a", "signed_in", moment.isoformat())
    for wrong in ("yesterday", "2026-01-31T08:00:00", datetime(2026, 1, 31), 5):
        with pytest.raises(InvalidInput, match="since"):
            check_condition("a", "signed_in", wrong)
    with pytest.raises(InvalidInput, match="only goes with"):
        check_condition("a", "exists", moment)
    with pytest.raises(InvalidInput, match="condition"):
        check_condition("a", "dead")
