"""Which error a refusal or a failed connection becomes."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from airflow_provider_logto.client.auth.credentials import Credentials
from airflow_provider_logto.client.auth.hints import hint_for
from airflow_provider_logto.client.cleaning import Secrets
from airflow_provider_logto.client.endpoint import Endpoint
from airflow_provider_logto.exceptions import (
    AuthFailed,
    ConfigurationError,
    Conflict,
    ConnectionFailed,
    Forbidden,
    LogtoApiError,
    NotFound,
    NotFromLogto,
    QuotaExhausted,
    RateLimited,
    ServerFailed,
)

#: Codes that come with 403 or 429 and mean a plan's quota: waiting does not help.
QUOTA_CODES = QuotaExhausted.LIMITS | {"auth.exceed_token_limit"}

#: 429s that count messages to one recipient, not requests: sending again only sends more.
MESSAGE_LIMIT_CODES = frozenset(
    {"request.message_rate_limited", "connector.rate_limit_exceeded", "connector.usage_limit_exceeded"}
)


@dataclass(frozen=True)
class Context:
    """What errors about a tenant may name, and what they must not.

    :param token_request: it is the token endpoint that answers.
    """

    endpoint: Endpoint
    credentials: Credentials
    secrets: Secrets
    token_request: bool = False

    def clean(self, text: str) -> str:
        """A server's words, without our secrets."""
        return self.secrets.clean(text)

    def word(self, text: object) -> str | None:
        """A server's code or id, where it is nothing else."""
        return self.secrets.word(text)

    def hint(self, kind: type[LogtoApiError], status: int, body: Mapping[str, Any], allow: str | None) -> str:
        """The sentence that says how to fix a refusal, where it is known."""
        return hint_for(
            kind,
            status,
            body,
            self.clean,
            allow=allow,
            token_request=self.token_request,
            app_id=self.credentials.app_id,
            resource=self.endpoint.resource,
            port=self.endpoint.port,
        )


def refusal(
    operation: str,
    status: int,
    body: Mapping[str, Any],
    context: Context,
    request_id: str | None = None,
    retry_after: float | None = None,
    allow: str | None = None,
) -> LogtoApiError:
    """The error for an answer of 400 or more.

    :param body: its JSON object, or an empty one.
    :param allow: the header ``Allow``.
    """
    code = context.word(body.get("code"))
    message = str(body.get("message") or "")
    if isinstance(body.get("details"), str):
        message = f"{message} {body['details']}".strip()
    kind = _kind(status, code)
    # Logto's own answers have a request id. Without one it says nothing about an object or an operation; nor does a
    # token endpoint that is not there.
    if (status in (404, 405) and code is None and request_id is None) or (context.token_request and kind is NotFound):
        kind, message = NotFromLogto, "it was not Logto that answered"
    hint = context.hint(kind, status, body, allow)
    return kind(operation, status, code, context.clean(message), request_id, hint, retry_after)


def is_rate_limit(status: int, body: Any) -> bool:
    """Whether an answer is a 429 that counts requests (and not messages to one recipient, or a plan's quota)."""
    code = body.get("code") if isinstance(body, dict) else None
    return status == 429 and str(code) not in QUOTA_CODES | MESSAGE_LIMIT_CODES


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


def connection_failed(
    operation: str, error: httpx.HTTPError | httpx.InvalidURL, context: Context, sent: bool | None = None
) -> ConnectionFailed | ConfigurationError:
    """Translate a transport failure; tells whether the request can have reached the server.

    :param sent: whether it can; None to judge by the failure.
    :returns: the error to raise: a certificate that does not hold is a matter of configuration, not of patience.
    """
    unsent = isinstance(
        error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout | httpx.UnsupportedProtocol
    )
    server = context.endpoint.address
    reason = context.clean(str(error)) or type(error).__name__
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return ConfigurationError(f"the certificate of {server} is not trusted ({reason}): check `verify` in extra")
        if isinstance(cause, ssl.SSLError):
            reason = f"TLS failed ({reason}); check host's scheme (https where it names none) and port"
            break
        cause = cause.__cause__ or cause.__context__
    else:
        if isinstance(error, httpx.ConnectError):
            reason = f"{reason}; check host and port, and that this machine can reach them"
    if isinstance(error, httpx.TimeoutException):
        reason = f"timed out ({type(error).__name__}); `timeout` in extra sets the seconds"
    return ConnectionFailed(operation, reason, (not unsent) if sent is None else sent, server)
