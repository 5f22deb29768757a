"""What the audit log tests share: a client for a sandbox, and what the sandbox's log truly holds."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from airflow_provider_logto.client.client import LogtoClient
from airflow_provider_logto.client.retrying import RetryOptions
from airflow_provider_logto.management.audit_logs.walk import LogFilter, LogPages, Window, walk
from logto_sandbox import Sandbox
from tests.clients import client_of

T = TypeVar("T")

HOUR = 3_600_000
#: 2025-10-09T08:00:00Z
START = 1_759_996_800_000


def make_client(sandbox: Sandbox, kind: type[LogtoClient] = LogtoClient) -> LogtoClient:
    """A client that repeats failures at once, and often."""
    return client_of(sandbox, kind, retry=RetryOptions(attempts=12, base=0.002, cap=0.02))


def run_on(sandbox: Sandbox, function: Callable[[LogtoClient], Awaitable[T]]) -> T:
    """Give a function such a client and run it to its end."""

    async def call() -> T:
        async with make_client(sandbox) as client:
            return await function(client)

    return asyncio.run(call())


async def collect(
    client: LogtoClient, window: Window, filters: LogFilter | None = None, concurrency: int = 4, **more: Any
) -> list[Any]:
    """All rows of a walk."""
    return [row async for batch in walk(LogPages(client, concurrency), window, filters, **more) for row in batch]


def truth(sandbox: Sandbox, window: Window, filters: LogFilter | None = None) -> list[tuple[int, str]]:
    """(createdAt, id) of the rows that the sandbox holds in a window, ascending."""
    wanted = filters or LogFilter()
    return sorted(
        (int(row["createdAt"]), row["id"])
        for row in sandbox.tenant.logs.dump()
        if window.low <= int(row["createdAt"]) < window.high
        and (not wanted.log_keys or row["key"] in wanted.log_keys)
        and wanted.user_id in (None, row["payload"].get("userId"))
        and wanted.application_id in (None, row["payload"].get("applicationId"))
    )


def positions(rows: list[Any]) -> list[tuple[int, str]]:
    """(createdAt, id) of rows, in their order."""
    return [(row.created_at, row.id) for row in rows]


def log_requests(sandbox: Sandbox) -> int:
    """How many requests for logs arrived."""
    return int(sandbox.stats()["routes"].get("GET /api/logs", 0))
