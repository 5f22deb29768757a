"""What the triggers that look again and again share."""

from __future__ import annotations

import asyncio
import time
from abc import abstractmethod
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

if TYPE_CHECKING:
    from airflow_provider_logto.client.client import LogtoClient

#: How many failures in a row that waiting may fix are borne before the trigger gives up.
MAX_CONSECUTIVE_FAILURES = 10


class PollingTrigger(BaseTrigger):
    """Waits in the triggerer until a condition is true; carries no secret and no state.

    :param logto_conn_id: the Connection of type ``logto``.
    :param condition: what is awaited, in the words of the sensor.
    :param poke_interval: seconds between two looks.
    :param end_time: deadline, epoch seconds; absolute, so that it outlives a restart of the triggerer.

    Its event is ``{"status": "success" | "timeout" | "error", "message": str}``.
    """

    def __init__(self, logto_conn_id: str, condition: str, poke_interval: float, end_time: float) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.logto_conn_id = logto_conn_id
        self.condition = condition
        self.poke_interval = poke_interval
        self.end_time = end_time

    @abstractmethod
    def subject(self) -> dict[str, Any]:
        """The arguments that a subclass has besides."""

    @abstractmethod
    async def look(self, client: LogtoClient) -> bool:
        """Whether the condition is true now; only reads.

        :raises LogtoError: where it cannot be found out, or can no longer come true.
        """

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """The trigger as Airflow stores it."""
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {
                "logto_conn_id": self.logto_conn_id,
                **self.subject(),
                "condition": self.condition,
                "poke_interval": self.poke_interval,
                "end_time": self.end_time,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look, sleep, look again; only reads are sent, so a restarted triggerer may run it again."""
        # Imported here: the worker serializes this class without needing what it calls.
        from airflow_provider_logto.exceptions import LogtoError
        from airflow_provider_logto.hooks.logto import LogtoHook

        failures = 0
        try:
            async with LogtoHook(self.logto_conn_id).client() as client:
                while True:
                    try:
                        if await self.look(client):
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
