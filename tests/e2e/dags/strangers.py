"""People whom somebody else creates, with the same fields, while the task that is to create them runs."""

from __future__ import annotations

import os
import time
from datetime import timedelta
from pathlib import Path

from airflow.sdk import DAG, Context

from airflow_provider_logto.operators.roles import AssignRolesOperator
from airflow_provider_logto.operators.users import CreateUserOperator


def hold(context: Context) -> None:
    """Leave the id of the task's process where the test finds it, and wait before the first request."""
    task = context["ti"]
    name = Path(os.environ["AIRFLOW_HOME"], f"{task.task_id}.{task.try_number}")
    name.with_name(f"{name.name}.pid").write_text(str(os.getpid()))
    while not name.with_name(f"{name.name}.go").exists():
        time.sleep(0.1)


with DAG("strangers", schedule=None):
    for moment in ("first_try", "second_try"):
        create = CreateUserOperator(
            task_id=f"create_{moment}",
            username=f"stranger_{moment}",
            primary_email=f"stranger+{moment}@example.com",
            retries=1,
            retry_delay=timedelta(seconds=1),
            pre_execute=hold,
            execution_timeout=timedelta(minutes=5),
        )
        AssignRolesOperator(task_id=f"assign_{moment}", users=[create.output], roles=["employee"])
