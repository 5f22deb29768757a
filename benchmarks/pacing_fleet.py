"""Many processes on one limit: ``python benchmarks/pacing_fleet.py [--seconds 60] [--only host redis neighbour]``.

Eight processes read as fast as they may, at share 1.0 of 200 requests per 10 s, against each model of a limiter:
through a file of the host, through Redis (two groups of processes that share no disk), and beside a neighbour who takes
half of a token bucket. Printed: refusals, and how much of what there was has been used after a warm-up of 10 s.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from airflow_provider_logto.client.auth.credentials import Credentials
from airflow_provider_logto.client.client import LogtoClient
from airflow_provider_logto.client.endpoint import Endpoint
from airflow_provider_logto.client.sharing.factory import Mode, token_cache_and_pacer
from airflow_provider_logto.client.sharing.redis_server import RedisServer
from airflow_provider_logto.exceptions import LogtoError
from logto_sandbox import Sandbox

WARM_UP = 10.0
READERS = 4


@dataclass(frozen=True)
class Result:
    """One run.

    :param refused: part of this fleet's requests that were refused.
    :param used: part used of what there was, after the warm-up.
    :param failed: operations that ended in an error.
    """

    name: str
    requests: int
    refused: float
    used: float
    failed: int

    def __str__(self) -> str:
        return (
            f"{self.name:28} {self.requests:6} requests, {self.refused:8.3%} refused, "
            f"{self.used:6.1%} of the limit used, {self.failed} operations failed"
        )


def reader(
    url: str, credentials: Credentials, mode: Mode, directory: str, limit: int, seconds: float, failed: Any
) -> None:
    """One process: some coroutines that read without a pause until the time is over."""
    endpoint = Endpoint.parse(url)

    async def go() -> None:
        cache, pacer = token_cache_and_pacer(
            endpoint, credentials, mode=mode, rate_limit=limit, share=1.0, directories=[Path(directory)]
        )
        end = time.monotonic() + seconds

        async def read(client: LogtoClient) -> None:
            while time.monotonic() < end:
                try:
                    await client.request("GET", "/roles")
                except LogtoError as error:
                    failed.put(str(error))

        async with LogtoClient(endpoint, credentials, token_cache=cache, pacer=pacer) as client:
            await asyncio.gather(*(read(client) for _ in range(READERS)))

    asyncio.run(go())


def neighbour(url: str, per_second: float, seconds: float) -> None:
    """Another consumer of the same limit, who heeds nobody."""
    end = time.monotonic() + seconds
    with httpx.Client() as http:
        due = time.monotonic()
        while time.monotonic() < end:
            due += 1 / per_second
            http.get(f"{url}/api/resources")
            time.sleep(max(0.0, due - time.monotonic()))


def run(
    model: str,
    modes: list[Mode],
    *,
    seconds: float = 60.0,
    limit: int = 200,
    processes: int = 8,
    others: float = 0.0,
    warm_up: float = WARM_UP,
    name: str = "",
) -> Result:
    """Run a fleet; ``modes`` are dealt out to its processes in turn, each with a directory of its own."""
    context = multiprocessing.get_context("fork")
    failed = context.Queue()
    with Sandbox(rate_limit=limit, limiter=model) as sandbox, tempfile.TemporaryDirectory() as home:
        credentials = Credentials(sandbox.app_id, sandbox.app_secret)
        fleet = []
        for n in range(processes):
            group = n % len(modes)
            arguments = (sandbox.url, credentials, modes[group], f"{home}/{group}", limit, seconds, failed)
            fleet.append(context.Process(target=reader, args=arguments))
        if others:
            fleet.append(context.Process(target=neighbour, args=(sandbox.url, others, seconds)))
        began = time.time()
        for process in fleet:
            process.start()
        for process in fleet:
            process.join()
        mine = [r for r in sandbox.requests() if r["path"] != "/api/resources"]
    refused = sum(r["status"] == 429 for r in mine)
    window = seconds - warm_up
    passed = sum(r["status"] == 200 and warm_up <= r["at_ms"] / 1000 - began < seconds for r in mine)
    return Result(
        name or f"{model}, {len(modes)} group(s)",
        len(mine),
        refused / max(1, len(mine)),
        passed / window / (limit / 10 - others),
        failed.qsize(),
    )


def main(seconds: float, only: list[str]) -> None:
    """All runs, each printed as it ends."""
    redis = RedisServer("127.0.0.1", db=9)
    for model in ("token_bucket", "sliding_window", "fixed_window"):
        if "host" in only:
            print(run(model, ["host"], seconds=seconds, name=f"host, {model}"), flush=True)
        if "redis" in only:
            print(run(model, [redis, redis], seconds=seconds, name=f"redis, {model}"), flush=True)
    if "neighbour" in only:
        print(
            run("token_bucket", ["host"], seconds=2 * seconds, others=10.0, name="beside a neighbour, bucket"),
            flush=True,
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--only", nargs="*", default=["host", "redis", "neighbour"])
    arguments = parser.parse_args()
    main(arguments.seconds, arguments.only)
