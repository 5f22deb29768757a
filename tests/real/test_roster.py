"""A roster's life on any Logto: the sandbox, or the real one named by LOGTO_TEST_*."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_logto.client.client import path_of
from airflow_provider_logto.hooks.logto import LogtoHook
from airflow_provider_logto.management.marks import KEY, stamp
from airflow_provider_logto.operators.roster import ImportUsersOperator, SyncRosterOperator
from tests.conftest import Tenant

LOOSE = dict.fromkeys(("disables", "role_removals", "member_removals", "deletes", "identifier_changes"), 1000)


@pytest.fixture
def hook(tenant: Tenant) -> LogtoHook:
    return LogtoHook()


class Company:
    """A role, an organization and an organization role of a test's own, and the roster of the same name."""

    def __init__(self, hook: LogtoHook, name: str, folder: Path) -> None:
        self.hook, self.name, self.folder = hook, name, folder
        self.role = hook.request("POST", "/roles", body={"name": name, "description": "test"})["id"]
        self.temp = hook.request("POST", "/roles", body={"name": f"{name}temp", "description": "test"})["id"]
        self.organization = hook.request("POST", "/organizations", body={"name": name})["id"]
        self.organization_role = hook.request("POST", "/organization-roles", body={"name": name})["id"]

    def rows(self, count: int, **more: Any) -> list[dict[str, Any]]:
        return [
            {
                "external_id": f"E{at}",
                "username": f"{self.name}_{at}",
                "primary_email": f"{self.name}.{at}@example.com",
                "name": f"Person {at}",
                "profile.givenName": f"Given {at}",
                "custom_data.level": str(at),
                "roles": [f"{self.name}temp"],
                "organizations": [self.name],
                "organization_roles": {self.name: [self.name]},
                **more,
            }
            for at in range(count)
        ]

    def sync(self, rows: Any, mode: str = "apply", **more: Any) -> dict[str, Any]:
        settings: dict[str, Any] = {
            "population": {"role": self.name},
            "manage": ("profile", "custom_data", "roles", "organizations", "organization_roles"),
            "exact": {"roles": [f"{self.name}temp"], "organizations": [self.name]},
            "brakes": LOOSE,
            "folder": self.folder.as_uri(),
        }
        operator = SyncRosterOperator(task_id="sync", roster=self.name, source=rows, mode=mode, **{**settings, **more})
        result: dict[str, Any] = operator.execute({})
        return result

    def users(self) -> dict[str, dict[str, Any]]:
        found = self.hook.iterate(path_of("/roles/{}/users", self.role))
        return {user["customData"][KEY]["externalId"]: user for user in found}

    def clear(self) -> None:
        query = {"search.username": f"{self.name}\\_%", "mode.username": "like"}
        for user in list(self.hook.iterate("/users", query)):
            self.hook.request("DELETE", path_of("/users/{}", user["id"]))
        for role in (self.role, self.temp):
            self.hook.request("DELETE", path_of("/roles/{}", role))
        self.hook.request("DELETE", path_of("/organizations/{}", self.organization))
        self.hook.request("DELETE", path_of("/organization-roles/{}", self.organization_role))


@pytest.fixture
def company(hook: LogtoHook, unique: str, tmp_path: Path) -> Iterator[Company]:
    made = Company(hook, unique, tmp_path)
    yield made
    made.clear()


def test_joiners_changes_leavers_and_returns(company: Company, hook: LogtoHook) -> None:
    first = company.sync(company.rows(12))
    assert first["counts"]["made.user.create"] == 12
    again = company.sync(company.rows(12), mode="check")
    assert not [name for name in again["counts"] if name.startswith(("user.", "role.", "member."))]
    members = list(hook.iterate(path_of("/organizations/{}/users", company.organization)))
    assert len(members) == 12
    assert all(member["organizationRoles"] for member in members)

    changed = company.rows(11, name="New", **{"profile.givenName": "New"})
    changed[0]["roles"] = []
    changed[1]["organizations"], changed[1]["organization_roles"] = [], {}
    changed[2]["primary_email"], changed[3]["primary_email"] = changed[3]["primary_email"], changed[2]["primary_email"]
    result = company.sync(changed, on_missing="suspend")
    assert result["counts"]["made.user.update"] == 11
    assert result["counts"]["made.user.release"] == 1
    assert result["counts"]["made.user.suspend"] == 1
    users = company.users()
    assert users["E11"]["isSuspended"]
    assert users["E0"]["name"] == "New"
    assert users["E2"]["primaryEmail"] == f"{company.name}.3@example.com"
    assert {role["name"] for role in hook.iterate(path_of("/users/{}/roles", users["E0"]["id"]))} == {company.name}
    assert hook.request("GET", path_of("/users/{}/organizations", users["E1"]["id"])) == []
    company.sync(changed, mode="check", on_missing="suspend")

    changed.append(company.rows(12)[11])
    company.sync(changed, on_missing="suspend")
    assert not company.users()["E11"]["isSuspended"]


def test_offboarding_and_deletion(company: Company, hook: LogtoHook) -> None:
    company.sync(company.rows(3))
    leaver = company.users()["E2"]
    tokens = path_of("/users/{}/personal-access-tokens", leaver["id"])
    hook.request("POST", tokens, body={"name": "laptop"})
    company.sync(company.rows(2), on_missing="offboard")
    assert hook.request("GET", tokens) == []
    mark = company.users()["E2"]["customData"][KEY]
    assert mark["offboardedAt"]
    long_ago = {KEY: {**mark, "suspendedAt": stamp(datetime.now(UTC) - timedelta(days=31))}}
    hook.request("PATCH", path_of("/users/{}/custom-data", leaver["id"]), body={"customData": long_ago})
    company.sync(company.rows(2), on_missing="delete")
    assert "E2" not in company.users()


def test_clearing_fields_and_what_stays(company: Company, hook: LogtoHook) -> None:
    company.sync(company.rows(1))
    user = company.users()["E0"]
    path = path_of("/users/{}", user["id"])
    hook.request("PATCH", f"{path}/custom-data", body={"customData": {"theirs": 1}})
    blank = company.rows(1)
    blank[0] |= {"name": "", "profile.givenName": "", "custom_data.level": ""}
    company.sync(blank, clear_blank=("name", "profile.givenName", "custom_data.level"))
    user = hook.request("GET", path)
    assert user["name"] is None
    assert user["profile"] == {}
    assert user["customData"] == {"theirs": 1, KEY: {"roster": company.name, "externalId": "E0"}}


def test_a_dump_plans_nothing_but_marks(company: Company, hook: LogtoHook) -> None:
    company.sync(company.rows(4))
    dumped = company.sync([], mode="dump")
    assert dumped["counts"]["rows"] == 4
    planned = company.sync(dumped["plan"], mode="plan")
    assert not [name for name in planned["counts"] if "." in name and not name.startswith("brake.")]


def test_an_import(company: Company, hook: LogtoHook, tmp_path: Path) -> None:
    rows = [{"username": f"{company.name}_i{at}", "password": "correct horse"} for at in range(5)]
    for _ in range(2):
        operator = ImportUsersOperator(task_id="import", source=rows, folder=tmp_path.as_uri(), match_on=("username",))
        result = operator.execute({})
        assert result["failed"] == []
    query = {"search.username": f"{company.name}\\_i%", "mode.username": "like"}
    users = list(hook.iterate("/users", query))
    assert len(users) == 5
    path = path_of("/users/{}/password/verify", users[0]["id"])
    hook.request("POST", path, body={"password": "correct horse"})
