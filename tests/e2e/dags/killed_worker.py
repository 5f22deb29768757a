"""People made by tasks whose process is killed once the request has arrived, and that are run again."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

from airflow.sdk import DAG, Context

from airflow_provider_logto.operators.users import CreateUserOperator


def tell_process(context: Context) -> None:
    """Leave the id of the task's process where the test finds it."""
    task = context["ti"]
    Path(os.environ["AIRFLOW_HOME"], f"{task.task_id}.{task.try_number}.pid").write_text(str(os.getpid()))


with DAG("killed_worker", schedule=None):
    for if_exists in ("fail", "update"):
        CreateUserOperator(
            task_id=f"create_{if_exists}",
            username=f"killed_{if_exists}",
            primary_email=f"killed+{if_exists}@example.com",
            if_exists=if_exists,
            retries=1,
            retry_delay=timedelta(seconds=1),
            pre_execute=tell_process,
        )
