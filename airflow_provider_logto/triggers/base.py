"""What the triggers that look again and again share."""

from __future__ import annotations

import asyncio
import time
from abc import abstractmethod
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_logto.waiting import MIN_LOOK_TIME, MIN_POKE_INTERVAL, event_of

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

    Its event is ``{"status": "success" | "timeout"}`` or what
    :func:`~airflow_provider_logto.waiting.event_of` makes of an error.
    """

    def __init__(self, logto_conn_id: str, condition: str, poke_interval: float, end_time: float) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.logto_conn_id = logto_conn_id
        self.condition = condition
        self.poke_interval = poke_interval
        self.end_time = end_time
        #: Whether the Connection, as it was last read, has served a look.
        self._served = False

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
        from airflow_provider_logto.compat import redact
        from airflow_provider_logto.exceptions import LogtoError

        try:
            event: Any = {"status": "success" if await self._wait_with_connection() else "timeout"}
        except LogtoError as error:
            event = redact(event_of(error))
        yield TriggerEvent(event)  # type: ignore[no-untyped-call]

    async def _wait_with_connection(self) -> bool:
        """:meth:`_wait`; the Connection is read once more where its secret has been rotated meanwhile."""
        from airflow_provider_logto.exceptions import AuthFailed
        from airflow_provider_logto.hooks.logto import LogtoHook

        while True:
            try:
                async with LogtoHook(self.logto_conn_id).client() as client:
                    return await self._wait(client)
            except AuthFailed as error:
                if not self._served:
                    raise
                self._served = False
                self.log.warning("The Connection %s is read again: %s", self.logto_conn_id, error)

    async def _wait(self, client: LogtoClient) -> bool:
        """
        :returns: True when the condition is true, False when the deadline passed first.
        :raises LogtoError: of a look that failed for good, the last of many in a row, or of the last look of all.
        """
        from airflow_provider_logto.exceptions import LogtoError

        failures, failure = 0, None
        while True:
            try:
                async with asyncio.timeout(max(self.end_time - time.time(), MIN_LOOK_TIME)):
                    if await self.look(client):
                        return True
                failures, failure = 0, None
                self._served = True
            except TimeoutError:
                if failure is not None:
                    raise failure from None  # what could not be found out has not proven to be untrue
                return False
            except LogtoError as error:
                failures, failure = failures + 1, error
                if not error.transient or failures >= MAX_CONSECUTIVE_FAILURES:
                    raise
                self.log.warning("Look %d failed: %s", failures, error)
                if time.time() >= self.end_time:
                    raise
            left = self.end_time - time.time()
            if left <= 0:
                return False
            await asyncio.sleep(min(max(self.poke_interval, MIN_POKE_INTERVAL), left))
