"""Plan what a roster changes, ask a person in Airflow's UI, and apply exactly that plan.

Needs Airflow 3.1 and newer. Copy this file and ``people.csv`` into your DAGs folder and add a Connection of type Logto
named ``logto_default``. The form shows counts and the plan's id, no names; the plan itself lies in the folder.

Between the plan and the approval the world may change: a source with other rows is refused as a whole, and a person who
was changed meanwhile is skipped.
"""

from __future__ import annotations

import os
from pathlib import Path

from airflow.exceptions import AirflowOptionalProviderFeatureException

try:
    from airflow.providers.standard.operators.hitl import ApprovalOperator
    from airflow.sdk import DAG
except (ImportError, AirflowOptionalProviderFeatureException):  # before Airflow 3.1: then this file holds no DAG
    DAG = None

from airflow_provider_logto.operators.roster import SyncRosterOperator

ROSTER = {
    "roster": "hr",
    "source": f"file://{Path(__file__).with_name('people.csv')}",
    "folder": f"file://{Path(os.environ.get('AIRFLOW_HOME') or '~/airflow').expanduser()}/rosters",
    "manage": ("profile", "custom_data"),
    "on_missing": "suspend",
}

#: Counts and the plan's id, no names.
QUESTION = """Plan: `{{ ti.xcom_pull("plan")["plan_id"] }}` at {{ ti.xcom_pull("plan")["plan"] }}

| | |
|---|---|
{% for name, count in ti.xcom_pull("plan")["counts"].items() %}| {{ name }} | {{ count }} |
{% endfor %}"""


def roster_approval() -> None:
    """The DAG: plan, approval, apply."""
    with DAG("roster_approval", schedule=None, catchup=False, max_active_runs=1, tags=["logto"], doc_md=__doc__):
        plan = SyncRosterOperator(task_id="plan", mode="plan", **ROSTER)
        approval = ApprovalOperator(
            task_id="approve",
            subject="Changes of the roster hr",
            body=QUESTION,
        )
        apply = SyncRosterOperator(
            task_id="apply",
            mode="apply",
            plan="{{ ti.xcom_pull('plan')['plan_id'] }}",
            approve_plan="{{ ti.xcom_pull('plan')['plan_id'] }}",
            **ROSTER,
        )
        plan >> approval >> apply


if DAG is not None:
    roster_approval()
