"""A hostile server, and a client of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_logto.client.retrying import RetryOptions
from tests.clients import client_of

from .server import HostileServer

#: An application's secret with characters that look otherwise in a form, a URL and JSON.
SECRET = 's3cret/of the+app"x'
#: Asks a hostile server, as the application ``app``: ``ask(lambda client: client.request("GET", "/users"))``.
Ask = Callable[..., Any]


@pytest.fixture
def hostile() -> Iterator[HostileServer]:
    """A server that does what the test says."""
    server = HostileServer()
    yield server
    server.close()


@pytest.fixture
def ask(hostile: HostileServer) -> Ask:
    """Gives a function a client of the hostile server; options are the client's. One try, no waits."""

    def ask(function: Callable[..., Any] | None = None, **options: Any) -> Any:
        logto = SimpleNamespace(url=hostile.url, app_id="app", app_secret=SECRET)
        settings = {"retry": RetryOptions(attempts=1, max_wait=0.0), "timeout": 5.0, **options}

        async def call() -> Any:
            async with client_of(logto, **settings) as client:
                return await (function or (lambda one: one.request("GET", "/users")))(client)

        return asyncio.run(call())

    return ask
