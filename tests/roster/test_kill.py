"""SIGKILL at any moment of an apply: the next try of the task ends in the same state, and the journal is complete."""

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

from airflow_provider_logto.management.marks import Mark
from airflow_provider_logto.plans.journal import Run, read_journal
from tests.roster.conftest import Roster

PEOPLE = 300
MANAGE = ("profile", "roles", "organizations")

#: A task's process: arguments are the sandbox, the folder and the rows.
PROCESS = """
import asyncio, json, sys
from pathlib import Path
from airflow_provider_logto.plans.journal import Run
from airflow_provider_logto.roster.job import RosterJob
from airflow_provider_logto.roster.sync import Options, sync_roster
from tests.clients import client_of
from tests.roster.conftest import local_store, people_of

class Address:
    url, app_id, app_secret = sys.argv[1:4]

folder, settings = Path(sys.argv[4]), json.loads(sys.argv[5])
rows = json.loads(Path(sys.argv[6]).read_text())
job = RosterJob.checked(**settings, mode="apply")

async def main():
    async with client_of(Address()) as client:
        options = Options(local_store(folder), place=[folder], run=Run("manual__1", 1))
        await sync_roster(client, job, people_of(rows, keys=job.match_on), options)

asyncio.run(main())
"""


def rows_of(first: int, count: int, **more: Any) -> list[dict[str, Any]]:
    return [
        {"external_id": f"E{at}", "username": f"u{at}", "primary_email": f"u{at}@example.com", **more}
        for at in range(first, first + count)
    ]


def started(roster: Roster, rows: Any, settings: dict[str, Any]) -> subprocess.Popen[str]:
    """An apply in a process of its own."""
    source = roster.folder.parent / "rows.json"
    source.write_text(json.dumps(rows))
    sandbox = roster.sandbox
    arguments = [sandbox.url, sandbox.app_id, sandbox.app_secret, str(roster.folder), json.dumps(settings), str(source)]
    return subprocess.Popen([sys.executable, "-c", PROCESS, *arguments], stderr=subprocess.PIPE, text=True)


def killed_run(roster: Roster, rows: Any, settings: dict[str, Any], delay: float) -> None:
    """Runs an apply in a process of its own and kills it some time after its first write."""
    roster.sandbox.reset_stats()
    process = started(roster, rows, settings)
    wait_for_a_write(roster, process)
    time.sleep(delay)
    process.send_signal(signal.SIGKILL)
    assert process.wait(10) in (-signal.SIGKILL, 0), process.stderr.read() if process.stderr else ""


def wait_for_a_write(roster: Roster, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 120
    while not roster.writes() and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.005)


def check(roster: Roster, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311
    roster.sandbox.reset()
    roster.sandbox.seed({"roles": [{"name": "staff", "description": "x"}], "organizations": [{"name": "Acme"}]})
    brakes = dict.fromkeys(("disables", "creates"), 1000)
    settings = {"roster": "hr", "manage": MANAGE, "on_missing": "suspend", "brakes": brakes}
    roster.apply(rows_of(0, 60, name="Old"), brakes=brakes)

    rows = rows_of(20, PEOPLE, name="New", roles=["staff"], organizations=["Acme"])
    killed_run(roster, rows, settings, chance.uniform(0, 3.0))
    result = roster.apply(
        rows, manage=MANAGE, on_missing="suspend", brakes=brakes, options={"run": Run("manual__1", 2)}
    )
    assert result["applied"]

    state = roster.sandbox.state()
    marks = Counter(Mark.of(user).external_id for user in state["users"])
    assert set(marks.values()) == {1}
    assert len(marks) == PEOPLE + 20
    assert sum(user["isSuspended"] for user in state["users"]) == 20
    assert sum(user["name"] == "New" for user in state["users"]) == PEOPLE
    assert len(state["relations"]["users_roles"]) == PEOPLE
    assert len(state["relations"]["organization_users"]) == PEOPLE
    told = Counter((line["kind"], line["action"], line["key"]) for line in journal_of(roster))
    expected = {("user", "create", f"external_id:E{at}") for at in range(60, PEOPLE + 20)}
    expected |= {("user", "update", f"external_id:E{at}") for at in range(20, 60)}
    expected |= {("user", "suspend", f"external_id:E{at}") for at in range(20)}
    for kind in ("role", "member"):
        expected |= {(kind, "add", f"external_id:E{at}") for at in range(20, PEOPLE + 20)}
    assert expected == set(told)


def journal_of(roster: Roster) -> list[Any]:
    """Every line of both tries; where the first came to its end before the kill, the second made another plan."""
    folders = {name.partition(".journal/")[0] for name in roster.store.names("roster/hr") if ".journal/" in name}
    lines = [line for folder in sorted(folders) for line in read_journal(roster.store, folder)]
    return [line for line in lines if line["dag_run"] == "manual__1"]


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))


def test_a_killed_apply_is_gone_on_with(roster: Roster) -> None:
    check(roster, 1)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_killed_at_random_moments(roster: Roster, seed: int) -> None:
    check(roster, seed)


def test_of_two_tasks_at_once_one_runs(roster: Roster) -> None:
    rows, settings = rows_of(0, PEOPLE), {"roster": "hr"}
    roster.sandbox.reset_stats()
    # Long enough that it is not over before this process, on a busy machine, comes to stop it.
    roster.sandbox.add_fault(kind="slow", method="POST", path="/api/users", seconds=0.1, times=None)
    first = started(roster, rows, settings)
    wait_for_a_write(roster, first)
    # It stands still in the middle, so that they meet whatever else the machine does.
    first.send_signal(signal.SIGSTOP)
    try:
        second = started(roster, rows, settings)
        told = second.communicate(timeout=120)[1]
    finally:
        first.send_signal(signal.SIGCONT)
    assert second.returncode == 1
    assert "RunInProgress: another run of roster/hr is under way" in told
    assert first.poll() is None
    assert first.wait(120) == 0, first.stderr.read() if first.stderr else ""
    assert roster.writes() == len(roster.sandbox.state()["users"]) == PEOPLE


def test_two_runs_at_once_are_kept_apart(roster: Roster) -> None:
    import asyncio

    from airflow_provider_logto.exceptions import RunInProgress
    from airflow_provider_logto.plans.lock import only_run

    async def both() -> None:
        async with only_run([roster.folder], "roster/hr", "t"):
            async with only_run([roster.folder], "roster/other", "t"):
                pass
            async with only_run([roster.folder], "roster/hr", "t"):
                pass

    with pytest.raises(RunInProgress):
        asyncio.run(both())
