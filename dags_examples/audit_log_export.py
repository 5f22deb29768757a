"""Archive Logto's audit logs, hour by hour.

Copy this file into your DAGs folder, add a Connection of type Logto named ``logto_default``, and name the archive's
folder in the environment variable ``LOGTO_AUDIT_LOG_FOLDER`` or, for a single run, in the parameter ``destination``:
any address that Airflow's ObjectStoragePath takes, e.g. ``s3://aws_default@my-bucket/logto`` (with the amazon
provider). Without it, the files land below Airflow's home.

Every run exports its own data interval: runs leave no gap and no overlap, and a backfill fills the past as far back as
the tenant keeps its logs. A plain cron schedule would not do: on Airflow 3 its data intervals are empty.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

try:
    from airflow.sdk import DAG, Asset, Param
except ImportError:  # Airflow 2.11
    from airflow.datasets import Dataset as Asset
    from airflow.models.dag import DAG
    from airflow.models.param import Param
try:
    from airflow.sdk import CronDataIntervalTimetable
except ImportError:  # before Airflow 3.2
    from airflow.timetables.interval import CronDataIntervalTimetable

from airflow_provider_logto.operators.logs import ExportLogsOperator

HOME = Path(os.environ.get("AIRFLOW_HOME", "~/airflow")).expanduser()
FOLDER = os.environ.get("LOGTO_AUDIT_LOG_FOLDER", f"file://{HOME}/audit-logs")

with DAG(
    dag_id="audit_log_export",
    schedule=CronDataIntervalTimetable("0 * * * *", timezone="UTC"),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    default_args={"retries": 3, "retry_delay": timedelta(minutes=1)},
    params={
        "destination": Param(FOLDER, type="string", description="Folder of the archive"),
        "start": Param("", type="string", description="ISO time with zone; empty: the run's data interval"),
        "end": Param("", type="string", description="ISO time with zone; empty: the run's data interval"),
    },
    doc_md=__doc__,
    tags=["logto"],
):
    ExportLogsOperator(
        task_id="export_logs",
        destination="{{ params.destination }}",
        start="{{ params.start }}",
        end="{{ params.end }}",
        partition_by="day",
        redact=["authorization_code"],
        deferrable=True,
        outlets=[Asset("logto_audit_logs")],
    )
