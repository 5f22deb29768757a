"""Giving back what an offboarding took, from its snapshot.

Not everything can be given back: passwords, MFA factors and the values of personal access tokens are in no snapshot,
and sessions are gone. The report names what is missing.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from airflow_provider_logto.client.client import LogtoClient, path_of
from airflow_provider_logto.exceptions import Conflict, InvalidInput, LogtoApiError, NotFound
from airflow_provider_logto.management.answers import (
    IDENTIFIED,
    MEMBER,
    USER,
    checked,
    checked_list,
    objects,
    role_ids_of,
)
from airflow_provider_logto.management.credentials import list_identities, put_identity
from airflow_provider_logto.management.marks import KEY, Mark, write_mark
from airflow_provider_logto.management.offboarding.snapshot import Snapshot, checked_snapshot


async def restore_user(client: LogtoClient, snapshot: Any) -> dict[str, Any]:
    """Give a person back what they had when a snapshot was taken; they may sign in again in the end.

    Adds what is missing and takes nothing away, so it can be repeated. Roles and organizations come first: who signs in
    has their rights.

    :param snapshot: the content of the file that the offboarding's report names: bytes, text, or parsed.
    :returns: ``{"id", "outcome": "restored" | "unchanged", "roles", "organizations", "identities": [names given back],
        "missing": [what could not be given back]}``.
    :raises InvalidInput: where it is no snapshot, or the person does not exist any more.
    """
    kept = checked_snapshot(snapshot)
    path = path_of("/users/{}", kept["user"])
    try:
        user = checked(f"GET /api{path}", await client.request("GET", path), USER)
    except NotFound:
        raise InvalidInput("snapshot", f"the user {kept['user']} does not exist any more") from None
    missing: list[str] = [f"MFA factor {kind}" for kind in kept["mfa_factors"]]
    missing += [f"personal access token {name}" for name in kept["personal_access_tokens"]]
    given = {
        "roles": await _roles(client, path, kept, missing),
        "organizations": await _organizations(client, path, kept, missing),
        "identities": await _identities(client, kept, missing),
    }
    # Dates only: what a roster or an event wrote meanwhile stays, but for a last day that is over.
    before, mark = Mark.read({KEY: kept["mark"]}) or Mark(), Mark.of(user)
    back = mark if kept["was_suspended"] else mark.back(datetime.now(UTC))
    restored = back.with_(offboarded_at=before.offboarded_at, suspended_at=before.suspended_at, gone_at=before.gone_at)
    if restored != mark:
        await write_mark(client, kept["user"], restored)
    unsuspended = user["isSuspended"] and not kept["was_suspended"]
    if unsuspended:
        await client.request("PATCH", f"{path}/is-suspended", body={"isSuspended": False})
    changed = unsuspended or restored != mark or any(given.values())
    return {"id": kept["user"], "outcome": "restored" if changed else "unchanged", **given, "missing": missing}


async def _roles(client: LogtoClient, path: str, kept: Snapshot, missing: list[str]) -> list[str]:
    held = {role["id"] async for role in objects(client, f"{path}/roles", None, IDENTIFIED)}
    given = []
    for role_id, name in kept["roles"].items():
        if role_id in held:
            continue
        try:
            await client.request("POST", f"{path}/roles", body={"roleIds": [role_id]})
            given.append(name)
        except LogtoApiError as error:
            _note(error, f"role {name}", missing)
    return given


async def _organizations(client: LogtoClient, path: str, kept: Snapshot, missing: list[str]) -> list[str]:
    answer = await client.request("GET", f"{path}/organizations")
    current = {
        one["id"]: role_ids_of(f"{path}/organizations", one)
        for one in checked_list(f"GET /api{path}/organizations", answer, MEMBER)
    }
    given = []
    for organization_id, about in kept["organizations"].items():
        lacking = [role for role in about["roles"] if role not in current.get(organization_id, ())]
        if organization_id in current and not lacking:
            continue
        members = path_of("/organizations/{}/users", organization_id)
        try:
            if organization_id not in current:
                await client.request("POST", members, body={"userIds": [kept["user"]]})
            for role in lacking:
                body = {"userIds": [kept["user"]], "organizationRoleIds": [role]}
                await client.request("POST", f"{members}/roles", body=body)
            given.append(about["name"])
        except LogtoApiError as error:
            _note(error, f"organization {about['name']}, or a role in it", missing)
    return given


async def _identities(client: LogtoClient, kept: Snapshot, missing: list[str]) -> list[str]:
    linked = (await list_identities(client, kept["user"]))[0]
    given = []
    for target, identity in kept["identities"].items():
        if target in linked:
            continue
        try:
            await put_identity(client, kept["user"], target, identity)
            given.append(target)
        except LogtoApiError as error:
            _note(error, f"social identity {target}", missing)
    return given


def _note(error: LogtoApiError, what: str, missing: list[str]) -> None:
    """What does not exist any more, or is somebody else's by now, is reported; anything else is a failure."""
    if not isinstance(error, NotFound | Conflict):
        raise error
    missing.append(f"{what} ({error.code})")
