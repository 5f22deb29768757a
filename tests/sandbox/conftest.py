"""Clients of the sandbox for its own tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import httpx
import pytest

from logto_sandbox import Sandbox


def _token(sandbox: Sandbox, http: httpx.Client) -> httpx.Response:
    form = {"grant_type": "client_credentials", "resource": sandbox.resource, "scope": "all"}
    return http.post("/oidc/token", data=form, auth=(sandbox.app_id, sandbox.app_secret))


@pytest.fixture
def token() -> Callable[[Sandbox, httpx.Client], httpx.Response]:
    """Asks for a token with the application's own credentials."""
    return _token


@pytest.fixture
def authorize() -> Iterator[Callable[[Sandbox], httpx.Client]]:
    """Makes authorized clients; the statistics of the sandbox begin after their token request."""
    clients: list[httpx.Client] = []

    def make(sandbox: Sandbox) -> httpx.Client:
        http = httpx.Client(base_url=sandbox.url)
        clients.append(http)
        http.headers["Authorization"] = f"Bearer {_token(sandbox, http).json()['access_token']}"
        sandbox.reset_stats()
        return http

    yield make
    for http in clients:
        http.close()


@pytest.fixture
def api(logto_sandbox: Sandbox, authorize: Callable[[Sandbox], httpx.Client]) -> httpx.Client:
    """A client of ``logto_sandbox`` that holds a token."""
    return authorize(logto_sandbox)
