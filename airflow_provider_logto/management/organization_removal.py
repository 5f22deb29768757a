"""Deleting an organization: only where that was confirmed or its condition holds, and nobody in it is protected.

Source: Logto Management API, ``DELETE /api/organizations/{id}``.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from airflow_provider_logto.client.client import LogtoClient, path_of
from airflow_provider_logto.exceptions import InvalidInput, Refused, UnreadableAnswer
from airflow_provider_logto.management.answers import IDENTIFIED, objects
from airflow_provider_logto.management.fields import switch
from airflow_provider_logto.management.organization_references import OrganizationReference, find_organization
from airflow_provider_logto.management.presence import delete
from airflow_provider_logto.management.protection import Protection
from airflow_provider_logto.management.removal import IfAbsent, check_if_absent, deleted_before
from airflow_provider_logto.management.task_notes import TaskNotes
from airflow_provider_logto.task_state import TaskState


async def delete_organization(
    client: LogtoClient,
    organization: Any,
    protection: Protection,
    confirm: bool = False,
    max_members: int | None = None,
    if_absent: IfAbsent = "fail",
    state: TaskState | None = None,
    order: int | None = None,
) -> dict[str, Any]:
    """Delete an organization with its memberships, invitations and just-in-time rules. This cannot be undone.

    :param confirm: True deletes whichever is meant.
    :param max_members: deletes only one with at most so many members.
    :param state: tells a retry which one an earlier try of the task was about to delete.
    :param order: what the tries of one order have in common; clearing the task is another order.
    :returns: ``{"id", "outcome": "deleted" | "absent"}``.
    :raises InvalidInput: before any request where neither is given; where none is meant, or a member is protected.
    :raises Refused: where it has more members.
    """
    check_organization_deletion(confirm, max_members)
    check_if_absent(if_absent)
    reference = OrganizationReference.parse(organization)
    notes = TaskNotes(state, "deletion")
    noted = ("organization", reference.kind, reference.value)
    earlier = await deleted_before(notes, noted, order, reference, partial(find_organization, client))
    if earlier is not None:
        return {"id": earlier, "outcome": "deleted"}
    found = await find_organization(client, reference)
    if found is None:
        if if_absent == "fail":
            raise InvalidInput(
                "organization", f'there is no organization {reference.value!r}; if_absent="skip" accepts that'
            )
        return {"id": None, "outcome": "absent"}
    path = path_of("/organizations/{}", found["id"])
    if protection:
        members = [user async for user in objects(client, f"{path}/users", None, IDENTIFIED)]
        await protection.refuse(client, members, "organization")
    if max_members is not None:
        count = await client.count(f"{path}/users")
        if count is None:
            raise UnreadableAnswer(f"GET /api{path}/users", 200, None, "Total-Number is missing; max_members needs it")
        if count > max_members:
            raise Refused(f"the organization {found['id']} has {count} members, more than {max_members}; it stays")
    await notes.set({"id": found["id"], "order": order}, *noted)
    there = await delete(client, path)
    await notes.set({"id": found["id"], "order": order, "answered": True}, *noted)
    return {"id": found["id"], "outcome": "deleted" if there else "absent"}


def check_organization_deletion(confirm: Any, max_members: Any) -> None:
    """
    :raises InvalidInput: where a deletion is neither confirmed nor bound to a condition.
    """
    switch("confirm", confirm)
    if max_members is None:
        if not confirm:
            raise InvalidInput("confirm", "deleting cannot be undone: set confirm=True, or max_members=0 (if empty)")
    elif isinstance(max_members, bool) or not isinstance(max_members, int) or max_members < 0:
        raise InvalidInput("max_members", f"must be a number, 0 or more; got {max_members!r}")
    elif confirm:
        raise InvalidInput("confirm", "give either confirm=True or max_members; one of them has no effect")
