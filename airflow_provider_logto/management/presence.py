"""Is it there? What is absent, told apart from what the server does not know at all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_logto.client.client import LogtoClient
from airflow_provider_logto.exceptions import Conflict, LogtoApiError, NotFound, NotFromLogto

#: What the organization roles of somebody who is no member answer, before anything is looked up.
_NO_MEMBER = "organization.require_membership"


def is_unknown_operation(error: LogtoApiError) -> bool:
    """Whether an older Logto refused because it has no such operation: its 404 and 405 carry no code."""
    return error.code is None and error.status in (404, 405) and not isinstance(error, NotFromLogto)


async def delete(client: LogtoClient, path: str, query: Mapping[str, Any] | None = None) -> bool:
    """Delete an object.

    :returns: whether it was there; one that is absent is no error, nor is a role of somebody who is no member.
    :raises LogtoApiError: where the server has no such operation (see :func:`is_unknown_operation`), or refuses.
    """
    try:
        await client.request("DELETE", path, query)
    except NotFound as error:
        if is_unknown_operation(error):
            raise
        return False
    except Conflict as error:
        if error.code != _NO_MEMBER:
            raise
        return False
    return True
