"""Messy references: everybody who is missing is named at once, and whoever is gone has no role to lose."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_logto.exceptions import InvalidInput
from airflow_provider_logto.management.references import Reference, find_users
from airflow_provider_logto.operators.roles import AssignRolesOperator
from tests.clients import Run
from tests.conftest import Tenant, execute
from tests.real.conftest import Corner


def assign(**arguments: Any) -> dict[str, Any]:
    result: dict[str, Any] = execute(AssignRolesOperator(task_id="assign", **arguments))
    return result


def test_all_unknown_people_are_named(corner: Corner) -> None:
    (person,) = corner.people(1)
    wanted = ["nobody_a", person["username"], corner.email("nobody_b")]
    with pytest.raises(InvalidInput) as caught:
        assign(users=wanted, roles=[corner.roles["employee"]])
    for part in ("users[0]", "nobody_a", "users[2]", corner.email("nobody_b"), 'on_missing="skip"'):
        assert part in str(caught.value)
    assert corner.hook.request("GET", f"/users/{person['id']}/roles") == []
    report = assign(users=wanted, roles=[corner.roles["employee"]], on_missing="skip")
    assert report["added"] == {corner.roles["employee"]: [person["id"]]}
    assert report["missing"] == ["nobody_a", corner.email("nobody_b")]


def test_a_long_list_of_unknown_people_makes_a_short_message(sandbox_tenant: Tenant) -> None:
    with pytest.raises(InvalidInput, match="and 229 more") as caught:
        assign(users=[f"nobody{at:03}" for at in range(250)], roles=["employee"])
    assert len(str(caught.value)) < 1000


def test_whoever_is_gone_has_no_role_to_lose(corner: Corner) -> None:
    first, second = corner.people(2)
    role = corner.roles["employee"]
    assign(users=[first["id"], second["id"]], roles=[role])
    corner.hook.request("DELETE", f"/users/{first['id']}")
    report = assign(users=[{"id": first["id"]}, second], roles=[role], mode="remove")
    assert report["removed"] == {role: [second["id"]]}
    assert report["missing"] == [f"id={first['id']}"]


def test_a_user_of_the_api_and_a_row_with_an_id_are_references(corner: Corner) -> None:
    first, second = corner.people(2)
    row = {"id": second["id"], "Department": "R&D", "username": "not_looked_at"}
    report = assign(users=[corner.hook.request("GET", f"/users/{first['id']}"), row], roles=[corner.roles["employee"]])
    assert report["added"] == {corner.roles["employee"]: [first["id"], second["id"]]}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"users": None}, "users: must be a list, not NoneType"),
        ({"users": ""}, r"users\[0\]"),
        ({"users": "[{'id': 'abc'}]"}, "users: must be a list, not str; a template gives text"),
        ({"users": "None"}, r"users\[0\]: 'None' is not a value"),
        ({"users": ["nan"]}, r"users\[0\]: 'nan' is not a value"),
        ({"users": [{"id": "nan"}]}, r"users\[0\]\.id: 'nan' is not a value"),
        ({"users": [{"id": "", "Department": "R&D"}]}, r"users\[0\]\.Department"),
        ({"users": ["a\u200bb"]}, "cannot be seen"),
        ({"users": [], "on_missing": "ignore"}, "on_missing: 'ignore' is unknown"),
        ({"users": [], "roles": [], "mode": "replace"}, 'name the roles to take, with mode="remove"'),
    ],
)
def test_what_is_no_reference_is_refused(sandbox_tenant: Tenant, arguments: dict[str, Any], message: str) -> None:
    assert sandbox_tenant.sandbox is not None
    with pytest.raises(InvalidInput, match=message):
        assign(**{"roles": ["employee"], **arguments})
    assert sandbox_tenant.sandbox.stats()["writes"] == 0


def test_the_first_look_compares_case_and_the_second_only_looks_for_who_is_missing(
    run: Run, sandbox_tenant: Tenant
) -> None:
    sandbox = sandbox_tenant.sandbox
    assert sandbox is not None
    stored = [{"primaryEmail": "a@example.com"}, {"primaryEmail": "B@Example.com"}, {"username": "c"}]
    sandbox.seed({"users": stored})
    sandbox.reset_stats()
    wanted = ["A@example.com", "b@example.com", "c", "d"]
    found = run(find_users, [Reference.parse(one) for one in wanted])
    assert [user and (user["primaryEmail"] or user["username"]) for user in found] == [
        "a@example.com",
        "B@Example.com",
        "c",
        None,
    ]
    first, second = [request["query"] for request in sandbox.requests() if request["path"] == "/api/users"]
    assert "isCaseSensitive=true" in first
    assert "isCaseSensitive" not in second
    assert "b%40example.com" in second
    assert "a%40example.com" not in second


@pytest.mark.parametrize("mode", ["remove", "replace"])
def test_whoever_is_protected_loses_no_role(corner: Corner, mode: str) -> None:
    first, second = corner.people(2)
    employee, engineer = corner.roles["employee"], corner.roles["engineer"]
    assign(users=[first["id"], second["id"]], roles=[employee])
    roles = [employee] if mode == "remove" else [engineer]
    with pytest.raises(InvalidInput, match=f"^users: {first['id']} is protected"):
        assign(users=[first["id"], second["id"]], roles=roles, mode=mode, protect=[first["username"]])
    assert [role["name"] for role in corner.hook.iterate(f"/users/{second['id']}/roles")] == [employee]
    assign(users=[first["id"]], roles=[engineer], protect=[first["username"]])  # takes nothing away
