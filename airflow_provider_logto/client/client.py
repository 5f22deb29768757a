"""The one door through which every request leaves."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote, unquote

import httpx

from airflow_provider_logto import __version__
from airflow_provider_logto.client import pagination
from airflow_provider_logto.client.endpoint import Endpoint
from airflow_provider_logto.client.pacing import NoPacer, Pacer
from airflow_provider_logto.client.replies import Reply, connection_failed
from airflow_provider_logto.client.retrying import RetryOptions, after_loss, failure_of
from airflow_provider_logto.client.token_cache import PROCESS_TOKENS, TokenCache
from airflow_provider_logto.client.tokens import Credentials, M2MAuth, TokenSource, bearer_hint, fetch_token
from airflow_provider_logto.exceptions import InvalidInput, LogtoError, NotFound, OutcomeUnknown

Query = Mapping[str, Any]

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
#: The server drops larger JSON bodies with a bare 404.
MAX_BODY = 1024 * 1024
#: Seconds an idle connection is kept: below the server's 5, so that no request meets a closing one.
KEEPALIVE = 4.0


async def _keep(secret: str) -> None:
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
    :param on_secret: awaited with every token and with the Basic credentials before they are used (masking).
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
        on_secret: Callable[[str], Awaitable[None]] = _keep,
    ) -> None:
        self.endpoint = endpoint
        self._credentials = credentials
        self._retry = retry or RetryOptions()
        self._on_secret = on_secret
        self._clock_offset: float | None = None
        transport = _PacedTransport(
            httpx.AsyncHTTPTransport(
                verify=ssl.create_default_context(cafile=verify) if isinstance(verify, str) else verify,
                limits=httpx.Limits(max_connections=20, max_keepalive_connections=20, keepalive_expiry=KEEPALIVE),
            ),
            pacer or NoPacer(),
        )
        self._http = httpx.AsyncClient(
            transport=transport,
            timeout=timeout,
            headers={
                "User-Agent": f"airflow-provider-logto/{__version__}",
                "Accept": "application/json",
                "Accept-Language": "en",
            },
        )
        self._auth = M2MAuth(TokenSource(self._fetch_token, token_cache, credentials.cache_key(endpoint), on_secret))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections; the client is of no use afterwards."""
        await self._http.aclose()

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

    async def send(self, method: str, path: str, query: Query | None = None, body: Any = None) -> Reply:
        """Like :meth:`request`, but returns status and headers too."""
        method = _method(method)
        path = _path(path)
        params, content = _params(query), _content(body)
        operation = f"{method} /api{path}"
        lost: Exception | None = None
        try:
            async for attempt in self._retry.controller(method, path):
                with attempt:
                    try:
                        return await self._send_once(operation, method, path, params, content)
                    except NotFound as error:
                        if method == "DELETE" and lost and error.code:
                            return Reply(204, None, {})  # the try whose answer was lost did it
                        raise
                    except LogtoError as error:
                        lost = error if failure_of(error) == "lost" else lost
                        raise
        except LogtoError as error:
            if failure_of(error) == "lost" and after_loss(method, path) == "read back":
                raise OutcomeUnknown(operation, error) from error
            raise
        raise RuntimeError("unreachable: the controller returns or raises")

    async def iterate(self, path: str, query: Query | None = None) -> AsyncIterator[Any]:
        """Every item of a list operation, each once, whatever its pages do.

        :raises IncompleteList: when the pages do not add up to the server's own count.
        """
        path = _path(path)

        async def fetch(page_query: Query) -> Reply:
            return await self.send("GET", path, page_query)

        async for item in pagination.iterate(f"GET /api{path}", path, query, fetch):
            yield item

    async def collect(self, path: str, query: Query | None = None) -> list[Any]:
        """All items of a list operation at once; see :meth:`iterate`."""
        return [item async for item in self.iterate(path, query)]

    async def count(self, path: str, query: Query | None = None) -> int | None:
        """How many items a list operation has by the server's count; None where it does not count."""
        reply = await self.send("GET", path, {**(query or {}), "page": 1, "page_size": 1})
        return pagination.Page.of(f"GET /api{path}", reply).total

    async def server_time(self) -> float:
        """The server's clock in epoch seconds, by the ``Date`` of its latest answer (asks once if there was none)."""
        if self._clock_offset is None:
            await self.send("GET", "/status")
        return time.time() + (self._clock_offset or 0.0)

    async def _send_once(
        self, operation: str, method: str, path: str, params: httpx.QueryParams | None, content: bytes | None
    ) -> Reply:
        request = self._http.build_request(
            method,
            f"{self.endpoint.api_url}{path}",
            params=params,
            content=content,
            headers={"Content-Type": "application/json"} if content is not None else None,
        )
        try:
            # /status is anonymous, and asking for a token there would hide what it is asked for.
            response = await self._http.send(request, auth=None if path == "/status" else self._auth)
        except httpx.HTTPError as error:
            raise connection_failed(operation, error) from error
        self._note_clock(response)
        return Reply.of(operation, response, hint=lambda reply: bearer_hint(reply, self.endpoint))

    async def _fetch_token(self) -> Any:
        await self._on_secret(self._credentials.basic)
        return await fetch_token(self._http, self.endpoint, self._credentials)

    def _note_clock(self, response: httpx.Response) -> None:
        server = Reply(response.status_code, None, {"date": response.headers.get("date", "")}).server_time
        if server is not None:
            # The header is cut to whole seconds: half a second is the best guess for the rest.
            self._clock_offset = server + 0.5 - time.time()


