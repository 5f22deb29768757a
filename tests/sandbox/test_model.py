"""Random sequences of calls: a model of plain sets and the server agree after every one.

Runs on the sandbox; on the real Logto named by LOGTO_TEST_* when that is set.
"""

from __future__ import annotations

import itertools
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, multiple, rule, run_state_machine_as_test

from logto_sandbox import Sandbox
from tests.contracts.contract import MANAGEMENT_API
from tests.sandbox.model import NOBODY, Expected, Model

REAL = os.environ.get("LOGTO_TEST_ENDPOINT")
NAMES = st.sampled_from(["ann", "Ann", "bob", "ben"])
KINDS = st.sampled_from(["User", "User", "MachineToMachine"])


@contextmanager
def _connect(endpoint: str, app_id: str, app_secret: str) -> Iterator[httpx.Client]:
    form = {"grant_type": "client_credentials", "resource": MANAGEMENT_API, "scope": "all"}
    with httpx.Client(base_url=endpoint, timeout=60) as http:
        token = http.post("/oidc/token", data=form, auth=(app_id, app_secret)).raise_for_status().json()
        http.headers["Authorization"] = f"Bearer {token['access_token']}"
        yield http


class Agreement(RuleBasedStateMachine):
    """Every call is foretold by the model, and what is read back equals it."""

    http: httpx.Client
    users, roles = Bundle("users"), Bundle("roles")
    organizations, organization_roles = Bundle("organizations"), Bundle("organization_roles")

    def __init__(self) -> None:
        super().__init__()
        self.model = Model()
        self.run = f"m{uuid.uuid4().hex[:8]}"
        self.ids: dict[str, str] = {NOBODY: "nobody"}
        self.counter = itertools.count()

    @initialize(target=users)
    def nobody(self) -> str:
        return NOBODY

    @initialize(target=roles)
    def first_roles(self) -> Any:
        return multiple(NOBODY, self.create_named("roles", "User"), self.create_named("roles", "User"))

    @initialize(target=organizations)
    def first_organization(self) -> Any:
        return multiple(NOBODY, self.create_named("organizations", ""))

    @initialize(target=organization_roles)
    def first_organization_roles(self) -> Any:
        return multiple(NOBODY, self.create_named("organization-roles", "User"))

    def teardown(self) -> None:
        for kind, aliases in (
            ("users", self.model.users),
            ("roles", self.model.roles),
            ("organizations", self.model.organizations),
            ("organization-roles", self.model.organization_roles),
        ):
            for alias in aliases:
                self.http.delete(f"/api/{kind}/{self.ids[alias]}")

    def call(self, expected: Expected, method: str, path: str, body: Any = None) -> Any:
        """Sends a call, compares status and code, and hands back the JSON."""
        response = self.http.request(method, f"/api/{path}", json=body)
        is_json = response.headers.get("content-type", "").startswith("application/json")
        found = response.json() if is_json else None
        code = found.get("code") if isinstance(found, dict) and response.status_code >= 400 else None
        assert (response.status_code, code) == expected, f"{method} {path} {body}: {response.text}"
        return found

    def named(self, aliases: Any) -> list[str]:
        return [self.ids[alias] for alias in aliases]

    def create_named(self, family: str, kind: str) -> str:
        alias = f"{family}{next(self.counter)}"
        body = {"name": f"{self.run}-{alias}"} | ({"type": kind} if kind else {})
        body |= {"description": "a role of a test"} if family == "roles" else {}
        created = self.call((200 if family == "roles" else 201, None), "POST", family, body)
        self.ids[alias] = created["id"]
        if family == "organizations":
            self.model.organizations.add(alias)
        else:
            kinds = self.model.roles if family == "roles" else self.model.organization_roles
            kinds[alias] = kind
        return alias

    # -- users

    @rule(target=users, username=st.none() | NAMES, email=st.none() | NAMES)
    def create_user(self, username: str | None, email: str | None) -> Any:
        alias = f"user{next(self.counter)}"
        body = {"username": username and f"{self.run}_{username}", "primaryEmail": email and self.email(email)}
        expected = self.model.create_user(alias, body["username"], body["primaryEmail"])
        sent = {key: value for key, value in body.items() if value}
        created = self.call(expected, "POST", "users", sent)
        if expected[0] != 200:
            return multiple()
        self.ids[alias] = created["id"]
        return alias

    def email(self, name: str) -> str:
        return f"{name}@{self.run}.example.com"

    @rule(
        user=users,
        changes=st.fixed_dictionaries(
            {}, optional={"username": st.none() | NAMES, "primaryEmail": st.just("") | NAMES, "name": NAMES}
        ),
    )
    def update_user(self, user: str, changes: dict[str, str | None]) -> None:
        changes = dict(changes)
        if changes.get("username"):
            changes["username"] = f"{self.run}_{changes['username']}"
        if changes.get("primaryEmail"):
            changes["primaryEmail"] = self.email(changes["primaryEmail"] or "")
        self.call(self.model.update_user(user, changes), "PATCH", f"users/{self.ids[user]}", changes)

    @rule(user=users, suspended=st.booleans())
    def suspend(self, user: str, suspended: bool) -> None:
        body = {"isSuspended": suspended}
        self.call(self.model.suspend(user, suspended), "PATCH", f"users/{self.ids[user]}/is-suspended", body)

    @rule(user=users)
    def delete_user(self, user: str) -> None:
        self.call(self.model.delete_user(user), "DELETE", f"users/{self.ids[user]}")

    # -- roles

    @rule(target=roles, kind=KINDS)
    def create_role(self, kind: str) -> str:
        return self.create_named("roles", kind)

    @rule(user=users, wanted=st.lists(roles, max_size=3))
    def assign(self, user: str, wanted: list[str]) -> None:
        expected, added = self.model.assign(user, wanted)
        body = {"roleIds": self.named(wanted)}
        answer = self.call(expected, "POST", f"users/{self.ids[user]}/roles", body)
        if expected[0] == 201:
            assert answer == body | {"addedRoleIds": self.named(added)}

    @rule(user=users, wanted=st.lists(roles, max_size=3))
    def replace_roles(self, user: str, wanted: list[str]) -> None:
        body = {"roleIds": self.named(wanted)}
        self.call(self.model.replace(user, wanted), "PUT", f"users/{self.ids[user]}/roles", body)

    @rule(role=roles, wanted=st.lists(users, min_size=1, max_size=3))
    def add_holders(self, role: str, wanted: list[str]) -> None:
        body = {"userIds": self.named(wanted)}
        self.call(self.model.add_holders(role, wanted), "POST", f"roles/{self.ids[role]}/users", body)

    @rule(user=users, role=roles)
    def take_role(self, user: str, role: str) -> None:
        self.call(self.model.take_role(user, role), "DELETE", f"users/{self.ids[user]}/roles/{self.ids[role]}")

    @rule(role=roles)
    def delete_role(self, role: str) -> None:
        self.call(self.model.delete_role(role), "DELETE", f"roles/{self.ids[role]}")

    # -- organizations

    @rule(target=organizations)
    def create_organization(self) -> str:
        return self.create_named("organizations", "")

    @rule(target=organization_roles, kind=KINDS)
    def create_organization_role(self, kind: str) -> str:
        return self.create_named("organization-roles", kind)

    @rule(organization=organizations, wanted=st.lists(users, min_size=1, max_size=3))
    def add_members(self, organization: str, wanted: list[str]) -> None:
        path, body = f"organizations/{self.ids[organization]}/users", {"userIds": self.named(wanted)}
        self.call(self.model.add_members(organization, wanted), "POST", path, body)

    @rule(organization=organizations, wanted=st.lists(users, max_size=3))
    def replace_members(self, organization: str, wanted: list[str]) -> None:
        path, body = f"organizations/{self.ids[organization]}/users", {"userIds": self.named(wanted)}
        self.call(self.model.replace_members(organization, wanted), "PUT", path, body)

    @rule(organization=organizations, user=users)
    def remove_member(self, organization: str, user: str) -> None:
        path = f"organizations/{self.ids[organization]}/users/{self.ids[user]}"
        self.call(self.model.remove_member(organization, user), "DELETE", path)

    @rule(
        organization=organizations,
        members=st.lists(users, min_size=1, max_size=2),
        wanted=st.lists(organization_roles, min_size=1, max_size=2),
    )
    def add_member_roles(self, organization: str, members: list[str], wanted: list[str]) -> None:
        body = {"userIds": self.named(members), "organizationRoleIds": self.named(wanted)}
        path = f"organizations/{self.ids[organization]}/users/roles"
        self.call(self.model.add_member_roles(organization, members, wanted), "POST", path, body)

    @rule(
        organization=organizations,
        user=users,
        wanted=st.lists(organization_roles, min_size=1, max_size=3),
        keep=st.booleans(),
    )
    def set_member_roles(self, organization: str, user: str, wanted: list[str], keep: bool) -> None:
        path = f"organizations/{self.ids[organization]}/users/{self.ids[user]}/roles"
        body = {"organizationRoleIds": self.named(wanted)}
        expected = self.model.set_member_roles(organization, user, wanted, keep=keep)
        self.call(expected, "POST" if keep else "PUT", path, body)

    @rule(organization=organizations)
    def delete_organization(self, organization: str) -> None:
        expected = self.model.delete_organization(organization)
        self.call(expected, "DELETE", f"organizations/{self.ids[organization]}")

    @rule(role=organization_roles)
    def delete_organization_role(self, role: str) -> None:
        expected = self.model.delete_organization_role(role)
        self.call(expected, "DELETE", f"organization-roles/{self.ids[role]}")

    # -- reading back

    @rule(user=users)
    def read_user(self, user: str) -> None:
        if user not in self.model.users:
            self.call((404, "entity.not_found"), "GET", f"users/{self.ids[user]}")
            return
        found = self.call((200, None), "GET", f"users/{self.ids[user]}")
        expected = self.model.users[user]
        assert {key: found[key] for key in expected} == expected
        held = self.call((200, None), "GET", f"users/{self.ids[user]}/roles?page_size=100")
        assert {row["id"] for row in held} == {self.ids[role] for who, role in self.model.holds if who == user}
        joined = self.call((200, None), "GET", f"users/{self.ids[user]}/organizations")
        assert {row["id"]: {role["id"] for role in row["organizationRoles"]} for row in joined} == {
            self.ids[organization]: self.roles_of(organization, user)
            for organization, who in self.model.members
            if who == user
        }

    def roles_of(self, organization: str, user: str) -> set[str]:
        links = self.model.member_roles
        return {self.ids[role] for where, who, role in links if (where, who) == (organization, user)}

    @rule(organization=organizations)
    def read_members(self, organization: str) -> None:
        path = f"organizations/{self.ids[organization]}/users?page_size=100"
        found = self.call((200, None), "GET", path)
        assert {row["id"]: {role["id"] for role in row["organizationRoles"]} for row in found} == {
            self.ids[user]: self.roles_of(organization, user)
            for where, user in self.model.members
            if where == organization
        }

    @rule(name=NAMES, sensitive=st.booleans())
    def search(self, name: str, sensitive: bool) -> None:
        wanted = f"{self.run}_{name}"
        query = f"search.username={wanted}&mode=exact&isCaseSensitive={str(sensitive).lower()}"
        found = self.call((200, None), "GET", f"users?{query}")
        assert {row["id"] for row in found} == {
            self.ids[alias]
            for alias, row in self.model.users.items()
            if row["username"]
            and (row["username"] == wanted if sensitive else row["username"].lower() == wanted.lower())
        }


