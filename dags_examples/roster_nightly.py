"""Bring Logto in line with the people of ``people.csv`` every night, as far as the brakes allow.

Copy this file and ``people.csv`` into your DAGs folder and add a Connection of type Logto named ``logto_default``. The
roles ``Employees`` and ``Contractors`` must exist. Everybody of the roster gets ``Employees`` and is found by it;
``Contractors`` is given and taken away as the file says.

Who is missing from the file is suspended. A night that would suspend more than 10 people, or more than 5 %, changes
nothing and fails; read the plan, and release it with ``approve_plan``.
"""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path

try:
    from airflow.sdk import DAG
except ImportError:  # Airflow 2.11
    from airflow.models.dag import DAG

from airflow_provider_logto.operators.roster import SyncRosterOperator

SOURCE = f"file://{Path(__file__).with_name('people.csv')}"
FOLDER = f"file://{Path(os.environ.get('AIRFLOW_HOME') or '~/airflow').expanduser()}/rosters"

with DAG(
    "roster_nightly",
    schedule="0 3 * * *",
    is_paused_upon_creation=True,
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    tags=["logto"],
    doc_md=__doc__,
):
    SyncRosterOperator(
        task_id="people",
        roster="hr",
        source=SOURCE,
        folder=FOLDER,
        mode="apply",
        population={"role": "Employees"},
        manage=("profile", "custom_data", "roles"),
        exact={"roles": ["Contractors"]},
        on_missing="suspend",
    )
