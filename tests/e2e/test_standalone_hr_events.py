"""HR's events over Airflow's REST API: in order, twice, too late, for a later moment. Runs last: people stay behind."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.e2e.conftest import Standalone, wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("standalone")]

NOW = datetime.now(UTC).replace(microsecond=0)
EMAIL = "mika@hr.example"


def deliver(standalone: Standalone, event_id: str, kind: str, days: float = 0, **fields: Any) -> tuple[int, str]:
    """Send an event that HR recorded ``days`` from now -> the HTTP status, and the path of its run."""
    conf = {"kind": kind, "external_id": "e1", "email": EMAIL, "occurred_at": (NOW + timedelta(days=days)).isoformat()}
    body = {"dag_run_id": f"hr__{event_id}", "logical_date": None, "conf": {**conf, **fields}}
    address = f"{standalone.airflow}/api/v2/dags/hr_event/dagRuns"
    answer = httpx.post(address, json=body, timeout=30, trust_env=False)
    return answer.status_code, f"/dags/hr_event/dagRuns/hr__{event_id}"


def people(standalone: Standalone) -> list[dict[str, Any]]:
    return [
        user
        for user in standalone.sandbox("GET", "state")["users"]
        if (user["primaryEmail"] or "").endswith("hr.example")
    ]


def state_of(standalone: Standalone, run: str, task: str) -> str:
    return str(standalone.api("GET", f"{run}/taskInstances/{task}")["state"])


@pytest.fixture
def snapshots(standalone: Standalone) -> None:
    folder = f"file://{standalone.home}/snapshots"
    standalone.api("POST", "/variables", json={"key": "logto_snapshots", "value": folder})


def test_an_employment_from_hire_to_rehire(standalone: Standalone, snapshots: None) -> None:
    status, hired = deliver(standalone, "1", "hire", -9, name="Mika Ito")
    assert status == 200
    # Delivered again while it runs, and again when it is over.
    assert deliver(standalone, "1", "hire", -9, name="Mika Ito")[0] == 409
    assert standalone.finished(hired) == "success"
    assert deliver(standalone, "1", "hire", -9, name="Mika Ito")[0] == 409
    (user,) = people(standalone)
    assert (user["name"], user["customData"]["airflow_roster"]["externalId"]) == ("Mika Ito", "e1")

    _, changed = deliver(standalone, "2", "change", -5, name="Mika Sato")
    assert standalone.finished(changed) == "success"
    # Recorded before the change, delivered after it.
    _, late = deliver(standalone, "3", "change", -7, name="Older")
    assert standalone.finished(late) == "success"
    assert (state_of(standalone, late, "not_applied"), state_of(standalone, late, "change")) == ("success", "skipped")
    (user,) = people(standalone)
    assert user["name"] == "Mika Sato"

    # For a later moment: it waits in the triggerer, and the last day is on the mark at once.
    at = datetime.now(UTC) + timedelta(seconds=45)
    _, left = deliver(standalone, "4", "leave", -1, effective_at=at.isoformat())
    wait_for("the wait", lambda: state_of(standalone, left, "wait_for_the_day") == "deferred", 60)
    (user,) = people(standalone)
    assert user["customData"]["airflow_roster"]["endDate"] == at.date().isoformat()
    assert not user["isSuspended"]
    assert standalone.finished(left) == "success"
    assert datetime.now(UTC) >= at
    (user,) = people(standalone)
    assert user["isSuspended"]
    assert user["customData"]["airflow_roster"]["offboardedAt"]
    assert len(list((standalone.home / "snapshots").rglob("*.json"))) == 1

    _, back = deliver(standalone, "5", "rehire", occurred_at=datetime.now(UTC).isoformat())
    assert standalone.finished(back) == "success"
    (user,) = people(standalone)
    assert not user["isSuspended"]
    assert "offboardedAt" not in user["customData"]["airflow_roster"]
    roles = standalone.sandbox("GET", "state")["relations"]["users_roles"]
    assert [one for one in roles if one[0] == user["id"]]


def test_what_cannot_be_right_is_refused_or_fails(standalone: Standalone) -> None:
    assert deliver(standalone, "x1", "promotion")[0] == 400
    assert deliver(standalone, "x2", "leave", occurred_at="tomorrow")[0] == 400
    status, unknown = deliver(standalone, "x3", "leave", email="nobody@hr.example")
    assert status == 200
    assert standalone.finished(unknown) == "failed"
    assert not [user for user in people(standalone) if user["primaryEmail"] == "nobody@hr.example"]
