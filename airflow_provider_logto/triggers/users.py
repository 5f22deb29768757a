"""Triggers for people."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

#: How many failures in a row that waiting may fix are borne before the trigger gives up.
MAX_CONSECUTIVE_FAILURES = 10


class UserTrigger(BaseTrigger):
    """Waits in the triggerer until something is true of a person; carries no secret and no state.

    :param logto_conn_id: the Connection of type ``logto``.
    :param user: reference to the user.
    :param condition: see :class:`~airflow_provider_logto.sensors.users.UserSensor`.
    :param since_ms: epoch milliseconds, with ``signed_in``.
    :param poke_interval: seconds between two looks.
    :param end_time: deadline, epoch seconds; absolute, so that it outlives a restart of the triggerer.

    Its event is ``{"status": "success" | "timeout" | "error", "message": str}``.
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
        super().__init__()  # type: ignore[no-untyped-call]
        self.logto_conn_id = logto_conn_id
        self.user = user
        self.condition = condition
        self.since_ms = since_ms
        self.poke_interval = poke_interval
        self.end_time = end_time

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """The trigger as Airflow stores it."""
        return (
            "airflow_provider_logto.triggers.users.UserTrigger",
            {
                "logto_conn_id": self.logto_conn_id,
                "user": self.user,
                "condition": self.condition,
                "since_ms": self.since_ms,
                "poke_interval": self.poke_interval,
                "end_time": self.end_time,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look, sleep, look again; only reads are sent, so a restarted triggerer may run it again."""
        # Imported here: the worker serializes this class without needing what it calls.
        from airflow_provider_logto.exceptions import LogtoError
        from airflow_provider_logto.hooks.logto import LogtoHook
        from airflow_provider_logto.management.conditions import check_user

        failures = 0
        try:
            async with LogtoHook(self.logto_conn_id).client() as client:
                while True:
                    try:
                        if await check_user(client, self.user, self.condition, self.since_ms):
                            yield self._event("success", f"the condition {self.condition!r} is true")
                            return
                        failures = 0
                    except LogtoError as error:
                        failures += 1
                        if not error.transient or failures >= MAX_CONSECUTIVE_FAILURES:
                            raise
                        self.log.warning("Look %d failed: %s", failures, error)
                    left = self.end_time - time.time()
                    if left <= 0:
                        yield self._event("timeout", f"the condition {self.condition!r} did not come true in time")
                        return
                    await asyncio.sleep(min(self.poke_interval, left))
        except LogtoError as error:
            yield self._event("error", str(error))

    @staticmethod
    def _event(status: str, message: str) -> TriggerEvent:
        return TriggerEvent({"status": status, "message": message})  # type: ignore[no-untyped-call]
