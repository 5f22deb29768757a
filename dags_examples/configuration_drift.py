"""Every night: does the tenant still agree with its configuration file? The task fails, and names the plan, when not.

Copy this file and ``customer_portal.yaml`` into your DAGs folder and add a Connection of type Logto named
``logto_default``. Nothing is changed: read the plan that the failed task names, then correct the file or apply it.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

try:
    from airflow.sdk import DAG
except ImportError:  # Airflow 2.11
    from airflow.models.dag import DAG

from airflow_provider_logto.operators.configuration import ApplyConfigurationOperator

CONFIG = f"file://{Path(__file__).with_name('customer_portal.yaml')}"

with DAG(
    "configuration_drift",
    schedule="0 3 * * *",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    tags=["logto"],
    doc_md=__doc__,
):
    ApplyConfigurationOperator(
        task_id="check",
        configuration="customer_portal",
        config=CONFIG,
        folder="{{ var.value.get('logto_plans', 'file:///tmp/logto-plans') }}",
        mode="check",
    )
