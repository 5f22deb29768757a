"""What the machinery costs: ``python benchmarks/pacing_cost.py [--requests 400]``.

Sequential reads of the sandbox with a token in memory and no pacing, against the same with token and pace shared
through the host's files or through Redis (at a limit too high to make anybody wait). Rounds are interleaved; printed
are the median per request, what sharing adds to it, and the first request of a fresh client with a warm cache.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from pathlib import Path

from airflow_provider_logto.client.auth.credentials import Credentials
from airflow_provider_logto.client.auth.token_cache import ProcessTokenCache
from airflow_provider_logto.client.client import LogtoClient
from airflow_provider_logto.client.endpoint import Endpoint
from airflow_provider_logto.client.sharing.factory import Mode, token_cache_and_pacer
from airflow_provider_logto.client.sharing.pacing import NoPacer
from airflow_provider_logto.client.sharing.redis_server import RedisServer
from logto_sandbox import Sandbox

ROUNDS = 10
LIMIT = 10_000_000


async def measure(sandbox: Sandbox, modes: dict[str, Mode | None], directory: Path, requests: int) -> None:
    """Print one line a mode."""
    endpoint, credentials = Endpoint.parse(sandbox.url), Credentials(sandbox.app_id, sandbox.app_secret)

    def make(mode: Mode | None) -> LogtoClient:
        if mode is None:
            return LogtoClient(endpoint, credentials, token_cache=ProcessTokenCache(), pacer=NoPacer())
        cache, pacer = token_cache_and_pacer(
            endpoint, credentials, mode=mode, rate_limit=LIMIT, share=1.0, directories=[directory]
        )
        return LogtoClient(endpoint, credentials, token_cache=cache, pacer=pacer)

    async def timed(client: LogtoClient) -> float:
        began = time.perf_counter()
        await client.request("GET", "/roles", {"page_size": 1})
        return time.perf_counter() - began

    clients = {name: make(mode) for name, mode in modes.items()}
    taken: dict[str, list[float]] = {name: [] for name in modes}
    for client in clients.values():
        await timed(client)
    for _ in range(ROUNDS):
        for name, client in clients.items():
            taken[name] += [await timed(client) for _ in range(requests // ROUNDS)]
    base = statistics.median(taken["process, no pace"])
    for name, client in clients.items():
        median = statistics.median(taken[name])
        await client.close()
        sandbox.reset_stats()
        fresh = make(modes[name])
        first = await timed(fresh)
        await fresh.close()
        print(
            f"{name:18} median {median * 1000:6.3f} ms, adds {(median - base) * 1000:6.3f} ms (ratio "
            f"{median / base:.2f}); fresh client: {first * 1000:5.1f} ms, {sandbox.stats()['tokens']} tokens"
        )


def main(requests: int) -> None:
    """All modes against one sandbox."""
    redis = RedisServer("127.0.0.1", db=9)
    with Sandbox() as sandbox, tempfile.TemporaryDirectory() as home:
        modes: dict[str, Mode | None] = {"process, no pace": None, "process": "process", "host": "host", "redis": redis}
        asyncio.run(measure(sandbox, modes, Path(home) / "state", requests))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=400)
    main(parser.parse_args().requests)
