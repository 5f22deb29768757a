"""The walk under a limit of 200 requests per 10 s, for each model of a limiter: share of the limit used, and 429s.

python benchmarks/audit_logs_paced.py --seconds 40
"""

from __future__ import annotations

import argparse
import asyncio
import time
from contextlib import suppress
from datetime import timedelta

from audit_logs import SANDBOX_START

from airflow_provider_logto.client.auth.credentials import Credentials
from airflow_provider_logto.client.auth.token_cache import ProcessTokenCache
from airflow_provider_logto.client.client import LogtoClient
from airflow_provider_logto.client.endpoint import Endpoint
from airflow_provider_logto.client.sharing.pacing import CellPacer, ProcessCell
from airflow_provider_logto.management.audit_logs.walk import LogPages, Window, walk
from logto_sandbox import Sandbox

LIMIT = 200


async def read(sandbox: Sandbox, window: Window, seconds: float) -> int:
    """Walk for some seconds; returns rows handed on."""
    rows = 0
    pacer = CellPacer(ProcessCell(), LIMIT, share=1.0)
    client = LogtoClient(
        Endpoint.parse(sandbox.url),
        Credentials(sandbox.app_id, sandbox.app_secret),
        token_cache=ProcessTokenCache(),
        pacer=pacer,
    )
    async with client:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                async for batch in walk(LogPages(client), window):
                    rows += len(batch)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=40)
    options = parser.parse_args()
    end = SANDBOX_START + timedelta(days=14)
    window = Window(round(SANDBOX_START.timestamp() * 1000), round(end.timestamp() * 1000))
    print(f"{'limiter':16}{'requests':>10}{'of the limit':>14}{'429':>6}{'rows/s':>8}")
    for limiter in ("token_bucket", "sliding_window", "fixed_window"):
        with Sandbox(rate_limit=LIMIT, limiter=limiter) as sandbox:
            sandbox.insert_logs(start=window.low, end=window.high, count=200_000, seed=3)
            sandbox.reset_stats()
            began = time.monotonic()
            rows = asyncio.run(read(sandbox, window, options.seconds))
            elapsed = time.monotonic() - began
            stats = sandbox.stats()
        share = stats["requests"] / (LIMIT / 10 * elapsed)
        refused = stats["rejections"].get("429", 0)
        print(f"{limiter:16}{stats['requests']:>10}{share:>13.1%} {refused:>5}{rows / elapsed:>8.0f}", flush=True)


if __name__ == "__main__":
    main()
