"""What httpx says of requests: nothing of ours, everything of others'."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import httpx
import pytest

from logto_sandbox import Sandbox
from tests.clients import Connect


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> pytest.LogCaptureFixture:
    """A log as on Airflow 2.11 and 3.0, which do not silence httpx."""
    caplog.set_level(logging.INFO, "httpx")
    return caplog


def test_searches_leave_no_line(connect: Connect, sandbox: Sandbox, lines: pytest.LogCaptureFixture) -> None:
    hook = connect()
    hook.request("GET", "/users", {"search.primaryEmail": "mika@example.com"})
    list(hook.iterate("/users", {"search": "mika@example.com"}))
    assert hook.test_connection()[0]
    assert [record for record in lines.records if record.name == "httpx"] == []
    assert "mika" not in lines.text


def test_lines_of_others_stay(connect: Connect, sandbox: Sandbox, lines: pytest.LogCaptureFixture) -> None:
    """Also those of requests that are under way at the same time."""
    hook = connect()

    async def go() -> Any:
        async with hook.client() as client, httpx.AsyncClient() as other, asyncio.TaskGroup() as group:
            for number in range(5):
                group.create_task(client.request("GET", "/users", {"search": f"mika{number}"}))
                group.create_task(other.get(f"{sandbox.url}/api/status?number={number}"))

    asyncio.run(go())
    told = [record.getMessage() for record in lines.records if record.name == "httpx"]
    assert len(told) == 5
    assert all("/api/status?number=" in line for line in told)
    assert "mika" not in lines.text


def test_what_goes_wrong_inside_httpx_is_still_told(lines: pytest.LogCaptureFixture) -> None:
    from airflow_provider_logto.client.request_lines import no_request_lines

    with no_request_lines():
        logging.getLogger("httpx").warning("something is wrong")
    assert "something is wrong" in lines.text
