"""How many tokens a fleet of processes fetches: ``python benchmarks/fleet_tokens.py [--processes 64]``.

Each process is one task attempt: no token in memory, one request. Rounds: a cold cache, a warm one, a token at its end,
a signing key that was rotated.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from airflow_provider_logto.client.auth.credentials import Credentials
from airflow_provider_logto.client.client import LogtoClient
from airflow_provider_logto.client.endpoint import Endpoint
from airflow_provider_logto.client.sharing.encryption import Vault
from airflow_provider_logto.client.sharing.factory import token_cache_and_pacer
from airflow_provider_logto.client.sharing.host_files import HostTokenCache
from logto_sandbox import Sandbox

Round = dict[str, Any]


def task(url: str, app: str, secret: str, directory: str, start: Any, results: Any) -> None:
    """One task attempt; reports the seconds that its request took."""
    endpoint, credentials = Endpoint.parse(url), Credentials(app, secret)

    async def go() -> float:
        cache, pacer = token_cache_and_pacer(
            endpoint, credentials, mode="host", rate_limit=None, share=1.0, directories=[Path(directory)]
        )
        async with LogtoClient(endpoint, credentials, token_cache=cache, pacer=pacer) as client:
            began = time.perf_counter()
            await client.request("GET", "/users")
            return time.perf_counter() - began

    start.wait()
    results.put(asyncio.run(go()))


def run(sandbox: Sandbox, directory: str, processes: int) -> Round:
    """Start all at once; returns what the server saw, and how long a request took."""
    context = multiprocessing.get_context("fork")
    start, results = context.Event(), context.Queue()
    arguments = (sandbox.url, sandbox.app_id, sandbox.app_secret, directory, start, results)
    tasks = [context.Process(target=task, args=arguments) for _ in range(processes)]
    sandbox.reset_stats()
    for process in tasks:
        process.start()
    start.set()
    seconds = [results.get(timeout=120) for _ in tasks]
    for process in tasks:
        process.join()
    stats = sandbox.stats()
    return {"tokens": stats["tokens"], "reads": stats["routes"]["GET /api/users"], "median": statistics.median(seconds)}


def age(sandbox: Sandbox, directory: str) -> None:
    """Make the kept token as old as one that is just over."""
    vault = Vault(sandbox.app_secret)
    cache = HostTokenCache(Path(directory), vault)
    key = Credentials(sandbox.app_id, sandbox.app_secret).cache_key(Endpoint.parse(sandbox.url))

    async def go() -> None:
        token = await cache.get(key)
        if token is not None:
            over = type(token)(token.value, token.issued_at - 3600, token.expires_at - 3600, token.skew)
            await cache.put(key, over)

    asyncio.run(go())


def main(processes: int) -> list[tuple[str, Round]]:
    """All rounds; returns and prints them."""
    rounds = []
    with Sandbox() as sandbox, tempfile.TemporaryDirectory() as home:
        directory = f"{home}/state"
        run(sandbox, f"{home}/warm-up", 1)
        for name, prepare in (
            ("cold cache", lambda: None),
            ("warm cache", lambda: None),
            ("token at its end", lambda: age(sandbox, directory)),
            ("signing key rotated", lambda: sandbox.add_fault(kind="signing_key_rotated")),
        ):
            prepare()
            result = run(sandbox, directory, processes)
            rounds.append((name, result))
            print(
                f"{name:20} {processes} processes, {result['reads']} reads, {result['tokens']} tokens "
                f"(ratio {result['tokens'] / processes:.3f}), median request {result['median'] * 1000:.0f} ms"
            )
    return rounds


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=64)
    main(parser.parse_args().processes)
