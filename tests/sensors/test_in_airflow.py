"""Sensors and a deferred export as Airflow runs them: what stands in the task's log, on every version."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.conftest import RunDag, Tenant

DAG_FILE = """
try:
    from airflow.sdk import DAG
except ImportError:
    from airflow.models.dag import DAG

from airflow_provider_logto.operators.logs import ExportLogsOperator
from airflow_provider_logto.sensors.users import UserSensor

with DAG("waiting", schedule=None):
    UserSensor(task_id="poke", user={"username": "mika"}, poke_interval=1)
    UserSensor(task_id="defer", user={"username": "mika"}, condition="not_suspended", deferrable=True)
    ExportLogsOperator(
        task_id="export",
        destination="{{ dag_run.conf['folder'] }}",
        start="{{ dag_run.conf['start'] }}",
        end="{{ dag_run.conf['end'] }}",
        lag=3,
        deferrable=True,
    )
"""


def test_no_warning_of_nested_operators(
    run_dag: RunDag,
    sandbox_tenant: Tenant,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert sandbox_tenant.sandbox is not None
    sandbox_tenant.sandbox.seed({"users": [{"username": "mika"}]})
    file = tmp_path / "waiting.py"
    file.write_text(DAG_FILE)
    end = datetime.now(UTC)
    conf = {"folder": f"file://{tmp_path}/out", "start": (end - timedelta(hours=1)).isoformat(), "end": end.isoformat()}
    assert run_dag(file, "waiting", conf=conf).state == "success"
    output = capsys.readouterr()
    logged = caplog.text + output.out + output.err
    assert "is true" in logged
    assert "cannot be called outside" not in logged
    # The requests with which Airflow 3.0 runs a task within its own process are not ours.
    assert not [line for line in logged.splitlines() if "HTTP Request" in line and "in-process.invalid" not in line]
