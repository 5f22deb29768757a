"""Rosters with Airflow's own scheduler: plan, a person's approval, apply of exactly that plan; and a night without."""

from __future__ import annotations

import csv
import json
import time
from typing import Any

import pytest

from tests.conftest import EXAMPLES
from tests.e2e.conftest import FINISH_WITHIN, Standalone, wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("standalone")]

with (EXAMPLES / "people.csv").open(encoding="utf-8", newline="") as file:
    PEOPLE = list(csv.DictReader(file))


def result_of(standalone: Standalone, run: str, task: str) -> dict[str, Any]:
    value = standalone.api("GET", f"{run}/taskInstances/{task}/xcomEntries/return_value")["value"]
    found: dict[str, Any] = json.loads(value) if isinstance(value, str) else value
    return found


def marked(standalone: Standalone) -> set[str]:
    """Usernames of everybody who belongs to the roster ``hr``."""
    users = standalone.sandbox("GET", "state")["users"]
    return {user["username"] for user in users if user["customData"].get("airflow_roster", {}).get("roster") == "hr"}


def answer(standalone: Standalone, run: str, choice: str) -> dict[str, Any]:
    """Wait for the question, and answer it as a person does in the UI; returns the question."""
    path = f"{run}/taskInstances/approve"
    wait_for(
        "the question", lambda: standalone.api("GET", path)["state"] in ("deferred", "awaiting_input"), FINISH_WITHIN
    )
    question: dict[str, Any] = wait_for(
        "its form", lambda: standalone.api("GET", f"{path}/-1/hitlDetails"), FINISH_WITHIN
    )
    # Airflow 3.3.2 fails a task whose answer comes before its scheduler has heard that it waits; no person is as fast.
    time.sleep(3)
    standalone.api("PATCH", f"{path}/-1/hitlDetails", json={"chosen_options": [choice], "params_input": {}})
    return question


def test_a_plan_is_applied_only_when_a_person_approves(standalone: Standalone) -> None:
    run = standalone.trigger("roster_approval")
    answer(standalone, run, "Reject")
    assert standalone.finished(run) == "success"
    assert standalone.api("GET", f"{run}/taskInstances/apply")["state"] == "skipped"
    assert marked(standalone) == set()

    run = standalone.trigger("roster_approval")
    question = answer(standalone, run, "Approve")
    assert standalone.finished(run) == "success"
    planned, applied = (result_of(standalone, run, task) for task in ("plan", "apply"))
    assert planned["plan_id"] == applied["plan_id"]
    assert planned["plan_id"] in question["body"]
    assert applied["counts"]["made.user.create"] == len(PEOPLE)
    assert marked(standalone) == {person["username"] for person in PEOPLE}
    for said in (question["body"], *task_logs(standalone, "roster_approval")):
        for person in PEOPLE:
            assert person["name"] not in said
            assert person["primary_email"] not in said


def test_a_night_gives_roles_and_finds_nothing_to_do_the_next_time(standalone: Standalone) -> None:
    roles = [{"name": name, "description": "x"} for name in ("Employees", "Contractors")]
    standalone.sandbox("POST", "seed", json={"roles": roles})
    standalone.api("PATCH", "/dags/roster_nightly", json={"is_paused": False})
    for _ in range(2):
        run = standalone.trigger("roster_nightly")
        assert standalone.finished(run) == "success"
    last = result_of(standalone, run, "people")
    assert not [name for name in last["counts"] if name.startswith("made.")]
    state = standalone.sandbox("GET", "state")
    names = {role["id"]: role["name"] for role in state["roles"]}
    given = [names[one] for link in state["relations"]["users_roles"] for one in link if one in names]
    assert given.count("Employees") == len(PEOPLE)
    assert given.count("Contractors") == 1


def task_logs(standalone: Standalone, dag_id: str) -> list[str]:
    logs = (standalone.home / "logs").glob(f"dag_id={dag_id}/**/*.log")
    return [path.read_text("utf-8") for path in logs]
