"""Users, roles and organizations as plain Python sets: what a tenant must answer to any sequence of calls."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

NOBODY = "nobody"
Expected = tuple[int, str | None]  # status, error code


@dataclass
class Model:
    """What exists. Things are called by the test's own aliases, never by ids."""

    users: dict[str, dict[str, Any]] = field(default_factory=dict)
    roles: dict[str, str] = field(default_factory=dict)  # alias -> type
    organizations: set[str] = field(default_factory=set)
    organization_roles: dict[str, str] = field(default_factory=dict)
    holds: set[tuple[str, str]] = field(default_factory=set)  # (user, role)
    members: set[tuple[str, str]] = field(default_factory=set)  # (organization, user)
    member_roles: set[tuple[str, str, str]] = field(default_factory=set)

    # -- users

    def create_user(self, alias: str, username: str | None, email: str | None) -> Expected:
        if username and self._taken("username", username):
            return 422, "user.username_already_in_use"
        if email and self._taken("primaryEmail", email):
            return 422, "user.email_already_in_use"
        self.users[alias] = {"username": username, "primaryEmail": email, "name": None, "isSuspended": False}
        return 200, None

    def _taken(self, key: str, value: str, but: str | None = None) -> bool:
        def same(other: str | None) -> bool:
            return other is not None and (other == value or (key != "username" and other.lower() == value.lower()))

        return any(same(row[key]) for alias, row in self.users.items() if alias != but)

    def update_user(self, alias: str, changes: dict[str, str | None]) -> Expected:
        if alias not in self.users:
            return 404, "entity.not_found"
        if changes.get("primaryEmail") and self._taken("primaryEmail", changes["primaryEmail"] or "", alias):
            return 422, "user.email_already_in_use"
        if changes.get("username") and self._taken("username", changes["username"] or "", alias):
            return 422, "user.username_already_in_use"
        if not changes:
            return 422, "entity.invalid_input"
        self.users[alias] |= {key: value or None for key, value in changes.items()}
        return 200, None

    def suspend(self, alias: str, suspended: bool) -> Expected:
        if alias not in self.users:
            return 404, "entity.not_found"
        self.users[alias]["isSuspended"] = suspended
        return 200, None

    def delete_user(self, alias: str) -> Expected:
        if self.users.pop(alias, None) is None:
            return 404, "entity.not_found"
        self.holds = {pair for pair in self.holds if pair[0] != alias}
        self.members = {pair for pair in self.members if pair[1] != alias}
        self._forget_strangers()
        return 204, None

    # -- roles

    def assign(self, user: str, wanted: Sequence[str]) -> tuple[Expected, list[str]]:
        if user not in self.users:
            return (404, "entity.not_found"), []
        missing = [role for role in wanted if (user, role) not in self.holds]
        if any(self.roles.get(role) == "MachineToMachine" for role in missing):
            return (422, "user.invalid_role_type"), []
        refused = self._unknown(missing) or self._insert(missing)
        if refused:
            return refused, []
        self.holds |= {(user, role) for role in missing}
        return (201, None), missing

    def replace(self, user: str, wanted: Sequence[str]) -> Expected:
        if user not in self.users:
            return 404, "entity.not_found"
        missing = [role for role in wanted if (user, role) not in self.holds]
        if refused := self._unknown(missing):
            return refused
        self.holds -= {pair for pair in self.holds if pair[0] == user and pair[1] not in wanted}
        if refused := self._insert(missing):
            return refused
        self.holds |= {(user, role) for role in missing}
        return 200, None

    def _unknown(self, roles: Iterable[str]) -> Expected | None:
        known = all(role in self.roles for role in roles)
        return None if known else (404, "entity.not_exists_with_id")

    def _insert(self, roles: Sequence[str]) -> Expected | None:
        """What the database says to these rows, in their order."""
        seen: set[str] = set()
        for role in roles:
            if self.roles[role] != "User":
                return 422, "entity.db_constraint_violated"
            if role in seen:
                return 500, None
            seen.add(role)
        return None

    def add_holders(self, role: str, wanted: Sequence[str]) -> Expected:
        if role not in self.roles:
            return 404, "entity.not_exists_with_id"
        if any((user, role) in self.holds for user in wanted):
            return 422, "role.user_exists"
        if any(user not in self.users for user in wanted):
            return 404, "entity.not_found"
        if refused := self._insert([role] * len(wanted)) if len(set(wanted)) < len(wanted) else self._insert([role]):
            return refused
        self.holds |= {(user, role) for user in wanted}
        return 201, None

    def take_role(self, user: str, role: str) -> Expected:
        if (user, role) not in self.holds:
            return 404, "entity.not_found"
        self.holds.remove((user, role))
        return 204, None

    def delete_role(self, role: str) -> Expected:
        if self.roles.pop(role, None) is None:
            return 404, "entity.not_exists_with_id"
        self.holds = {pair for pair in self.holds if pair[1] != role}
        return 204, None

    # -- organizations

    def _foreign(self, organization: str, users: Iterable[str]) -> Expected | None:
        known = organization in self.organizations and all(user in self.users for user in users)
        return None if known else (422, "entity.relation_foreign_key_not_found")

    def add_members(self, organization: str, users: Sequence[str]) -> Expected:
        if refused := self._foreign(organization, users):
            return refused
        self.members |= {(organization, user) for user in users}
        return 201, None

    def replace_members(self, organization: str, users: Sequence[str]) -> Expected:
        if users and (refused := self._foreign(organization, users)):
            return refused
        self.members = {pair for pair in self.members if pair[0] != organization}
        self.members |= {(organization, user) for user in users}
        self._forget_strangers()
        return 204, None

    def remove_member(self, organization: str, user: str) -> Expected:
        if (organization, user) not in self.members:
            return 404, "entity.not_found"
        self.members.remove((organization, user))
        self._forget_strangers()
        return 204, None

    def add_member_roles(self, organization: str, users: Sequence[str], roles: Sequence[str]) -> Expected:
        """In bulk; for one member see :meth:`set_member_roles`."""
        if refused := self._bad_roles(roles, [(organization, user) in self.members for user in users]):
            return refused
        self.member_roles |= {(organization, user, role) for user in users for role in roles}
        return 201, None

    def set_member_roles(self, organization: str, user: str, roles: Sequence[str], *, keep: bool) -> Expected:
        if (organization, user) not in self.members:
            return 422, "organization.require_membership"
        if refused := self._bad_roles(roles, []):
            return refused
        if not keep:
            self.member_roles = {link for link in self.member_roles if link[:2] != (organization, user)}
        self.member_roles |= {(organization, user, role) for role in roles}
        return (201, None) if keep else (204, None)

    def _bad_roles(self, roles: Sequence[str], conditions: Sequence[bool]) -> Expected | None:
        if any(self.organization_roles.get(role) == "MachineToMachine" for role in roles):
            return 422, "entity.db_constraint_violated"
        if not all(conditions) or any(role not in self.organization_roles for role in roles):
            return 422, "entity.relation_foreign_key_not_found"
        return None

    def delete_organization(self, organization: str) -> Expected:
        if organization not in self.organizations:
            return 404, "entity.not_found"
        self.organizations.remove(organization)
        self.members = {pair for pair in self.members if pair[0] != organization}
        self._forget_strangers()
        return 204, None

    def delete_organization_role(self, role: str) -> Expected:
        if self.organization_roles.pop(role, None) is None:
            return 404, "entity.not_found"
        self.member_roles = {link for link in self.member_roles if link[2] != role}
        return 204, None

    def _forget_strangers(self) -> None:
        self.member_roles = {link for link in self.member_roles if link[:2] in self.members}
