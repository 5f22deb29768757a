"""The pytest plugin: what it costs, and what its fixtures give."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from logto_sandbox import Sandbox

HEAVY = ("starlette", "uvicorn", "httpx", "jwt", "cryptography", "airflow", "logto_sandbox.server", "asyncio")


def test_loading_the_plugin_imports_nothing() -> None:
    code = (
        "import sys, pytest; before = set(sys.modules); import logto_sandbox.pytest_plugin; "
        "print(*sorted(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["logto_sandbox", "logto_sandbox.pytest_plugin"]


def test_a_run_that_does_not_use_it_does_not_pay(tmp_path: Path) -> None:
    (tmp_path / "test_other.py").write_text(
        f"import sys\ndef test_other(): assert not [name for name in {HEAVY!r} if name in sys.modules]\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "logto_sandbox.pytest_plugin", "test_other.py"]
    environment = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_connection_is_one_of_airflows(logto_sandbox: Sandbox, logto_connection: str) -> None:
    assert logto_connection == "logto_default"
    connection = json.loads(os.environ["AIRFLOW_CONN_LOGTO_DEFAULT"])
    assert connection == {
        "conn_type": "logto",
        "host": logto_sandbox.url,
        "login": "sandbox-m2m",
        "password": "sandbox-m2m-secret",
        "extra": {"resource": "https://default.logto.app/api", "shared_state": "process"},
    }
    assert httpx.get(f"{connection['host']}/api/status").status_code == 204


def test_a_dag_authors_test(logto_sandbox: Sandbox, logto_connection: str) -> None:
    from airflow_provider_logto.hooks.logto import LogtoHook

    user = LogtoHook(logto_connection).request("POST", "/api/users", body={"username": "ada"})
    assert logto_sandbox.state()["users"][0]["id"] == user["id"]


@pytest.mark.logto_sandbox(rate_limit=3, limiter="fixed_window", app_id="from-class")
class TestMarker:
    @pytest.mark.logto_sandbox(app_id="from-test", seed={"users": [{"username": "ada"}]})
    def test_the_nearest_marker_wins(self, logto_sandbox: Sandbox) -> None:
        assert logto_sandbox.app_id == "from-test"
        assert len(logto_sandbox.state()["users"]) == 1
        answers = [httpx.get(f"{logto_sandbox.url}/api/status").status_code for _ in range(10)]
        assert 429 in answers

    def test_the_class_marker_holds(self, logto_sandbox: Sandbox) -> None:
        assert logto_sandbox.app_id == "from-class"


@pytest.mark.parametrize("number", [1, 2])
def test_each_test_has_a_sandbox_of_its_own(logto_sandbox: Sandbox, number: int) -> None:
    assert logto_sandbox.state()["users"] == []
    logto_sandbox.seed({"users": [{"username": f"u{number}"}]})
