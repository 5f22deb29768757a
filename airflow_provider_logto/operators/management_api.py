"""The operator for everything that has none of its own."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_logto.compat import mask_secret
from airflow_provider_logto.exceptions import InvalidInput, LogtoError, NotFound, OutcomeUnknown
from airflow_provider_logto.failures import fail_on_permanent_error
from airflow_provider_logto.operators.base import Hidden, LogtoOperator, counted

if TYPE_CHECKING:
    from airflow_provider_logto.compat import Context
    from airflow_provider_logto.management.operations import Call, IfNotFound


#: Names of secret fields in Logto's operations that Airflow does not know; ``auth.pass`` is that of a mail connector.
_SECRET = re.compile("^pass$|secret|api-?key|private-?key|signing-?key|access-?key|authorization", re.IGNORECASE)


class ManagementApiOperator(LogtoOperator):
    """Call any JSON operation of Logto's Management API, with the package's own retries, pace and errors.

    Passwords, secrets and tokens in the body are masked in the task's log, by the names of their fields.

    What it returns goes into XCom as it is: for operations that answer with secrets (application secrets, connectors,
    webhook signing keys) use ``do_xcom_push=False``, or the hook in a task of your own. What is too large for XCom
    goes to a ``destination``.

    Path, places and query parameters are checked against a table of the known operations before anything is sent; one
    that the table lacks, of a newer server, is sent with a warning.

    It cannot look whether a lost ``POST`` took effect, as the other operators do: it fails without a retry then. It
    does so too where ``execution_timeout`` or the end of the worker stops it while it waits for the answer, and where
    ``response_filter`` or the ``destination`` fails afterwards.

    :param method: GET, POST, PUT, PATCH or DELETE; GET by default (templated).
    :param path: e.g. ``/applications/{id}/custom-data`` (templated).
    :param operation_id: instead of method and path: Logto's own name of the operation, e.g. ``ListUsers`` (templated).
    :param path_params: values of the ``{name}`` places; they are percent-encoded (templated).
    :param query: parameters; a list repeats its key (templated).
    :param body: what is sent as JSON (templated).
    :param paginate: fetch every page of a list and return all items.
    :param max_items: with ``paginate``: stop after as many items.
    :param response_filter: a function that is given the answer and returns what is wanted of it; with ``paginate`` it
        is given each item, and leaves out those for which it returns None.
    :param if_not_found: what to do when the object does not exist: ``fail``, ``skip`` (the task is skipped) or
        ``none`` (None is returned) (templated).
    :param destination: a file to write the answer to, as anything that ObjectStoragePath takes:
        ``s3://aws_default@bucket/users.jsonl.gz``; JSON lines with ``paginate``, gzip where it ends in ``.gz``
        (templated).
    :param logto_conn_id: the Connection of type ``logto``.
    :returns: parsed JSON, text, None, or the list of all items; with ``destination``
        ``{"destination": address, "count": items}``.
    :raises InvalidInput: for a misspelt operation or query parameter, a path with a host or ``..``, a missing value, a
        body that is no JSON or over 1 MB.
    :raises LogtoApiError: the subclass that fits the refusal.
    :raises AirflowSkipException: with ``if_not_found="skip"``.

    .. seealso:: Logto Management API reference, https://openapi.logto.io/
    """

    unrepeatable = True
    template_fields: Sequence[str] = (
        "method",
        "path",
        "operation_id",
        "path_params",
        "query",
        "body",
        "if_not_found",
        "destination",
        "logto_conn_id",
    )
    template_fields_renderers = {"path_params": "json", "query": "json", "body": "json"}  # noqa: RUF012

    def __init__(
        self,
        *,
        method: str | None = None,
        path: str | None = None,
        operation_id: str | None = None,
        path_params: Mapping[str, Any] | None = None,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        paginate: bool = False,
        max_items: int | None = None,
        response_filter: Callable[[Any], Any] | None = None,
        if_not_found: IfNotFound = "fail",
        destination: str | None = None,
        logto_conn_id: str = "logto_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(logto_conn_id=logto_conn_id, **kwargs)
        self.method = method
        self.path = path
        self.operation_id = operation_id
        self.path_params = path_params
        self.query = query
        self.body = body
        self.paginate = paginate
        self.max_items = max_items
        self.response_filter = response_filter
        self.if_not_found = if_not_found
        self.destination = destination

    @fail_on_permanent_error
    def execute(self, context: Context) -> Any:
        from airflow_provider_logto.compat import (
            AirflowFailException,
            AirflowSkipException,
            AirflowTaskTerminated,
            AirflowTaskTimeout,
            TaskDeferred,
            was_set_from_outside,
        )
        from airflow_provider_logto.management.operations import IF_NOT_FOUND, Call
        from airflow_provider_logto.management.presence import is_unknown_operation

        if self.if_not_found not in IF_NOT_FOUND:
            raise InvalidInput(
                "if_not_found", f"{self.if_not_found!r} is unknown; use one of {', '.join(IF_NOT_FOUND)}"
            )
        call = Call.checked(
            self.method,
            self.path,
            operation_id=self.operation_id,
            path_params=self.path_params,
            query=self.query,
            body=self.body.value if isinstance(self.body, Hidden) else self.body,
            paginate=self.paginate,
            max_items=self.max_items,
        )
        self.hide_secrets()
        # Not the path with its values: one may be an address.
        named = call.operation.path if call.operation else self.path
        try:
            answer = self._answer(call)
        except NotFound as error:
            if self.if_not_found == "fail" or is_unknown_operation(error):
                raise
            if self.if_not_found == "skip":
                raise AirflowSkipException(str(error)) from error
            self.log.info("%s; None is returned", error)
            answer = None
        except (LogtoError, AirflowFailException, AirflowSkipException, TaskDeferred):
            raise
        except (AirflowTaskTimeout, AirflowTaskTerminated, Exception) as error:
            # Airflow would try again. What has left by now may have taken effect, also where what was made of the
            # answer failed.
            if call.repeatable or not self.hook.traffic.writes:
                raise
            if isinstance(error, AirflowTaskTerminated) and was_set_from_outside(context):
                raise
            raise OutcomeUnknown(f"{call.method} /api{call.path}", error) from error
        self.log_summary(
            f"{call.method} {named}",
            counted(len(answer), "item") if call.paginate and isinstance(answer, list) else "done",
        )
        return answer

    def hide_secrets(self) -> None:
        if isinstance(self.body, Hidden):
            return
        try:
            # As it will be sent: Airflow takes no tuples and no keys that are no texts.
            body = json.loads(json.dumps(self.body))
        except (TypeError, ValueError, RecursionError):
            body = ""
        if isinstance(body, str):  # refused, but stored before
            self.body = Hidden(self.body)
        for part in body if isinstance(body, list) else [body]:
            if isinstance(part, dict):
                # What Airflow itself takes for secret, by the names of the fields.
                mask_secret(part)
        for secret in _secrets_in(body):
            mask_secret(secret)

    def _answer(self, call: Call) -> Any:
        from airflow_provider_logto.management.operations import call_operation

        if not self.destination:
            return self.hook.run(call_operation, call, self.response_filter)
        from airflow_provider_logto.destinations import file_at
        from airflow_provider_logto.export.answers import save_operation

        folder, name = file_at(self.destination)
        folder.check(name)
        result = self.hook.run(save_operation, call, folder, name, self.response_filter)
        self.log.info("%s in %s", counted(result["count"], "item"), result["destination"])
        return result


def _secrets_in(value: Any, secret: bool = False) -> Iterator[str]:
    """The texts of a body whose fields are named like secrets, at any depth."""
    if isinstance(value, str):
        if secret and value:
            yield value
    elif isinstance(value, Mapping):
        for name, part in value.items():
            yield from _secrets_in(part, bool(_SECRET.search(name.replace("_", ""))))
    elif isinstance(value, list):
        for part in value:
            yield from _secrets_in(part, secret)