class _PacedTransport(httpx.AsyncBaseTransport):
    """Every request passes here, those for tokens and those sent again too, so the pace holds for all of them."""

    def __init__(self, inner: httpx.AsyncBaseTransport, pacer: Pacer) -> None:
        self._inner = inner
        self._pacer = pacer

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await self._pacer.wait()
        response = await self._inner.handle_async_request(request)
        if response.status_code == 429:
            self._pacer.throttled(Reply(429, None, {k.lower(): v for k, v in response.headers.items()}).retry_after)
        return response

    async def aclose(self) -> None:
        await self._inner.aclose()


def path_of(template: str, *values: str) -> str:
    """Fill ``{}`` places of a path with percent-encoded values: ``path_of("/users/{}/roles", user_id)``."""
    return template.format(*(quote(value, safe="") for value in values))


def _method(method: str) -> str:
    if method.upper() not in METHODS:
        raise InvalidInput("method", f"{method!r} is unknown; use one of {', '.join(METHODS)}")
    return method.upper()


def _path(path: str) -> str:
    mend = "give the operation's path, e.g. /users/{id}: no host, no query, no '..'; values percent-encoded"
    if not path.startswith("/") or path.startswith("//") or any(c in path for c in "?#\\") or not path.isprintable():
        raise InvalidInput("path", f"{path!r}: {mend}")
    if " " in path or any(unquote(segment) in (".", "..") or ":/" in segment for segment in path.split("/")):
        raise InvalidInput("path", f"{path!r}: {mend}")
    stripped = path.removeprefix("/api") if path == "/api" or path.startswith("/api/") else path
    if not stripped.strip("/") or "//" in stripped:
        raise InvalidInput("path", f"{path!r}: {mend}")
    return stripped


def _params(query: Query | None) -> httpx.QueryParams | None:
    pairs: list[tuple[str, str | int | float | bool | None]] = []
    for name, value in (query or {}).items():
        many = isinstance(value, Sequence | set | frozenset) and not isinstance(value, str | bytes)
        ones = value if many else (value,)
        pairs.extend((name, str(one).lower() if isinstance(one, bool) else str(one)) for one in ones if one is not None)
    return httpx.QueryParams(pairs) if pairs else None


def _content(body: Any) -> bytes | None:
    if body is None:
        return None
    try:
        content = json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except (TypeError, ValueError) as error:
        raise InvalidInput("body", f"cannot be sent as JSON: {error}") from None
    if len(content) > MAX_BODY:
        raise InvalidInput("body", f"{len(content)} bytes; the server takes at most {MAX_BODY}")
    return content
