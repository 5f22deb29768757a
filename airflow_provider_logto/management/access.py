"""Giving and taking access in bulk: roles, memberships and organization roles of many people.

Additions take up to :data:`bulk.PER_WRITE` people in a request; every function may be repeated.

Source: Logto Management API, tags "Roles", "Organizations" and "Organization invitations".
"""

from __future__ import annotations

from collections.abc import Sequence

from airflow_provider_logto.client.client import LogtoClient, path_of
from airflow_provider_logto.exceptions import Conflict, OutcomeUnknown
from airflow_provider_logto.management import search
from airflow_provider_logto.management.answers import IDENTIFIED, STATUS, checked_list, objects
from airflow_provider_logto.management.invitations import revoke
from airflow_provider_logto.management.presence import delete

_TRIES = 5


async def grant_role(client: LogtoClient, role_id: str, user_ids: Sequence[str]) -> None:
    """Give one role to many people; who holds it already keeps it.

    :raises NotFound: where the role or one of the people does not exist; nobody was given it then.
    """
    missing = list(dict.fromkeys(user_ids))
    for last in (False,) * (_TRIES - 1) + (True,):
        if not missing:
            return
        try:
            await client.request("POST", path_of("/roles/{}/users", role_id), body={"userIds": missing})
            return
        except (Conflict, OutcomeUnknown) as error:
            # Somebody was faster, or the answer was lost: look who is still without it.
            if last or (isinstance(error, Conflict) and error.code != "role.user_exists"):
                raise
        held = await holders_among(client, role_id, missing)
        missing = [one for one in missing if one not in held]


async def holders_among(client: LogtoClient, role_id: str, user_ids: Sequence[str]) -> set[str]:
    """Which of these people hold a role."""
    held: set[str] = set()
    for chunk in search.batches(user_ids, lambda user_id: {"id": [user_id]}):
        query = search.query([search.term("id", *chunk)], case_sensitive=True)
        path = path_of("/roles/{}/users", role_id)
        held |= {user["id"] async for user in objects(client, path, query, IDENTIFIED)}
    return held


async def revoke_role(client: LogtoClient, role_id: str, user_id: str) -> None:
    """Take a role from one person; one who does not hold it is no error."""
    await delete(client, path_of("/roles/{}/users/{}", role_id, user_id))


async def add_members(client: LogtoClient, organization_id: str, user_ids: Sequence[str]) -> None:
    """Make many people members; who is one stays one.

    :raises Conflict: where the organization or one of the people does not exist; nobody was added then.
    """
    await client.request("POST", path_of("/organizations/{}/users", organization_id), body={"userIds": list(user_ids)})


async def remove_member(client: LogtoClient, organization_id: str, user_id: str, email: str | None = None) -> int:
    """End one person's membership, after the invitations that could bring it back.

    :param email: the person's e-mail, whose pending invitations to this organization are revoked.
    :returns: how many invitations were revoked.
    """
    query = {"organizationId": organization_id, "invitee": email}
    found = await client.request("GET", "/organization-invitations", query) if email else []
    rows = checked_list("GET /api/organization-invitations", found, STATUS)
    pending = [invitation for invitation in rows if invitation["status"] == "Pending"]
    for invitation in pending:
        await revoke(client, invitation)
    await delete(client, path_of("/organizations/{}/users/{}", organization_id, user_id))
    return len(pending)


async def grant_organization_role(
    client: LogtoClient, organization_id: str, role_id: str, user_ids: Sequence[str]
) -> None:
    """Give one organization role to many members.

    :raises Conflict: where one of them is no member; nobody was given it then.
    """
    body = {"userIds": list(user_ids), "organizationRoleIds": [role_id]}
    await client.request("POST", path_of("/organizations/{}/users/roles", organization_id), body=body)


async def revoke_organization_role(client: LogtoClient, organization_id: str, role_id: str, user_id: str) -> None:
    """Take an organization role from one member; one who does not hold it is no error."""
    await delete(client, path_of("/organizations/{}/users/{}/roles/{}", organization_id, user_id, role_id))
