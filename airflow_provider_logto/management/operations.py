"""Any JSON operation of the Management API, for what has no function of its own.

Source: Logto Management API reference (https://openapi.logto.io/).
"""

from __future__ import annotations

import logging
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Literal

from airflow_provider_logto.client.arguments import checked_method, checked_path
from airflow_provider_logto.client.client import LogtoClient, path_of
from airflow_provider_logto.client.replies import Reply
from airflow_provider_logto.client.retrying import after_loss
from airflow_provider_logto.exceptions import InvalidInput, UnreadableAnswer
from airflow_provider_logto.management.fields import switch
from airflow_provider_logto.management.json_values import wrong_type
from airflow_provider_logto.management.operation_table import Operation, operation_at, operation_named

log = logging.getLogger(__name__)

IfNotFound = Literal["fail", "skip", "none"]
IF_NOT_FOUND = ("fail", "skip", "none")
#: Turns an answer, or one item of a list that is read page by page, into what is wanted of it.
ResponseFilter = Callable[[Any], Any]


@dataclass(frozen=True)
class Call:
    """One call of an operation, checked. Make one with :meth:`checked`.

    :param path: with its places filled, percent-encoded.
    :param operation: what the table knows of it; None for an operation of a newer server.
    :param paginate: read every page of the list.
    :param max_items: with ``paginate``: stop after as many items; None for all.
    """

    method: str
    path: str
    query: Mapping[str, Any] | None = None
    body: Any = None
    paginate: bool = False
    operation: Operation | None = None
    max_items: int | None = None

    @classmethod
    def checked(
        cls,
        method: Any = None,
        path: Any = None,
        *,
        operation_id: Any = None,
        path_params: Any = None,
        query: Any = None,
        body: Any = None,
        paginate: bool = False,
        max_items: Any = None,
    ) -> Call:
        """Check a call against the table of operations.

        :param method: GET by default.
        :param path: with ``{name}`` places; either this or ``operation_id``.
        :param operation_id: Logto's own name of the operation, which stands for its method and path.
        :raises InvalidInput: naming the argument and what would be right. An operation that the table lacks is no
            error, since a newer server may have it: a warning is logged.
        """
        paginate = switch("paginate", paginate)
        if query is not None and not isinstance(query, Mapping):
            raise InvalidInput("query", wrong_type("an object", query))
        if isinstance(body, str):
            raise InvalidInput("body", wrong_type("a JSON object or list", body))
        operation: Operation | None
        if operation_id:
            if path or method:
                raise InvalidInput("operation_id", "stands for method and path; leave these out")
            operation = operation_named(operation_id)
            method, target = operation.method, filled_path(operation.path, path_params)
        else:
            if not path:
                raise InvalidInput("path", "missing; give path or operation_id")
            method = checked_method(str(method or "GET"))
            target = checked_path(filled_path(path, path_params))
            operation = operation_at(method, target)
        if operation is None:
            log.warning("%s %s is unknown to this version of the provider; it is sent as it is", method, target)
        else:
            operation.check_query(query)
        if paginate:
            _check_paginate(method, body, operation)
        if max_items is not None:
            _check_max_items(max_items, paginate)
        return cls(method, target, query, body, paginate, operation, max_items)

    @property
    def repeatable(self) -> bool:
        """Whether sending it a second time changes nothing more."""
        return after_loss(self.method, self.path) == "repeat"


async def call_operation(client: LogtoClient, call: Call, response_filter: ResponseFilter | None = None) -> Any:
    """Call one operation.

    :param response_filter: is given the answer (with ``paginate``: each item; None leaves it out) and returns what is
        wanted of it.
    :returns: parsed JSON, text, None, or the list of all items.
    :raises InvalidInput: before anything is sent.
    """
    if call.paginate:
        return [item async for item in iterate_operation(client, call, response_filter)]
    reply = await client.send(call.method, call.path, call.query, call.body)
    _warn_of_more(call, reply)
    return response_filter(reply.data) if response_filter else reply.data


async def iterate_operation(
    client: LogtoClient, call: Call, response_filter: ResponseFilter | None = None
) -> AsyncIterator[Any]:
    """The items of a list operation, page by page; see :func:`call_operation`.

    :raises InvalidInput: where the answer turns out to be no list.
    """
    yielded = 0
    try:
        async with aclosing(client.iterate(call.path, call.query)) as items:
            async for item in items:
                wanted = response_filter(item) if response_filter else item
                if wanted is None and response_filter:
                    continue
                if yielded == call.max_items:
                    log.warning("GET %s: stopped at max_items=%d; there are more", call.path, yielded)
                    return
                yield wanted
                yielded += 1
    except UnreadableAnswer as error:
        if not yielded and error.status == 200 and call.operation is None:
            raise InvalidInput("paginate", f"leave it out: GET {call.path} does not answer a list ({error})") from error
        raise


def filled_path(path: Any, path_params: Any = None) -> str:
    """Fill the ``{name}`` places of a path with percent-encoded values.

    :raises InvalidInput: for a missing, unknown or empty value.
    """
    if not isinstance(path, str):
        raise InvalidInput("path", f"must be text, not {type(path).__name__}")
    if path_params is not None and not isinstance(path_params, Mapping):
        raise InvalidInput("path_params", wrong_type("an object", path_params))
    if re.search(r"[{}]", re.sub(r"\{[^{}]*\}", "", path)):
        raise InvalidInput("path", f"{path!r} has a brace without its other half; a place is written {{name}}")
    given = dict(path_params or {})
    names = re.findall(r"\{([^{}]*)\}", path)
    values = []
    for name in names:
        value = given.pop(name, None)
        if not isinstance(value, str | int) or isinstance(value, bool) or value == "":
            raise InvalidInput(f"path_params.{name}", f"missing or empty; the path {path} needs it")
        values.append(str(value))
    if given:
        raise InvalidInput(f"path_params.{min(given, key=str)}", f"is not in the path {path}")
    return path_of(re.sub(r"\{[^{}]*\}", "{}", path), *values)


def _warn_of_more(call: Call, reply: Reply) -> None:
    if not isinstance(reply.data, list) or "page" in (call.query or {}):
        return
    if reply.total is not None and reply.total > len(reply.data):
        log.warning(
            "%s %s: these are %d of %s items; paginate=True fetches all",
            call.method,
            call.path,
            len(reply.data),
            reply.total,
        )


def _check_max_items(value: Any, paginate: bool) -> None:
    if not paginate:
        raise InvalidInput("max_items", "only goes with paginate=True")
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InvalidInput("max_items", f"{value!r} is not a whole number of at least 1")


def _check_paginate(method: str, body: Any, operation: Operation | None) -> None:
    if method != "GET" or body is not None:
        raise InvalidInput("paginate", "only a GET without body has pages")
    if operation is not None and not operation.list:
        raise InvalidInput("paginate", f"{operation.id} answers no list")
