"""Exports by every kind of run: scheduled, backfill, triggered by an asset, by hand; one is killed, one is stopped."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, Asset, CronDataIntervalTimetable

from airflow_provider_logto.operators.logs import ExportLogsOperator

HOME = Path(os.environ["AIRFLOW_HOME"])
DAY = datetime(2026, 3, 1, tzinfo=UTC)
ARCHIVE = Asset("e2e_archive")


class NotingExport(ExportLogsOperator):
    """Leaves the number of its process where the test finds it."""

    def execute(self, context: Any) -> Any:
        (HOME / f"{self.task_id}.{context['ti'].try_number}.pid").write_text(str(os.getpid()))
        return super().execute(context)


def folder(name: str) -> str:
    return f"file://{HOME}/e2e/{name}"


with DAG(
    "logs_every_minute",
    schedule=CronDataIntervalTimetable("* * * * *", timezone="UTC"),
    start_date=DAY,
    catchup=False,
):
    ExportLogsOperator(task_id="export", destination=folder("minutes"), lag=2, deferrable=True)

with DAG(
    "logs_hourly",
    schedule=CronDataIntervalTimetable("0 * * * *", timezone="UTC"),
    start_date=DAY,
    catchup=False,
):
    ExportLogsOperator(task_id="export", destination=folder("hours"), outlets=[ARCHIVE])

with DAG("logs_on_asset", schedule=[ARCHIVE], start_date=DAY):
    ExportLogsOperator(task_id="without_times", destination=folder("asset"))
    ExportLogsOperator(
        task_id="with_times", destination=folder("asset"), start=DAY, end="{{ macros.datetime(2026, 3, 1, 2) }}+00:00"
    )

with DAG("logs_interrupted", schedule=None, start_date=DAY):
    for task_id in ("killed", "stopped"):
        NotingExport(
            task_id=task_id,
            destination=folder(task_id),
            start=DAY,
            end=DAY + timedelta(hours=5),
            compression="none",
            max_rows_per_file=100,
            retries=1 if task_id == "killed" else 0,
            retry_delay=timedelta(seconds=1),
        )
