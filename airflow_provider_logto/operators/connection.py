"""Operators for the Connection itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_logto.failures import fail_on_permanent_error
from airflow_provider_logto.operators.base import LogtoOperator

if TYPE_CHECKING:
    from airflow_provider_logto.compat import Context


class CheckConnectionOperator(LogtoOperator):
    """Check that the Connection works from where tasks run: the same check as the button of the Connection form.

    For a canary DAG, and for where the button is disabled (``[core] test_connection``) or runs on another machine than
    the tasks. It fetches a new token and counts the users, past every cache; it changes nothing.

    :param logto_conn_id: the Connection of type ``logto`` (templated).
    :returns: ``{"endpoint", "app_id", "users"}``: what was reached, as whom, and how many users are there.
    :raises LogtoError: what is wrong with the Connection, and what to fix.

    .. seealso:: Logto Management API, ``GET /api/users``; ``docs/connection.md``.
    """

    template_fields: Sequence[str] = ("logto_conn_id",)

    def __init__(self, *, logto_conn_id: str = "logto_default", **kwargs: Any) -> None:
        super().__init__(logto_conn_id=logto_conn_id, **kwargs)

    @fail_on_permanent_error
    def execute(self, context: Context) -> dict[str, Any]:
        found = self.hook.check()
        self.log_summary(f"Application {found['app_id']}", "may use the Management API")
        return found
