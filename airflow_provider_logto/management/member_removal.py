"""Taking people out of an organization, without listing those who stay.

Source: Logto Management API, ``DELETE /api/organizations/{id}/users/{userId}``.
"""

from __future__ import annotations

import asyncio
from typing import Any

from airflow_provider_logto.client.client import LogtoClient, path_of
from airflow_provider_logto.management.organization_references import resolve_organization
from airflow_provider_logto.management.presence import delete
from airflow_provider_logto.management.protection import Protection
from airflow_provider_logto.management.references import Reference, find_users, listed


async def remove_members(
    client: LogtoClient, organization: Any, members: Any, protection: Protection
) -> dict[str, Any]:
    """Take people out of an organization; their organization roles go with the membership.

    :param organization: a reference to the organization.
    :param members: references to users.
    :returns: ``{"id", "removed": [user ids], "absent": [user ids of those who were no members], "unknown": [references
        that mean nobody]}``.
    :raises InvalidInput: before any write: an unknown organization, a protected person.
    :raises LogtoError: the first failure, after everybody else was removed; a repeat finishes the rest.
    """
    references = [Reference.parse(value, f"members[{at}]") for at, value in enumerate(listed("members", members))]
    target = await resolve_organization(client, organization)
    found = await find_users(client, references)
    users = {user["id"]: user for user in found if user is not None}
    await protection.refuse(client, users.values(), "members")
    # All at once: the client lets as many leave as the server takes.
    outcomes = await asyncio.gather(
        *(delete(client, path_of("/organizations/{}/users/{}", target["id"], user_id)) for user_id in users),
        return_exceptions=True,
    )
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome
    return {
        "id": target["id"],
        "removed": [user_id for user_id, there in zip(users, outcomes, strict=True) if there],
        "absent": [user_id for user_id, there in zip(users, outcomes, strict=True) if not there],
        "unknown": [one.given for one, user in zip(references, found, strict=True) if user is None],
    }
