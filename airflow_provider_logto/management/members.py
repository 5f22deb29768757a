"""Who belongs to an organization, and with which organization roles.

Source: Logto Management API, tag "Organizations" (members and their roles) and "Organization roles".
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_logto.client.client import LogtoClient, path_of
from airflow_provider_logto.exceptions import InvalidInput
from airflow_provider_logto.management.answers import MEMBER, checked, objects, role_ids_of
from airflow_provider_logto.management.bulk import PER_WRITE, batched
from airflow_provider_logto.management.concurrency import for_each
from airflow_provider_logto.management.organization_roles import checked_roles, resolve_organization_roles
from airflow_provider_logto.management.presence import delete
from airflow_provider_logto.management.references import (
    OnMissing,
    Reference,
    check_on_missing,
    find_users,
    listed,
    nobody,
)

#: Members on one page.
_PER_PAGE = 100


@dataclass(frozen=True)
class MemberSpec:
    """A member as they should be: a reference to the user, and organization roles by name or id (None: not said)."""

    user: Reference
    roles: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Members:
    """The members as they should be, looked up.

    :param roles: user id -> ids of the organization roles; None where nothing is said of this member's roles.
    :param missing: references that mean nobody.
    """

    roles: dict[str, frozenset[str] | None] = field(default_factory=dict)
    missing: tuple[str, ...] = ()


@dataclass(frozen=True)
class MemberChanges:
    """What is to be done about the members of one organization.

    :param unchanged: how many of those wanted are members already.
    :param grant: organization role id -> ids of users who are to get it.
    :param revoke: pairs of user id and organization role id.
    """

    join: tuple[str, ...] = ()
    leave: tuple[str, ...] = ()
    unchanged: int = 0
    grant: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    revoke: tuple[tuple[str, str], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.join or self.leave or self.grant or self.revoke)

    @property
    def losing(self) -> set[str]:
        """Ids of the users from whom something is taken: their membership, or a role."""
        return {*self.leave, *(user_id for user_id, _ in self.revoke)}

    def counts(self) -> dict[str, int]:
        """How many members and roles are ``added``, ``removed``, ``unchanged``, ``roles_added``, ``roles_removed``."""
        return {
            "added": len(self.join),
            "removed": len(self.leave),
            "unchanged": self.unchanged,
            "roles_added": sum(map(len, self.grant.values())),
            "roles_removed": len(self.revoke),
        }


def checked_members(members: Any, member_roles: Any = None) -> list[MemberSpec]:
    """Parse the members of an organization.

    :param members: user references, or ``{"user": reference, "roles": [...]}``.
    :param member_roles: organization roles for all of them, by name or id.
    :raises InvalidInput: naming the entry and what would be right.
    """
    common = _roles("member_roles", member_roles)
    specs = []
    for at, entry in enumerate(listed("members", members)):
        where = f"members[{at}]"
        own: tuple[str, ...] | None = None
        if isinstance(entry, Mapping) and "user" in entry:
            unknown = sorted(str(key) for key in set(entry) - {"user", "roles"})
            if unknown:
                raise InvalidInput(f"{where}.{unknown[0]}", 'is unknown; a member is {"user": ..., "roles": [...]}')
            own, entry = _roles(f"{where}.roles", entry.get("roles")), entry["user"]
        elif isinstance(entry, Mapping) and "roles" in entry:
            raise InvalidInput(f"{where}.roles", 'needs user beside it: a member is {"user": ..., "roles": [...]}')
        said = [roles for roles in (common, own) if roles is not None]
        roles = tuple(dict.fromkeys(name for names in said for name in names)) if said else None
        specs.append(MemberSpec(Reference.parse(entry, where), roles))
    return specs


def _roles(field: str, value: Any) -> tuple[str, ...] | None:
    return None if value is None or value == "" else checked_roles(field, value)


async def resolve_members(client: LogtoClient, members: list[MemberSpec], on_missing: OnMissing = "fail") -> Members:
    """Look every user and organization role up.

    :param on_missing: what to do where a reference means nobody: ``fail``, or ``skip``.
    :raises InvalidInput: where users do not exist (up to 21 are named), or a role is for machine-to-machine
        applications.
    """
    check_on_missing(on_missing)
    names = dict.fromkeys(name for member in members for name in member.roles or ())
    role_ids = await resolve_organization_roles(client, list(names), field="member_roles")
    users = await find_users(client, [member.user for member in members])
    missing = [member.user for member, user in zip(members, users, strict=True) if user is None]
    if missing and on_missing == "fail":
        raise nobody(missing)
    roles: dict[str, frozenset[str] | None] = {}
    for member, user in zip(members, users, strict=True):
        if user is None:
            continue
        before = roles.get(user["id"])
        wanted = None if member.roles is None else frozenset(role_ids[name] for name in member.roles)
        # The same person named twice has the roles of both entries.
        roles[user["id"]] = wanted if before is None else before | (wanted or frozenset())
    return Members(roles, tuple(reference.given for reference in missing))


async def plan_members(
    client: LogtoClient, organization_id: str, wanted: Members, prune: bool, new: bool
) -> MemberChanges:
    """What has to be done so that the members are as they should be; reads only.

    :param prune: make members exact, and the roles of those of whom roles are given, instead of only adding.
    :param new: the organization was just created, so nobody has to be asked who is in it.
    """
    current = {} if new else await current_roles(client, organization_id, wanted.roles, complete=prune)
    grant: dict[str, list[str]] = {}
    revoke = []
    for user_id, roles in wanted.roles.items():
        held = current.get(user_id, set())
        for role_id in sorted((roles or frozenset()) - held):
            grant.setdefault(role_id, []).append(user_id)
        if prune and roles is not None:
            revoke += [(user_id, role_id) for role_id in sorted(held - roles)]
    join = tuple(user_id for user_id in wanted.roles if user_id not in current)
    return MemberChanges(
        join,
        tuple(user_id for user_id in current if user_id not in wanted.roles) if prune else (),
        len(wanted.roles) - len(join),
        {role_id: tuple(user_ids) for role_id, user_ids in grant.items()},
        tuple(revoke),
    )


async def apply_members(client: LogtoClient, organization_id: str, changes: MemberChanges) -> None:
    """Do it: additions first and in bulk, then removals, several at a time.

    Never by ``PUT``, which would take out whoever joined meanwhile.
    """
    path = path_of("/organizations/{}/users", organization_id)
    for user_ids in batched(changes.join, PER_WRITE):
        await client.request("POST", path, body={"userIds": user_ids})
    for role_id, lacking in changes.grant.items():
        for user_ids in batched(lacking, PER_WRITE):
            body = {"userIds": user_ids, "organizationRoleIds": [role_id]}
            await client.request("POST", f"{path}/roles", body=body)
    paths = [
        path_of("/organizations/{}/users/{}/roles/{}", organization_id, *relation) for relation in changes.revoke
    ] + [path_of("/organizations/{}/users/{}", organization_id, user_id) for user_id in changes.leave]
    await for_each(paths, lambda path: delete(client, path))


async def current_roles(
    client: LogtoClient, organization_id: str, user_ids: Collection[str], complete: bool = False
) -> dict[str, set[str]]:
    """Who is a member: user id -> ids of the organization roles held.

    :param complete: of all members, not at least of those among ``user_ids``.
    """
    path = path_of("/organizations/{}/users", organization_id)
    if not complete and len(user_ids) < (await client.count(path) or 0) / _PER_PAGE:
        return await _roles_of_few(client, organization_id, user_ids)
    return {member["id"]: role_ids_of(path, member) async for member in objects(client, path, None, MEMBER)}


async def _roles_of_few(client: LogtoClient, organization_id: str, user_ids: Collection[str]) -> dict[str, set[str]]:
    """For a few people in a large organization: ask each for their organizations instead of walking all members."""
    paths = {user_id: path_of("/users/{}/organizations", user_id) for user_id in user_ids}
    theirs = await for_each(paths.values(), lambda path: client.collect(path))
    current: dict[str, set[str]] = {}
    for (user_id, path), organizations in zip(paths.items(), theirs, strict=True):
        for one in organizations:
            organization = checked(f"GET /api{path}", one, MEMBER)
            if organization["id"] == organization_id:
                current[user_id] = role_ids_of(path, organization)
    return current
