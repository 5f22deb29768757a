"""The window walk against paging and against a bare loop: rows/s, requests, peak memory, as ratios of one run.

    python benchmarks/audit_logs.py                       a sandbox with 200,000 rows
    python benchmarks/audit_logs.py --endpoint http://localhost:3001 --app-id ID --app-secret SECRET \\
        --start 2026-11-08T00:00:00Z --end 2026-11-22T00:00:00Z --sample 40 --dlt /path/to/python-with-dlt

Every contender runs in a process of its own. With ``--sample N`` the two that page measure N pages, evenly spread over
all depths, and their total is extrapolated: on a real server with a million rows it is a matter of hours.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import audit_log_contenders as contenders

SANDBOX_START = datetime.fromisoformat("2026-01-01T00:00:00+00:00")
SANDBOX_END = SANDBOX_START + timedelta(days=14)


@contextmanager
def sandbox(rows: int) -> Iterator[dict[str, Any]]:
    """A sandbox in a process of its own, with rows in random bursts."""
    command = [sys.executable, "-m", "logto_sandbox", "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        url = contenders.address_in(process.stdout)
        half = rows // 2
        span = {"start": SANDBOX_START.isoformat(), "end": SANDBOX_END.isoformat()}
        for spec in (
            {"count": half, "pattern": "random", "seed": 1},
            {"count": rows - half, "pattern": "bursts", "bursts": max(4, rows // 2500), "burst_ms": 240_000, "seed": 2},
        ):
            contenders.post(f"{url}/sandbox/logs", {**span, **spec})
        yield {"endpoint": url, "app_id": "sandbox-m2m", "app_secret": "sandbox-m2m-secret"}
    finally:
        process.terminate()
        process.wait(10)


def run(python: str, name: str, job: dict[str, Any]) -> dict[str, Any]:
    """Run one contender; returns rows, seconds, requests, peak_mb."""
    command = [python, str(Path(contenders.__file__)), name, json.dumps(job)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def best(results: list[dict[str, Any]]) -> dict[str, Any]:
    """The median run by rows/s."""
    ordered = sorted(results, key=lambda result: result["rows"] / result["seconds"])
    return ordered[len(ordered) // 2]


def table(results: dict[str, dict[str, Any]]) -> None:
    walk = results["walk"]["rows"] / results["walk"]["seconds"]
    print(
        f"\n{'':26}{'rows':>9}{'seconds':>10}{'rows/s':>9}{'requests':>10}{'per 100':>9}{'peak MB':>9}{'walk is':>10}"
    )
    for name, result in results.items():
        rate = result["rows"] / result["seconds"]
        note = " (extrapolated)" if result.get("sampled") else ""
        share = result["requests"] / max(result["rows"], 1) * 100
        print(
            f"{name:26}{result['rows']:>9}{result['seconds']:>10.1f}{rate:>9.0f}{result['requests']:>10}"
            f"{share:>9.3f}{result['peak_mb']:>9.0f}{walk / rate:>9.2f}x{note}"
        )


def compare(job: dict[str, Any], repeats: int, dlt: str | None) -> None:
    """All contenders over one interval; the fast ones take turns, since a machine's mood changes."""
    fast = ("walk", "bare loop", "export, no compression", "export, gzip")
    turns: dict[str, list[dict[str, Any]]] = {name: [] for name in fast}
    for _ in range(repeats):
        for name in fast:
            turns[name].append(run(sys.executable, name, job))
            last = turns[name][-1]
            print(f"  {name}: {last['rows'] / last['seconds']:.0f} rows/s, CPU {last['cpu']:.1f} s", flush=True)
    results = {name: best(found) for name, found in turns.items()}
    results["paging (HttpOperator)"] = run(sys.executable, "paging", {**job, "rows": results["walk"]["rows"]})
    if dlt:
        results["paging (dlt)"] = run(dlt, "dlt", {**job, "rows": results["walk"]["rows"]})
    table(results)
    bare = statistics.median(found["rows"] / found["seconds"] for found in turns["bare loop"])
    for name in fast[2:]:
        rate = statistics.median(found["rows"] / found["seconds"] for found in turns[name])
        print(f"{name}: {rate / bare:.0%} of the bare loop's rows/s")


def growth(job: dict[str, Any], sizes: list[int]) -> None:
    """Time and memory over ten times, a hundred times the rows."""
    print(f"\n{'rows':>9}{'seconds':>10}{'us/row':>9}{'per 100':>9}{'peak MB':>9}")
    for size in sizes:
        found = run(sys.executable, "export, no compression", {**job, "rows": size, "cut": True})
        print(
            f"{found['rows']:>9}{found['seconds']:>10.1f}{found['seconds'] / found['rows'] * 1e6:>9.0f}"
            f"{found['requests'] / found['rows'] * 100:>9.3f}{found['peak_mb']:>9.0f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=200_000, help="rows of the sandbox")
    parser.add_argument("--endpoint", help="a real Logto instead of the sandbox")
    parser.add_argument("--app-id")
    parser.add_argument("--app-secret")
    parser.add_argument("--start", default=SANDBOX_START.isoformat())
    parser.add_argument("--end", default=SANDBOX_END.isoformat())
    parser.add_argument("--concurrency", type=int, default=4)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--sample", type=int, default=0, help="pages that the paging contenders measure; 0 = all")
    parser.add_argument("--dlt", help="a Python that has dlt and httpx")
    parser.add_argument("--sizes", type=int, nargs="*", default=[], help="row counts whose growth to show")
    parser.add_argument("--only-growth", action="store_true")
    options = parser.parse_args()

    def measure(tenant: dict[str, Any], folder: str) -> None:
        job = {**tenant, "start": options.start, "end": options.end, "concurrency": options.concurrency}
        job |= {"folder": folder, "sample": options.sample}
        if not options.only_growth:
            compare(job, options.repeats, options.dlt)
        if options.sizes:
            growth(job, options.sizes)

    with tempfile.TemporaryDirectory() as folder:
        if options.endpoint:
            tenant = {"endpoint": options.endpoint, "app_id": options.app_id, "app_secret": options.app_secret}
            measure(tenant, folder)
        else:
            with sandbox(options.rows) as tenant:
                measure(tenant, folder)


if __name__ == "__main__":
    main()
