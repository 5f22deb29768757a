"""Many mapped tasks that each read one page: what a fleet of task processes looks like to the tenant."""

from __future__ import annotations

import os

from airflow.sdk import DAG

from airflow_provider_logto.operators.management_api import ManagementApiOperator

with DAG(
    dag_id="fleet_mapped", schedule=None, catchup=False, max_active_tasks=int(os.environ.get("FLEET_AT_ONCE", "8"))
):
    ManagementApiOperator.partial(task_id="read", path="/users").expand(
        query=[{"page": 1, "page_size": 1 + n % 100} for n in range(int(os.environ.get("FLEET_TASKS", "200")))]
    )
