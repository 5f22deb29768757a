"""Sensors for people."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow_provider_logto.compat import (
    AirflowSensorTimeout,
    AirflowSkipException,
    BaseSensorOperator,
    conf,
)
from airflow_provider_logto.exceptions import LogtoError
from airflow_provider_logto.failures import fail_on_permanent_error

if TYPE_CHECKING:
    from airflow_provider_logto.compat import Context
    from airflow_provider_logto.hooks.logto import LogtoHook
    from airflow_provider_logto.management.conditions import Condition

#: Seconds between the trigger's own deadline and the one that Airflow enforces: the trigger's says what was awaited.
_DEADLINE_MARGIN = 60.0


class UserSensor(BaseSensorOperator):
    """Wait until something is true of a person.

    :param user: a reference: id, e-mail, username, phone, ``{"username": ...}``, or what CreateUserOperator returned
        (templated).
    :param condition: ``exists``, ``absent``, ``suspended``, ``not_suspended`` or ``signed_in`` (templated).
    :param since: with ``signed_in``: a sign-in at or after this moment; aware datetime or ISO 8601 text (templated).
    :param deferrable: wait in the triggerer, without a worker slot.
    :param logto_conn_id: the Connection of type ``logto``.
    :raises InvalidInput: for a wrong argument, before any request.
    :raises Ambiguous: where the reference means more than one user.

    .. seealso:: Logto Management API, ``GET /api/users``.
    """

    template_fields: Sequence[str] = ("user", "condition", "since", "logto_conn_id")

    def __init__(
        self,
        *,
        user: Any,
        condition: Condition = "exists",
        since: datetime | str | None = None,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        logto_conn_id: str = "logto_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.user = user
        self.condition = condition
        self.since = since
        self.deferrable = deferrable
        self.logto_conn_id = logto_conn_id

    @cached_property
    def hook(self) -> LogtoHook:
        """The hook for this sensor's Connection."""
        from airflow_provider_logto.hooks.logto import LogtoHook

        return LogtoHook(self.logto_conn_id)

    @fail_on_permanent_error
    def poke(self, context: Context) -> bool:
        """Ask once.

        :returns: whether the condition is true now.
        """
        from airflow_provider_logto.management.conditions import check_condition, check_user

        since_ms = check_condition(self.user, self.condition, self.since)
        return self.hook.run(check_user, self.user, self.condition, since_ms)

    @fail_on_permanent_error
    def execute(self, context: Context) -> Any:
        """Wait, in the worker or in the triggerer."""
        if not self.deferrable:
            return super().execute(context)
        if not self.poke(context):
            self._defer()
        self.log.info("The condition %r is true already", self.condition)
        return None

    def _defer(self) -> None:
        from airflow_provider_logto.management.conditions import check_condition
        from airflow_provider_logto.triggers.users import UserTrigger

        self.defer(
            trigger=UserTrigger(
                logto_conn_id=self.logto_conn_id,
                user=dict(self.user) if isinstance(self.user, dict) else self.user,
                condition=self.condition,
                since_ms=check_condition(self.user, self.condition, self.since),
                poke_interval=float(self.poke_interval),
                end_time=time.time() + float(self.timeout),
            ),
            method_name="execute_complete",
            timeout=timedelta(seconds=float(self.timeout) + _DEADLINE_MARGIN),
        )

    @fail_on_permanent_error
    def execute_complete(self, context: Context, event: dict[str, Any] | None = None) -> None:
        """Resume with what the trigger found.

        :raises AirflowSensorTimeout: the deadline passed first (AirflowSkipException with ``soft_fail``).
        :raises LogtoError: the trigger could not find out.
        """
        from airflow_provider_logto.management.references import Reference

        status = (event or {}).get("status")
        message = (event or {}).get("message") or f"the trigger sent {event!r}"
        message = f"User {Reference.parse(self.user).given}: {message}"
        if status == "success":
            self.log.info("%s", message)
        elif status == "timeout":
            raise (AirflowSkipException if self.soft_fail else AirflowSensorTimeout)(message)
        else:
            raise LogtoError(message)
