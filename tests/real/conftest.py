"""A corner of a tenant of the test's own: what is made there carries one word in its name and is taken away again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from airflow_provider_logto.hooks.logto import LogtoHook


@dataclass(frozen=True)
class Corner:
    """Names of the test's own, and the roles made for it.

    :param word: begins every username, is the e-mail domain, and is part of every other name.
    """

    word: str
    hook: LogtoHook
    roles: dict[str, str]
    organization_roles: dict[str, str]

    def email(self, name: str) -> str:
        return f"{name}@{self.word}.example"

    def username(self, name: str) -> str:
        return f"{self.word}_{name}"

    def people(self, count: int) -> list[dict[str, Any]]:
        """Users made directly, as the API returns them."""
        return [self.hook.request("POST", "/users", body={"username": self.username(f"u{at}")}) for at in range(count)]


@pytest.fixture
def corner(tenant: object, unique: str) -> Iterator[Corner]:
    hook = LogtoHook()
    roles, organization_roles = {}, {}
    for name in ("employee", "engineer"):
        body = {"name": f"{unique}-{name}", "description": "for a test"}
        roles[name] = hook.request("POST", "/roles", body=body)["name"]
        organization_roles[name] = hook.request("POST", "/organization-roles", body=body)["name"]
    yield Corner(unique, hook, roles, organization_roles)
    for path, query in {
        "/users": {"search": f"%{unique}%"},
        "/roles": {"search.name": f"{unique}%"},
        "/organization-roles": {"q": unique},
        "/organizations": {"q": unique},
    }.items():
        for thing in list(hook.iterate(path, query)):
            hook.request("DELETE", f"{path}/{thing['id']}")
