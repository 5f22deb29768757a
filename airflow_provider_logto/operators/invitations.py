"""Operators for invitations."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_logto.exceptions import InvalidInput, PartlyFailed
from airflow_provider_logto.failures import fail_on_permanent_error
from airflow_provider_logto.operators.base import LogtoOperator

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_logto.compat import Context
    from airflow_provider_logto.management.invitation_spec import IfPending


class InviteMembersOperator(LogtoOperator):
    """Invite people into an organization by e-mail, or revoke their invitations.

    A member is not invited again, and an invitation that is pending stays as it is unless ``if_pending`` says
    otherwise. Logto sends the message itself, by the tenant's e-mail connector, where ``message`` is given. A retry
    never sends a message a second time: on Airflow 3.3 it knows which ones left; before, it reports ``unknown`` for
    those of invitations that exist already.

    One invitee who fails does not stop the others; the task then fails at its end, names them, and keeps all rows in
    the XCom ``report``.

    :param organization: reference to the organization: id, name, ``{"external_id": ...}`` or what
        ProvisionOrganizationOperator returned (templated).
    :param invitees: e-mail addresses, or ``{"email": ..., "roles": [...]}``; any sequence will do (templated).
    :param roles: organization roles for all of them, by name or id (templated).
    :param inviter: reference to the user who invites (templated).
    :param expires_in: how long an invitation stays open: a timedelta or seconds; 7 days by default (templated).
    :param expires_at: until when instead: a datetime with a time zone or its ISO form (templated).
    :param message: what Logto's e-mail template is given, e.g.
        ``{"link": "https://app.example.com/join?id={invitation_id}"}``; ``{invitation_id}`` stands for the invitation's
        id. None sends no message (templated).
    :param if_pending: ``keep``; ``resend`` sends the message again; ``replace`` revokes one whose roles, inviter or
        ``expires_at`` differ and invites anew (templated).
    :param mode: ``invite`` or ``revoke`` (templated).
    :param logto_conn_id: the Connection of type ``logto``.
    :returns: one row per invitee, in order: ``{"invitee", "organization", "outcome", "id", "expires_at"}``. Outcomes
        are ``invited``, ``pending``, ``replaced`` and ``member``, or ``revoked`` and ``absent``; ``message`` is
        ``sent`` or ``unknown`` where one was asked for; ``differs`` lists what a pending one has other than asked.
    :raises InvalidInput: before the first write: a wrong argument, an unknown organization, role or inviter.
    :raises PartlyFailed: where some invitees failed.

    .. seealso:: Logto Management API, ``POST /api/organization-invitations``.
    """

    template_fields: Sequence[str] = (
        "organization",
        "invitees",
        "roles",
        "inviter",
        "expires_in",
        "expires_at",
        "message",
        "if_pending",
        "mode",
        "logto_conn_id",
    )
    template_fields_renderers = {"message": "json"}  # noqa: RUF012

    def __init__(
        self,
        *,
        organization: Any,
        invitees: Any,
        roles: Any = None,
        inviter: Any = None,
        expires_in: timedelta | float | None = None,
        expires_at: datetime | str | None = None,
        message: Mapping[str, Any] | None = None,
        if_pending: IfPending = "keep",
        mode: Literal["invite", "revoke"] = "invite",
        logto_conn_id: str = "logto_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(logto_conn_id=logto_conn_id, **kwargs)
        self.organization = organization
        self.invitees = invitees
        self.roles = roles
        self.inviter = inviter
        self.expires_in = expires_in
        self.expires_at = expires_at
        self.message = message
        self.if_pending = if_pending
        self.mode = mode

    @fail_on_permanent_error
    def execute(self, context: Context) -> list[dict[str, Any]]:
        if self.mode not in ("invite", "revoke"):
            raise InvalidInput("mode", f"{self.mode!r} is unknown; use invite or revoke")
        rows = self._invite(context) if self.mode == "invite" else self._revoke()
        counts: dict[str, int] = {}
        for row in rows:
            counts[row["outcome"]] = counts.get(row["outcome"], 0) + 1
        self.log_summary("Invitations", ", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items())))
        failed = [row for row in rows if row["outcome"] == "failed"]
        if failed:
            if (task_instance := context.get("ti")) is not None:
                task_instance.xcom_push(key="report", value=rows)
            reasons = {row["invitee"]: row["error"] for row in failed}
            raise PartlyFailed("invitations", reasons, len(rows), any(row["transient"] for row in failed))
        return rows

    def _invite(self, context: Context) -> list[dict[str, Any]]:
        from airflow_provider_logto.compat import task_state
        from airflow_provider_logto.management.invitation_spec import InviteSpec
        from airflow_provider_logto.management.inviting import invite_members

        spec = InviteSpec.checked(
            self.invitees,
            self.roles,
            inviter=self.inviter,
            expires_in=self.expires_in,
            expires_at=self.expires_at,
            message=self.message,
            if_pending=self.if_pending,
        )
        first_try = getattr(context.get("ti"), "try_number", 1) <= 1
        return self.hook.run(invite_members, self.organization, spec, task_state(context), first_try)

    def _revoke(self) -> list[dict[str, Any]]:
        from airflow_provider_logto.management.invitation_spec import checked_emails
        from airflow_provider_logto.management.inviting import revoke_invitations

        return self.hook.run(revoke_invitations, self.organization, checked_emails(self.invitees))