def _agree(http: httpx.Client, **options: Any) -> None:
    machine = type("Agreement", (Agreement,), {"http": http})
    checks = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
    run_state_machine_as_test(machine, settings=settings(suppress_health_check=checks, database=None, **options))


@pytest.mark.skipif(bool(REAL), reason="LOGTO_TEST_ENDPOINT names a real server")
def test_model_and_sandbox_agree(sandbox: Sandbox) -> None:
    with _connect(sandbox.url, sandbox.app_id, sandbox.app_secret) as http:
        _agree(http, max_examples=40, stateful_step_count=25, derandomize=True)


@pytest.mark.slow
@pytest.mark.skipif(bool(REAL), reason="LOGTO_TEST_ENDPOINT names a real server")
def test_model_and_sandbox_agree_on_new_sequences(sandbox: Sandbox) -> None:
    with _connect(sandbox.url, sandbox.app_id, sandbox.app_secret) as http:
        _agree(http, max_examples=400, stateful_step_count=50)


@pytest.mark.skipif(not REAL, reason="LOGTO_TEST_ENDPOINT names no real server")
def test_model_and_real_server_agree() -> None:
    credentials = (os.environ["LOGTO_TEST_APP_ID"], os.environ["LOGTO_TEST_APP_SECRET"])
    with _connect(REAL or "", *credentials) as http:
        _agree(http, max_examples=int(os.environ.get("LOGTO_TEST_EXAMPLES", "40")), stateful_step_count=40)
