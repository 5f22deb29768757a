"""Where a token lives between requests and tasks."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Protocol

#: Seconds to wait for another task's fetch; afterwards a token is fetched without the lock.
LOCK_PATIENCE = 20.0


@dataclass(frozen=True)
class Token:
    """One M2M access token.

    :param value: the bearer; kept out of every repr.
    :param issued_at: epoch seconds by the server's clock, when the request for it left.
    :param expires_at: epoch seconds by the server's clock.
    :param skew: seconds that the server's clock was ahead of ours then.
    """

    value: str = field(repr=False)
    issued_at: float
    expires_at: float
    skew: float = 0.0


class TokenCache(Protocol):
    """Keeps tokens by key. A key never equals another tenant's, application's or secret's."""

    async def get(self, key: str) -> Token | None:
        """The token kept for this key, fresh or not; None when there is none."""

    async def put(self, key: str, token: Token) -> None:
        """Keep a token, replacing the one before."""

    async def drop(self, key: str, token: Token) -> None:
        """Forget this very token; another one kept under the key meanwhile stays."""

    def lock(self, key: str, patience: float = LOCK_PATIENCE) -> AbstractAsyncContextManager[bool]:
        """Held while a token is fetched, so that the others wait for that one fetch.

        :param patience: seconds to wait for it; 0 means try once.
        :returns: a context that yields whether the lock is held.
        """

    async def close(self) -> None:
        """Release what is held for the running event loop."""


class ProcessTokenCache:
    """Tokens of this process. One task attempt is one process; a triggerer is one for all of its triggers."""

    def __init__(self) -> None:
        self._tokens: dict[str, Token] = {}
        self._guard = threading.Lock()
        self._locks: dict[str, threading.Lock] = {}

    async def get(self, key: str) -> Token | None:
        return self._tokens.get(key)

    async def put(self, key: str, token: Token) -> None:
        self._tokens[key] = token

    async def drop(self, key: str, token: Token) -> None:
        with self._guard:
            if self._tokens.get(key) == token:
                del self._tokens[key]

    @asynccontextmanager
    async def lock(self, key: str, patience: float = LOCK_PATIENCE) -> AsyncIterator[bool]:
        with self._guard:
            lock = self._locks.setdefault(key, threading.Lock())
        # Polled, not awaited: an asyncio.Lock belongs to one event loop, and operators start one loop a call.
        held = await poll(lambda: lock.acquire(blocking=False), patience)
        try:
            yield held
        finally:
            if held:
                lock.release()

    async def close(self) -> None:
        return None


async def poll(attempt: Callable[[], bool], patience: float, pause: float = 0.01) -> bool:
    """Try until it succeeds or ``patience`` seconds have passed; never blocks the event loop.

    :param pause: seconds between the first two tries; each next one is half as long again, up to 0.1.
    """
    end = time.monotonic() + patience
    while not attempt():
        left = end - time.monotonic()
        if left <= 0:
            return False
        await asyncio.sleep(min(left, pause * random.uniform(0.5, 1.5)))  # noqa: S311
        pause = min(0.1, pause * 1.5)
    return True


#: Shared by every client of this process.
PROCESS_TOKENS = ProcessTokenCache()
