"""Links from a task's page to what it made, in the Logto Console. Shown where the Connection names ``console_url``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_logto.compat import BaseOperatorLink

if TYPE_CHECKING:
    from airflow_provider_logto.compat import BaseOperator


def _console_link(operator: BaseOperator, ti_key: Any, place: str) -> str:
    """The address of one object; empty where there is no Console or the task returned nothing."""
    from airflow_provider_logto.compat import BaseHook, XCom

    connection = BaseHook.get_connection(str(getattr(operator, "logto_conn_id", "logto_default")))
    console = connection.extra_dejson.get("console_url")
    result = XCom.get_value(ti_key=ti_key, key="return_value") if console else None
    if not isinstance(result, dict) or "id" not in result:
        return ""
    return f"{str(console).rstrip('/')}/{place}/{result['id']}"


class UserLink(BaseOperatorLink):
    """The user in the Logto Console."""

    name = "Logto Console"

    def get_link(self, operator: BaseOperator, *, ti_key: Any) -> str:
        """Airflow asks at the end of the task (3.x) or when the page is shown (2.11)."""
        return _console_link(operator, ti_key, "users")


class OrganizationLink(BaseOperatorLink):
    """The organization in the Logto Console."""

    name = "Logto Console"

    def get_link(self, operator: BaseOperator, *, ti_key: Any) -> str:
        """Airflow asks at the end of the task (3.x) or when the page is shown (2.11)."""
        return _console_link(operator, ti_key, "organizations")
