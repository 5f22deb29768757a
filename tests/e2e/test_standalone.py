"""The whole road with nothing replaced: Airflow's own scheduler, workers, triggerer and REST API."""

from __future__ import annotations

import csv
import json
import os
import signal
from collections import Counter
from typing import Any

import pytest

from tests.conftest import EXAMPLES
from tests.e2e.conftest import FINISH_WITHIN, Standalone, wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("standalone")]


def test_examples_are_listed_without_import_errors(standalone: Standalone) -> None:
    listed = {dag["dag_id"] for dag in standalone.api("GET", "/dags")["dags"]}
    assert {"employee_onboarding", "audit_log_export"} <= listed
    assert standalone.api("GET", "/importErrors")["import_errors"] == []


def test_onboarding_succeeds_and_its_sensor_waits_in_the_triggerer(standalone: Standalone) -> None:
    run = standalone.trigger("employee_onboarding")
    states = set()

    def watch() -> None:
        states.add(standalone.api("GET", f"{run}/taskInstances/wait_for_account")["state"])

    assert standalone.finished(run, watch) == "success"
    assert "deferred" in states
    with (EXAMPLES / "roster.csv").open(encoding="utf-8", newline="") as file:
        names = {person["username"] for person in csv.DictReader(file)}
    assert {user["username"] for user in standalone.sandbox("GET", "state")["users"]} == names
    # Every task is a process of its own; they share the host's token.
    assert standalone.sandbox("GET", "stats")["tokens"] == 1


def test_worker_killed_after_its_post_makes_no_duplicate(standalone: Standalone) -> None:
    names = ("fail", "update")
    standalone.sandbox(
        "POST", "faults", json={"kind": "slow", "method": "POST", "path": "/api/users", "seconds": 60, "times": 2}
    )
    run = standalone.trigger("killed_worker")

    def made() -> dict[str, Any]:
        users = standalone.sandbox("GET", "state")["users"]
        return {user["username"]: user["id"] for user in users if user["username"].startswith("killed_")}

    killed: set[str] = set()

    def both_killed() -> bool:
        # At once when the user exists: the task still waits for the answer, but not longer than its time-out.
        for name in {user.removeprefix("killed_") for user in made()} - killed:
            os.kill(int((standalone.home / f"create_{name}.1.pid").read_text()), signal.SIGKILL)
            killed.add(name)
        return killed == set(names)

    wait_for("both requests", both_killed, FINISH_WITHIN)
    before = made()

    assert standalone.finished(run) == "success"
    assert made() == before
    for name in names:
        task = standalone.api("GET", f"{run}/taskInstances/create_{name}")
        assert task["try_number"] == 2
        result = standalone.result(run, f"create_{name}")
        assert (result["id"], result["outcome"]) == (
            before[f"killed_{name}"],
            {"fail": "created", "update": "created"}[name],
        )


def test_inviter_killed_after_its_post_sends_no_second_message(standalone: Standalone) -> None:
    """The notes that a retry goes by are in Airflow's own task state store."""
    standalone.sandbox("POST", "seed", json={"organizations": [{"name": "Inviter"}]})
    mail = {"apiKey": "k", "fromEmail": "a@x.example", "templates": []}
    standalone.logto_api("POST", "/connectors", json={"connectorId": "mock-email-service", "config": mail})
    paths = {
        "at_once": "/api/organization-invitations",
        "afterwards": "/api/organization-invitations/{id}/message",
    }
    for path in paths.values():
        standalone.sandbox("POST", "faults", json={"kind": "slow", "method": "POST", "path": path, "seconds": 60})
    run = standalone.trigger("killed_inviter")

    def sent() -> dict[str, int]:
        return Counter(one["recipient"].partition("@")[0] for one in standalone.sandbox("GET", "state")["messages"])

    killed: set[str] = set()

    def both_killed() -> bool:
        # At once when the message has left: the task still waits for the answer.
        for name in set(sent()) - killed:
            os.kill(int((standalone.home / f"invite_{name}.1.pid").read_text()), signal.SIGKILL)
            killed.add(name)
        return killed == set(paths)

    wait_for("both messages", both_killed, FINISH_WITHIN)

    assert standalone.finished(run) == "success"
    assert sent() == {"at_once": 1, "afterwards": 1}
    invitations = standalone.sandbox("GET", "state")["invitations"]
    for name, message in (("at_once", "sent"), ("afterwards", "unknown")):
        assert standalone.api("GET", f"{run}/taskInstances/invite_{name}")["try_number"] == 2
        (row,) = standalone.result(run, f"invite_{name}")
        assert (row["outcome"], row["message"]) == ("invited", message)
        assert [one["id"] for one in invitations if one["invitee"] == f"{name}@example.com"] == [row["id"]]


def test_an_equal_account_of_somebody_else_is_a_conflict_and_gets_no_role(standalone: Standalone) -> None:
    """Made after the run began: before the first request of the task, or between two tries that sent no request."""
    run = standalone.trigger("strangers")

    def held(name: str) -> int:
        """Wait until a try waits before its first request -> its process."""
        path = standalone.home / f"{name}.pid"
        return int(wait_for(name, lambda: path.exists() and path.read_text(), FINISH_WITHIN))

    def let_go(moment: str, attempt: int) -> None:
        held(f"create_{moment}.{attempt}")
        fields = {"username": f"stranger_{moment}", "primaryEmail": f"stranger+{moment}@example.com"}
        standalone.sandbox("POST", "seed", json={"users": [fields]})
        (standalone.home / f"create_{moment}.{attempt}.go").touch()

    let_go("first_try", 1)
    os.kill(held("create_second_try.1"), signal.SIGKILL)
    let_go("second_try", 2)

    assert standalone.finished(run) == "failed"
    state = standalone.sandbox("GET", "state")
    strangers = {user["username"]: user["id"] for user in state["users"] if user["username"].startswith("stranger_")}
    assert sorted(strangers) == ["stranger_first_try", "stranger_second_try"]
    assert not {user for user, _ in state["relations"]["users_roles"]} & set(strangers.values())
    for attempt, moment in enumerate(("first_try", "second_try"), 1):
        create = standalone.api("GET", f"{run}/taskInstances/create_{moment}")
        assert (create["state"], create["try_number"]) == ("failed", attempt)
        assert standalone.api("GET", f"{run}/taskInstances/assign_{moment}")["state"] == "upstream_failed"
        (log,) = (standalone.home / "logs").glob(f"dag_id=strangers/**/task_id=create_{moment}/attempt={attempt}.log")
        assert f"the user {strangers[f'stranger_{moment}']} has this username already" in log.read_text("utf-8")


def test_no_log_holds_a_secret_even_when_a_task_prints_it(standalone: Standalone) -> None:
    assert standalone.finished(standalone.trigger("indiscreet")) == "failed"
    secrets = json.loads((standalone.home / "secrets.json").read_text())
    assert len(secrets) == 3, "password, Basic credentials, bearer token"
    (task_log,) = (standalone.home / "logs").glob("dag_id=indiscreet/**/attempt=1.log")
    said = [line for line in task_log.read_text("utf-8").splitlines() if "said: " in line]
    assert len(said) == 2, "printed and raised"
    assert all("said: *** ['Basic ***', 'Bearer " in line for line in said)
    # Airflow's local executor repeats what a task prints, unmasked, in the scheduler's own output.
    elsewhere = [
        line for line in standalone.logs().splitlines() if "say_everything" not in line and "said: " not in line
    ]
    for secret in secrets:
        assert secret not in "\n".join(said + elsewhere)
