"""Inviting people into an organization: each once, each message once.

Source: Logto Management API, tag "Organization invitations". One *pending* invitation of an e-mail address into an
organization exists at a time; the server refuses another, also while the first is still being written. So creating one
again after a lost answer is safe, and sending a message again never is.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from typing import Any

from airflow_provider_logto.client.client import LogtoClient, path_of
from airflow_provider_logto.client.retrying import failure_of
from airflow_provider_logto.exceptions import (
    AuthFailed,
    ConfigurationError,
    Conflict,
    Forbidden,
    InvalidInput,
    LogtoApiError,
    LogtoError,
    OutcomeUnknown,
)
from airflow_provider_logto.management.answers import INVITATION, checked, role_ids_of
from airflow_provider_logto.management.invitation_spec import Invitee, InviteSpec, filled_message
from airflow_provider_logto.management.invitations import Invitation, members_among, pending_invitations, revoke
from airflow_provider_logto.management.organization_references import resolve_organization
from airflow_provider_logto.management.organization_roles import resolve_organization_roles
from airflow_provider_logto.management.references import Reference, find_users
from airflow_provider_logto.management.task_notes import TaskNotes
from airflow_provider_logto.task_state import TaskState

#: What became of one invitee: see :func:`invite_members`.
Row = dict[str, Any]

_CREATE_TRIES = 3
#: Invitations in flight; each may wait for a mail server.
_AT_ONCE = 8
#: Errors that every further row would meet too.
_SYSTEMIC = (AuthFailed, Forbidden, ConfigurationError)


async def invite_members(
    client: LogtoClient,
    organization: Any,
    spec: InviteSpec,
    state: TaskState | None = None,
    first_try: bool = True,
) -> list[Row]:
    """Invite people into an organization; who is a member or invited already is not invited again.

    :param organization: reference to the organization.
    :param spec: whom, with which roles, until when, with which message.
    :param state: remembers between the retries of one task what was sent.
    :param first_try: whether this is the task's first try; without ``state``, later tries send no message for an
        invitation that exists already.
    :returns: one row per invitee, in order: ``{"invitee", "organization", "outcome", "id", "expires_at"}``. Outcomes
        are ``invited``, ``pending`` (was invited before), ``replaced``, ``member`` and ``failed`` (with ``error`` and
        ``transient``); ``expires_at`` is epoch ms. ``message`` stands there where one was asked for: ``sent``, or
        ``unknown`` where it may have been sent and is not sent again; ``differs`` where a pending invitation has other
        roles, inviter or expires_at than asked.
    :raises InvalidInput: before the first write: an unknown organization, role or inviter.
    """
    found = await resolve_organization(client, organization)
    role_ids = await resolve_organization_roles(client, spec.role_names)
    inviter_id = await _inviter(client, spec.inviter)
    members = await members_among(client, found["id"], (one.email for one in spec.invitees))
    pending = await pending_invitations(client, found["id"])
    expires_at = spec.expires_at
    if expires_at is None:
        expires_at = int((await client.server_time() + spec.expires_in) * 1000)
    # The milliseconds tell our own invitations from those that another task makes at the same moment.
    expires_at = expires_at // 1000 * 1000 + random.randrange(1000)  # noqa: S311
    notes = TaskNotes(state, "invitation")
    inviting = _Round(client, found["id"], spec, expires_at, role_ids, inviter_id, notes, first_try)
    slots = asyncio.Semaphore(_AT_ONCE)

    async def one(invitee: Invitee) -> Row:
        async with slots:
            if invitee.email in members:
                return row_of(invitee.email, found["id"], "member")
            return await _reported(inviting.invite(invitee, pending.get(invitee.email, [])), invitee.email, found["id"])

    return list(await asyncio.gather(*map(one, spec.invitees)))


async def revoke_invitations(client: LogtoClient, organization: Any, emails: tuple[str, ...]) -> list[Row]:
    """Revoke the pending invitations of some e-mail addresses.

    :returns: one row per address, in order, as :func:`invite_members` returns them; outcomes are ``revoked``,
        ``absent`` (there is no pending one) and ``failed``.
    """
    found = await resolve_organization(client, organization)
    pending = await pending_invitations(client, found["id"])

    async def one(email: str) -> Row:
        if email not in pending:
            return row_of(email, found["id"], "absent")
        for invitation in pending[email]:
            await revoke(client, invitation)
        return row_of(email, found["id"], "revoked", pending[email][0])

    return [await _reported(one(email), email, found["id"]) for email in emails]


@dataclass(frozen=True)
class _Round:
    """What inviting one person needs of the whole round."""

    client: LogtoClient
    organization_id: str
    spec: InviteSpec
    expires_at: int
    role_ids: Mapping[str, str]
    inviter_id: str | None
    notes: TaskNotes
    first_try: bool

    async def invite(self, invitee: Invitee, all_pending: list[Invitation]) -> Row:
        """
        :param all_pending: those of the invitee: one for each way of writing their address.
        """
        if not all_pending:
            return await self._create(invitee, "invited")
        note = await self._note(invitee)
        for one in all_pending:
            if one["expiresAt"] in note.get("expiresAt", ()):
                # An earlier try of this task made it.
                return await self._made(invitee, one, note["outcome"])
        if self.spec.if_pending == "replace":
            kept = [one for one in all_pending if not self._differences(invitee, one)]
            for one in all_pending:
                if one not in kept:
                    await revoke(self.client, one)
            if not kept:
                return await self._create(invitee, "replaced")
            all_pending = kept
        pending = all_pending[0]
        differs = self._differences(invitee, pending)
        row = self._row(invitee, "pending", pending, differs)
        if self.spec.if_pending == "resend":
            # Without notes, an earlier try may have sent it.
            may_send = self.notes.kept or self.first_try
            row["message"] = await self._send_once(invitee, pending) if may_send else "unknown"
        elif self.spec.needs_id and not (self.notes.kept or self.first_try):
            # It may be an earlier try's, made and not sent.
            row["message"] = "unknown"
        return row

    async def _create(self, invitee: Invitee, outcome: str) -> Row:
        # One that an earlier try sent may still be on its way into the database.
        earlier = (await self._note(invitee)).get("expiresAt", [])
        await self._keep(invitee, {"expiresAt": [*earlier, self.expires_at], "outcome": outcome})
        later = self.spec.needs_id or self.spec.message is None
        body = {
            "invitee": invitee.email,
            "organizationId": self.organization_id,
            "expiresAt": self.expires_at,
            "inviterId": self.inviter_id,
            "organizationRoleIds": self._wanted_roles(invitee),
            "messagePayload": False if later else self.spec.message,
        }
        invitation = await self._created({name: value for name, value in body.items() if value not in (None, [])})
        if invitation["expiresAt"] not in (*earlier, self.expires_at):
            # Another task was faster.
            return self._row(invitee, "pending", invitation, self._differences(invitee, invitation))
        return await self._made(invitee, invitation, outcome)

    async def _created(self, body: Mapping[str, Any]) -> Invitation:
        """Create it; what got lost is looked for before it is tried again."""
        for last in (False,) * (_CREATE_TRIES - 1) + (True,):
            try:
                made = await self.client.request("POST", "/organization-invitations", body=body)
                return checked("POST /api/organization-invitations", made, INVITATION)
            except (OutcomeUnknown, Conflict) as error:
                if isinstance(error, Conflict) and error.code != "entity.unique_integrity_violation":
                    raise
                found = (await pending_invitations(self.client, self.organization_id)).get(body["invitee"])
                if found:
                    return found[0]
                if last:
                    raise
        raise AssertionError("the last try returns or raises")

    async def _made(self, invitee: Invitee, invitation: Invitation, outcome: str) -> Row:
        """The row of an invitation that this task made, after its message has left."""
        row = self._row(invitee, outcome, invitation)
        if self.spec.message is not None:
            row["message"] = await self._send_once(invitee, invitation) if self.spec.needs_id else "sent"
        return row

    async def _send_once(self, invitee: Invitee, invitation: Invitation) -> str:
        """Send the message, unless an earlier try may have: it is noted before, and forgotten where it was refused."""
        note = await self._note(invitee)
        if note.get("message") == invitation["id"]:
            return str(note["sent"])
        await self._keep(invitee, {**note, "message": invitation["id"], "sent": "unknown"})
        path = path_of("/organization-invitations/{}/message", invitation["id"])
        try:
            await self.client.request("POST", path, body=filled_message(self.spec.message, invitation["id"]))
        except OutcomeUnknown:
            return "unknown"
        except LogtoError as error:
            if _was_not_executed(error):
                await self._keep(invitee, note)
            raise
        await self._keep(invitee, {**note, "message": invitation["id"], "sent": "sent"})
        return "sent"

    def _differences(self, invitee: Invitee, pending: Invitation) -> list[str]:
        differs = []
        if role_ids_of("/organization-invitations", pending) != set(self._wanted_roles(invitee)):
            differs.append("roles")
        if self.inviter_id and pending.get("inviterId") != self.inviter_id:
            differs.append("inviter")
        # A span of time starts anew with every run, and says nothing about one that began before.
        if self.spec.expires_at is not None and pending["expiresAt"] // 1000 != self.expires_at // 1000:
            differs.append("expires_at")
        return differs

    def _wanted_roles(self, invitee: Invitee) -> list[str]:
        return list(dict.fromkeys(self.role_ids[name] for name in invitee.roles))

    def _row(self, invitee: Invitee, outcome: str, invitation: Invitation, differs: list[str] | None = None) -> Row:
        row = row_of(invitee.email, self.organization_id, outcome, invitation)
        return {**row, "differs": differs} if differs else row

    async def _note(self, invitee: Invitee) -> dict[str, Any]:
        return await self.notes.get(self.organization_id, invitee.email)

    async def _keep(self, invitee: Invitee, note: Mapping[str, Any]) -> None:
        await self.notes.set(note, self.organization_id, invitee.email)


def row_of(email: str, organization_id: str, outcome: str, invitation: Invitation | None = None) -> Row:
    """One row of a report; see :func:`invite_members`."""
    about = invitation or {}
    return {
        "invitee": email,
        "organization": organization_id,
        "outcome": outcome,
        "id": about.get("id"),
        "expires_at": about.get("expiresAt"),
    }


async def _reported(work: Awaitable[Row], email: str, organization_id: str) -> Row:
    """A row's own failure becomes its result, so that the others go on."""
    try:
        return await work
    except _SYSTEMIC:
        raise
    except LogtoError as error:
        row = row_of(email, organization_id, "failed")
        return {**row, "error": str(error), "transient": error.transient}


async def _inviter(client: LogtoClient, reference: Reference | None) -> str | None:
    if reference is None:
        return None
    (user,) = await find_users(client, [reference])
    if user is None:
        raise InvalidInput("inviter", f"no user {reference.given} in Logto")
    return str(user["id"])


def _was_not_executed(error: LogtoError) -> bool:
    # No connection, no token, no place in the shared pace, or a message that is no JSON: it never left.
    if isinstance(error, InvalidInput) or failure_of(error) in ("unsent", "throttled"):
        return True
    # Whatever came with a 2xx, it was.
    return isinstance(error, LogtoApiError) and 400 <= (error.status or 0) < 500
