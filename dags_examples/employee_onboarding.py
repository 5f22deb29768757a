"""Onboard the people of a roster: accounts, roles, an organization, and a wait for one of the accounts.

Copy this file and ``roster.csv`` into your DAGs folder and add a Connection of type Logto named ``logto_default``. The
tenant must already have the roles ``employee``, ``engineer`` and ``manager`` and the organization role ``member``
(Console: Authorization > Roles, and Organization template); the organization itself is created.

Run it as often as you like: a run that finds everything as the roster says sends no write.
"""

from __future__ import annotations

import csv
from datetime import timedelta
from pathlib import Path

try:
    from airflow.sdk import DAG, task
except ImportError:  # Airflow 2.11
    from airflow.decorators import task
    from airflow.models.dag import DAG

from airflow_provider_logto.operators.organizations import ProvisionOrganizationOperator
from airflow_provider_logto.operators.roles import AssignRolesOperator
from airflow_provider_logto.operators.users import CreateUserOperator
from airflow_provider_logto.sensors.users import UserSensor

ROSTER = Path(__file__).with_name("roster.csv")


def as_user(row: dict[str, str]) -> dict[str, object]:
    """One line of the roster -> the arguments of CreateUserOperator."""
    return {
        "username": row["username"],
        "primary_email": row["primary_email"],
        "name": row["name"],
        "custom_data": {"employeeNumber": row["employee_number"], "department": row["department"]},
    }


@task(show_return_value_in_logs=False)
def read_roster() -> list[dict[str, str]]:
    """The lines of the roster, e.g. ``{"username": "sato_haruka", "role": "manager", ...}``."""
    with ROSTER.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@task(show_return_value_in_logs=False)
def people_with_role(rows: list[dict[str, str]], role: str) -> list[dict[str, str]]:
    """References to the people whose line names the role."""
    return [{"username": row["username"]} for row in rows if row["role"] == role]


@task(show_return_value_in_logs=False)
def newest_colleague(rows: list[dict[str, str]]) -> dict[str, str]:
    """A reference to the person in the roster's last line."""
    return {"username": rows[-1]["username"]}


with DAG("employee_onboarding", schedule=None, catchup=False, tags=["logto"], doc_md=__doc__):
    roster = read_roster()

    people = CreateUserOperator.partial(
        task_id="create_user",
        if_exists="update",
        map_index_template="{{ task.username }}",
    ).expand_kwargs(roster.map(as_user))

    AssignRolesOperator(task_id="assign_employee", users=people.output, roles=["employee"])

    for role in ("engineer", "manager"):
        holders = people_with_role.override(task_id=f"find_{role}s")(roster, role)
        people >> AssignRolesOperator(task_id=f"assign_{role}", users=holders, roles=[role])

    ProvisionOrganizationOperator(
        task_id="provision_organization",
        name="Sakura Trading",
        external_id="sakura-trading",
        members=people.output,
        member_roles=["member"],
    )

    # Waits in the triggerer while the accounts are made; ahead of them in the queue, as it needs a worker only to ask
    # once. Whoever creates the account, this DAG or another system, what comes after the sensor starts then.
    UserSensor(
        task_id="wait_for_account",
        user=newest_colleague.override(priority_weight=100)(roster),
        condition="exists",
        deferrable=True,
        # Airflow 3.3 at times fails a deferred task whose trigger fires at once (apache/airflow#71580).
        retries=2,
        retry_delay=timedelta(seconds=5),
        poke_interval=2,
        timeout=600,
        priority_weight=100,
    )
