"""AssignRolesOperator on any Logto."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_logto.exceptions import InvalidInput
from airflow_provider_logto.operators.roles import AssignRolesOperator
from tests.conftest import execute
from tests.real.conftest import Corner


def assign(**arguments: Any) -> dict[str, Any]:
    return execute(AssignRolesOperator(task_id="assign", **arguments))


def held(corner: Corner, user: dict[str, Any]) -> set[str]:
    return {role["name"] for role in corner.hook.iterate(f"/users/{user['id']}/roles")}


def test_adding_sends_the_difference(corner: Corner) -> None:
    people = corner.people(5)
    employee, engineer = corner.roles["employee"], corner.roles["engineer"]
    first = assign(users=[person["username"] for person in people[:2]], roles=[employee])
    assert first == {"added": {employee: [p["id"] for p in people[:2]]}, "removed": {}, "unchanged": {}}
    second = assign(users=[{"id": person["id"]} for person in people], roles=[employee, engineer])
    assert second["added"] == {employee: [p["id"] for p in people[2:]], engineer: [p["id"] for p in people]}
    assert second["unchanged"] == {employee: [p["id"] for p in people[:2]]}
    assert all(held(corner, person) == {employee, engineer} for person in people)
    third = assign(users=people[0]["username"], roles=employee)
    assert third == {"added": {}, "removed": {}, "unchanged": {employee: [people[0]["id"]]}}


@pytest.mark.parametrize("count", [1, 6])
def test_replacing_makes_exact(corner: Corner, count: int) -> None:
    people = corner.people(count)
    employee, engineer = corner.roles["employee"], corner.roles["engineer"]
    assign(users=[p["username"] for p in people], roles=[employee])
    report = assign(users=[p["username"] for p in people], roles=[engineer], mode="replace")
    ids = [p["id"] for p in people]
    assert report == {"added": {engineer: ids}, "removed": {employee: ids}, "unchanged": {}}
    assert all(held(corner, person) == {engineer} for person in people)
    again = assign(users=[p["username"] for p in people], roles=[engineer], mode="replace")
    assert again == {"added": {}, "removed": {}, "unchanged": {engineer: ids}}


def test_removing_takes_away_what_is_held(corner: Corner) -> None:
    people = corner.people(3)
    employee = corner.roles["employee"]
    assign(users=[people[0]["username"]], roles=[employee])
    report = assign(users=[p["username"] for p in people], roles=[employee], mode="remove")
    assert report["removed"] == {employee: [people[0]["id"]]}
    assert held(corner, people[0]) == set()


def test_wrong_roles_and_users_are_refused_before_the_first_write(corner: Corner) -> None:
    (person,) = corner.people(1)
    body = {"name": f"{corner.word}-machine", "description": "for a test", "type": "MachineToMachine"}
    machine = corner.hook.request("POST", "/roles", body=body)["name"]
    employee = corner.roles["employee"]
    for arguments, message in (
        ({"users": [person["username"]], "roles": [employee, "no such role"]}, r"roles\[1\]: there is no role"),
        ({"users": [person["username"]], "roles": [employee, machine]}, r"roles\[1\]: .* machine-to-machine"),
        ({"users": [person["username"], "nobody_at_all"], "roles": [employee]}, r"users\[1\]: no user"),
        ({"users": [{"id": "nosuchid0000"}], "roles": [employee]}, r"users\[0\]: no user"),
        ({"users": [person["username"]], "roles": [], "mode": "replace"}, "roles: is empty"),
        ({"users": [person["username"]], "roles": [employee], "mode": "set"}, "mode: 'set' is unknown"),
    ):
        with pytest.raises(InvalidInput, match=message):
            assign(**arguments)
    assert held(corner, person) == set()
