"""The offboarding of somebody who really signed in, on any Logto: afterwards nothing that they hold buys a token."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_logto.exceptions import OffboardingIncomplete
from airflow_provider_logto.management.marks import Mark
from airflow_provider_logto.management.offboarding.restore import restore_user
from airflow_provider_logto.management.sessions import list_grants, list_sessions
from airflow_provider_logto.operators.offboarding import OffboardUserOperator
from tests.conftest import Tenant, execute
from tests.real.conftest import Corner
from tests.real.end_user import PASSWORD, Application


class Person:
    """Somebody with everything that lets a person in."""

    def __init__(self, corner: Corner, application: Application) -> None:
        self.hook, self.application = corner.hook, application
        body = {
            "username": corner.username("leaver"),
            "primaryEmail": corner.email("leaver"),
            "password": PASSWORD,
        }
        self.user = self.hook.request("POST", "/users", body=body)
        self.path = f"/users/{self.user['id']}"
        role = next(one for one in self.hook.iterate("/roles") if one["name"] == corner.roles["employee"])
        self.hook.request("POST", f"{self.path}/roles", body={"roleIds": [role["id"]]})
        name = f"{corner.word} GmbH"
        self.organization, other = (
            self.hook.request("POST", "/organizations", body={"name": f"{name} {at}"})["id"] for at in range(2)
        )
        self.hook.request("POST", f"/organizations/{self.organization}/users", body={"userIds": [self.user["id"]]})
        domain = {"emailDomain": f"{corner.word}.example"}
        self.hook.request("POST", f"/organizations/{self.organization}/jit/email-domains", body=domain)
        expires = int((time.time() + 86_400) * 1000)
        invitation = {"invitee": corner.email("leaver"), "organizationId": other, "expiresAt": expires}
        made = self.hook.request("POST", "/organization-invitations", body={**invitation, "messagePayload": False})
        self.invitation = made["id"]
        self.one_time = self.hook.request("POST", "/one-time-tokens", body={"email": corner.email("leaver")})
        token = self.hook.request("POST", f"{self.path}/personal-access-tokens", body={"name": "laptop"})
        self.personal = token["value"]
        self.refresh_tokens = [application.sign_in(self.user) for _ in range(2)]

    def offboard(self, folder: Path, **arguments: Any) -> dict[str, Any]:
        task = OffboardUserOperator(task_id="end", user=self.user["id"], folder=f"file://{folder}", **arguments)
        report: dict[str, Any] = execute(task, {"run_id": "r1"})
        json.dumps(report)
        return report

    def ways_in(self) -> list[str]:
        """What still works, of everything that they hold."""
        found = [token for token in self.refresh_tokens if self.application.refreshes(token)]
        if self.application.exchanges(self.personal):
            found.append("personal access token")
        status = self.hook.request("GET", f"/organization-invitations/{self.invitation}")["status"]
        tokens = self.hook.request("GET", "/one-time-tokens", {"email": self.user["primaryEmail"]})
        return found + [status] * (status == "Pending") + [row["id"] for row in tokens if row["status"] == "active"]

    def stored(self) -> dict[str, Any]:
        found: dict[str, Any] = self.hook.request("GET", self.path)
        return found


@pytest.fixture
def person(corner: Corner, tenant: Tenant) -> Iterator[Person]:
    application = Application.create(tenant, corner.hook, f"{corner.word} portal")
    yield Person(corner, application)
    corner.hook.request("DELETE", f"/applications/{application.id}")


def test_nothing_that_a_leaver_holds_works_afterwards(person: Person, tmp_path: Path) -> None:
    assert len(person.hook.run(list_sessions, person.user["id"])) == 2
    assert len(person.ways_in()) == 5
    report = person.offboard(tmp_path, remove=["roles", "organizations"], reset_credentials=True)
    assert person.ways_in() == []
    assert person.hook.run(list_sessions, person.user["id"]) == []
    assert person.hook.run(list_grants, person.user["id"]) == []
    assert person.hook.request("GET", f"{person.path}/personal-access-tokens") == []
    stored = person.stored()
    assert stored["isSuspended"]
    assert Mark.of(stored).offboarded_at

    assert (report["outcome"], report["unsupported"]) == ("offboarded", [])
    assert report["steps"]["personal_access_tokens"]["count"] == 1
    assert report["steps"]["grants"]["count"] >= 2
    assert report["steps"]["roles"]["count"] >= 1
    assert [step for step, entry in report["steps"].items() if entry["outcome"] != "done"] == []
    assert datetime.fromisoformat(report["access_ends_at"]).timestamp() >= time.time() + 3500
    assert report["bounded"] is False
    assert any(name.endswith(" portal") for name in report["unbounded_by"])
    assert [one["id"] for one in report["ways_back"]] == [person.organization]
    assert list(person.hook.iterate(f"{person.path}/roles")) == []
    assert person.hook.request("GET", f"{person.path}/organizations") == []

    assert person.offboard(tmp_path, remove=["roles", "organizations"])["outcome"] == "unchanged"


def test_the_password_does_not_work_afterwards(person: Person, tmp_path: Path) -> None:
    person.offboard(tmp_path, reset_credentials=True)
    person.hook.request("PATCH", f"{person.path}/is-suspended", body={"isSuspended": False})
    with pytest.raises(Exception, match="invalid_credentials"):
        person.hook.request("POST", f"{person.path}/password/verify", body={"password": PASSWORD})


def test_it_is_undone_from_the_snapshot(person: Person, tmp_path: Path) -> None:
    report = person.offboard(tmp_path, remove=["roles", "organizations"])
    snapshot = Path(report["snapshot"].removeprefix("file://")).read_bytes()
    restored = person.hook.run(restore_user, snapshot)
    assert (restored["outcome"], len(restored["organizations"])) == ("restored", 1)
    assert restored["missing"] == ["personal access token laptop"]
    stored = person.stored()
    assert not stored["isSuspended"]
    assert Mark.of(stored) == Mark()
    assert len(list(person.hook.iterate(f"{person.path}/roles"))) >= 1
    # What they held before stays dead; signing in anew works.
    assert person.ways_in() == []
    assert person.application.refreshes(person.application.sign_in(person.user))


def test_killed_half_way_and_run_again(person: Person, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: Any) -> Any:
        raise OSError("the worker's disk is full")

    with monkeypatch.context() as broken:
        broken.setattr("airflow_provider_logto.management.offboarding.steps.revoke_grant", refuse)
        with pytest.raises(OffboardingIncomplete, match="failed: grants"):
            person.offboard(tmp_path, remove=["roles"])
    assert person.stored()["isSuspended"]
    assert person.offboard(tmp_path, remove=["roles"])["outcome"] == "offboarded"
    assert person.ways_in() == []
    assert len(list(tmp_path.rglob("*.json"))) == 1
