"""Who holds which role.

Source: Logto Management API, tag "Roles". ``PUT /api/users/{id}/roles`` is not transactional and is never used: roles
are added in bulk first and taken away one by one afterwards, so that nobody ends with fewer roles than intended.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import ceil
from typing import Any, Literal, get_args

from airflow_provider_logto.client.client import LogtoClient, path_of
from airflow_provider_logto.exceptions import Ambiguous, Conflict, InvalidInput, NotFound, OutcomeUnknown
from airflow_provider_logto.management import search
from airflow_provider_logto.management.references import listed, resolve_users

Mode = Literal["add", "replace", "remove"]
MODES: tuple[Mode, ...] = get_args(Mode)
Role = dict[str, Any]
#: Role id -> ids of those of the users in question who hold it.
Holders = dict[str, set[str]]

#: Users in one bulk write.
_PER_WRITE = 500
_GRANT_TRIES = 5


async def assign_roles(client: LogtoClient, users: Any, roles: Any, mode: Mode = "add") -> dict[str, Any]:
    """Give roles to users, take them away, or make them exact.

    :param users: references to users.
    :param roles: names or ids of user roles, or ``{"id": ...}`` / ``{"name": ...}``.
    :param mode: ``add``, ``remove``, or ``replace`` (exactly these roles and no others).
    :returns: ``{"added", "removed", "unchanged"}``, each role name -> ids of users.
    :raises InvalidInput: before the first write: an unknown user or role, a machine-to-machine role, an empty list.
    """
    if mode not in MODES:
        raise InvalidInput("mode", f"{mode!r} is unknown; use one of {', '.join(MODES)}")
    references = listed("roles", roles)
    if mode == "replace" and not references:
        raise InvalidInput("roles", 'is empty: replacing would take every role away; use mode="remove" for that')
    wanted = await resolve_roles(client, references)
    ids = [user["id"] for user in await resolve_users(client, users)]
    if not ids or not wanted:
        return {"added": {}, "removed": {}, "unchanged": {}}
    others = await _other_roles(client, wanted) if mode == "replace" else {}
    holders = await _holders(client, ids, {**wanted, **others})

    report: dict[str, dict[str, list[str]]] = {"added": {}, "removed": {}, "unchanged": {}}
    for role_id, name in wanted.items():
        holding = [one for one in ids if one in holders[role_id]]
        missing = [one for one in ids if one not in holders[role_id]]
        if mode == "remove":
            _note(report, removed=(name, holding), unchanged=(name, missing))
        else:
            await _grant(client, role_id, missing)
            _note(report, added=(name, missing), unchanged=(name, holding))
    for role_id, name in others.items():
        _note(report, removed=(name, [one for one in ids if one in holders[role_id]]))
    names = {name: role_id for role_id, name in {**wanted, **others}.items()}
    for name, holding in report["removed"].items():
        for user_id in holding:
            await _revoke(client, names[name], user_id)
    return report


async def resolve_roles(client: LogtoClient, references: Sequence[Any]) -> dict[str, str]:
    """Names and ids of user roles -> role id to name.

    :raises InvalidInput: where one is unknown or a machine-to-machine role.
    :raises Ambiguous: where a text is the id of one role and the name of another.
    """
    parsed = [_parse(reference, f"roles[{at}]") for at, reference in enumerate(references)]
    found: dict[str, Role] = {}
    for chunk in search.batches(parsed, lambda one: {key: [one[1]] for key in one[0]}):
        terms = {name: list(dict.fromkeys(value for keys, value in chunk if name in keys)) for name in ("id", "name")}
        query = search.query(
            (search.term(name, *values) for name, values in terms.items() if values), case_sensitive=True
        )
        async for role in client.iterate("/roles", query):
            found[role["id"]] = role
    resolved: dict[str, str] = {}
    for at, (keys, value) in enumerate(parsed):
        role = _only(f"roles[{at}]", value, [role for role in found.values() if value in [role[key] for key in keys]])
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
    roles = await client.collect("/roles", {"type": "User"})
    # usersCount spares the look into roles that nobody holds; a server that does not send it is asked for all.
    return {role["id"]: role["name"] for role in roles if role["id"] not in wanted and role.get("usersCount", 1)}


async def _holders(client: LogtoClient, user_ids: Sequence[str], roles: dict[str, str]) -> Holders:
    """Who of these users holds which of these roles, with as few requests as possible."""
    holders: Holders = {role_id: set() for role_id in roles}
    if len(user_ids) <= len(roles) * ceil(len(user_ids) / search.MAX_ITEMS):
        for user_id in user_ids:
            async for role in client.iterate(path_of("/users/{}/roles", user_id)):
                holders.setdefault(role["id"], set()).add(user_id)
        return holders
    for role_id in roles:
        for chunk in search.batches(user_ids, lambda user_id: {"id": [user_id]}):
            query = search.query([search.term("id", *chunk)])
            async for user in client.iterate(path_of("/roles/{}/users", role_id), query):
                holders[role_id].add(user["id"])
    return holders


async def _grant(client: LogtoClient, role_id: str, user_ids: Sequence[str]) -> None:
    """Give one role to many: all or nothing per request, and refused when one of them holds it already."""
    path = path_of("/roles/{}/users", role_id)
    for chunk in _chunks(user_ids, _PER_WRITE):
        missing = list(chunk)
        for last in (False,) * (_GRANT_TRIES - 1) + (True,):
            try:
                await client.request("POST", path, body={"userIds": missing})
                break
            except (Conflict, OutcomeUnknown) as error:
                # Somebody was faster, or the answer was lost: look who is still without it.
                if last or (isinstance(error, Conflict) and error.code != "role.user_exists"):
                    raise
            held = (await _holders(client, missing, {role_id: ""}))[role_id]
            missing = [one for one in missing if one not in held]
            if not missing:
                break


async def _revoke(client: LogtoClient, role_id: str, user_id: str) -> None:
    try:
        await client.request("DELETE", path_of("/roles/{}/users/{}", role_id, user_id))
    except NotFound as error:
        if error.code is None:  # an unknown path, not an absent relation
            raise


def _note(report: dict[str, dict[str, list[str]]], **entries: tuple[str, list[str]]) -> None:
    for outcome, (name, ids) in entries.items():
        if ids:
            report[outcome][name] = ids


def _chunks(items: Sequence[str], size: int) -> Iterable[Sequence[str]]:
    return (items[start : start + size] for start in range(0, len(items), size))
