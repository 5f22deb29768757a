"""Who holds which role.

Source: Logto Management API, tag "Roles". ``PUT /api/users/{id}/roles`` is not transactional and is never used: roles
are added in bulk first and taken away one by one afterwards, so that nobody ends with fewer roles than intended.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Any, Literal, get_args

from airflow_provider_logto.client.client import LogtoClient, path_of
from airflow_provider_logto.exceptions import Ambiguous, InvalidInput
from airflow_provider_logto.management import search
from airflow_provider_logto.management.access import grant_role
from airflow_provider_logto.management.answers import IDENTIFIED, ROLE, objects
from airflow_provider_logto.management.bulk import PER_WRITE, batched
from airflow_provider_logto.management.concurrency import for_each
from airflow_provider_logto.management.presence import delete
from airflow_provider_logto.management.references import OnMissing, check_on_missing, listed, resolve_users

if TYPE_CHECKING:
    from airflow_provider_logto.management.protection import Protection

Mode = Literal["add", "replace", "remove"]
MODES: tuple[Mode, ...] = get_args(Mode)
Role = dict[str, Any]
#: Role id -> ids of those of the users in question who hold it.
Holders = dict[str, set[str]]


@dataclass(frozen=True)
class RoleChange:
    """What is to be done about one role; ids of users.

    :param add: who is to get it.
    :param remove: who is to lose it.
    :param unchanged: with whom everything is as it should be.
    """

    role_id: str
    name: str
    add: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()


async def assign_roles(
    client: LogtoClient,
    users: Any,
    roles: Any,
    mode: Mode = "add",
    on_missing: OnMissing = "fail",
    protection: Protection | None = None,
) -> dict[str, Any]:
    """Give roles to users, take them away, or make them exact.

    :param users: references to users.
    :param roles: names or ids of user roles, or ``{"id": ...}`` / ``{"name": ...}``.
    :param mode: ``add``, ``remove``, or ``replace`` (exactly these roles and no others).
    :param on_missing: what to do where a reference means nobody: ``fail``, or ``skip``. Nobody holds a role, so
        ``remove`` never fails for it.
    :param protection: who must not lose a role.
    :returns: ``{"added", "removed", "unchanged"}``, each role name -> ids of users; and ``"missing"``, where somebody
        is: their references.
    :raises InvalidInput: before the first write: unknown users or roles, a machine-to-machine role, an empty list,
        somebody protected who would lose a role.
    """
    if mode not in MODES:
        raise InvalidInput("mode", f"{mode!r} is unknown; use one of {', '.join(MODES)}")
    references = listed("roles", roles)
    if mode == "replace" and not references:
        raise InvalidInput(
            "roles", 'is empty: replacing would take every role away; name the roles to take, with mode="remove"'
        )
    check_on_missing(on_missing)
    wanted = await resolve_roles(client, references)
    people, missing = await resolve_users(client, users, on_missing="skip" if mode == "remove" else on_missing)
    plan = await _plan(client, [user["id"] for user in people], wanted, mode)
    losing = {user_id for change in plan for user_id in change.remove}
    if protection and losing:
        await protection.refuse(client, [user for user in people if user["id"] in losing], "users")
    await _apply(client, plan)
    return _report(plan, missing)


async def _plan(client: LogtoClient, ids: list[str], wanted: dict[str, str], mode: Mode) -> list[RoleChange]:
    """Who is to get and to lose what, by who holds it now."""
    if not ids or not wanted:
        return []
    others = await _other_roles(client, wanted) if mode == "replace" else {}
    holders = await _holders(client, ids, {**wanted, **others})
    plan = []
    for role_id, name in {**wanted, **others}.items():
        holding = tuple(one for one in ids if one in holders[role_id])
        lacking = tuple(one for one in ids if one not in holders[role_id])
        if role_id in others:
            plan.append(RoleChange(role_id, name, remove=holding))
        elif mode == "remove":
            plan.append(RoleChange(role_id, name, remove=holding, unchanged=lacking))
        else:
            plan.append(RoleChange(role_id, name, add=lacking, unchanged=holding))
    return plan


async def _apply(client: LogtoClient, plan: list[RoleChange]) -> None:
    """Additions come first, so that whoever keeps a role is never without any."""
    for change in plan:
        for user_ids in batched(change.add, PER_WRITE):
            await grant_role(client, change.role_id, user_ids)
    losses = [(change.role_id, user_id) for change in plan for user_id in change.remove]
    await for_each(losses, lambda loss: delete(client, path_of("/roles/{}/users/{}", *loss)))


def _report(plan: list[RoleChange], missing: list[str]) -> dict[str, Any]:
    report: dict[str, Any] = {
        "added": {change.name: list(change.add) for change in plan if change.add},
        "removed": {change.name: list(change.remove) for change in plan if change.remove},
        "unchanged": {change.name: list(change.unchanged) for change in plan if change.unchanged},
    }
    return {**report, "missing": missing} if missing else report


async def resolve_roles(client: LogtoClient, references: Sequence[Any], field: str | None = None) -> dict[str, str]:
    """Names and ids of user roles -> role id to name.

    :param field: what an error names; by default ``roles`` and the position.
    :raises InvalidInput: where one is unknown or a machine-to-machine role.
    :raises Ambiguous: where a text is the id of one role and the name of another.
    """
    parsed = [_parse(reference, field or f"roles[{at}]") for at, reference in enumerate(references)]
    found: dict[str, Role] = {}
    for chunk in search.batches(parsed, lambda one: {key: [one[1]] for key in one[0]}):
        terms = {name: list(dict.fromkeys(value for keys, value in chunk if name in keys)) for name in ("id", "name")}
        query = search.query(
            (search.term(name, *values) for name, values in terms.items() if values), case_sensitive=True
        )
        async for role in objects(client, "/roles", query, {**ROLE, "type": str}):
            found[role["id"]] = role
    resolved: dict[str, str] = {}
    for at, (keys, value) in enumerate(parsed):
        matching = [role for role in found.values() if value in [role[key] for key in keys]]
        role = _only(field or f"roles[{at}]", value, matching)
        resolved[role["id"]] = role["name"]
    return resolved


def _parse(reference: Any, field: str) -> tuple[tuple[str, ...], str]:
    if isinstance(reference, str) and reference.strip():
        return ("id", "name"), reference.strip()
    if isinstance(reference, dict) and len(reference) == 1:
        ((key, value),) = reference.items()
        if key in ("id", "name") and isinstance(value, str) and value.strip():
            return (key,), value.strip()
    raise InvalidInput(field, f'must be a role\'s name or id, {{"name": ...}} or {{"id": ...}}; got {reference!r}')


def _only(field: str, value: str, matching: list[Role]) -> Role:
    if not matching:
        raise InvalidInput(field, f"there is no role {value!r}; create it first (names are case-sensitive)")
    if len(matching) > 1:
        raise Ambiguous(f'{field}: {value!r} is the id of one role and the name of another; say {{"id": ...}}')
    if matching[0]["type"] != "User":
        raise InvalidInput(field, f"{value!r} is a machine-to-machine role; users can only hold user roles")
    return matching[0]


async def _other_roles(client: LogtoClient, wanted: dict[str, str]) -> dict[str, str]:
    """Every user role that somebody holds and that is not wanted."""
    roles = [role async for role in objects(client, "/roles", {"type": "User"}, ROLE)]
    # usersCount spares the look into roles that nobody holds; a server that does not send it is asked for all.
    return {role["id"]: role["name"] for role in roles if role["id"] not in wanted and role.get("usersCount", 1)}


async def _holders(client: LogtoClient, user_ids: Sequence[str], roles: dict[str, str]) -> Holders:
    """Who of these users holds which of these roles, with as few requests as possible."""
    holders: Holders = {role_id: set() for role_id in roles}
    if len(user_ids) <= len(roles) * ceil(len(user_ids) / search.MAX_ITEMS):
        held = await for_each(user_ids, lambda user_id: _roles_of(client, user_id))
        for user_id, role_ids in zip(user_ids, held, strict=True):
            for role_id in role_ids:
                holders.setdefault(role_id, set()).add(user_id)
        return holders
    for role_id in roles:
        for chunk in search.batches(user_ids, lambda user_id: {"id": [user_id]}):
            query = search.query([search.term("id", *chunk)])
            async for user in objects(client, path_of("/roles/{}/users", role_id), query, IDENTIFIED):
                holders[role_id].add(user["id"])
    return holders


async def _roles_of(client: LogtoClient, user_id: str) -> list[str]:
    return [role["id"] async for role in objects(client, path_of("/users/{}/roles", user_id), None, ROLE)]
