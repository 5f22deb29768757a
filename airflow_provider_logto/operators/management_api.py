"""The operator for everything that has none of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_logto.operators.base import LogtoOperator

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context


class ManagementApiOperator(LogtoOperator):
    """Call any JSON operation of Logto's Management API, with the package's own retries, pace and errors.

    What it returns goes into XCom as it is: for operations that answer with secrets (application secrets, connectors,
    webhook signing keys) use ``do_xcom_push=False``, or the hook in a task of your own.

    It cannot look whether a lost ``POST`` took effect, as the other operators do: it fails without a retry then.

    :param method: GET, POST, PUT, PATCH or DELETE (templated).
    :param path: e.g. ``/applications/{id}/custom-data`` (templated).
    :param path_params: values of the ``{name}`` places; they are percent-encoded (templated).
    :param query: parameters; a list repeats its key (templated).
    :param body: what is sent as JSON (templated).
    :param paginate: fetch every page of a list and return all items.
    :param logto_conn_id: the Connection of type ``logto``.
    :returns: parsed JSON, text, None, or the list of all items.
    :raises InvalidInput: for a path with a host or ``..``, a missing value, a body that is no JSON or over 1 MB.
    :raises LogtoApiError: the subclass that fits the refusal.

    .. seealso:: Logto Management API reference, https://openapi.logto.io/
    """

    unrepeatable = True
    template_fields: Sequence[str] = ("method", "path", "path_params", "query", "body", "logto_conn_id")
    template_fields_renderers = {"path_params": "json", "query": "json", "body": "json"}  # noqa: RUF012

    def __init__(
        self,
        *,
        method: str = "GET",
        path: str,
        path_params: Mapping[str, Any] | None = None,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        paginate: bool = False,
        logto_conn_id: str = "logto_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(logto_conn_id=logto_conn_id, **kwargs)
        self.method = method
        self.path = path
        self.path_params = path_params
        self.query = query
        self.body = body
        self.paginate = paginate

    def act(self, context: Context) -> Any:
        from airflow_provider_logto.management.operations import call_operation

        return self.hook.run(
            call_operation, self.method, self.path, self.path_params, self.query, self.body, paginate=self.paginate
        )
