"""Invitations into an organization: which are pending, revoking them, what became of one.

Source: Logto Management API, tag "Organization invitations".
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from airflow_provider_logto.client.client import LogtoClient, path_of
from airflow_provider_logto.exceptions import Conflict, NeverTrue, NotFound, OutcomeUnknown
from airflow_provider_logto.management.answers import INVITATION, STATUS, checked, checked_list, objects
from airflow_provider_logto.management.invitation_spec import InvitationReference, check_condition, judge
from airflow_provider_logto.management.members import current_roles
from airflow_provider_logto.management.organization_references import resolve_organization
from airflow_provider_logto.management.references import Reference, find_users

Invitation = dict[str, Any]

_REVOKE_TRIES = 3
_SAID = {
    "Accepted": "accepted",
    "Expired": "expired",
    "Revoked": "revoked",
    "Member": "superfluous, since the person is a member",
    "Absent": "not there (deleted, or never made)",
}


async def pending_invitations(client: LogtoClient, organization_id: str) -> dict[str, list[Invitation]]:
    """E-mail address in lower case -> the pending invitations into an organization.

    Logto takes the same address in other capitals for another one; that in lower case, as this package writes it, is
    first.
    """
    query = {"organizationId": organization_id}
    rows = [row async for row in objects(client, "/organization-invitations", query, INVITATION)]
    pending: dict[str, list[Invitation]] = {}
    for row in sorted(rows, key=lambda row: bool(row["invitee"] != row["invitee"].lower())):
        if row["status"] == "Pending":
            pending.setdefault(row["invitee"].lower(), []).append(row)
    return pending


async def revoke(client: LogtoClient, invitation: Invitation) -> None:
    """Revoke a pending invitation. One that expired or was deleted meanwhile is as good as revoked.

    :raises Conflict: where it was accepted meanwhile.
    """
    path = path_of("/organization-invitations/{}", invitation["id"])
    for last in (False,) * (_REVOKE_TRIES - 1) + (True,):
        try:
            await client.request("PUT", f"{path}/status", body={"status": "Revoked"})
            return
        except (OutcomeUnknown, Conflict, NotFound):
            # A final state cannot be set twice: look whether it is the one that was wanted.
            status = await invitation_status(client, InvitationReference(id=invitation["id"]))
            if status in ("Revoked", "Expired", "Absent"):
                return
            if status != "Pending" or last:
                raise


async def invitation_status(client: LogtoClient, reference: InvitationReference) -> str:
    """What became of an invitation.

    :returns: ``Pending``, ``Accepted``, ``Expired`` or ``Revoked``; ``Member`` where the person was not invited but is
        a member; ``Absent`` where there is no such invitation.
    :raises InvalidInput: where the organization named does not exist.
    """
    if reference.id is not None:
        try:
            path = path_of("/organization-invitations/{}", reference.id)
            found = checked(f"GET /api{path}", await client.request("GET", path), STATUS)
        except NotFound as error:
            if error.code is None:  # an unknown path, not an absent invitation
                raise
            return "Absent"
        return str(found["status"])
    organization = await resolve_organization(client, reference.organization)
    email = reference.invitee or ""
    # Newest first.
    query = {"organizationId": organization["id"], "invitee": email}
    answer = await client.request("GET", "/organization-invitations", query)
    for row in checked_list("GET /api/organization-invitations", answer, STATUS):
        return str(row["status"])
    return "Member" if await members_among(client, organization["id"], [email]) else "Absent"


async def check_invitation(client: LogtoClient, invitation: Any, condition: str) -> bool:
    """Look an invitation up and judge; for a sensor and its trigger alike.

    :param invitation: reference to the invitation.
    :param condition: see :data:`airflow_provider_logto.management.invitation_spec.CONDITIONS`.
    :raises NeverTrue: where it ended in another way.
    """
    check_condition(condition)
    reference = InvitationReference.parse(invitation)
    status = await invitation_status(client, reference)
    verdict = judge(status, condition)
    if verdict == "never":
        raise NeverTrue(f"the invitation {reference} is {_SAID[status]}, so {condition!r} can no longer come true")
    return verdict == "true"


async def members_among(client: LogtoClient, organization_id: str, emails: Iterable[str]) -> set[str]:
    """Those of some e-mail addresses (in lower case) that belong to members of an organization."""
    addresses = list(emails)
    found = await find_users(client, [Reference.parse({"primaryEmail": one}, "invitees") for one in addresses])
    of_user = {user["id"]: email for email, user in zip(addresses, found, strict=True) if user is not None}
    if not of_user:
        return set()
    members = await current_roles(client, organization_id, of_user)
    return {email for user_id, email in of_user.items() if user_id in members}
