"""LogtoClient: every request to Logto is sent here."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import math
import ssl
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextvars import ContextVar
from functools import lru_cache
from types import TracebackType
from typing import Any, Self

import httpx

from airflow_provider_logto import __version__
from airflow_provider_logto.client import pagination
from airflow_provider_logto.client.answers import ACCEPT_ENCODING, bound
from airflow_provider_logto.client.arguments import Call, Query, path_of
from airflow_provider_logto.client.auth.credentials import Credentials
from airflow_provider_logto.client.auth.token_cache import PROCESS_TOKENS, TokenCache
from airflow_provider_logto.client.auth.token_endpoint import fetch_token
from airflow_provider_logto.client.auth.tokens import M2MAuth, TokenSource
from airflow_provider_logto.client.cleaning import Secrets
from airflow_provider_logto.client.endpoint import Endpoint, is_loopback
from airflow_provider_logto.client.refusals import Context, connection_failed, is_rate_limit
from airflow_provider_logto.client.replies import Decode, Reply, http_date
from airflow_provider_logto.client.request_lines import no_request_lines
from airflow_provider_logto.client.retrying import RetryOptions, after_loss, failure_of
from airflow_provider_logto.client.sharing.fallback import warn_once
from airflow_provider_logto.client.sharing.pacing import NoPacer, Pacer
from airflow_provider_logto.client.traffic import Traffic
from airflow_provider_logto.exceptions import (
    ConfigurationError,
    ConnectionFailed,
    LogtoError,
    NotFound,
    OutcomeUnknown,
    PaceExceeded,
)

__all__ = ["LogtoClient", "Query", "path_of"]

#: Seconds an idle connection is kept: below the server's 5, so that no request meets a closing one.
KEEPALIVE = 4.0
#: How many requests of one client are under way at once.
CONNECTIONS = 20

#: Until when a request of the running operation must have left, by ``time.monotonic()``.
_DEADLINE: ContextVar[float] = ContextVar("deadline", default=math.inf)


async def _tell_nobody(secret: str) -> None:
    return None


class LogtoClient:
    """Talks to the Management API of one tenant.

    :param endpoint: where the tenant is.
    :param credentials: the M2M application.
    :param token_cache: where tokens are kept between requests (and tasks).
    :param pacer: when a request may leave.
    :param retry: how persistent an operation is.
    :param timeout: seconds for connecting, and for each wait on the socket.
    :param verify: check certificates: True, False, or the path of a CA bundle.
    :param on_secret: awaited with every token, the Basic credentials and the application's secret as it is written
        in forms and URLs, each before it is first used (masking).
    :param traffic: where its requests are counted.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        credentials: Credentials,
        *,
        token_cache: TokenCache = PROCESS_TOKENS,
        pacer: Pacer | None = None,
        retry: RetryOptions | None = None,
        timeout: float = 30.0,
        verify: bool | str = True,
        on_secret: Callable[[str], Awaitable[None]] = _tell_nobody,
        traffic: Traffic | None = None,
    ) -> None:
        self.endpoint = endpoint
        self.traffic = Traffic() if traffic is None else traffic
        self._retry = retry or RetryOptions()
        self._pacer = pacer or NoPacer()
        self._token_cache = token_cache
        self._secrets = Secrets(credentials.app_secret, credentials.basic, on_secret)
        self._context = Context(endpoint, credentials, self._secrets)
        self._skew: float | None = None
        # At most one request a connection is under way: those that queue behind take no place in the schedule.
        self._slots = asyncio.Semaphore(CONNECTIONS)
        self._timeout = timeout
        self._http = httpx.AsyncClient(
            verify=_trust(verify),
            limits=httpx.Limits(
                max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS, keepalive_expiry=KEEPALIVE
            ),
            # Proxies of the environment are honoured, but not for this very machine.
            trust_env=not is_loopback(endpoint.hostname),
            timeout=timeout,
            headers={
                "User-Agent": f"airflow-provider-logto/{__version__}",
                "Accept": "application/json",
                "Accept-Encoding": ACCEPT_ENCODING,
                "Accept-Language": "en",
            },
            # Every request passes these, those for tokens and those sent again too.
            event_hooks={"request": [self._pace], "response": [self._receive]},
        )
        if verify is False:
            warn_once("verify is false: anybody between here and the server can read the secret; set it to a CA file")
        self._auth = M2MAuth(
            TokenSource(
                lambda: fetch_token(self._http, self._context),
                token_cache,
                credentials.cache_key(endpoint),
                self._secrets.announce,
                lambda: self._skew,
            )
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections. The client cannot be used afterwards."""
        await self._http.aclose()
        await self._token_cache.close()
        await self._pacer.close()

    async def request(self, method: str, path: str, query: Query | None = None, body: Any = None) -> Any:
        """Call one operation of the Management API.

        :param method: GET, POST, PUT, PATCH or DELETE.
        :param path: e.g. ``/users/abc123`` (``/api/users/abc123`` is the same); values in it percent-encoded, see
            :func:`path_of`.
        :param query: parameters; a sequence repeats its key, None leaves it out.
        :param body: what is sent as JSON.
        :returns: parsed JSON, text where the server answers text, None where it answers nothing.
        :raises InvalidInput: before anything is sent.
        :raises LogtoApiError: the subclass that fits the refusal.
        :raises OutcomeUnknown: the answer of a write was lost and sending it again could do it twice.
        :raises ConnectionFailed: no answer after all tries.
        """
        return (await self.send(method, path, query, body)).data

    async def send(
        self, method: str, path: str, query: Query | None = None, body: Any = None, *, decode: Decode = json.loads
    ) -> Reply:
        """Like :meth:`request`, but returns status and headers too.

        :param decode: what reads the JSON of a 2xx; a ValueError from it is a lost answer.
        """
        call = Call.checked(method, path, query, body)
        async with self._slots:
            return await self._persist(call, decode)

    async def _persist(self, call: Call, decode: Decode) -> Reply:
        """Send it until it succeeds or another try cannot help."""
        repeat = after_loss(call.method, call.path) == "repeat"
        _DEADLINE.set(time.monotonic() + self._retry.patience())
        lost = False

        async def once() -> Reply:
            nonlocal lost
            try:
                return await self._send_once(call, decode)
            except NotFound as error:
                if call.method == "DELETE" and lost and error.code:
                    return Reply(204, None, {})  # the try whose answer was lost did it
                raise
            except LogtoError as error:
                lost = lost or failure_of(error) == "lost"
                raise

        try:
            reply: Reply = await self._retry.controller(repeat, self._pacer.may_retry)(once)
        except LogtoError as error:
            if failure_of(error) == "lost" and not repeat:
                raise OutcomeUnknown(call.operation, error) from error
            raise
        await self._pacer.succeeded()
        return reply

    async def iterate(self, path: str, query: Query | None = None) -> AsyncGenerator[Any, None]:
        """Every item of a list operation, each once, whatever its pages do.

        :raises IncompleteList: when the pages do not add up to the server's own count.
        """
        async for item in pagination.iterate(self.send, path, query):
            yield item

    async def collect(self, path: str, query: Query | None = None) -> list[Any]:
        """All items of a list operation at once; see :meth:`iterate`."""
        return [item async for item in self.iterate(path, query)]

    async def count(self, path: str, query: Query | None = None) -> int | None:
        """How many items a list operation has by the server's count; None where it does not count."""
        reply = await self.send("GET", path, {**(query or {}), "page": 1, "page_size": 1})
        return pagination.Page.of(path, reply).total

    @property
    def app_id(self) -> str:
        """The application that this client acts as."""
        return self._context.credentials.app_id

    def is_own_secret(self, value: str) -> bool:
        """Whether a value is the secret that this client itself uses."""
        return hmac.compare_digest(value.encode(), self._context.credentials.app_secret.encode())

    def fingerprint(self, content: bytes) -> str:
        """A hash keyed by the application's secret: tells equal contents from others without revealing any."""
        key = f"airflow-provider-logto fingerprint {self._context.credentials.app_secret}".encode()
        return hmac.new(key, content, hashlib.sha256).hexdigest()

    async def server_time(self) -> float:
        """The server's clock in epoch seconds, by the ``Date`` of its latest answer (asks once if there was none)."""
        if self._skew is None:
            await self.send("GET", "/status")
        return time.time() + (self._skew or 0.0)

    async def _send_once(self, call: Call, decode: Decode) -> Reply:
        request = self._http.build_request(
            call.method,
            f"{self.endpoint.api_url}{call.path}",
            params=call.params,
            content=call.content,
            headers={"Content-Type": "application/json"} if call.content is not None else None,
        )
        # httpx bounds each wait on the socket; a server that drips bytes is bounded here.
        # A second more, so that of a server that does not answer at all httpx says which wait it was.
        limit = max(0.0, _DEADLINE.get() - time.monotonic()) + self._timeout + 1.0
        try:
            with no_request_lines():
                async with asyncio.timeout(limit):
                    # /status is anonymous, and asking for a token there would hide what it is asked for.
                    response = await self._http.send(request, auth=None if call.path == "/status" else self._auth)
        except httpx.HTTPError as error:
            # Not "from error": its text may show a server's words, or a header, and tracebacks show causes.
            raise connection_failed(call.operation, error, self._context) from None
        except TimeoutError as error:
            reason = f"no full answer within {limit:.0f} s"
            raise ConnectionFailed(call.operation, reason, server=self.endpoint.address) from error
        return Reply.of(call.operation, response, self._context, decode)

    async def _pace(self, request: httpx.Request) -> None:
        began = time.monotonic()
        try:
            seconds = await self._pacer.wait(max(0.0, _DEADLINE.get() - began))
        finally:
            self.traffic.waited += time.monotonic() - began
        if seconds > 0:
            raise PaceExceeded(_operation(request), seconds)
        self.traffic.sent(write=request.method != "GET" and str(request.url) != self.endpoint.token_url)

    async def _receive(self, response: httpx.Response) -> None:
        request = response.request
        bound(response, _operation(request), small=str(request.url) == self.endpoint.token_url)
        server = http_date(response.headers.get("date"))
        if server is not None and response.status_code < 500:
            # The header is cut to whole seconds: half a second is the best guess for the rest.
            self._skew = server + 0.5 - time.time()
        if response.status_code == 429:
            await response.aread()
            reply = Reply.peek(response)
            if is_rate_limit(reply.status, reply.data):
                await self._pacer.throttled(reply.retry_after)


def _operation(request: httpx.Request) -> str:
    return f"{request.method} {request.url.raw_path.partition(b'?')[0].decode('ascii')}"


@lru_cache(maxsize=8)
def _trust(verify: bool | str) -> ssl.SSLContext:
    # Reading the CA certificates takes longer than a request; once a process is enough.
    if not isinstance(verify, str):
        return httpx.create_ssl_context(verify=verify)
    try:
        return ssl.create_default_context(cafile=verify)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(f"extra.verify: {verify!r} is no readable CA bundle ({error})") from error
