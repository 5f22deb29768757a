"""SIGKILL at any moment of an apply: the next try of the task ends in the same state, and nothing is there twice."""

from __future__ import annotations

import json
import logging
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_logto.configuration.ledger import Ledger
from airflow_provider_logto.configuration.sync import ConfigurationJob, Options, apply_configuration
from airflow_provider_logto.plans.journal import Run
from logto_sandbox import Sandbox
from tests.configuration.test_connectors import oidc
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
job = ConfigurationJob.checked("orders", config, "apply", (), {"acme": "-"}, None)

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


def killed_run(
    sandbox: Sandbox, folder: Path, wanted: dict[str, Any], moment: Callable[[], Any], delay: float = 0
) -> None:
    """Runs an apply in a process of its own and kills it some time after a moment has come."""
    arguments = [sandbox.url, sandbox.app_id, sandbox.app_secret, str(folder), json.dumps(wanted)]
    process = subprocess.Popen([sys.executable, "-c", PROCESS, *arguments])
    deadline = time.monotonic() + 60
    while not moment() and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    time.sleep(delay)
    process.send_signal(signal.SIGKILL)
    assert process.wait(10) in (-signal.SIGKILL, 0)


def check(run: Any, sandbox: Sandbox, folder: Path, seed: int) -> None:
    sandbox.reset_stats()
    delay = random.Random(seed).uniform(0, 1.5)  # noqa: S311
    killed_run(sandbox, folder, config(), lambda: sandbox.stats()["writes"], delay)
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
    # Only what was under way at the kill may be missing, and no application; nothing else is in it.
    assert set(ids) <= made | {resources[0]["id"]}
    assert {row["id"] for row in state["applications"] if row["name"].startswith("app ")} <= set(ids)
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


NOTES = "airflowConfiguration:orders"
#: Kind -> (its path, the field that names it, a configuration with one of them).
ONE: dict[str, tuple[str, str, dict[str, Any]]] = {
    "application": ("/applications", "name", {"applications": [{"name": "batch", "type": "MachineToMachine"}]}),
    "connector": ("/connectors", "connectorId", {"connectors": [oidc("acme")]}),
    "role": ("/roles", "name", {"roles": [{"name": "batch", "description": "-"}]}),
}


class One:
    """One object, whose creation is killed.

    :param kind: a key of ``ONE``.
    """

    def __init__(self, kind: str, run: Any, sandbox: Sandbox, folder: Path) -> None:
        self.path, self._field, self.config = ONE[kind]
        self._run, self._sandbox, self._folder = run, sandbox, folder

    def ids(self) -> list[str]:
        rows = self._sandbox.state()[self.path.strip("/")]
        return [row["id"] for row in rows if row[self._field] in ("batch", "oidc")]

    def notes(self) -> dict[str, list[str]]:
        (own,) = [row for row in self._sandbox.state()["applications"] if row["id"] == self._sandbox.app_id]
        kept: dict[str, list[str]] = own["customData"].get(NOTES, {})
        return kept

    def killed_when_made(self) -> None:
        self._sandbox.add_fault(kind="slow", method="POST", path=f"/api{self.path}", seconds=60)
        killed_run(self._sandbox, self._folder, self.config, self.ids)

    def apply(self, number: int, config: dict[str, Any]) -> dict[str, Any]:
        prune = tuple(self.config)
        job = ConfigurationJob.checked("orders", config, "apply", prune, {"acme": "-"}, {"destructive": 1})
        options = Options(local_store(self._folder), place=[self._folder], run=Run(f"manual__{number}", 1))
        result: dict[str, Any] = self._run(apply_configuration, job, options)
        return result

    def request(self, *arguments: Any, **more: Any) -> Any:
        async def send(client: Any) -> Any:
            return await client.request(*arguments, **more)

        return self._run(send)


WITHOUT = {"organization_scopes": ["bill"]}


@pytest.mark.parametrize("kind", ["application", "connector"])
@pytest.mark.parametrize("listed", [True, False])
def test_what_was_made_right_before_a_kill_is_ours(
    run: Any, sandbox: Sandbox, tmp_path: Path, kind: str, listed: bool
) -> None:
    one = One(kind, run, sandbox, tmp_path)
    one.killed_when_made()
    made = one.ids()
    assert made[0] not in one.notes()[kind]
    if listed:
        one.apply(2, one.config)
        assert one.notes()[kind] == made
    assert one.apply(3, WITHOUT)["counts"][f"made.{kind}.delete"] == 1
    assert one.ids() == []
    assert kind not in one.notes()


@pytest.mark.parametrize("kind", ["application", "connector"])
def test_what_somebody_else_made_after_a_kill_is_not(run: Any, sandbox: Sandbox, tmp_path: Path, kind: str) -> None:
    one = One(kind, run, sandbox, tmp_path)
    sandbox.add_fault(kind="slow", method="PATCH", path="/api/applications/{applicationId}/custom-data", seconds=60)
    killed_run(sandbox, tmp_path, one.config, one.notes)
    assert one.ids() == []
    (body,) = json.loads(json.dumps(next(iter(one.config.values()))).replace('{"$secret": "acme"}', '"-"'))
    by_hand = one.request("POST", one.path, body=body)
    one.apply(2, one.config)
    one.apply(3, WITHOUT)
    assert one.ids() == [by_hand["id"]]


def test_a_copy_of_what_was_made_right_before_a_kill_is_not(run: Any, sandbox: Sandbox, tmp_path: Path) -> None:
    one = One("application", run, sandbox, tmp_path)
    one.killed_when_made()
    data = one.request("GET", f"/applications/{one.ids()[0]}")["customData"]
    assert data
    copy = one.request("POST", "/applications", body={"name": "copy", "type": "SPA", "customData": data})
    one.apply(2, WITHOUT)
    assert one.ids() == []
    assert copy["id"] in {row["id"] for row in sandbox.state()["applications"]}


def test_what_cannot_be_proven_is_named_and_can_be_noted_by_hand(
    run: Any, sandbox: Sandbox, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    one = One("role", run, sandbox, tmp_path)
    one.killed_when_made()
    made = one.ids()
    with caplog.at_level(logging.INFO):
        one.apply(2, one.config)
    assert f"maybe made by somebody else; prune will leave them (1): role batch ({made[0]})" in caplog.text
    one.apply(3, WITHOUT)
    assert one.ids() == made

    notes = {NOTES: {**one.notes(), "role": made}}
    one.request("PATCH", f"/applications/{sandbox.app_id}/custom-data", body=notes)
    caplog.clear()
    with caplog.at_level(logging.INFO):
        one.apply(4, one.config)
    assert "maybe made by somebody else" not in caplog.text
    one.apply(5, WITHOUT)
    assert one.ids() == []
