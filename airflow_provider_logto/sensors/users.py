"""Sensors for people."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_logto.compat import conf
from airflow_provider_logto.sensors.base import LogtoSensor

if TYPE_CHECKING:
    from airflow_provider_logto.management.conditions import Condition
    from airflow_provider_logto.triggers.users import UserTrigger


class UserSensor(LogtoSensor):
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
        super().__init__(deferrable=deferrable, logto_conn_id=logto_conn_id, **kwargs)
        self.user = user
        self.condition = condition
        self.since = since

    def look(self) -> bool:
        """Whether the condition is true of the person now."""
        from airflow_provider_logto.management.conditions import check_user

        return self.hook.run(check_user, self.user, self.condition, self._since_ms())

    def make_trigger(self, poke_interval: float, end_time: float) -> UserTrigger:
        """The trigger that waits in this sensor's place."""
        from airflow_provider_logto.triggers.users import UserTrigger

        return UserTrigger(
            logto_conn_id=self.logto_conn_id,
            user=self._named(),
            condition=self.condition,
            since_ms=self._since_ms(),
            poke_interval=poke_interval,
            end_time=end_time,
        )

    def awaited(self) -> str:
        """The person, as they were named."""
        from airflow_provider_logto.management.references import Reference

        return f"User {Reference.parse(self.user).given}"

    def _named(self) -> Any:
        """The user for the trigger. An id says enough: a trigger's arguments stand in Airflow's database."""
        if not isinstance(self.user, dict):
            return self.user
        return {"id": self.user["id"]} if self.user.get("id") else dict(self.user)

    def _since_ms(self) -> int | None:
        from airflow_provider_logto.management.conditions import check_condition

        return check_condition(self.user, self.condition, self.since)
