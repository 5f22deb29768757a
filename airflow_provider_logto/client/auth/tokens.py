"""Fetch one M2M token, judge it, and renew it at the right moment.

Source: Logto docs, "Machine-to-machine: fetch an access token"; OAuth 2.0 client credentials (RFC 6749, 4.4).
"""

from __future__ import annotations

import hashlib
import logging
import random
import time
from base64 import b64encode
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field
from urllib.parse import quote_plus

import httpx

from airflow_provider_logto.client.auth.token_cache import LOCK_PATIENCE, Token, TokenCache
from airflow_provider_logto.client.endpoint import Endpoint
from airflow_provider_logto.client.replies import Reply, connection_failed, unreadable
from airflow_provider_logto.exceptions import Forbidden, LogtoError

log = logging.getLogger(__name__)

#: Named in errors.
OPERATION = "POST /oidc/token"
#: A token is not used in its last seconds (a tenth of its life if that is less): the server has no clock tolerance.
LEEWAY = 30.0
#: Seconds before a renewal that failed is tried again; the token in hand goes on serving.
RENEWAL_PAUSE = 30.0
_BITE = 0.5
#: The 401s after which another token helps. Wrong audience or issuer are configuration errors.
RENEWABLE = frozenset({"ERR_JWT_EXPIRED", "ERR_JWKS_NO_MATCHING_KEY"})


@dataclass(frozen=True)
class Credentials:
    """An M2M application's id and secret."""

    app_id: str
    app_secret: str = field(repr=False)

    @property
    def basic(self) -> str:
        """The Basic credentials; each half is form-encoded first, since the server decodes it so (RFC 6749, 2.3.1)."""
        pair = f"{quote_plus(self.app_id)}:{quote_plus(self.app_secret)}"
        return b64encode(pair.encode()).decode()

    def cache_key(self, endpoint: Endpoint) -> str:
        """Names the token: another tenant, application, resource or secret never shares it."""
        secret = hashlib.sha256(self.app_secret.encode()).hexdigest()
        return "|".join((endpoint.token_url, endpoint.resource, self.app_id, secret))


async def fetch_token(http: httpx.AsyncClient, endpoint: Endpoint, credentials: Credentials) -> Token:
    """Fetch a token and refuse one that cannot work.

    :returns: a token that carries the scope ``all``.
    :raises AuthFailed, Forbidden, QuotaExhausted, RateLimited, ServerFailed, ConnectionFailed, UnreadableAnswer:
        each with the sentence that says how to fix it.
    """
    asked_at = time.time()
    try:
        request = http.build_request(
            "POST",
            endpoint.token_url,
            data={"grant_type": "client_credentials", "resource": endpoint.resource, "scope": "all"},
            headers={"Authorization": f"Basic {credentials.basic}"},
        )
        response = await http.send(request, auth=None)
    except httpx.HTTPError as error:
        # Nothing that the caller wanted was sent: a token may be asked for again.
        raise connection_failed(OPERATION, error, sent=False) from error
    reply = Reply.of(OPERATION, response, hint=lambda failed: token_hint(failed, endpoint, credentials))
    body = reply.data if isinstance(reply.data, dict) else {}
    value, lifetime = body.get("access_token"), body.get("expires_in")
    if not isinstance(value, str) or not value or not isinstance(lifetime, int | float) or not lifetime > 0:
        raise unreadable(OPERATION, reply, "the answer carries no access token: is this host a Logto endpoint?")
    if "all" not in str(body.get("scope", "")).split():
        raise Forbidden(
            OPERATION,
            reply.status,
            None,
            f"the token for application {credentials.app_id} carries no scope",
            reply.request_id,
            "give the application a machine-to-machine role that holds the Management API permission `all` "
            "(Console > Applications > the app > Roles; the seeded one is `Logto Management API access`)",
        )
    # Times are the server's, as far as it shows its clock: ours may be off.
    skew = reply.server_time + 0.5 - time.time() if reply.server_time is not None else 0.0
    return Token(value, asked_at + skew, asked_at + skew + float(lifetime), skew)


def token_hint(reply: Reply, endpoint: Endpoint, credentials: Credentials) -> str:
    """The sentence that explains a refusal of the token endpoint (branches on OAuth's ``error``, not on the status)."""
    body = reply.data if isinstance(reply.data, dict) else {}
    error, description = body.get("error"), str(body.get("error_description", ""))
    if endpoint.port == 3002:
        return "port 3002 is usually Logto's admin endpoint: use the tenant's own (3001 by default) in host"
    if error == "invalid_client" and description.startswith("invalid client"):
        return f"no application {credentials.app_id!r} in this tenant: check login (App ID) and host"
    if error == "invalid_client":
        return "the secret is wrong: check password (App secret)"
    if error == "invalid_request" and "secret has expired" in description:
        return "the application's secret has expired: make a new one in the Console and put it into password"
    if error == "invalid_request" and "grant type" in description:
        return "the application is not of type machine-to-machine: create one and use its id and secret"
    if error == "invalid_target":
        return (
            f"the API resource {endpoint.resource!r} is unknown there: on a self-hosted Logto it is "
            "https://default.logto.app/api, on Logto Cloud https://<tenant>.logto.app/api; fix `resource` in extra"
        )
    if error == "access_denied" or (error == "invalid_request" and reply.status != 429):
        return f"the token endpoint (or the tenant's own token script) refused: {description or 'no reason given'}"
    if error in ("unsupported_grant_type", "unauthorized_client"):
        return "this server does not issue client-credentials tokens: is host a Logto endpoint?"
    return ""


class TokenSource:
    """Gives the current token; fetches one at a time, renews before expiry, and never keeps a bad one.

    :param fetch: makes a new token.
    :param cache: where it is kept.
    :param key: under which name.
    :param on_secret: told every token, fetched or cached, before it is used (masking).
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
        self._announced: str | None = None
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
            # In small bites: as soon as the token is there, those who wait need no lock any more.
            async with self._cache.lock(self._key, _BITE) as held:
                kept = await self._cache.get(self._key)
                if kept is not None and good(kept):
                    return kept
                # When whoever fetches takes too long, one token more is better than none.
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
        if token.value != self._announced:
            await self._on_secret(token.value)
            self._announced = token.value
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
    reply = Reply.peek(response)
    data = reply.data.get("data") if isinstance(reply.data, dict) else None
    return isinstance(data, dict) and str(data.get("code")) in RENEWABLE


def bearer_hint(reply: Reply, endpoint: Endpoint) -> str:
    """The sentence that explains a 401 or 403 of the API itself."""
    body = reply.data if isinstance(reply.data, dict) else {}
    raw = body.get("data")
    data = raw if isinstance(raw, dict) else {}
    if reply.status == 403 and body.get("code") == "auth.forbidden":
        return "the token lacks the scope `all`: give the application a role that holds the Management API permission"
    if data.get("claim") == "aud":
        return f"the token is for {endpoint.resource!r}, not for this tenant's Management API: fix `resource` in extra"
    if data.get("claim") == "iss":
        return "the token was issued under another host name: use the tenant's own host, not its custom domain"
    if data.get("code") == "ERR_JWKS_NO_MATCHING_KEY":
        return "this host does not know the key that signed the token: it is another tenant's, or the admin port"
    return ""
