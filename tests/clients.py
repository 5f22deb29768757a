"""Clients of a Logto for tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

import httpx

from airflow_provider_logto.client.auth.credentials import Credentials
from airflow_provider_logto.client.auth.token_cache import ProcessTokenCache
from airflow_provider_logto.client.cleaning import Secrets
from airflow_provider_logto.client.client import LogtoClient
from airflow_provider_logto.client.endpoint import Endpoint
from airflow_provider_logto.client.refusals import Context
from airflow_provider_logto.client.retrying import RetryOptions

if TYPE_CHECKING:
    from airflow_provider_logto.hooks.logto import LogtoHook

#: Waits between tries are short.
QUICK = RetryOptions(base=0.005, cap=0.02, max_wait=5)

#: ``run(function, *args, **kwargs)``, see the fixture.
Run = Callable[..., Any]
#: ``connect(extra=None, **fields)``, see the fixture.
Connect = Callable[..., "LogtoHook"]


class Address(Protocol):
    """A sandbox, a tenant: whatever names an application of a Logto."""

    @property
    def app_id(self) -> str: ...
    @property
    def app_secret(self) -> str: ...


def context_of(host: str = "https://acme.logto.app", **more: Any) -> Context:
    """The context of the errors of a client of application ``x`` with secret ``s3cret``."""
    credentials = Credentials("x", "s3cret")

    async def mute(secret: str) -> None:
        return None

    return Context(Endpoint.parse(host), credentials, Secrets("s3cret", credentials.basic, mute), **more)


def client_of(
    logto: Address,
    kind: type[LogtoClient] = LogtoClient,
    *,
    app: str | None = None,
    secret: str | None = None,
    resource: str | None = None,
    **options: Any,
) -> LogtoClient:
    """A client with a token cache of its own.

    :param logto: a ``Sandbox`` or a ``Tenant``.
    :param app: replaces its application's id; ``secret`` the secret.
    :param options: arguments of ``LogtoClient``.
    """
    url = getattr(logto, "url", None) or getattr(logto, "endpoint", None)
    credentials = Credentials(app or logto.app_id, secret or logto.app_secret)
    endpoint = Endpoint.parse(url, resource=resource)
    return kind(endpoint, credentials, **{"token_cache": ProcessTokenCache(), "retry": QUICK, **options})


class Restarting(httpx.AsyncBaseTransport):
    """A proxy that answers 404 or 405 itself for some requests, as an ingress does while Logto restarts."""

    def __init__(self, client: LogtoClient, path: str, method: str = "GET", status: int = 404) -> None:
        self._behind, self._answered, self._status = client._http._transport, (method, path), status
        client._http._transport = self

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if (request.method, request.url.path) == self._answered:
            return httpx.Response(self._status, text="default backend - 404")
        return await self._behind.handle_async_request(request)
