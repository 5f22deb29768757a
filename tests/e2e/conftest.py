"""``make airflow`` as a fixture: scheduler, workers, triggerer, API server and a local Logto, as real processes."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import EXAMPLES, PROJECT

START_WITHIN = 420
FINISH_WITHIN = 420


def wait_for(what: str, condition: Callable[[], Any], seconds: float) -> Any:
    """The first true value of the condition."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
        time.sleep(0.2)
    return value


@dataclass(frozen=True)
class Standalone:
    """A running Airflow and the Logto that its Connection leads to."""

    home: Path
    airflow: str
    logto: str

    def api(self, method: str, path: str, **more: Any) -> Any:
        """Airflow's REST API -> JSON."""
        answer = httpx.request(method, f"{self.airflow}/api/v2{path}", timeout=120, trust_env=False, **more)
        answer.raise_for_status()
        return answer.json()

    def result(self, run: str, task: str) -> Any:
        """What a task returned."""
        value = self.api("GET", f"{run}/taskInstances/{task}/xcomEntries/return_value")["value"]
        return json.loads(value) if isinstance(value, str) else value

    def logto_api(self, method: str, path: str, **more: Any) -> Any:
        """Logto's Management API -> JSON."""
        form = {"grant_type": "client_credentials", "resource": "https://default.logto.app/api", "scope": "all"}
        auth = ("sandbox-m2m", "sandbox-m2m-secret")
        token = httpx.post(f"{self.logto}/oidc/token", data=form, auth=auth, trust_env=False).json()["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
        answer = httpx.request(method, f"{self.logto}/api{path}", headers=headers, trust_env=False, **more)
        return answer.raise_for_status().json()

    def sandbox(self, method: str, path: str, **more: Any) -> Any:
        """The sandbox's control plane -> JSON."""
        answer = httpx.request(method, f"{self.logto}/sandbox/{path}", timeout=120, trust_env=False, **more)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def trigger(self, dag_id: str) -> str:
        """Start a run -> the path of it in the API."""
        runs = f"/dags/{dag_id}/dagRuns"
        return f"{runs}/{self.api('POST', runs, json={'logical_date': None})['dag_run_id']}"

    def finished(self, run: str, watch: Callable[[], object] = lambda: None) -> str:
        """Wait for a run -> its state; ``watch`` is called meanwhile."""

        def state() -> str | None:
            watch()
            now: str = self.api("GET", run)["state"]
            return now if now in ("success", "failed") else None

        found: str = wait_for(run, state, FINISH_WITHIN)
        return found

    def logs(self) -> str:
        """Everything that tasks and components of Airflow wrote."""
        paths = [*(self.home / "logs").rglob("*.log"), self.home / "standalone.log"]
        return "\n".join(path.read_text("utf-8", errors="replace") for path in paths)


@pytest.fixture(scope="session")
def standalone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standalone]:
    """Airflow with the example DAGs and those of ``tests/e2e/dags``, on ports of its own."""
    root = tmp_path_factory.mktemp("standalone")
    dags, home, said = root / "dags", root / "home", root / "said.txt"
    shutil.copytree(EXAMPLES, dags)
    shutil.copytree(Path(__file__).with_name("dags"), dags, dirs_exist_ok=True)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [sys.executable, "scripts/standalone.py", "--port", str(port), "--dags", str(dags), "--home", str(home)]
    with said.open("w") as output:
        process = subprocess.Popen(command, cwd=PROJECT, stdout=output, stderr=output)
    try:

        def addresses() -> dict[str, str]:
            assert process.poll() is None, said.read_text()
            return dict(re.findall(r"^(Airflow|Logto): +(\S+)", said.read_text(), re.MULTILINE))

        found = wait_for("Airflow to start", addresses, START_WITHIN)
        yield Standalone(home, found["Airflow"], found["Logto"])
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)
    assert processes_with(str(home)) == []


def processes_with(home: str) -> list[int]:
    """Processes of this machine whose AIRFLOW_HOME it is."""
    import psutil

    found = []
    for process in psutil.process_iter(["status"]):
        try:
            if process.pid != os.getpid() and process.environ().get("AIRFLOW_HOME") == home:
                found.append(process.pid)
        except psutil.Error:
            continue
    return found
