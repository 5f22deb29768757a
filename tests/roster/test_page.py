"""The page about rosters: its DAGs run, and its tables say what the code does."""

from __future__ import annotations

import json
import re
import runpy
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest

from airflow_provider_logto.destinations import path_at
from airflow_provider_logto.roster.columns import COLUMNS, SECRETS
from airflow_provider_logto.roster.job import BRAKES, KINDS, OnMissing
from airflow_provider_logto.roster.presets import PRESETS
from tests.conftest import EXAMPLES, PROJECT, RunDag, Tenant
from tests.docs.pages import examples

PAGE = PROJECT / "docs" / "roster.md"
TEXT = PAGE.read_text("utf-8")
DAGS = {example.dag_id: example.code for example in examples(PAGE)}
AUTH0 = {"user_id": "auth0|1", "email": "ann@example.com", "passwordHash": "$2b$10$" + "a" * 53}


def placed(tmp_path: Path, dag_id: str) -> Path:
    """The example as a file, its data in a folder of the test."""
    data = tmp_path / "data"
    data.mkdir()
    (data / "people.csv").write_text(re.findall(r"```text\n(external_id,.*?)```", TEXT, re.DOTALL)[0])
    (data / "auth0.jsonl").write_text(json.dumps(AUTH0))
    file = tmp_path / f"{dag_id}.py"
    file.write_text(DAGS[dag_id].replace("file:///data", data.as_uri()))
    return file


@pytest.mark.parametrize(("dag_id", "people"), [("people", {"katherine", "mary"}), ("migration", {"ann@example.com"})])
def test_the_examples_run_and_a_second_run_changes_nothing(
    run_dag: RunDag, sandbox_tenant: Tenant, tmp_path: Path, dag_id: str, people: set[str]
) -> None:
    sandbox: Any = sandbox_tenant.sandbox
    file = placed(tmp_path, dag_id)
    for writes in (len(people), 0):
        sandbox.reset_stats()
        assert run_dag(file, dag_id).state == "success"
        assert sandbox.stats()["writes"] == writes
        assert {user["username"] or user["primaryEmail"] for user in sandbox.state()["users"]} == people


@pytest.mark.parametrize(
    ("example", "address"),
    [
        ("roster_nightly", lambda example: example["SOURCE"]),
        ("roster_approval", lambda example: example["ROSTER"]["source"]),
        ("configuration_drift", lambda example: example["CONFIG"]),
        ("customer_onboarding", lambda example: example["CONFIG"]),
    ],
)
def test_examples_find_their_files_whatever_their_folder_is_called(
    tmp_path: Path, example: str, address: Callable[[dict[str, Any]], str]
) -> None:
    folder = shutil.copytree(EXAMPLES, tmp_path / "my dags, 100 %")
    assert path_at(address(runpy.run_path(str(folder / f"{example}.py")))).exists()


def test_the_nightly_example_runs(
    run_dag: RunDag, sandbox_tenant: Tenant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Folders may have blanks in their names.
    home, dags = tmp_path / "my home", tmp_path / "my dags"
    monkeypatch.setenv("AIRFLOW_HOME", str(home))
    dags.mkdir()
    for name in ("roster_nightly.py", "people.csv"):
        shutil.copy(EXAMPLES / name, dags)
    sandbox: Any = sandbox_tenant.sandbox
    sandbox.seed({"roles": [{"name": name, "description": "x"} for name in ("Employees", "Contractors")]})
    assert run_dag(dags / "roster_nightly.py", "roster_nightly").state == "success"
    state = sandbox.state()
    assert len(state["users"]) == 3
    assert len(state["relations"]["users_roles"]) == 4
    assert list((home / "rosters").rglob("*.plan.jsonl"))


def test_the_tables_are_complete() -> None:
    prose = re.sub(r"```.*?```", "", TEXT, flags=re.DOTALL)
    named = set(re.findall(r"`([^`]+)`", prose))
    columns = {name for name in (*COLUMNS, *SECRETS) if name != "profile"}
    assert columns <= {*named, "custom_data"}
    assert {*KINDS, *get_args(OnMissing), *(brake.name for brake in BRAKES)} <= named
    assert all(f'mapping="{preset}"' in named for preset in PRESETS)
    for brake in BRAKES:
        (row,) = re.findall(rf"^\| `{brake.name}` \| ([^|]*) \|", TEXT, re.MULTILINE)
        for limit in (brake.count, brake.percent, brake.once or None):
            assert limit is None or str(limit) in row
