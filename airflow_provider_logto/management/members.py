"""Who belongs to an organization, and with which organization roles.

Source: Logto Management API, tag "Organizations" (members and their roles) and "Organization roles".
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_logto.client.client import LogtoClient, path_of
from airflow_provider_logto.exceptions import InvalidInput, NotFound
from airflow_provider_logto.management.organization_roles import checked_roles, resolve_organization_roles
from airflow_provider_logto.management.references import Reference, find_users, listed

#: Users in one bulk write.
_PER_WRITE = 500
#: Members on one page.
_PER_PAGE = 100


@dataclass(frozen=True)
class MemberSpec:
    """A member as they should be: a reference to the user and the organization roles, by name or id."""

    user: Reference
    roles: tuple[str, ...] = ()


@dataclass(frozen=True)
class MemberPlan:
    """Everything about the members that could be settled before the first write.

    :param roles: user id -> ids of the organization roles wanted.
    """

    roles: dict[str, frozenset[str]] = field(default_factory=dict)


def checked_members(members: Any, member_roles: Any = None) -> list[MemberSpec]:
    """Parse the members of an organization.

    :param members: user references, or ``{"user": reference, "roles": [...]}``.
    :param member_roles: organization roles for all of them, by name or id.
    :raises InvalidInput: naming the entry and what would be right.
    """
    common = checked_roles("member_roles", member_roles)
    specs = []
    for at, entry in enumerate(listed("members", members)):
        where = f"members[{at}]"
        own: tuple[str, ...] = ()
        if isinstance(entry, Mapping) and "user" in entry:
            unknown = sorted(set(entry) - {"user", "roles"})
            if unknown:
                raise InvalidInput(f"{where}.{unknown[0]}", 'is unknown; a member is {"user": ..., "roles": [...]}')
            own, entry = checked_roles(f"{where}.roles", entry.get("roles")), entry["user"]
        specs.append(MemberSpec(Reference.parse(entry, where), tuple(dict.fromkeys((*common, *own)))))
    return specs


async def resolve_members(client: LogtoClient, members: list[MemberSpec]) -> MemberPlan:
    """Look every user and organization role up.

    :raises InvalidInput: where one does not exist, or a role is for machine-to-machine applications.
    """
    names = dict.fromkeys(name for member in members for name in member.roles)
    role_ids = await resolve_organization_roles(client, list(names))
    users = await find_users(client, [member.user for member in members])
    roles: dict[str, frozenset[str]] = {}
    for member, user in zip(members, users, strict=True):
        if user is None:
            raise InvalidInput(member.user.field, f"no user {member.user.given} in Logto; create it first")
        wanted = frozenset(role_ids[name] for name in member.roles)
        # The same person named twice has the roles of both entries.
        roles[user["id"]] = roles.get(user["id"], frozenset()) | wanted
    return MemberPlan(roles)


async def ensure_members(
    client: LogtoClient, organization_id: str, plan: MemberPlan, prune: bool, new: bool = False
) -> dict[str, int]:
    """Bring the membership in line: additions first and in bulk, removals (with ``prune``) last.

    :param new: the organization was just created, so nobody has to be asked who is in it.
    :returns: how many members were ``added``, ``removed``, ``unchanged``; how many roles ``roles_added``,
        ``roles_removed``.
    """
    current = {} if new else await current_roles(client, organization_id, plan.roles, complete=prune)
    path = path_of("/organizations/{}/users", organization_id)

    joining = [user_id for user_id in plan.roles if user_id not in current]
    for start in range(0, len(joining), _PER_WRITE):
        await client.request("POST", path, body={"userIds": joining[start : start + _PER_WRITE]})

    roles_added = 0
    for role_id in dict.fromkeys(role for wanted in plan.roles.values() for role in sorted(wanted)):
        lacking = [
            user_id
            for user_id, wanted in plan.roles.items()
            if role_id in wanted and role_id not in current.get(user_id, ())
        ]
        roles_added += len(lacking)
        for start in range(0, len(lacking), _PER_WRITE):
            body = {"userIds": lacking[start : start + _PER_WRITE], "organizationRoleIds": [role_id]}
            await client.request("POST", f"{path}/roles", body=body)

    leaving = [user_id for user_id in current if user_id not in plan.roles] if prune else []
    roles_removed = await _prune(client, organization_id, plan, current, leaving) if prune else 0
    return {
        "added": len(joining),
        "removed": len(leaving),
        "unchanged": len(plan.roles) - len(joining),
        "roles_added": roles_added,
        "roles_removed": roles_removed,
    }


async def _prune(
    client: LogtoClient, organization_id: str, plan: MemberPlan, current: dict[str, set[str]], leaving: list[str]
) -> int:
    removed = 0
    for user_id, wanted in plan.roles.items():
        for role_id in sorted(current.get(user_id, set()) - wanted):
            await _delete(client, path_of("/organizations/{}/users/{}/roles/{}", organization_id, user_id, role_id))
            removed += 1
    for user_id in leaving:
        await _delete(client, path_of("/organizations/{}/users/{}", organization_id, user_id))
    return removed


async def _delete(client: LogtoClient, path: str) -> None:
    try:
        await client.request("DELETE", path)
    except NotFound as error:
        if error.code is None:  # an unknown path, not an absent relation
            raise


async def current_roles(
    client: LogtoClient, organization_id: str, user_ids: Collection[str], complete: bool = False
) -> dict[str, set[str]]:
    """Who is a member: user id -> ids of the organization roles held.

    :param complete: of all members, not at least of those among ``user_ids``.
    """
    path = path_of("/organizations/{}/users", organization_id)
    if not complete and len(user_ids) < (await client.count(path) or 0) / _PER_PAGE:
        return await _roles_of_few(client, organization_id, user_ids)
    return {member["id"]: {role["id"] for role in member["organizationRoles"]} async for member in client.iterate(path)}


async def _roles_of_few(client: LogtoClient, organization_id: str, user_ids: Collection[str]) -> dict[str, set[str]]:
    """For a few people in a large organization: ask each for their organizations instead of walking all members."""
    current: dict[str, set[str]] = {}
    for user_id in user_ids:
        for organization in await client.request("GET", path_of("/users/{}/organizations", user_id)):
            if organization["id"] == organization_id:
                current[user_id] = {role["id"] for role in organization["organizationRoles"]}
    return current
