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
        """The address; empty where there is no Console, the task returned nothing, or the Connection cannot be read.

        Airflow asks at the end of the task (3.x) or when the page is shown (2.11), where only the task may know the
        Connection. What is raised here costs a task of 3.0 its callbacks.
        """
        from airflow_provider_logto.compat import XCom
        from airflow_provider_logto.hooks.logto import LogtoHook

        # 2.11 asks a mapped task without it, and one with a template before it is rendered.
        conn_id = getattr(operator, "logto_conn_id", None)
        if not isinstance(conn_id, str) or "{{" in conn_id:
            return ""
        try:
            console = LogtoHook(conn_id).console_url()
            result = XCom.get_value(ti_key=ti_key, key="return_value") if console else None
        except Exception:  # its type depends on Airflow's version and on the secrets backend
            return ""
        if not isinstance(result, dict) or not isinstance(result.get("id"), str):
            return ""
        return f"{console}/{self.page}/{quote(result['id'], safe='')}"


class UserLink(ConsoleLink):
    """The user in the Logto Console."""

    page = "users"


class OrganizationLink(ConsoleLink):
    """The organization in the Logto Console."""

    page = "organizations"
