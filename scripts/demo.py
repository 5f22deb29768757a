"""`make demo`: a local Logto, the two example DAGs run by Airflow, and an account of what came of it."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO

import roster_story
from rich.console import Console

import account
import playground
from logto_sandbox import Sandbox

HOME = ".demo"
#: Lines of Airflow's log that are shown when a command of Airflow fails.
LOG_TAIL = 30
#: An hour that is over, so that the export has nothing to wait for.
HOUR = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=2)
#: Audit log rows in that hour.
HISTORY = {"count": 120, "start": HOUR.isoformat(), "end": (HOUR + timedelta(minutes=59)).isoformat(), "seed": 1}

out = Console(highlight=False, markup=False, soft_wrap=True, width=account.WIDTH)


class AirflowFailed(Exception):
    """A command of Airflow ended badly."""


class DemoAirflow:
    """Airflow commands, one after another, against the demo's sandbox; what they say goes to the log."""

    def __init__(self, home: Path, sandbox: Sandbox, log: IO[str]) -> None:
        connection = playground.connection_json(sandbox.url, sandbox.app_id, sandbox.app_secret)
        self.env = playground.airflow_environment(home, connection)
        self.sandbox = sandbox
        self.log = log

    def run(self, purpose: str, *arguments: str) -> None:
        """Run one command.

        :raises AirflowFailed: when it fails.
        """
        command = playground.airflow_command(*arguments)
        with out.status(purpose), playground.process_group(command, self.env, self.log) as process:
            status = process.wait()
        if status:
            raise AirflowFailed(f"`airflow {' '.join(arguments)}` failed with status {status}")

    def run_dag(self, dag_id: str, logical_date: datetime | None = None) -> None:
        """Run a DAG to its end and say what it took."""
        self.sandbox.reset_stats()
        began = time.monotonic()
        self.run(f"DAG {dag_id}", "dags", "test", dag_id, *([logical_date.isoformat()] if logical_date else []))
        stats = self.sandbox.stats()
        reads = stats["requests"] - stats["writes"] - stats["tokens"]
        say(
            f"DAG {dag_id} succeeded in {time.monotonic() - began:.0f} s; "
            f"its requests: {reads} reads, {stats['writes']} writes, {stats['tokens']} for tokens"
        )


def say(text: str) -> None:
    """A heading in the account."""
    out.print(f"\n== {text}", style="bold")


def main() -> int:
    """Run the demo.

    :returns: exit status.
    """
    playground.end_on_signals()
    home = playground.fresh_home(playground.PROJECT / HOME)
    log_path = home / "airflow.log"
    with Sandbox(seed=playground.DEMO_SEED) as sandbox, log_path.open("w", encoding="utf-8") as log:
        sandbox.insert_logs(**HISTORY)
        say(f"A local Logto runs at {sandbox.url}: some roles, nobody in it yet. Airflow's log: {HOME}/{log_path.name}")
        try:
            tell(DemoAirflow(home, sandbox, log), home)
        except AirflowFailed as failure:
            out.print(f"\n{failure}. The end of its log, {HOME}/{log_path.name}:\n", style="red")
            out.print("\n".join(log_path.read_text("utf-8").splitlines()[-LOG_TAIL:]))
            return 1
    say("Done; nothing is left running.")
    return 0


def tell(airflow: DemoAirflow, home: Path) -> None:
    """The story: onboard, look, export, look, onboard again; then a roster, with a night that goes wrong."""
    airflow.run("Airflow makes its database", "db", "migrate")
    airflow.run_dag("employee_onboarding")
    asyncio.run(account.show_logto(out, airflow.sandbox))
    airflow.run_dag("audit_log_export", HOUR + timedelta(hours=1))
    account.show_export(out, home)
    airflow.run_dag("employee_onboarding")
    writes = airflow.sandbox.stats()["writes"]
    out.print(f"   The second run found everyone and everything as the roster says: {writes} writes")
    say("A roster: a plan, a brake that holds, and an apply")
    asyncio.run(roster_story.tell(out, airflow.sandbox, home))


if __name__ == "__main__":
    raise SystemExit(main())
