"""Writes about relations between many objects."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from airflow_provider_logto.client.client import LogtoClient
from airflow_provider_logto.exceptions import NotFound

#: Users in one bulk write: a body far below the server's limit, answered in half a second.
PER_WRITE = 500


def batched(items: Sequence[str], size: int) -> Iterator[list[str]]:
    """Lists of at most ``size`` items."""
    return (list(items[start : start + size]) for start in range(0, len(items), size))


async def delete_relation(client: LogtoClient, path: str) -> None:
    """Take a role or a membership away; one that is not there is done.

    :raises NotFound: where the path itself is unknown, as a proxy or an older server says it.
    """
    try:
        await client.request("DELETE", path)
    except NotFound as error:
        if error.code is None:
            raise
