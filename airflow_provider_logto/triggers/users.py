"""Triggers for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_logto.triggers.base import PollingTrigger

if TYPE_CHECKING:
    from airflow_provider_logto.client.client import LogtoClient


class UserTrigger(PollingTrigger):
    """Waits in the triggerer until something is true of a person; carries no secret and no state.

    :param logto_conn_id: the Connection of type ``logto``.
    :param user: reference to the user.
    :param condition: see :class:`~airflow_provider_logto.sensors.users.UserSensor`.
    :param since_ms: epoch milliseconds, with ``signed_in``.
    :param poke_interval: seconds between two looks.
    :param end_time: deadline, epoch seconds; absolute, so that it outlives a restart of the triggerer.
    """

    def __init__(
        self,
        logto_conn_id: str,
        user: Any,
        condition: str,
        since_ms: int | None,
        poke_interval: float,
        end_time: float,
    ) -> None:
        super().__init__(logto_conn_id, condition, poke_interval, end_time)
        self.user = user
        self.since_ms = since_ms

    def subject(self) -> dict[str, Any]:
        """Whom it watches."""
        return {"user": self.user, "since_ms": self.since_ms}

    async def look(self, client: LogtoClient) -> bool:
        """Whether the condition is true of the person now."""
        from airflow_provider_logto.management.conditions import check_user

        return await check_user(client, self.user, self.condition, self.since_ms)
