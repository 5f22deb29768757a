"""Any JSON operation of the Management API, for what has no function of its own.

Source: Logto Management API reference (https://openapi.logto.io/).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from airflow_provider_logto.client.client import LogtoClient, path_of
from airflow_provider_logto.exceptions import InvalidInput


def filled_path(path: Any, path_params: Mapping[str, Any] | None = None) -> str:
    """Fill the ``{name}`` places of a path with percent-encoded values.

    :raises InvalidInput: for a missing, unknown or empty value.
    """
    if not isinstance(path, str):
        raise InvalidInput("path", f"must be text, not {type(path).__name__}")
    if path_params is not None and not isinstance(path_params, Mapping):
        raise InvalidInput("path_params", f"must be an object, not {type(path_params).__name__}")
    given = dict(path_params or {})
    names = re.findall(r"\{([^{}]*)\}", path)
    values = []
    for name in names:
        value = given.pop(name, None)
        if not isinstance(value, str | int) or isinstance(value, bool) or value == "":
            raise InvalidInput(f"path_params.{name}", f"missing or empty; the path {path} needs it")
        values.append(str(value))
    if given:
        raise InvalidInput(f"path_params.{min(given)}", f"is not in the path {path}")
    return path_of(re.sub(r"\{[^{}]*\}", "{}", path), *values)


async def call_operation(
    client: LogtoClient,
    method: str,
    path: str,
    path_params: Mapping[str, Any] | None = None,
    query: Mapping[str, Any] | None = None,
    body: Any = None,
    paginate: bool = False,
) -> Any:
    """Call one operation.

    :param paginate: fetch every page of a list and return all items.
    :returns: parsed JSON, text, None, or the list of all items.
    :raises InvalidInput: before anything is sent.
    """
    if query is not None and not isinstance(query, Mapping):
        raise InvalidInput("query", f"must be an object, not {type(query).__name__}")
    target = filled_path(path, path_params)
    if not paginate:
        return await client.request(method, target, query, body)
    if method.upper() != "GET" or body is not None:
        raise InvalidInput("paginate", "only a GET without body has pages")
    return await client.collect(target, query)
