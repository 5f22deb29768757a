"""Mapped tasks in a real Airflow, and how many tokens they cost: ``python benchmarks/fleet/run.py [--tasks 200]``.

``--executor local`` (default) runs `airflow standalone`: every task attempt is a process of one machine, and they share
the token through its files. ``--executor celery`` runs a scheduler and two Celery workers that share no directory, on
Redis and PostgreSQL at their usual ports of this machine; token and pace are shared through Redis. It needs the
packages of ``requirements.txt`` beside this file on PYTHONPATH (``make fleet`` puts them there).
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

PROJECT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(PROJECT / "scripts"), str(PROJECT)]

import playground  # noqa: E402
import standalone  # noqa: E402
from logto_sandbox import Sandbox  # noqa: E402

DAGS = Path(__file__).with_name("dags")
REDIS = "redis://127.0.0.1:6379"
POSTGRES = "postgres@127.0.0.1:5432"
FINISH_WITHIN = 1800


def settings(home: Path, sandbox: Sandbox, port: int, tasks: int, at_once: int, shared_state: str) -> dict[str, str]:
    """The environment of an Airflow whose Connection shares as told."""
    connection = json.loads(playground.connection_json(sandbox.url, sandbox.app_id, sandbox.app_secret))
    # A limit far above what this machine can send: the pace is kept, and nobody waits for it.
    connection["extra"] = {"shared_state": shared_state, "rate_limit": 2000, "rate_limit_share": 1}
    return standalone.standalone_environment(home, DAGS, json.dumps(connection), port) | {
        "AIRFLOW__CORE__PARALLELISM": str(at_once),
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "10",
        "FLEET_TASKS": str(tasks),
        "FLEET_AT_ONCE": str(at_once),
        "XDG_CACHE_HOME": str(home / "cache"),
    }


@contextlib.contextmanager
def local(home: Path, sandbox: Sandbox, port: int, tasks: int, at_once: int) -> Iterator[None]:
    """`airflow standalone` with the local executor."""
    env = settings(home, sandbox, port, tasks, at_once, "host")
    with contextlib.ExitStack() as stack:
        process = _start(stack, home, "standalone", ["standalone"], env)
        if not standalone.wait_until_healthy(f"http://localhost:{port}", process):
            raise SystemExit(f"Airflow did not start:\n{(home / 'standalone.log').read_text()[-3000:]}")
        yield


@contextlib.contextmanager
def celery(home: Path, sandbox: Sandbox, port: int, tasks: int, at_once: int) -> Iterator[None]:
    """A scheduler, an API server, a DAG processor, a triggerer and two workers that share no directory."""
    name = f"logto_fleet_{uuid.uuid4().hex[:8]}"
    env = settings(home, sandbox, port, tasks, at_once, "fleet_redis") | {
        "AIRFLOW_CONN_FLEET_REDIS": f"{REDIS}/?db=9",
        "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
        "AIRFLOW__CORE__FERNET_KEY": "",
        "AIRFLOW__API_AUTH__JWT_SECRET": uuid.uuid4().hex * 4,
        "AIRFLOW__API__SECRET_KEY": uuid.uuid4().hex,
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"postgresql+psycopg2://{POSTGRES}/{name}",
        "AIRFLOW__CELERY__BROKER_URL": f"{REDIS}/8",
        "AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__GLOBAL_KEYPREFIX": f"{name}:",
        "AIRFLOW__CELERY__RESULT_BACKEND": f"db+postgresql+psycopg2://{POSTGRES}/{name}",
        "AIRFLOW__OPERATORS__DEFAULT_QUEUE": name,
    }
    with contextlib.ExitStack() as stack:
        _database(f"CREATE DATABASE {name}")
        stack.callback(_database, f"DROP DATABASE {name} WITH (FORCE)")
        stack.callback(_forget_queue, name)
        subprocess.run(playground.airflow_command("db", "migrate"), env=env, check=True, capture_output=True)
        for part in ("api-server", "scheduler", "dag-processor", "triggerer"):
            process = _start(stack, home, part, [part], env)
        for number in (1, 2):
            own = home / f"worker{number}"
            own.mkdir()
            command = ["celery", "worker", "--concurrency", str(max(1, at_once // 2)), "--skip-serve-logs"]
            command += ["--queues", name, "--celery-hostname", f"w{number}@{name}"]
            apart = {"AIRFLOW_HOME": str(own), "XDG_CACHE_HOME": str(own / "cache")}
            _start(stack, home, f"worker{number}", command, env | apart)
        if not standalone.wait_until_healthy(f"http://localhost:{port}", process):
            raise SystemExit(f"Airflow did not start; see {home}")
        yield


def _start(stack: contextlib.ExitStack, home: Path, name: str, command: list[str], env: dict[str, str]) -> Any:
    log = stack.enter_context((home / f"{name}.log").open("w"))
    return stack.enter_context(playground.process_group(playground.airflow_command(*command), env, log))


def _database(statement: str) -> None:
    import psycopg2

    connection = psycopg2.connect(f"postgresql://{POSTGRES}/postgres")
    connection.autocommit = True
    with contextlib.closing(connection), connection.cursor() as cursor:
        cursor.execute(statement)


def _forget_queue(name: str) -> None:
    import redis

    with redis.Redis.from_url(f"{REDIS}/8") as client:
        for key in client.scan_iter(f"{name}:*"):
            client.delete(key)


def run_dag(address: str) -> tuple[str, float]:
    """Run the DAG once; returns its state and the seconds it took."""

    def api(method: str, path: str, **more: Any) -> Any:
        answer = httpx.request(method, f"{address}/api/v2{path}", timeout=30, trust_env=False, **more)
        return answer.json() if answer.status_code < 300 else {}

    deadline = time.monotonic() + FINISH_WITHIN
    while not api("GET", "/dags/fleet_mapped") and time.monotonic() < deadline:
        time.sleep(1)
    began = time.monotonic()
    run = api("POST", "/dags/fleet_mapped/dagRuns", json={"logical_date": None}).get("dag_run_id")
    state = ""
    while state not in ("success", "failed") and time.monotonic() < deadline:
        time.sleep(2)
        state = api("GET", f"/dags/fleet_mapped/dagRuns/{run}").get("state", "")
    return state, time.monotonic() - began


def main() -> int:
    """Start everything, run once, print, stop everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--executor", choices=("local", "celery"), default="local")
    parser.add_argument("--tasks", type=int, default=200)
    parser.add_argument("--at-once", type=int, default=8)
    options = parser.parse_args()
    playground.end_on_signals()
    port = standalone.free_port()
    airflow = {"local": local, "celery": celery}[options.executor]
    with tempfile.TemporaryDirectory(prefix="logto-fleet-") as folder, Sandbox() as sandbox:
        home = playground.fresh_home(Path(folder) / "home")
        with airflow(home, sandbox, port, options.tasks, options.at_once):
            state, seconds = run_dag(f"http://localhost:{port}")
            stats = sandbox.stats()
        reads = stats["routes"].get("GET /api/users", 0)
        print(
            f"{options.executor}: {options.tasks} mapped tasks, {options.at_once} at once: {state} in {seconds:.0f} s; "
            f"{reads} reads, {stats['tokens']} tokens (ratio {stats['tokens'] / options.tasks:.3f})"
        )
        if keep := os.environ.get("FLEET_KEEP_LOGS"):
            subprocess.run(["cp", "-r", str(home), keep], check=True)
    return 0 if state == "success" and reads == options.tasks and stats["tokens"] == 1 else 1


if __name__ == "__main__":
    raise SystemExit(main())
