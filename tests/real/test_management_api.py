"""ManagementApiOperator and the hook's own methods on any Logto."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_logto.exceptions import NotFound
from airflow_provider_logto.hooks.logto import LogtoHook
from airflow_provider_logto.operators.management_api import ManagementApiOperator
from tests.conftest import execute
from tests.real.conftest import Corner


def call(**arguments: Any) -> Any:
    return execute(ManagementApiOperator(task_id="call", **arguments))


def test_the_connection_test_says_what_it_reached(corner: Corner) -> None:
    works, message = LogtoHook().test_connection()
    assert works, message
    assert "may use the Management API" in message


def test_every_kind_of_answer_comes_back(corner: Corner) -> None:
    (person,) = corner.people(1)
    role = next(corner.hook.iterate("/roles", {"search.name": corner.roles["employee"], "mode.name": "exact"}))
    path = {"method": "GET", "path": "/api/users/{id}/custom-data", "path_params": {"id": person["id"]}}
    assert call(**path) == {}
    text = call(method="POST", path=f"/roles/{role['id']}/users", body={"userIds": [person["id"]]})
    assert text == "Created"
    nothing = {"method": "DELETE", "path": "/roles/{id}/users/{user}"}
    assert call(**nothing, path_params={"id": role["id"], "user": person["id"]}) is None
    with pytest.raises(NotFound) as caught:
        call(method="GET", path="/users/{id}", path_params={"id": "a/b?c"})
    assert caught.value.code == "entity.not_found"
    assert caught.value.request_id


def test_all_pages_are_fetched(corner: Corner) -> None:
    people = corner.people(103)
    query = {"search.username": f"{corner.word}%"}
    listed = call(path="/users", query=query, paginate=True)
    assert sorted(user["id"] for user in listed) == sorted(person["id"] for person in people)
    assert len(call(path="/users", query=query)) == 20


def test_an_operation_has_a_name(corner: Corner) -> None:
    (person,) = corner.people(1)
    path = {"userId": person["id"]}
    assert call(operation_id="GetUser", path_params=path, response_filter=lambda user: user["id"]) == person["id"]
    assert call(operation_id="DeleteUser", path_params=path) is None
    assert call(operation_id="GetUser", path_params=path, if_not_found="none") is None


def test_a_list_goes_to_a_file(corner: Corner, tmp_path: Path) -> None:
    people = corner.people(3)
    target = tmp_path / "people.jsonl"
    query = {"search.username": f"{corner.word}%"}
    result = call(operation_id="ListUsers", query=query, paginate=True, destination=f"file://{target}")
    assert result["count"] == 3
    rows = [json.loads(line) for line in target.read_text("utf-8").splitlines()]
    assert sorted(row["id"] for row in rows) == sorted(person["id"] for person in people)
