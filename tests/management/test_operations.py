"""Paths of any operation, and what a sensor waits for."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from airflow_provider_logto.client.client import LogtoClient
from airflow_provider_logto.client.replies import Reply
from airflow_provider_logto.exceptions import InvalidInput, LogtoApiError, NotFound
from airflow_provider_logto.management.conditions import check_condition, holds
from airflow_provider_logto.management.operations import Call, call_operation, filled_path
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
        ("/users/{id", None, "path: .* has a brace without its other half"),
        ("/users/id}", None, "path: .* has a brace"),
        ("/users/{id}}", {"id": "x"}, "path: .* has a brace"),
        ("/users", {"id": "x", 2: "y"}, r"path_params\.2: is not in the path"),
        ("/users/{id}", ["x"], "path_params: must be an object, not list$"),
        ("/users/{id}", "{'id': 'x'}", "path_params: must be an object, not str; a template gives text"),
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
        run(call_operation, Call.checked(**arguments))
    assert sandbox.stats()["requests"] == 0


@pytest.mark.parametrize("total", ["9" * 5000, "\u00b2", "many"])
def test_a_count_that_is_no_number_is_not_believed(run: Run, caplog: pytest.LogCaptureFixture, total: str) -> None:
    async def call(client: LogtoClient) -> Any:
        async def send(*args: Any, **kwargs: Any) -> Reply:
            return Reply(200, [], {"total-number": total})

        client.send = send  # type: ignore[method-assign]
        return await call_operation(client, Call.checked("GET", "/users"))

    assert run(call) == []
    assert "items" not in caplog.text


def test_an_unknown_operation_is_sent_with_a_warning(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises((NotFound, LogtoApiError), match=r"no such operation|not_modelled"):
        run(call_operation, Call.checked("GET", "/no-such-thing"))
    assert "GET /no-such-thing is unknown to this version" in caplog.text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"operation_id": "ListUser"}, r"no operation 'ListUser'; did you mean ListUsers"),
        ({"operation_id": "xyzzy"}, r"no operation 'xyzzy'$"),
        ({"operation_id": 5}, "no operation 5"),
        ({"operation_id": "ListUsers", "path": "/users"}, "operation_id: stands for method and path"),
        ({"operation_id": "ListUsers", "method": "GET"}, "operation_id: stands for method and path"),
        ({"operation_id": "GetUser"}, r"path_params\.userId: missing"),
        ({"operation_id": "GetUser", "path_params": {"id": "a"}}, r"path_params\.userId: missing"),
        ({"operation_id": "GetUser", "path_params": {"userId": "a"}, "paginate": True}, "GetUser answers no list"),
        ({}, "path: missing; give path or operation_id"),
        ({"path": "/organisations"}, "did you mean /organizations"),
        ({"path": "/users/a/role"}, "did you mean /users/{userId}/roles"),
        ({"path": "/users", "query": {"exclude_role_id": "a"}}, "did you mean excludeRoleId"),
        ({"path": "/users", "query": {"serach": "a"}}, "did you mean search"),
        ({"path": "/roles/a/users", "query": {"excludeRoleId": "a"}}, "unknown to ListRoleUsers, which takes"),
        ({"path": "/users/a", "query": {"page": 1}}, "unknown to GetUser"),
        ({"method": "POST", "path": "/users", "query": {"a": 1}}, "CreateUser, which takes none"),
    ],
)
def test_a_misspelt_call_is_refused_by_name(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        Call.checked(**arguments)


def test_an_operation_has_a_name(run: Run, sandbox: Sandbox) -> None:
    user = run(call_operation, Call.checked(operation_id="CreateUser", body={"username": "mika"}))
    path = {"userId": user["id"]}
    assert run(call_operation, Call.checked(operation_id="ListUserCustomData", path_params=path)) == {}
    search = {"search.username": "mika", "mode.username": "exact", "isCaseSensitive": True}
    found = run(call_operation, Call.checked(operation_id="ListUsers", query=search, paginate=True))
    assert [one["id"] for one in found] == [user["id"]]


def test_a_filter_takes_the_answer_or_each_item(run: Run, sandbox: Sandbox) -> None:
    sandbox.seed({"users": [{"username": f"u{at}"} for at in range(3)]})
    whole = run(call_operation, Call.checked(path="/users"), len)
    assert whole == 3
    names = run(
        call_operation,
        Call.checked(path="/users", paginate=True),
        lambda user: user["username"] if user["username"] != "u1" else None,
    )
    assert sorted(names) == ["u0", "u2"]


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
