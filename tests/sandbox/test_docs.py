"""The page "Test your DAGs without a tenant": its examples work and its tables are complete."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from logto_sandbox import Sandbox
from logto_sandbox.control import ACTIONS
from logto_sandbox.faults.spec import KINDS
from logto_sandbox.store.logs.spec import read_spec

PAGE = (Path(__file__).parents[2] / "docs" / "testing-your-dags.md").read_text("utf-8")
FILES = dict(re.findall(r"`([\w/]+\.py)`:\n\n```python\n(.*?)```", PAGE, re.DOTALL))


def run_examples(folder: Path, *names: str) -> str:
    (folder / "dags").mkdir()
    for name in ("conftest.py", "dags/welcome.py", *names):
        (folder / name).write_text(FILES[name], "utf-8")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "PYTEST"))}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--strict-markers"]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    return done.stdout[-4000:]


def test_the_short_examples_run(tmp_path: Path) -> None:
    assert "2 passed" in (output := run_examples(tmp_path, "test_operator.py", "test_lost_response.py")), output


@pytest.mark.slow
def test_the_example_of_a_whole_dag_runs(tmp_path: Path) -> None:
    assert "1 passed" in (output := run_examples(tmp_path, "test_welcome.py")), output


def test_the_seed_is_one() -> None:
    seed, accounts = (json.loads(text) for text in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL))
    state = Sandbox(seed=accounts).state()
    assert (len(state["sessions"]), len(state["grants"]), len(state["personal_access_tokens"])) == (1, 2, 2)
    state = Sandbox(seed=seed).state()
    assert (len(state["users"]), len(state["organizations"]), len(state["logs"])) == (2, 2, 500)


def test_the_tables_are_complete() -> None:
    names = set(re.findall(r"`([\w/.]+)`", PAGE))
    for kind, about in KINDS.items():
        assert {kind, *about.fields} <= names, kind
    for _, name in ACTIONS:
        assert f"/sandbox/{name}" in PAGE
    fields = read_spec({"count": 1}, 10**12).__dataclass_fields__
    assert {name.removesuffix("_ms") if name in ("start_ms", "end_ms") else name for name in fields} <= names
