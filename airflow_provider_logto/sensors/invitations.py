"""Sensors for invitations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_logto.compat import conf
from airflow_provider_logto.sensors.base import LogtoSensor

if TYPE_CHECKING:
    from airflow_provider_logto.management.invitation_spec import Condition
    from airflow_provider_logto.triggers.invitations import InvitationTrigger


class InvitationSensor(LogtoSensor):
    """Wait for what becomes of an invitation.

    An invitation that ends in another way than awaited fails the task at once.

    :param invitation: its id, a row that InviteMembersOperator returned, or
        ``{"organization": ..., "invitee": e-mail}``: the newest one of that person (templated).
    :param condition: ``accepted`` (somebody who is a member already counts), ``expired``, ``revoked``, or ``closed``
        for any end (templated).
    :param deferrable: wait in the triggerer, without a worker slot.
    :param logto_conn_id: the Connection of type ``logto``.
    :raises InvalidInput: for a wrong argument, before any request.
    :raises NeverTrue: where the condition can no longer come true.

    .. seealso:: Logto Management API, ``GET /api/organization-invitations/{id}``.
    """

    template_fields: Sequence[str] = ("invitation", "condition", "logto_conn_id")

    def __init__(
        self,
        *,
        invitation: Any,
        condition: Condition = "accepted",
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        logto_conn_id: str = "logto_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(deferrable=deferrable, logto_conn_id=logto_conn_id, **kwargs)
        self.invitation = invitation
        self.condition = condition

    def look(self) -> bool:
        """Whether the condition is true of the invitation now."""
        from airflow_provider_logto.management.invitations import check_invitation

        return self.hook.run(check_invitation, self.invitation, self.condition)

    def make_trigger(self, poke_interval: float, end_time: float) -> InvitationTrigger:
        """The trigger that waits in this sensor's place."""
        from airflow_provider_logto.triggers.invitations import InvitationTrigger

        named = self.invitation
        if isinstance(named, Mapping):
            # Of a row only what names the invitation: a trigger's arguments stand in Airflow's database.
            names = ("id",) if named.get("id") else ("organization", "invitee")
            named = {name: named[name] for name in names}
        return InvitationTrigger(
            logto_conn_id=self.logto_conn_id,
            invitation=named,
            condition=self.condition,
            poke_interval=poke_interval,
            end_time=end_time,
        )

    def awaited(self) -> str:
        """The invitation, as it was named."""
        from airflow_provider_logto.management.invitation_spec import InvitationReference

        return f"Invitation {InvitationReference.parse(self.invitation)}"
