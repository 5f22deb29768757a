"""What came back: a parsed answer, or an error that says what to do about it."""

from __future__ import annotations

import email.utils
import json
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import httpx

from airflow_provider_logto.exceptions import (
    AuthFailed,
    ConfigurationError,
    Conflict,
    ConnectionFailed,
    Forbidden,
    LogtoApiError,
    NotFound,
    QuotaExhausted,
    RateLimited,
    ServerFailed,
    UnreadableAnswer,
)

#: Codes that come with 403 or 429 and mean a plan's quota: waiting does not help.
QUOTA_CODES = frozenset({"subscription.limit_exceeded", "system_limit.limit_exceeded", "auth.exceed_token_limit"})

#: 429s that count messages to one recipient, not requests: sending again only sends more.
MESSAGE_LIMIT_CODES = frozenset(
    {"request.message_rate_limited", "connector.rate_limit_exceeded", "connector.usage_limit_exceeded"}
)

#: What is said of a 2xx whose JSON cannot be read; a connection that broke off too early is the usual cause.
CUT_SHORT = "the answer is cut short or no JSON"

Hint = Callable[["Reply"], str]
#: Reads the JSON of a 2xx; raises ValueError where it is none.
Decode = Callable[[bytes], Any]


@dataclass(frozen=True)
class Reply:
    """A parsed answer.

    :param data: JSON, text (several writes answer ``Created``), or None where there is no body.
    :param headers: looked up by names in lower case.
    """

    status: int
    data: Any
    headers: Mapping[str, str]

    @property
    def request_id(self) -> str | None:
        return self.headers.get("logto-core-request-id")

    @property
    def server_time(self) -> float | None:
        """The ``Date`` header as epoch seconds (resolution: one second)."""
        return http_date(self.headers.get("date"))

    @property
    def retry_after(self) -> float | None:
        """Seconds to wait as the server asks, from either form of ``Retry-After``; None when absent or unreadable."""
        raw = (self.headers.get("retry-after") or "").strip()
        try:
            return max(0.0, float(raw)) if float(raw) < float("inf") else None
        except ValueError:
            pass
        moment = http_date(raw)
        if moment is None:
            return None
        # Against the server's own clock where it shows one: ours may be off.
        return max(0.0, moment - (self.server_time or time.time()))

    @classmethod
    def peek(cls, response: httpx.Response, decode: Decode = json.loads) -> Reply:
        """Whatever can be made of a response whose body has been read; data is None where nothing can."""
        headers = response.headers
        try:
            return cls(response.status_code, _parse(response, _media(headers), decode), headers)
        except (ValueError, RecursionError):
            return cls(response.status_code, None, headers)

    @classmethod
    def of(
        cls,
        operation: str,
        response: httpx.Response,
        hint: Hint = lambda reply: "",
        decode: Decode = json.loads,
    ) -> Reply:
        """Parse a response whose body has been read.

        :raises LogtoApiError: the subclass that fits, for every status but 2xx and for bodies no Management API sends.
        """
        reply = cls.peek(response, decode)
        headers, media = reply.headers, _media(reply.headers)
        if reply.data is None and response.content.strip() not in (b"", b"null") and response.status_code < 400:
            raise unreadable(operation, reply, CUT_SHORT)
        if response.status_code < 300 and media in ("text/html", "application/xhtml+xml"):
            raise unreadable(
                operation, reply, "a web page came back instead of data: is host the tenant's Logto endpoint?"
            )
        if 300 <= response.status_code < 400:
            target = headers.get("location", "elsewhere")
            raise unreadable(operation, reply, f"the server redirects to {target}: put the final address into host")
        if response.status_code >= 400:
            raise _refusal(operation, reply, hint)
        return reply


def is_rate_limit(reply: Reply) -> bool:
    """Whether a 429 counts requests (and not messages to one recipient, or a plan's quota)."""
    body = reply.data if isinstance(reply.data, dict) else {}
    return reply.status == 429 and str(body.get("code")) not in QUOTA_CODES | MESSAGE_LIMIT_CODES


def unreadable(operation: str, reply: Reply, reason: str) -> UnreadableAnswer:
    """An answer that is not what a Management API sends."""
    return UnreadableAnswer(operation, reply.status, None, reason, reply.request_id)


def connection_failed(
    operation: str, error: httpx.HTTPError | httpx.InvalidURL, sent: bool | None = None
) -> ConnectionFailed | ConfigurationError:
    """Translate a transport failure; tells whether the request can have reached the server.

    :returns: the error to raise: a certificate that does not hold is a matter of configuration, not of patience.
    """
    unsent = isinstance(
        error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout | httpx.UnsupportedProtocol
    )
    reason = str(error) or type(error).__name__
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return ConfigurationError(f"the server's certificate is not trusted ({reason}): check `verify` in extra")
        if isinstance(cause, ssl.SSLError):
            reason = f"TLS failed ({reason}); check host's scheme and port"
            break
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, httpx.TimeoutException):
        reason = f"timed out ({type(error).__name__}); `timeout` in extra sets the seconds"
    return ConnectionFailed(operation, reason, (not unsent) if sent is None else sent)


def _media(headers: Mapping[str, str]) -> str:
    return headers.get("content-type", "").split(";")[0].strip().lower()


def _parse(response: httpx.Response, media: str, decode: Decode) -> Any:
    if not response.content:
        return None
    if media == "application/json" or media.endswith("+json"):
        return (decode if response.status_code < 300 else json.loads)(response.content)
    return response.text


def _refusal(operation: str, reply: Reply, hint: Hint) -> LogtoApiError:
    body = reply.data if isinstance(reply.data, dict) else {}
    code = body.get("code") if isinstance(body.get("code"), str) else None
    message = str(body.get("message") or "")
    if isinstance(body.get("details"), str):
        message = f"{message} {body['details']}".strip()
    kind = _kind(reply.status, code)
    advice = hint(reply) or _hint(kind, reply, code)
    return kind(operation, reply.status, code, message, reply.request_id, advice, reply.retry_after)


def _kind(status: int, code: str | None) -> type[LogtoApiError]:
    if code in QUOTA_CODES:
        return QuotaExhausted
    if status == 429:
        return LogtoApiError if code in MESSAGE_LIMIT_CODES else RateLimited
    # 404: a session or grant that is not there, on the Management API.
    if status == 401 or (status < 500 and status != 404 and code is not None and code.startswith("oidc.")):
        return AuthFailed
    # 408 is a proxy's: it lost patience with the request.
    if (status >= 500 and status != 501) or status == 408:
        return ServerFailed
    return {403: Forbidden, 404: NotFound, 409: Conflict, 422: Conflict}.get(status, LogtoApiError)


def _hint(kind: type[LogtoApiError], reply: Reply, code: str | None) -> str:
    if code in MESSAGE_LIMIT_CODES:
        return "the recipient has been sent too many messages: wait ten minutes"
    if kind is QuotaExhausted:
        return "the tenant's plan has no quota left for this: waiting minutes does not help"
    if reply.status == 404 and code is None:
        return "no such operation on this server (wrong path, older Logto, or a body over 1 MB)"
    if reply.status == 405:
        return f"this path takes {reply.headers.get('allow', 'other methods')}"
    if reply.status == 413:
        return "the body is too large for the server"
    return ""


# The date of an answer stays the same for a second.
@lru_cache(maxsize=64)
def http_date(value: str | None) -> float | None:
    """An HTTP date as epoch seconds; None when absent or unreadable."""
    if not value:
        return None
    try:
        return email.utils.parsedate_to_datetime(value).timestamp()
    except (TypeError, ValueError, OverflowError):
        return None
