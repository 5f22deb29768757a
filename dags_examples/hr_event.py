"""One event from HR: somebody is hired, changes, leaves, or comes back.

HR triggers it through Airflow's REST API (the page about HR events has the curl), with a run id made of the event's own
id: a second delivery is answered 409 and does nothing. An event for a later day waits in the triggerer. One that is
older than what was applied already is skipped, and says so; an older leave is skipped only where HR has said since who
leaves when.

A run's conf stays in Airflow's database in clear: send the fields that are needed, and no others.

Set the Variable ``logto_snapshots`` to the folder where offboarding keeps its snapshots. The tenant must have the role
``employee``.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

try:
    from airflow.providers.standard.sensors.date_time import DateTimeSensorAsync
    from airflow.sdk import DAG, Param, task
except ImportError:  # Airflow 2.11
    from airflow.decorators import task
    from airflow.models.dag import DAG
    from airflow.models.param import Param
    from airflow.sensors.date_time import DateTimeSensorAsync

from airflow_provider_logto.failures import fail_on_permanent_error
from airflow_provider_logto.hooks.logto import LogtoHook
from airflow_provider_logto.management.hr_events import HrEvent, judge_event, receive_event, record_event
from airflow_provider_logto.operators.offboarding import OffboardUserOperator
from airflow_provider_logto.operators.roles import AssignRolesOperator
from airflow_provider_logto.operators.users import CreateUserOperator, SuspendUserOperator, UpdateUserOperator

log = logging.getLogger(__name__)

FIELDS = ("kind", "external_id", "email", "occurred_at", "effective_at", "adopt")
#: None where "null" is no type: must be given.
PARAMS = {
    "kind": Param(None, type="string", enum=["hire", "change", "leave", "rehire"], title="What happened"),
    "external_id": Param(None, type="string", minLength=1, title="External id", description="Key in the HR system."),
    "email": Param(None, type="string", minLength=3, title="E-mail", description="That the person has in Logto now."),
    "occurred_at": Param(None, type="string", format="date-time", title="When HR recorded it"),
    "effective_at": Param(
        None, type=["null", "string"], format="date-time", title="When it takes effect", description="Empty: now."
    ),
    "new_email": Param(None, type=["null", "string"], title="New e-mail", description="Only for a change."),
    "name": Param(None, type=["null", "string"], maxLength=128, title="Name"),
    "department": Param(None, type=["null", "string"], title="Department"),
    "adopt": Param(False, type="boolean", title="Adopt", description="Take over an account that HR did not know yet."),
}


def event_of(context: Any) -> HrEvent:
    """The event that a run is about."""
    return HrEvent.checked(**{name: context["params"][name] for name in FIELDS})


@task.branch
@fail_on_permanent_error
def receive(**context: Any) -> str:
    """Wait for the day, apply at once, or leave it."""
    found = LogtoHook().run(receive_event, event_of(context))
    log.info("%s: %s", found["decision"], found["reason"] or "fits")
    return {"wait": "wait_for_the_day", "apply": "judge", "skip": "not_applied"}[found["decision"]]


@task.branch(trigger_rule="none_failed_min_one_success")
@fail_on_permanent_error
def judge(**context: Any) -> str:
    """Look again when the day has come: another event may have overtaken this one."""
    found = LogtoHook().run(judge_event, event_of(context))
    log.info("%s: %s", found["decision"], found["reason"] or "fits")
    if found["id"]:  # Airflow 3.0 takes no None
        context["ti"].xcom_push(key="user", value=found["id"])
    return str(context["params"]["kind"]) if found["decision"] == "apply" else "not_applied"


@task
def custom_data(**context: Any) -> dict[str, str]:
    """What the event says beyond Logto's own fields; empty where it says nothing."""
    department = context["params"]["department"]
    return {"department": department} if department else {}


@task(trigger_rule="none_failed_min_one_success")
@fail_on_permanent_error
def record(**context: Any) -> None:
    """Note on the person that the event was applied."""
    pulled = context["ti"].xcom_pull(task_ids=["hire", "change", "leave", "rehire"])
    (result,) = (one for one in pulled if one)
    LogtoHook().run(record_event, result["id"], event_of(context))


@task(trigger_rule="none_failed_min_one_success")
def not_applied() -> None:
    """The end of an event that was overtaken; the log of the task before says by what."""


with DAG(
    "hr_event",
    schedule=None,
    catchup=False,
    params=PARAMS,
    default_args={"retries": 3, "retry_delay": timedelta(seconds=10)},
    tags=["logto"],
    doc_md=__doc__,
):
    received, judged, skipped = receive(), judge(), not_applied()
    waiting = DateTimeSensorAsync(
        task_id="wait_for_the_day", target_time="{{ params.effective_at or params.occurred_at }}"
    )
    received >> [waiting, judged, skipped]
    waiting >> judged >> skipped

    # By id: a change may give the person another address.
    user = {"id": "{{ ti.xcom_pull(task_ids='judge', key='user') }}"}
    name, more = "{{ params.name or '' }}", custom_data()
    hire = CreateUserOperator(
        task_id="hire",
        primary_email="{{ params.email }}",
        external_id="{{ params.external_id }}",
        name=name,
        custom_data=more,
        if_exists="update",
    )
    roles = AssignRolesOperator(task_id="assign_roles", users=[hire.output], roles=["employee"])
    change = UpdateUserOperator(
        task_id="change", user=user, primary_email="{{ params.new_email or '' }}", name=name, custom_data=more
    )
    leave = OffboardUserOperator(
        task_id="leave",
        user=user,
        folder="{{ var.value.logto_snapshots }}",
        remove=["roles", "organizations"],
    )
    rehire = SuspendUserOperator(task_id="rehire", user=user, suspended=False)
    update = UpdateUserOperator(task_id="update_rehired", user=user, name=name, custom_data=more)
    roles_again = AssignRolesOperator(task_id="assign_roles_again", users=[user], roles=["employee"])

    judged >> [hire, change, leave, rehire]
    rehire >> update >> roles_again
    [roles, change, leave, roles_again] >> record()
