"""Where a token lives between requests and tasks."""

from __future__ import annotations

import asyncio
import threading
import weakref
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True)
class Token:
    """One M2M access token.

    :param value: the bearer; kept out of every repr.
    :param issued_at: local wall clock, epoch seconds, when the request for it left.
    :param expires_at: local wall clock, epoch seconds.
    """

    value: str = field(repr=False)
    issued_at: float
    expires_at: float


class TokenCache(Protocol):
    """Keeps tokens by key. A key never equals another tenant's, application's or secret's."""

    async def get(self, key: str) -> Token | None:
        """The token kept for this key, fresh or not; None when there is none."""

    async def put(self, key: str, token: Token) -> None:
        """Keep a token, replacing the one before."""

    async def drop(self, key: str, token: Token) -> None:
        """Forget this very token; another one kept under the key meanwhile stays."""

    def lock(self, key: str) -> AbstractAsyncContextManager[object]:
        """Held by whoever fetches, so that the others wait for that one fetch."""


class ProcessTokenCache:
    """Tokens of this process. One task attempt is one process; a triggerer is one for all of its triggers."""

    def __init__(self) -> None:
        self._tokens: dict[str, Token] = {}
        self._guard = threading.Lock()
        # An asyncio.Lock belongs to one event loop, and operators start one loop a call.
        self._locks: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, asyncio.Lock]] = (
            weakref.WeakKeyDictionary()
        )

    async def get(self, key: str) -> Token | None:
        return self._tokens.get(key)

    async def put(self, key: str, token: Token) -> None:
        self._tokens[key] = token

    async def drop(self, key: str, token: Token) -> None:
        with self._guard:
            if self._tokens.get(key) == token:
                del self._tokens[key]

    def lock(self, key: str) -> asyncio.Lock:
        with self._guard:
            locks = self._locks.setdefault(asyncio.get_running_loop(), {})
            return locks.setdefault(key, asyncio.Lock())


#: Shared by every client of this process.
PROCESS_TOKENS = ProcessTokenCache()
