"""Links from a task's page to what it made, in the Logto Console. Shown where the Connection names ``console_url``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow_provider_logto.compat import BaseOperatorLink

if TYPE_CHECKING:
    from airflow_provider_logto.compat import BaseOperator


class ConsoleLink(BaseOperatorLink):
    """One object in the Logto Console."""

    name = "Logto Console"
    #: The Console's page of the family, e.g. ``users``.
    page = ""

    def get_link(self, operator: BaseOperator, *, ti_key: Any) -> str:
        """The address; empty where there is no Console or the task returned nothing.

        Airflow asks at the end of the task (3.x) or when the page is shown (2.11).
        """
        from airflow_provider_logto.compat import XCom
        from airflow_provider_logto.hooks.logto import LogtoHook

        console = LogtoHook(str(getattr(operator, "logto_conn_id", "logto_default"))).console_url()
        result = XCom.get_value(ti_key=ti_key, key="return_value") if console else None
        if not isinstance(result, dict) or not isinstance(result.get("id"), str):
            return ""
        return f"{console}/{self.page}/{quote(result['id'], safe='')}"


class UserLink(ConsoleLink):
    """The user in the Logto Console."""

    page = "users"


class OrganizationLink(ConsoleLink):
    """The organization in the Logto Console."""

    page = "organizations"
