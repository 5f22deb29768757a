"""SIGKILL at any moment of an apply: the next try of the task ends in the same state, and nothing is there twice."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_logto.configuration.ledger import Ledger
from airflow_provider_logto.configuration.sync import ConfigurationJob, Options, apply_configuration
from airflow_provider_logto.plans.journal import Run
from logto_sandbox import Sandbox
from tests.roster.conftest import local_store

INDICATOR = "https://orders.example.com"
#: Objects of each kind.
COUNT = 30

#: A task's process: arguments are the sandbox, the folder and the configuration.
PROCESS = """
import asyncio, json, sys
from pathlib import Path
from airflow_provider_logto.configuration.sync import ConfigurationJob, Options, apply_configuration
from airflow_provider_logto.plans.journal import Run
from tests.clients import client_of
from tests.roster.conftest import local_store

class Address:
    url, app_id, app_secret = sys.argv[1:4]

folder, config = Path(sys.argv[4]), json.loads(sys.argv[5])
job = ConfigurationJob.checked("orders", config, "apply", (), None, None)

async def main():
    async with client_of(Address()) as client:
        await apply_configuration(client, job, Options(local_store(folder), place=[folder], run=Run("manual__1", 1)))

asyncio.run(main())
"""


def config() -> dict[str, Any]:
    scopes = [f"do:{at}" for at in range(COUNT)]
    return {
        "resources": [{"indicator": INDICATOR, "name": "Orders", "scopes": scopes}],
        "roles": [
            {"name": f"role {at}", "description": "-", "scopes": {INDICATOR: [scopes[at]]}} for at in range(COUNT)
        ],
        "applications": [{"name": f"app {at}", "type": "SPA"} for at in range(COUNT)],
        "webhooks": [
            {"name": f"hook {at}", "events": ["User.Created"], "config": {"url": "https://x.example"}}
            for at in range(COUNT)
        ],
    }


def killed_run(sandbox: Sandbox, folder: Path, delay: float) -> None:
    """Runs an apply in a process of its own and kills it some time after its first write."""
    arguments = [sandbox.url, sandbox.app_id, sandbox.app_secret, str(folder), json.dumps(config())]
    sandbox.reset_stats()
    process = subprocess.Popen([sys.executable, "-c", PROCESS, *arguments])
    deadline = time.monotonic() + 60
    while not sandbox.stats()["writes"] and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    time.sleep(delay)
    process.send_signal(signal.SIGKILL)
    assert process.wait(10) in (-signal.SIGKILL, 0)


def check(run: Any, sandbox: Sandbox, folder: Path, seed: int) -> None:
    killed_run(sandbox, folder, random.Random(seed).uniform(0, 1.5))  # noqa: S311
    job = ConfigurationJob.checked("orders", config(), "apply", (), None, None)
    options = Options(local_store(folder), place=[folder], run=Run("manual__1", 2))
    assert run(apply_configuration, job, options)["applied"]

    state = sandbox.state()
    made: set[str] = set()
    for table, prefix in (("scopes", "do:"), ("roles", "role "), ("applications", "app "), ("hooks", "hook ")):
        rows = [row for row in state[table] if row["name"].startswith(prefix)]
        assert Counter(row["name"] for row in rows) == {f"{prefix}{at}": 1 for at in range(COUNT)}
        made |= {row["id"] for row in rows}
    resources = [row for row in state["resources"] if row["indicator"] == INDICATOR]
    assert len(resources) == 1
    again = ConfigurationJob.checked("orders", config(), "check", (), None, None)
    assert run(apply_configuration, again, options)["counts"] == {}

    async def noted(client: Any) -> list[str]:
        ledger = Ledger(client, "orders")
        await ledger.load()
        return [one for ids in ledger.ids.values() for one in ids]

    ids = run(noted)
    assert len(ids) == len(set(ids))
    # Only what was under way at the kill may be missing; nothing else is in it.
    assert set(ids) <= made | {resources[0]["id"]}
    assert len(ids) >= len(made) + 1 - 20


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))


def test_a_killed_apply_is_gone_on_with(run: Any, sandbox: Sandbox, tmp_path: Path) -> None:
    check(run, sandbox, tmp_path, 1)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_killed_at_random_moments(run: Any, sandbox: Sandbox, tmp_path: Path, seed: int) -> None:
    check(run, sandbox, tmp_path, seed)
