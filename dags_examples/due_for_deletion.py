"""Who was offboarded so long ago that they are due for deletion, and, where you say so, their deletion.

It only reads, and names the ids of those who are due, until you set the param ``delete`` to true. Each deletion looks
at the person again: they must still be suspended, for that long. Logto cannot be asked who is suspended, so this walks
all people (one request a hundred): run it weekly, or use a roster with a population and ``on_missing="delete"``, which
reads only its own people.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import Any

try:
    from airflow.sdk import DAG, Param, task
except ImportError:  # Airflow 2.11
    from airflow.decorators import task
    from airflow.models.dag import DAG
    from airflow.models.param import Param

from airflow_provider_logto.hooks.logto import LogtoHook
from airflow_provider_logto.management.removal import suspended_since
from airflow_provider_logto.operators.users import DeleteUserOperator

log = logging.getLogger(__name__)

#: As many as one run deletes at most; the next run goes on.
MOST = 100


@task
def find_due(**context: Any) -> list[str]:
    """Ids of people who have been suspended for that long, as this package wrote it down."""
    before = datetime.now(UTC) - timedelta(days=context["params"]["days"])
    found = []
    for user in LogtoHook().iterate("/users"):
        since = suspended_since(user)
        if since is not None and since < before:
            found.append(user["id"])
    log.info("%d are due: %s", len(found), ", ".join(found[:MOST]) or "nobody")
    return found[:MOST]


@task.short_circuit
def may_delete(**context: Any) -> bool:
    """Whether this run was told to delete."""
    return bool(context["params"]["delete"])


with DAG(
    "due_for_deletion",
    schedule=None,
    catchup=False,
    params={
        "days": Param(30, type="integer", minimum=1, title="Days since the offboarding"),
        "delete": Param(False, type="boolean", title="Delete them", description="This cannot be undone."),
    },
    tags=["logto"],
    doc_md=__doc__,
):
    due = find_due()
    deletions = DeleteUserOperator.partial(
        task_id="delete", suspended_for="{{ params.days }}", if_absent="skip", max_active_tis_per_dag=4
    ).expand(user=due)
    due >> may_delete() >> deletions
