"""OffboardUserOperator: arguments in, small JSON out, one snapshot, errors that say what to do."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_logto.compat import AirflowFailException
from airflow_provider_logto.exceptions import InvalidInput, OffboardingIncomplete
from airflow_provider_logto.operators.offboarding import OffboardUserOperator
from logto_sandbox import Sandbox
from tests.conftest import execute

pytestmark = pytest.mark.usefixtures("sandbox_tenant")


@pytest.fixture
def mika(sandbox: Sandbox) -> str:
    sandbox.seed({"users": [{"username": "mika", "roles": ["manager"]}]})
    sandbox.reset_stats()
    return str(sandbox.state()["users"][0]["id"])


def offboard(place: Any, **arguments: Any) -> Any:
    return OffboardUserOperator(task_id="offboard", **{"user": "mika", "folder": f"file://{place}", **arguments})


def test_the_report_is_small_json_and_the_snapshot_is_read_back(sandbox: Sandbox, mika: str, tmp_path: Path) -> None:
    report = execute(offboard(tmp_path, remove=["roles"]), {"run_id": "manual__1"})
    assert len(json.dumps(report)) < 2000
    assert (report["id"], report["outcome"]) == (mika, "offboarded")
    snapshot = json.loads(Path(report["snapshot"].removeprefix("file://")).read_bytes())
    assert (snapshot["run"], list(snapshot["roles"].values())) == ("manual__1", ["manager"])
    assert execute(offboard(tmp_path, remove=["roles"]), {"run_id": "manual__2"})["outcome"] == "unchanged"


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"remove": ["password"]}, r"remove\[0\]"),
        ({"folder": ""}, "folder"),
        ({"folder": None}, "folder"),
        ({"folder": "relative/folder"}, "folder"),
        ({"protect": [{"rôle": "x"}]}, r"protect\[0\]"),
        ({"user": None}, "user"),
        ({"if_absent": "ignore"}, "if_absent"),
        ({"reset_credentials": "false"}, "reset_credentials"),
    ],
)
def test_bad_input_fails_before_the_first_request(
    sandbox: Sandbox, mika: str, tmp_path: Path, arguments: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidInput, match=f"^{field}"):
        execute(offboard(tmp_path, **arguments))
    assert sandbox.stats()["requests"] == 0


def test_absent_is_no_failure_where_asked_for(tmp_path: Path) -> None:
    assert execute(offboard(tmp_path, user="nobody", if_absent="skip"))["outcome"] == "absent"
    with pytest.raises(InvalidInput, match="no user nobody"):
        execute(offboard(tmp_path, user="nobody"))


def test_an_incomplete_offboarding_fails_the_task_and_the_next_try_finishes_it(
    sandbox: Sandbox, mika: str, tmp_path: Path
) -> None:
    refused = {"kind": "error", "status": 403, "method": "GET", "path": "/api/users/{id}/grants", "times": 1}
    sandbox.add_fault(**refused)
    with pytest.raises(AirflowFailException, match="not complete"):
        offboard(tmp_path).execute({})
    # What may pass leaves as it is, so that Airflow retries.
    sandbox.add_fault(**{**refused, "status": 500, "times": 20})
    with pytest.raises(OffboardingIncomplete):
        offboard(tmp_path).execute({})
    sandbox.clear_faults()
    assert execute(offboard(tmp_path))["outcome"] == "offboarded"


def test_the_log_tells_each_step(
    sandbox: Sandbox,
    mika: str,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.INFO)
    sandbox.add_fault(kind="error", status=403, method="GET", path="/api/users/{id}/grants", times=1)
    with pytest.raises(OffboardingIncomplete, match="failed: grants"):
        execute(offboard(tmp_path))
    # The former on 2.11, the latter on 3.x.
    said = "".join([caplog.text, *capfd.readouterr()])
    for line in ("suspend: done (1)", "grants: failed: GET /api/users/", "invitations: done", "mark: not reached"):
        assert line in said
    assert "roles: " not in said


def test_a_folder_whose_storage_this_worker_does_not_know_still_suspends(sandbox: Sandbox, mika: str) -> None:
    task = OffboardUserOperator(task_id="offboard", user="mika", folder="nosuchscheme://x")
    with pytest.raises(OffboardingIncomplete, match="nosuchscheme://x' cannot be opened") as caught:
        execute(task, {"run_id": "r1"})
    steps = caught.value.report["steps"]
    assert (steps["snapshot"]["outcome"], steps["suspend"]["outcome"]) == ("failed", "done")
    assert sandbox.state()["users"][0]["isSuspended"]


def test_a_folder_that_cannot_be_opened_for_a_moment_is_worth_a_retry(
    sandbox: Sandbox, mika: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any) -> None:
        raise TimeoutError("the store does not answer")

    monkeypatch.setattr("airflow_provider_logto.export.folder.Folder.__init__", away)
    with pytest.raises(OffboardingIncomplete) as caught:
        offboard(tmp_path).execute({"run_id": "r1"})
    assert caught.value.transient
    assert sandbox.state()["users"][0]["isSuspended"]
