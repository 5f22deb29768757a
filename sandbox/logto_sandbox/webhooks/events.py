"""Which events a call to the Management API causes, and what webhooks are told of them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from logto_sandbox.http.routing import Call, Route
from logto_sandbox.store.relations import Row
from logto_sandbox.store.tenant import Tenant

_USERS, _ORGANIZATIONS, _INVITATION = "/api/users", "/api/organizations", "/api/organization-invitations/{id}/status"
_MEMBERSHIP = "Organization.Membership.Updated"
# operation -> event; the operation's answer is the event's data
EVENTS = {
    f"POST {_USERS}": "User.Created",
    f"PATCH {_USERS}/{{userId}}": "User.Data.Updated",
    f"PATCH {_USERS}/{{userId}}/custom-data": "User.Data.Updated",
    f"PATCH {_USERS}/{{userId}}/profile": "User.Data.Updated",
    f"PATCH {_USERS}/{{userId}}/password": "User.Data.Updated",
    f"PATCH {_USERS}/{{userId}}/is-suspended": "User.SuspensionStatus.Updated",
    "POST /api/roles": "Role.Created",
    "DELETE /api/roles/{id}": "Role.Deleted",
    "PATCH /api/roles/{id}": "Role.Data.Updated",
    "POST /api/roles/{id}/scopes": "Role.Scopes.Updated",
    "DELETE /api/roles/{id}/scopes/{scopeId}": "Role.Scopes.Updated",
    "POST /api/resources/{resourceId}/scopes": "Scope.Created",
    "DELETE /api/resources/{resourceId}/scopes/{scopeId}": "Scope.Deleted",
    "PATCH /api/resources/{resourceId}/scopes/{scopeId}": "Scope.Data.Updated",
    f"POST {_ORGANIZATIONS}": "Organization.Created",
    f"DELETE {_ORGANIZATIONS}/{{id}}": "Organization.Deleted",
    f"PATCH {_ORGANIZATIONS}/{{id}}": "Organization.Data.Updated",
    "POST /api/organization-roles": "OrganizationRole.Created",
    "DELETE /api/organization-roles/{id}": "OrganizationRole.Deleted",
    "PATCH /api/organization-roles/{id}": "OrganizationRole.Data.Updated",
    "POST /api/organization-scopes": "OrganizationScope.Created",
    "DELETE /api/organization-scopes/{id}": "OrganizationScope.Deleted",
    "PATCH /api/organization-scopes/{id}": "OrganizationScope.Data.Updated",
    "PUT /api/organization-roles/{id}/scopes": "OrganizationRole.Scopes.Updated",
    "POST /api/organization-roles/{id}/scopes": "OrganizationRole.Scopes.Updated",
    "DELETE /api/organization-roles/{id}/scopes/{organizationScopeId}": "OrganizationRole.Scopes.Updated",
}
# Operations whose event names who joined and who left.
_MEMBERS = {
    f"{method} {_ORGANIZATIONS}/{{id}}/{kind}{rest}"
    for kind, one in (("users", "userId"), ("applications", "applicationId"))
    for method, rest in (("POST", ""), ("PUT", ""), ("DELETE", f"/{{{one}}}"))
}
_KINDS = {"organization_users": "UserIds", "organization_applications": "ApplicationIds"}
_MOST = 5000
_PARAMETER = re.compile(r"{(\w+)}")


@dataclass(frozen=True)
class Event:
    """Something that happened: ``context`` is what the payload holds beside the event's name and time."""

    name: str
    context: Row


class Watch:
    """One call from before its handler runs until it has answered.

    :param agent: User-Agent of the client
    :param address: its IP address
    """

    def __init__(self, route: Route, call: Call, agent: str | None, address: str) -> None:
        self._route, self._call = route, call
        self._operation = f"{route.method} {route.path}"
        self._client: Row = ({"userAgent": agent} if agent else {}) | {"ip": address}
        user = call.tenant.tables["users"].get(call.params.get("userId", ""))
        self._user = dict(user) if user is not None else None
        self._organization = self._organization_id()
        self._before = self._members()

    def _organization_id(self) -> str | None:
        if self._operation in _MEMBERS:
            return self._call["id"]
        if self._route.path == _INVITATION and self._call.body["status"] == "Accepted":
            row = self._call.tenant.tables["invitations"].get(self._call["id"])
            return str(row["organizationId"]) if row else None
        return None

    def _members(self) -> dict[str, list[str]]:
        if self._organization is None:
            return {}
        return {name: self._call.tenant.relations[name].ids(1, self._organization) for name in _KINDS}

    def events(self, status: int, answer: Any) -> list[Event]:
        """What the call, having succeeded, has caused.

        :param answer: JSON of the response, None for one without
        """
        about: Row = {
            **self._client,
            "path": self._call.path.removeprefix("/api"),
            "method": self._route.method,
            "status": status,
            "params": dict(self._call.params),
            "matchedRoute": _PARAMETER.sub(r":\1", self._route.path.removeprefix("/api")),
        }
        found = []
        if name := EVENTS.get(self._operation):
            data = {} if answer is None else {"data": answer}
            found.append(Event(name, about | self._owner() | data))
        if self._operation == f"DELETE {_USERS}/{{userId}}":
            data = {key: value for key, value in (self._user or {}).items() if key != "hasPassword"}
            found.append(Event("User.Deleted", about | {"data": data}))
        if self._organization is not None:
            found.append(Event(_MEMBERSHIP, about | {"organizationId": self._organization} | self._delta()))
        return found + self._scopes_at_creation(about, answer)

    def _owner(self) -> Row:
        relation = self._route.path.startswith("/api/organization-roles/{id}/")
        return {"organizationRoleId": self._call["id"]} if relation else {}

    def _delta(self) -> Row:
        if not self._call.tenant.has("organization_users_delta"):
            return {}
        delta: Row = {}
        after = self._members()
        for name, kind in _KINDS.items():
            was, now = set(self._before[name]), set(after[name])
            added = [member for member in after[name] if member not in was]
            removed = [member for member in self._before[name] if member not in now]
            delta |= {f"added{kind}": added[:_MOST]} if added else {}
            delta |= {f"removed{kind}": removed[:_MOST]} if removed else {}
        return delta

    def _scopes_at_creation(self, about: Row, answer: Any) -> list[Event]:
        body, tables = self._call.body, self._call.tenant.tables
        if self._operation == "POST /api/roles" and body.get("scopeIds"):
            scopes = [tables["scopes"][scope] for scope in body["scopeIds"]]
            return [Event("Role.Scopes.Updated", about | {"roleId": answer["id"], "data": scopes})]
        if self._operation == "POST /api/organization-roles" and (
            body.get("organizationScopeIds") or body.get("resourceScopeIds")
        ):
            return [Event("OrganizationRole.Scopes.Updated", about | {"organizationRoleId": answer["id"]})]
        return []


def listeners(tenant: Tenant, name: str) -> list[Row]:
    """The enabled webhooks that want an event; ``event`` is what old ones have instead of ``events``."""
    rows = tenant.tables["hooks"].newest()
    return [row for row in rows if row["enabled"] and name in (row["events"] or [row["event"]])]
