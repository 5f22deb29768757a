"""Changing, suspending and deleting people, and taking them out of organizations, on any Logto."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_logto.exceptions import InvalidInput, NotFound, Refused
from airflow_provider_logto.operators.organizations import ProvisionOrganizationOperator, RemoveMembersOperator
from airflow_provider_logto.operators.users import DeleteUserOperator, SuspendUserOperator, UpdateUserOperator
from tests.conftest import execute
from tests.real.conftest import Corner


def stored(corner: Corner, user: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = corner.hook.request("GET", f"/users/{user['id']}")
    return found


def test_a_person_is_changed_and_then_not_again(corner: Corner) -> None:
    (user,) = corner.people(1)
    arguments: dict[str, Any] = {
        "user": {"username": user["username"]},
        "name": "Mika",
        "primary_email": corner.email("Mika").upper(),
        "custom_data": {"a": {"b": 1}},
        "profile": {"address": {"country": "JP"}},
    }
    first = execute(UpdateUserOperator(task_id="update", **arguments))
    json.dumps(first)
    assert first["changed"] == ["primary_email", "name", "custom_data", "profile"]
    assert execute(UpdateUserOperator(task_id="update", **arguments))["outcome"] == "unchanged"
    more: dict[str, Any] = {"custom_data": {"a": {"c": 2}}, "custom_data_mode": "deep_merge"}
    execute(UpdateUserOperator(task_id="update", user=first, clear_fields=["name", "profile.address"], **more))
    found = stored(corner, user)
    assert (found["name"], found["profile"], found["customData"]) == (None, {}, {"a": {"b": 1, "c": 2}})
    execute(UpdateUserOperator(task_id="update", user=first, custom_data={"z": 1}, custom_data_mode="replace"))
    assert stored(corner, user)["customData"] == {"z": 1}


def test_a_person_is_suspended_brought_back_and_deleted(corner: Corner) -> None:
    (user,) = corner.people(1)
    outcomes = [
        execute(SuspendUserOperator(task_id="suspend", user=user["id"], suspended=suspended))["outcome"]
        for suspended in (True, True, False, False)
    ]
    assert outcomes == ["suspended", "unchanged", "reinstated", "unchanged"]
    with pytest.raises(InvalidInput, match="confirm"):
        execute(DeleteUserOperator(task_id="delete", user=user["id"]))
    with pytest.raises(Refused, match="not suspended"):
        execute(DeleteUserOperator(task_id="delete", user=user["id"], suspended_for="30"))
    with pytest.raises(InvalidInput, match="protected by"):
        execute(DeleteUserOperator(task_id="delete", user=user["id"], confirm=True, protect=[user["username"]]))
    execute(SuspendUserOperator(task_id="suspend", user=user["id"]))
    with pytest.raises(Refused, match=r"0\.0 days"):
        execute(DeleteUserOperator(task_id="delete", user=user["id"], suspended_for=30))
    assert execute(DeleteUserOperator(task_id="delete", user=user["id"], suspended_for=0))["outcome"] == "deleted"
    with pytest.raises(NotFound):
        stored(corner, user)
    again = DeleteUserOperator(task_id="delete", user=user["id"], confirm=True, if_absent="skip")
    assert execute(again)["outcome"] == "absent"


def test_a_connection_protects_too(corner: Corner, monkeypatch: pytest.MonkeyPatch, tenant: Any) -> None:
    (user,) = corner.people(1)
    monkeypatch.setenv("AIRFLOW_CONN_LOGTO_DEFAULT", tenant.connection({"protect": [f"{corner.word}*"]}))
    for operator in (
        SuspendUserOperator(task_id="suspend", user=user["id"]),
        DeleteUserOperator(task_id="delete", user=user["id"], confirm=True),
    ):
        with pytest.raises(InvalidInput, match="protected by"):
            execute(operator)


def test_members_leave(corner: Corner) -> None:
    people = [{"id": person["id"]} for person in corner.people(3)]
    name = f"{corner.word} GmbH"
    organization = execute(ProvisionOrganizationOperator(task_id="provision", name=name, members=people))
    leave = RemoveMembersOperator(task_id="leave", organization=organization, members=people[:2])
    assert execute(leave)["removed"] == [person["id"] for person in people[:2]]
    assert execute(leave)["removed"] == []
    members = list(corner.hook.iterate(f"/organizations/{organization['id']}/users"))
    assert [member["id"] for member in members] == [people[2]["id"]]
