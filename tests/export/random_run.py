"""One export with faults, rows that come late, and kills at random moments. Run as a program, it is the
process that dies; called from a test, it starts that process again and again until the export is done."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from upath import UPath

from airflow_provider_logto.client.auth.credentials import Credentials
from airflow_provider_logto.client.auth.token_cache import ProcessTokenCache
from airflow_provider_logto.client.client import LogtoClient
from airflow_provider_logto.client.endpoint import Endpoint
from airflow_provider_logto.client.replies import Reply
from airflow_provider_logto.client.retrying import RetryOptions
from airflow_provider_logto.export.audit_logs import export_audit_logs
from airflow_provider_logto.export.folder import Folder
from airflow_provider_logto.export.job import ExportJob
from airflow_provider_logto.management.audit_logs.walk import LogFilter, Window
from logto_sandbox import Sandbox
from tests.export.test_files import decode
from tests.management.audit_log_tools import HOUR, START, truth

WINDOW = Window(START + HOUR, START + 9 * HOUR)


@dataclass
class FileState:
    """A task state store in a file, replaced whole at each write."""

    path: Path

    def get(self, key: str) -> Any:
        return self._all().get(key)

    def set(self, key: str, value: Any) -> None:
        fresh = self.path.with_suffix(".new")
        fresh.write_text(json.dumps({**self._all(), key: value}))
        fresh.replace(self.path)

    def _all(self) -> dict[str, Any]:
        return json.loads(self.path.read_text()) if self.path.exists() else {}


class LateRows(LogtoClient):
    """Now and then a row appears in the interval, until reading is over and rows are counted."""

    luck: random.Random
    left = 0

    async def send(self, method: str, path: str, query: Any = None, body: Any = None, **more: Any) -> Reply:
        if path == "/logs" and query.get("page_size") == 100 and self.left and self.luck.random() < 0.05:
            self.left -= 1
            moment = self.luck.randrange(WINDOW.low, WINDOW.high)
            row = {"key": "Interaction.End", "payload": {"key": "Interaction.End"}, "createdAt": moment}
            async with asyncio.timeout(30):
                url = f"{self.endpoint.base_url}/sandbox/logs"
                await asyncio.to_thread(post, url, [row])
        return await super().send(method, path, query, body, **more)


def post(url: str, rows: list[dict[str, Any]]) -> None:
    import urllib.request

    request = urllib.request.Request(url, json.dumps(rows).encode(), {"Content-Type": "application/json"})  # noqa: S310
    urllib.request.urlopen(request, timeout=30).close()  # noqa: S310


@dataclass
class RandomRun:
    """Everything about one run, from its seed alone."""

    seed: int
    luck: random.Random = field(init=False)

    def __post_init__(self) -> None:
        luck = self.luck = random.Random(self.seed)  # noqa: S311
        self.version = luck.choice(["1.42", "1.42", "1.40", "1.39"])
        self.rows = luck.choice([0, 1, 99, 100, 101, luck.randrange(5000), luck.randrange(12_000)])
        ties = luck.choice([1, 1, 1, 3, 150])
        self.spec: dict[str, Any] = {
            "pattern": luck.choice(["random", "bursts"]),
            "bursts": luck.randrange(1, 9),
            "burst_ms": luck.choice([50, 1000, 60_000]),
            "ties": min(ties, max(1, self.rows)),
            "whole_ms": luck.random() < 0.3,
            "seed": self.seed,
        }
        self.filters = luck.choice([LogFilter(), LogFilter(), LogFilter(("Interaction.End", "RevokeToken"))])
        self.job = ExportJob(
            WINDOW,
            self.filters,
            compression=luck.choice(["gzip", "none", "zstd"]),
            partition_by=luck.choice([None, "hour"]),
            max_rows_per_file=luck.choice([50, 700, 1_000_000]),
        )
        # Before 1.40 a row that comes late cannot be noticed: there is no count of an interval.
        self.late = 0 if self.version == "1.39" else luck.choice([0, 3])
        self.kills = luck.choice([0, 0, 1, 3])
        self.keeps_state = luck.random() < 0.7

    def raise_faults(self, sandbox: Sandbox) -> None:
        for kind, more in (
            ("rate_limited", {"retry_after": 0}),
            ("reset", {}),
            ("truncated", {"keep": self.luck.random()}),
            ("error", {"status": self.luck.choice([500, 502, 503])}),
            ("lost_answer", {}),
        ):
            sandbox.add_fault(
                kind=kind, method="GET", path="/api/logs", times=None, probability=0.03, seed=self.seed, **more
            )

    async def export(self, url: str, resource: str, app: tuple[str, str], folder: Path) -> dict[str, Any]:
        client = LateRows(
            Endpoint.parse(url, resource=resource),
            Credentials(*app),
            token_cache=ProcessTokenCache(),
            retry=RetryOptions(attempts=20, base=0.002, cap=0.02),
        )
        client.luck, client.left = random.Random(self.seed + 1), self.late  # noqa: S311
        state = FileState(folder.parent / "state.json") if self.keeps_state else None
        async with client:
            return await export_audit_logs(client, self.job, Folder(UPath(folder)), state)


def run_once(seed: int, folder: Path) -> None:
    """Export once and compare the result with what the server has."""
    run = RandomRun(seed)
    with Sandbox(logto_version=run.version) as sandbox:
        sandbox.insert_logs(count=run.rows, start=START, end=START + 10 * HOUR, **run.spec)
        run.raise_faults(sandbox)
        summary = export_with_kills(run, sandbox, folder)
        expected = truth(sandbox, WINDOW, run.filters)
        sandbox.clear_faults()
        assert read_back(summary, folder, run.job) == expected
        before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        run.late = 0
        again = asyncio.run(
            run.export(sandbox.url, sandbox.resource, (sandbox.app_id, sandbox.app_secret), folder.parent / "again")
        )
        listed = [Path(name).relative_to(folder.parent / "again") for name in (*again["files"], again["manifest"])]
        for name in listed:
            assert (folder.parent / "again" / name).read_bytes() == before[folder / name]


def export_with_kills(run: RandomRun, sandbox: Sandbox, folder: Path) -> dict[str, Any]:
    """Run the export in processes of its own; each but the last is killed at a random moment."""
    app = (sandbox.app_id, sandbox.app_secret)
    if not run.kills:
        return asyncio.run(run.export(sandbox.url, sandbox.resource, app, folder))
    command = [sys.executable, "-m", "tests.export.random_run", str(run.seed), sandbox.url, sandbox.resource, *app]
    for kill in range(run.kills + 1):
        process = subprocess.Popen([*command, str(folder)], stdout=subprocess.PIPE)
        if kill < run.kills:
            time.sleep(run.luck.uniform(0.2, 2.0))
            os.kill(process.pid, signal.SIGKILL)
            process.communicate()
            continue
        output, _ = process.communicate(timeout=120)
        assert process.returncode == 0
    return dict(json.loads(output.splitlines()[-1]))


def read_back(summary: dict[str, Any], folder: Path, job: ExportJob) -> list[tuple[int, str]]:
    """(createdAt, id) of every exported row, by the manifest; its counts and digests are checked on the way."""
    manifest = json.loads(Path(summary["manifest"]).read_bytes())
    rows = []
    for entry in manifest["files"]:
        content = (folder / entry["path"]).read_bytes()
        assert hashlib.sha256(content).hexdigest() == entry["sha256"]
        assert len(content) == entry["bytes"]
        found = decode(content, job.file_format, job.compression)
        assert len(found) == entry["rows"] <= job.max_rows_per_file
        rows += [(row["createdAt"], row["id"]) for row in found]
    assert manifest["count"] == summary["count"] == len(rows)
    return rows


if __name__ == "__main__":
    seed, url, resource, app_id, secret, target = sys.argv[1:]
    print(json.dumps(asyncio.run(RandomRun(int(seed)).export(url, resource, (app_id, secret), Path(target)))))
