"""What happens when the shared store cannot be reached: one warning, and everybody goes on alone, more carefully."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Generic, TypeVar

from airflow_provider_logto.client.auth.token_cache import LOCK_PATIENCE, Token, TokenCache
from airflow_provider_logto.client.sharing.pacing import Pacer
from airflow_provider_logto.exceptions import SharedStateUnavailable

log = logging.getLogger(__name__)

S = TypeVar("S")
T = TypeVar("T")

#: Seconds after which a store that failed is asked again.
PAUSE = 30.0

_ALONE = "token and pace are not shared between tasks for now; each task takes a quarter of the share"

_warned: set[str] = set()


def warn_once(message: str, detail: object = "") -> None:
    """One warning a process: a broken store must not fill the log of every request.

    :param detail: added in brackets; another detail makes no other warning.
    """
    if message not in _warned:
        _warned.add(message)
        log.warning("%s%s", message, f" ({detail})" if detail else "")


class _Fallback(Generic[S]):
    def __init__(self, shared: S, alone: S) -> None:
        self._shared = shared
        self._alone = alone
        self._broken_until = -math.inf

    async def _try(self, call: Callable[[S], Awaitable[T]]) -> T:
        if self._up:
            try:
                return await call(self._shared)
            except SharedStateUnavailable as error:
                self._failed(error)
        return await call(self._alone)

    @property
    def _up(self) -> bool:
        return time.monotonic() >= self._broken_until

    def _failed(self, error: SharedStateUnavailable) -> None:
        self._broken_until = time.monotonic() + PAUSE
        warn_once(_ALONE, error)


class FallbackPacer(_Fallback[Pacer]):
    """A shared pacer, and a slower one of this process for when the shared one is out of reach."""

    async def wait(self, patience: float = math.inf) -> float:
        return await self._try(lambda pacer: pacer.wait(patience))

    async def throttled(self, retry_after: float | None) -> None:
        await self._try(lambda pacer: pacer.throttled(retry_after))

    async def may_retry(self) -> bool:
        return await self._try(lambda pacer: pacer.may_retry())

    async def succeeded(self) -> None:
        await self._try(lambda pacer: pacer.succeeded())

    async def close(self) -> None:
        await self._shared.close()


class FallbackTokenCache(_Fallback[TokenCache]):
    """A shared token cache, and one of this process for when the shared one is out of reach."""

    async def get(self, key: str) -> Token | None:
        return await self._try(lambda cache: cache.get(key))

    async def put(self, key: str, token: Token) -> None:
        await self._try(lambda cache: cache.put(key, token))

    async def drop(self, key: str, token: Token) -> None:
        await self._try(lambda cache: cache.drop(key, token))

    @asynccontextmanager
    async def lock(self, key: str, patience: float = LOCK_PATIENCE) -> AsyncIterator[bool]:
        async with AsyncExitStack() as stack:
            held: bool | None = None
            if self._up:
                try:
                    held = await stack.enter_async_context(self._shared.lock(key, patience))
                except SharedStateUnavailable as error:
                    self._failed(error)
            if held is None:
                held = await stack.enter_async_context(self._alone.lock(key, patience))
            yield held

    async def close(self) -> None:
        await self._shared.close()
