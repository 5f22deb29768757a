"""One client for everybody who talks to one tenant in one event loop: hundreds of triggers, one pool of connections."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import AsyncIterator, Callable, Hashable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from airflow_provider_logto.client.client import LogtoClient


@dataclass
class _Shared:
    client: LogtoClient
    users: int = 0


_clients: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Hashable, _Shared]] = weakref.WeakKeyDictionary()


@asynccontextmanager
async def shared_client(key: Hashable, make: Callable[[], LogtoClient]) -> AsyncIterator[LogtoClient]:
    """The client that everybody in the running event loop who names the same ``key`` uses together.

    :param key: everything that tells one client from another, credentials included.
    :param make: makes it for the first; the last one out closes it.
    """
    clients = _clients.setdefault(asyncio.get_running_loop(), {})
    if key not in clients:
        clients[key] = _Shared(make())
    shared = clients[key]
    shared.users += 1
    try:
        yield shared.client
    finally:
        shared.users -= 1
        if shared.users == 0:
            # Removed from the table first, so that a caller that comes while it closes gets a new one.
            clients.pop(key, None)
            await shared.client.close()
