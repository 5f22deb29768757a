"""An offboarding whose process is killed, whatever it is doing in that moment, and run again."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_provider_logto.management.offboarding.restore import restore_user
from logto_sandbox import Sandbox
from tests.conftest import PROJECT
from tests.management.leaver import World

pytestmark = pytest.mark.slow

PROGRAM = """
import asyncio, sys
from types import SimpleNamespace

from airflow_provider_logto.destinations import folder_at
from airflow_provider_logto.management.offboarding.offboard import offboard_user
from airflow_provider_logto.plans.store import Store
from tests.clients import client_of

url, app_id, app_secret, folder = sys.argv[1:]
files = Store(folder_at(f"file://{folder}").path)


async def main():
    async with client_of(SimpleNamespace(url=url, app_id=app_id, app_secret=app_secret)) as client:
        print("begins", flush=True)
        removals = frozenset({"roles", "organizations"})
        await offboard_user(client, "mika", files, run="run-1", remove=removals, reset_credentials=True)
        print("done", flush=True)


asyncio.run(main())
"""


def begin(world: World) -> subprocess.Popen[str]:
    """A process of its own that is about to send its first request."""
    sandbox = world.sandbox
    arguments = [sandbox.url, sandbox.app_id, sandbox.app_secret, str(world.folder)]
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *arguments], cwd=PROJECT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "begins\n"
    return process


#: That a whole offboarding of this person sends.
REQUESTS = 44


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """One for all, since it waits in the end for the answers that are under way."""
    with Sandbox() as sandbox:
        yield sandbox


@pytest.mark.parametrize("nth", range(REQUESTS))
def test_killed_at_any_moment_and_run_again(sandbox: Sandbox, tmp_path: Path, nth: int) -> None:
    """At each of its requests: the server does it, and the process never hears of it."""
    sandbox.reset()
    world = World(sandbox, tmp_path / "snapshots")
    sandbox.reset_stats()
    sandbox.add_fault(kind="slow", seconds=10, after=nth)
    process = begin(world)
    while process.poll() is None and sandbox.stats()["requests"] <= nth:
        time.sleep(0.005)
    process.kill()
    said, _ = process.communicate(timeout=60)
    sandbox.clear_faults()
    assert said == "", "it has fewer requests by now: correct REQUESTS"
    before = {path: path.read_bytes() for path in world.snapshots()}
    left = world.left()
    if left["roles"] + left["organizations"] < 4 or world.stored()["isSuspended"]:
        assert before, "nothing is taken before there is a snapshot"

    options = {"remove": frozenset({"roles", "organizations"}), "reset_credentials": True}
    report = world.offboard(run="run-2", **options)
    assert report["outcome"] in ("offboarded", "unchanged")
    assert world.what_buys_a_token() == []
    assert set(world.left().values()) == {0}
    assert world.stored()["isSuspended"]
    assert {path: path.read_bytes() for path in before} == before
    snapshot = Path(report["snapshot"].removeprefix("file://")).read_bytes()
    assert sorted(json.loads(snapshot)["roles"].values()) == ["engineer", "manager"]
    restored = world.run(restore_user, snapshot)
    assert (len(restored["roles"]), len(restored["organizations"])) == (2, 2)
