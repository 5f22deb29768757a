"""Exports by real runs: no gap and no overlap, whatever starts them and whatever befalls them."""

from __future__ import annotations

import gzip
import json
import os
import re
import signal
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import FINISH_WITHIN, Standalone, wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("standalone")]

DAY = datetime(2026, 3, 1, tzinfo=UTC)
HOURS = 5


@pytest.fixture(scope="module")
def rows(standalone: Standalone) -> list[dict[str, Any]]:
    """(createdAt, id) of what the Logto holds of the day, after inserting it."""
    end = DAY + timedelta(hours=HOURS)
    spec = {"count": 8000, "start": DAY.isoformat(), "end": end.isoformat(), "seed": 5}
    standalone.sandbox("POST", "logs", json=spec)
    logs: list[dict[str, Any]] = standalone.sandbox("GET", "state")["logs"]
    return sorted(logs, key=lambda row: (int(row["createdAt"]), row["id"]))


def between(rows: list[dict[str, Any]], start: datetime, end: datetime) -> list[str]:
    low, high = start.timestamp() * 1000, end.timestamp() * 1000
    return [row["id"] for row in rows if low <= row["createdAt"] < high]


def exported(folder: Path) -> list[str]:
    """Ids of all exports in a folder, in the order of their intervals."""
    found = []
    for manifest in sorted(folder.glob("*.manifest.json")):
        for entry in json.loads(manifest.read_text())["files"]:
            content = (folder / entry["path"]).read_bytes()
            lines = (gzip.decompress(content) if entry["path"].endswith(".gz") else content).splitlines()
            found += [json.loads(line)["id"] for line in lines]
    return found


def test_killed_worker_goes_on_and_stopped_one_stops(standalone: Standalone, rows: list[dict[str, Any]]) -> None:
    slow = {"kind": "slow", "method": "GET", "path": "/api/logs", "seconds": 1.5, "times": None}
    standalone.sandbox("POST", "faults", json=slow)
    run = standalone.trigger("logs_interrupted")
    folders = {name: standalone.home / "e2e" / name for name in ("killed", "stopped")}
    log = "dag_id=logs_interrupted/**/task_id={}/attempt={}.log"

    def said(name: str, attempt: int) -> str:
        paths = (standalone.home / "logs").glob(log.format(name, attempt))
        return "\n".join(path.read_text("utf-8") for path in paths)

    wait_for("progress", lambda: "rows/s" in said("stopped", 1), FINISH_WITHIN)
    standalone.api("PATCH", f"{run}/taskInstances/stopped", json={"new_state": "failed"})
    wait_for("the stopped task's account", lambda: "Export broken off" in said("stopped", 1), 60)
    wait_for("finished files", lambda: len([*folders["killed"].glob("*.jsonl")]) >= 3, FINISH_WITHIN)
    os.kill(int((standalone.home / "killed.1.pid").read_text()), signal.SIGKILL)
    standalone.sandbox("DELETE", "faults")
    standalone.finished(run)
    assert re.search(r"Continuing after \d+ finished files", said("killed", 2))
    assert exported(folders["killed"]) == between(rows, DAY, DAY + timedelta(hours=HOURS))
    assert exported(folders["stopped"]) == []


def test_backfill_and_runs_by_asset(standalone: Standalone, rows: list[dict[str, Any]]) -> None:
    last = DAY + timedelta(hours=2)
    wanted = {"dag_id": "logs_hourly", "from_date": DAY.isoformat(), "to_date": last.isoformat()}
    standalone.api("POST", "/backfills", json={**wanted, "max_active_runs": 3, "run_backwards": False})

    def backfilled() -> bool:
        runs = standalone.api("GET", "/dags/logs_hourly/dagRuns?run_type=backfill")["dag_runs"]
        return len(runs) == 3 and all(run["state"] == "success" for run in runs)

    wait_for("three runs of the backfill", backfilled, FINISH_WITHIN)
    found = [row for row in exported(standalone.home / "e2e" / "hours") if row in {one["id"] for one in rows}]
    assert found == between(rows, DAY, last + timedelta(hours=1))

    def by_asset() -> list[dict[str, Any]]:
        runs: list[dict[str, Any]] = standalone.api("GET", "/dags/logs_on_asset/dagRuns")["dag_runs"]
        return runs if all(run["state"] in ("success", "failed") for run in runs) else []

    run = wait_for("runs by the asset", by_asset, FINISH_WITHIN)[0]
    assert run["run_type"] == "asset_triggered"
    tasks = standalone.api("GET", f"/dags/logs_on_asset/dagRuns/{run['dag_run_id']}/taskInstances")["task_instances"]
    assert {task["task_id"]: task["state"] for task in tasks} == {"without_times": "failed", "with_times": "success"}
    assert "CronDataIntervalTimetable or DeltaDataIntervalTimetable" in standalone.logs()
    assert exported(standalone.home / "e2e" / "asset") == between(rows, DAY, DAY + timedelta(hours=2))

    events = standalone.api("GET", "/assets/events")["asset_events"]
    events = [event for event in events if event["source_dag_id"] == "logs_hourly"]
    assert sum(event["extra"]["count"] for event in events) >= len(found)
    assert all(event["extra"]["manifest"].endswith(".manifest.json") for event in events)


def test_scheduled_runs_leave_no_gap(standalone: Standalone) -> None:
    """Rows come in all the time; minute after minute is archived."""
    folder = standalone.home / "e2e" / "minutes"

    def covered() -> list[tuple[str, str]]:
        now = datetime.now(UTC)
        row = {"key": "Interaction.End", "payload": {}, "createdAt": now.timestamp() * 1000}
        standalone.sandbox("POST", "logs", json=[row])
        paths = folder.glob("*.manifest.json") if folder.exists() else ()
        intervals = [json.loads(path.read_text())["interval"] for path in paths]
        return sorted((interval["start"], interval["end"]) for interval in intervals)

    began = datetime.now(UTC).isoformat()
    # Of these, one lies wholly after the beginning: rows came in all through it.
    wait_for("scheduled runs", lambda: (found := covered()) and found[-1][0] > began, FINISH_WITHIN)
    intervals = covered()
    assert all(before[1] == after[0] for before, after in pairwise(intervals))
    ids = exported(folder)
    start, end = (datetime.fromisoformat(moment) for moment in (intervals[0][0], intervals[-1][1]))
    logs = standalone.sandbox("GET", "state")["logs"]
    truth = between(sorted(logs, key=lambda row: (int(row["createdAt"]), row["id"])), start, end)
    assert ids == truth
    assert len(ids) > 20
