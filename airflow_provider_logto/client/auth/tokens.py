"""The current token: one is fetched at a time, renewed before it expires, and replaced when the server refuses it."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import AsyncGenerator, Awaitable, Callable

import httpx

from airflow_provider_logto.client.auth.token_cache import LOCK_PATIENCE, Token, TokenCache
from airflow_provider_logto.client.replies import Reply
from airflow_provider_logto.exceptions import LogtoError

log = logging.getLogger(__name__)

#: A token is not used in its last seconds (a tenth of its life if that is less): the server has no clock tolerance.
LEEWAY = 30.0
#: Seconds before a renewal that failed is tried again; the token in hand goes on serving.
RENEWAL_PAUSE = 30.0
#: Seconds between looks whether the token that somebody else fetches is there.
_LOOK_EVERY = 0.5
#: The 401s after which another token helps. Wrong audience or issuer are configuration errors.
RENEWABLE = frozenset({"ERR_JWT_EXPIRED", "ERR_JWKS_NO_MATCHING_KEY"})


class TokenSource:
    """Gives the current token; fetches one at a time, renews before expiry, and never keeps a bad one.

    :param fetch: makes a new token.
    :param cache: where it is kept.
    :param key: under which name.
    :param on_secret: awaited with the token before each use, fetched or cached (masking).
    :param skew: seconds that the server's clock is ahead of ours; None while it has not answered yet.
    """

    def __init__(
        self,
        fetch: Callable[[], Awaitable[Token]],
        cache: TokenCache,
        key: str,
        on_secret: Callable[[str], Awaitable[None]],
        skew: Callable[[], float | None] = lambda: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._fetch = fetch
        self._cache = cache
        self._key = key
        self._on_secret = on_secret
        self._skew = skew
        self._clock = clock
        self._current: Token | None = None
        self._next_renewal = 0.0
        # A fleet that started together must not renew together.
        self._renew_at = random.uniform(0.75, 0.85)  # noqa: S311

    async def current(self) -> Token:
        """A token with life left in it."""
        token = self._current
        if token is None or self._due(token):
            # Another task may have fetched one.
            token = await self._cache.get(self._key) or token
            if token is None or not self._usable(token):
                token = await self._fetch_once(self._usable)
            elif self._due(token) and self._clock() >= self._next_renewal:
                token = await self._renewed(token)
        return await self._announce(token)

    async def replace(self, used: Token) -> Token:
        """Another token than the one that the server just refused."""
        await self._cache.drop(self._key, used)
        return await self._announce(await self._fetch_once(lambda kept: kept != used and self._usable(kept)))

    async def _fetch_once(self, good: Callable[[Token], bool]) -> Token:
        end = time.monotonic() + LOCK_PATIENCE
        while True:
            # For short times only: as soon as the token is there, those who wait need no lock any more.
            async with self._cache.lock(self._key, _LOOK_EVERY) as held:
                kept = await self._cache.get(self._key)
                if kept is not None and good(kept):
                    return kept
                # When the other fetch takes too long, one token more is better than none.
                if held or time.monotonic() >= end:
                    token = await self._fetch()
                    await self._cache.put(self._key, token)
                    return token

    async def _renewed(self, token: Token) -> Token:
        """Renew ahead of time: one does, the others go on with what they have."""
        try:
            async with self._cache.lock(self._key, 0) as held:
                if not held:
                    return token
                kept = await self._cache.get(self._key)
                if kept is not None and not self._due(kept):
                    return kept
                renewed = await self._fetch()
                await self._cache.put(self._key, renewed)
                return renewed
        except LogtoError as error:
            self._next_renewal = self._clock() + RENEWAL_PAUSE
            log.warning("the token is not renewed yet, the one in hand still serves: %s", error)
            return token

    def _now(self, token: Token) -> float:
        skew = self._skew()
        return self._clock() + (token.skew if skew is None else skew)

    def _usable(self, token: Token) -> bool:
        return self._now(token) < token.expires_at - min(LEEWAY, (token.expires_at - token.issued_at) / 10)

    def _due(self, token: Token) -> bool:
        lifetime = token.expires_at - token.issued_at
        return self._now(token) >= token.issued_at + self._renew_at * lifetime

    async def _announce(self, token: Token) -> Token:
        self._current = token
        await self._on_secret(token.value)
        return token


class M2MAuth(httpx.Auth):
    """Puts the bearer on a request and, once, another one when the server says that the first ran out."""

    def __init__(self, source: TokenSource) -> None:
        self._source = source

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        token = await self._source.current()
        request.headers["Authorization"] = f"Bearer {token.value}"
        response = yield request
        if response.status_code == 401 and await renewable(response):
            token = await self._source.replace(token)
            request.headers["Authorization"] = f"Bearer {token.value}"
            yield request


async def renewable(response: httpx.Response) -> bool:
    """Whether a 401 means that another token would do."""
    await response.aread()
    body = Reply.peek(response).data
    data = body.get("data") if isinstance(body, dict) else None
    return isinstance(data, dict) and str(data.get("code")) in RENEWABLE
