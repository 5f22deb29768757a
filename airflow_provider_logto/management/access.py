"""Giving and taking access in bulk: roles, memberships and organization roles of many people.

Additions take up to :data:`BULK` people in a request; every function may be repeated.

Source: Logto Management API, tags "Roles", "Organizations" and "Organization invitations".
"""

from __future__ import annotations

from collections.abc import Sequence

from airflow_provider_logto.client.client import LogtoClient, path_of
from airflow_provider_logto.exceptions import Conflict, NotFound, OutcomeUnknown
from airflow_provider_logto.management import search

#: People in one bulk write.
BULK = 500
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
        held |= {user["id"] async for user in client.iterate(path_of("/roles/{}/users", role_id), query)}
    return held


async def revoke_role(client: LogtoClient, role_id: str, user_id: str) -> None:
    """Take a role from one person; one who does not hold it is no error."""
    await _absent(client, path_of("/roles/{}/users/{}", role_id, user_id))


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
    revoked = await revoke_invitations(client, email, organization_id) if email else 0
    await _absent(client, path_of("/organizations/{}/users/{}", organization_id, user_id))
    return revoked


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
    await _absent(client, path_of("/organizations/{}/users/{}/roles/{}", organization_id, user_id, role_id))


async def revoke_invitations(client: LogtoClient, email: str, organization_id: str | None = None) -> int:
    """Revoke the pending invitations of an e-mail address.

    :param organization_id: to this organization only; None: to all.
    :returns: how many there were.
    """
    query = {"invitee": email, "organizationId": organization_id}
    pending = [one for one in await client.collect("/organization-invitations", query) if one["status"] == "Pending"]
    for invitation in pending:
        path = path_of("/organization-invitations/{}/status", invitation["id"])
        try:
            await client.request("PUT", path, body={"status": "Revoked"})
        except (Conflict, NotFound, OutcomeUnknown):
            # Final states cannot be set twice: look whether it is one.
            left = await client.collect("/organization-invitations", query)
            if any(one["id"] == invitation["id"] and one["status"] == "Pending" for one in left):
                raise
    return len(pending)


async def _absent(client: LogtoClient, path: str) -> None:
    try:
        await client.request("DELETE", path)
    except NotFound as error:
        if error.code is None:  # an unknown path, not an absent relation
            raise
