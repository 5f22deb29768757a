"""Triggers for invitations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_logto.triggers.base import PollingTrigger

if TYPE_CHECKING:
    from airflow_provider_logto.client.client import LogtoClient


class InvitationTrigger(PollingTrigger):
    """Waits in the triggerer for what becomes of an invitation; carries no secret and no state.

    :param logto_conn_id: the Connection of type ``logto``.
    :param invitation: reference to the invitation.
    :param condition: see :class:`~airflow_provider_logto.sensors.invitations.InvitationSensor`.
    :param poke_interval: seconds between two looks.
    :param end_time: deadline, epoch seconds; absolute, so that it outlives a restart of the triggerer.
    """

    def __init__(
        self, logto_conn_id: str, invitation: Any, condition: str, poke_interval: float, end_time: float
    ) -> None:
        super().__init__(logto_conn_id, condition, poke_interval, end_time)
        self.invitation = invitation

    def subject(self) -> dict[str, Any]:
        """Which invitation it watches."""
        return {"invitation": self.invitation}

    async def look(self, client: LogtoClient) -> bool:
        """Whether the condition is true of the invitation now.

        :raises NeverTrue: where it ended in another way.
        """
        from airflow_provider_logto.management.invitations import check_invitation

        return await check_invitation(client, self.invitation, self.condition)
