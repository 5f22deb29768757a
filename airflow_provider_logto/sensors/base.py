"""What every sensor of this package shares: the Connection, two ways to wait, one way to resume."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow_provider_logto.compat import (
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    AirflowTaskTimeout,
    BaseSensorOperator,
    poke_until_true,
)
from airflow_provider_logto.exceptions import LogtoError
from airflow_provider_logto.failures import fail_on_permanent_error
from airflow_provider_logto.waiting import MIN_LOOK_TIME, MIN_POKE_INTERVAL, error_of

if TYPE_CHECKING:
    from airflow_provider_logto.compat import Context
    from airflow_provider_logto.hooks.logto import LogtoHook
    from airflow_provider_logto.triggers.base import PollingTrigger

#: Seconds between the trigger's own deadline and the one that Airflow enforces: the trigger's says what was awaited.
_DEADLINE_MARGIN = 60.0


class LogtoSensor(BaseSensorOperator):
    """Base of the sensors.

    :param deferrable: wait in the triggerer, without a worker slot.
    :param logto_conn_id: the Connection of type ``logto``.
    """

    #: What is awaited; a subclass takes it.
    condition: str

    def __init__(self, *, deferrable: bool, logto_conn_id: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.deferrable = deferrable
        self.logto_conn_id = logto_conn_id
        self._deadline = 0.0

    @cached_property
    def hook(self) -> LogtoHook:
        """The hook for this sensor's Connection."""
        from airflow_provider_logto.hooks.logto import LogtoHook

        return LogtoHook(self.logto_conn_id)

    @abstractmethod
    def look(self) -> bool:
        """Whether the condition is true now.

        :raises LogtoError: where it cannot be found out, or can no longer come true.
        """

    @abstractmethod
    def make_trigger(self, poke_interval: float, end_time: float) -> PollingTrigger:
        """The trigger that waits in this sensor's place."""

    @abstractmethod
    def awaited(self) -> str:
        """Of whom or what something is awaited, for messages."""

    @fail_on_permanent_error
    def poke(self, context: Context) -> bool:
        """Ask once.

        :returns: whether the condition is true now.
        """
        self.hook.deadline = max(self._deadline, time.monotonic() + MIN_LOOK_TIME)
        found = self.look()
        self.log.info("%s: the condition %r is %s", self.awaited(), self.condition, "true" if found else "not yet true")
        return found

    @fail_on_permanent_error
    def execute(self, context: Context) -> Any:
        """Wait, in the worker or in the triggerer.

        :raises AirflowSensorTimeout: the condition did not come true in time (AirflowSkipException with ``soft_fail``).
        """
        self.poke_interval = max(float(self.poke_interval), MIN_POKE_INTERVAL)
        self._deadline = time.monotonic() + float(self.timeout)
        if not self.deferrable:
            try:
                return poke_until_true(self, context)
            except (AirflowSensorTimeout, AirflowSkipException) as error:
                if error.__cause__ is not None:  # with soft_fail or never_fail an error skips the task too
                    raise type(error)(f"{self.awaited()}: {error.__cause__} ({error})") from error.__cause__
                raise type(error)(f"{self.awaited()}: {self._in_vain()} ({error})") from error
        with self._softened():
            if self._first_look(context):
                return None
        return self.defer(
            trigger=self.make_trigger(self.poke_interval, time.time() + float(self.timeout)),
            method_name="execute_complete",
            timeout=timedelta(seconds=float(self.timeout) + _DEADLINE_MARGIN),
        )

    @fail_on_permanent_error
    def execute_complete(self, context: Context, event: dict[str, Any] | None = None) -> None:
        """Resume with what the trigger found.

        :raises AirflowSensorTimeout: the deadline passed first (AirflowSkipException with ``soft_fail``).
        :raises LogtoError: the trigger could not find out.
        """
        with self._softened():
            self._resume(event or {})

    def _first_look(self, context: Context) -> bool:
        try:
            return self.poke(context)
        except LogtoError:
            if not self.silent_fail:
                raise
            self.log.exception("The first look failed")
            return False

    @contextmanager
    def _softened(self) -> Iterator[None]:
        """``soft_fail`` and ``never_fail`` outside Airflow's own loop, as they are inside it."""
        try:
            yield
        except AirflowSensorTimeout as error:
            if self.soft_fail:
                raise AirflowSkipException(str(error)) from error
            raise
        except (AirflowTaskTimeout, AirflowFailException) as error:
            if self.soft_fail or self.never_fail:
                raise AirflowSkipException(f"{self.awaited()}: {error}") from error
            raise
        except LogtoError as error:
            if self.never_fail:
                raise AirflowSkipException(f"{self.awaited()}: {error}") from error
            raise

    @fail_on_permanent_error
    def _resume(self, event: dict[str, Any]) -> None:
        if event.get("status") == "success":
            self.log.info("%s: the condition %r is true", self.awaited(), self.condition)
        elif event.get("status") == "timeout":
            raise AirflowSensorTimeout(f"{self.awaited()}: {self._in_vain()}")
        else:
            # The triggerer's log masks what its triggers learned, this one not yet.
            with suppress(Exception):
                self.hook.mask_secrets()
            self.log.info("%s: the trigger gave up", self.awaited())
            raise error_of(event)

    def _in_vain(self) -> str:
        return f"the condition {self.condition!r} did not come true within {self.timeout:g} s"
