"""Runs the management floor's functions on the sandbox, over a real socket."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from airflow_provider_logto.client.auth.token_cache import ProcessTokenCache
from airflow_provider_logto.client.auth.tokens import Credentials
from airflow_provider_logto.client.client import LogtoClient
from airflow_provider_logto.client.endpoint import Endpoint
from airflow_provider_logto.client.retrying import RetryOptions
from logto_sandbox import Sandbox

Run = Callable[..., Any]


@pytest.fixture
def run(sandbox: Sandbox) -> Run:
    """``run(function, *args)`` gives the function a client of the sandbox; waits between tries are short."""

    def run(function: Callable[..., Awaitable[Any]], *args: Any, **kwargs: Any) -> Any:
        async def call() -> Any:
            async with LogtoClient(
                Endpoint.parse(sandbox.url),
                Credentials(sandbox.app_id, sandbox.app_secret),
                token_cache=ProcessTokenCache(),
                retry=RetryOptions(base=0.01, attempts=4),
                timeout=5.0,
            ) as client:
                return await function(client, *args, **kwargs)

        return asyncio.run(call())

    return run
