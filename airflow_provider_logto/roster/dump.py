"""A tenant or a population as a roster file: the first desired state, written down from what is there."""

from __future__ import annotations

from typing import Any

import msgspec

from airflow_provider_logto.client.client import LogtoClient, path_of
from airflow_provider_logto.management.answers import IDENTIFIED, KIND_OF_ROLE, MEMBER, objects
from airflow_provider_logto.management.concurrency import for_each
from airflow_provider_logto.management.marks import OWN_KEYS
from airflow_provider_logto.plans.store import Store
from airflow_provider_logto.roster.columns import TEXTS
from airflow_provider_logto.roster.job import RosterJob
from airflow_provider_logto.roster.state import Known, read_population, resolve_names, roles_of


async def dump_roster(client: LogtoClient, job: RosterJob, store: Store) -> dict[str, Any]:
    """Write everybody, one JSON line each, with what ``manage`` names.

    A plan made of it, with the same settings and ``adopt="matched"``, holds nothing but marks.

    :returns: ``{"plan", ...}`` as a run does; ``plan`` is the address of the file.
    """
    kind, name = job.population or ("", "")
    place = {name: "population"}
    directory = await resolve_names(
        client, place if kind == "role" else {}, place if kind == "organization" else {}, {}
    )
    state = await read_population(client, job.population, directory, lambda user: True, None)
    roles = await _roles(client, state.users) if "roles" in job.manage else {}
    members = await _members(client, state.users) if job.manage & {"organizations", "organization_roles"} else {}
    lines = [msgspec.json.encode(_row(job, user, roles, members)) for _, user in sorted(state.users.items())]
    file = f"roster/{job.roster}/{job.roster}.dump.jsonl"
    store.write(file, b"".join(line + b"\n" for line in lines))
    counts = {"rows": len(lines)}
    return {
        "plan": store.uri(file),
        "plan_id": None,
        "journal": None,
        "counts": counts,
        "held": [],
        "failed": [],
        "applied": False,
    }


def _row(
    job: RosterJob, user: Known, roles: dict[str, list[str]], members: dict[str, dict[str, list[str]]]
) -> dict[str, Any]:
    row: dict[str, Any] = {"id": user.id}
    if user.mark.roster == job.roster and user.mark.external_id:
        row["external_id"] = user.mark.external_id
    row |= {argument: user.texts[field] for argument, field in TEXTS.items() if user.texts[field]}
    if "primary_phone" in row:
        row["primary_phone"] = f"+{row['primary_phone']}"
    if "profile" in job.manage and user.profile:
        row["profile"] = user.profile
    data = {key: value for key, value in user.custom_data.items() if key not in OWN_KEYS}
    if "custom_data" in job.manage and data:
        row["custom_data"] = data
    if "suspension" in job.manage:
        row["suspended"] = user.suspended
    if "roles" in job.manage:
        row["roles"] = roles.get(user.id, [])
    if "organizations" in job.manage:
        row["organizations"] = sorted(members.get(user.id, {}))
    if "organization_roles" in job.manage:
        row["organization_roles"] = {name: held for name, held in members.get(user.id, {}).items() if held}
    return row


async def _roles(client: LogtoClient, users: dict[str, Known]) -> dict[str, list[str]]:
    """User id -> ids of roles: names can be changed, and an id is never ambiguous."""
    found: dict[str, list[str]] = {}
    for role in [one async for one in objects(client, "/roles", {"type": "User"}, KIND_OF_ROLE)]:
        if role.get("usersCount") == 0:
            continue
        async for user in objects(client, path_of("/roles/{}/users", role["id"]), None, IDENTIFIED):
            if user["id"] in users:
                found.setdefault(user["id"], []).append(role["id"])
    return {user_id: sorted(roles) for user_id, roles in found.items()}


async def _members(client: LogtoClient, users: dict[str, Known]) -> dict[str, dict[str, list[str]]]:
    """User id -> organization id -> ids of organization roles."""
    organizations = [one["id"] async for one in objects(client, "/organizations", None, IDENTIFIED)]
    found: dict[str, dict[str, list[str]]] = {}

    async def members_of(organization_id: str) -> None:
        path = path_of("/organizations/{}/users", organization_id)
        async for member in objects(client, path, None, MEMBER):
            if member["id"] in users:
                found.setdefault(member["id"], {})[organization_id] = sorted(roles_of(path, member))

    await for_each(organizations, members_of)
    return found
