"""Invitations by tasks whose process is killed once the request has arrived, and that are run again."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

from airflow.sdk import DAG, Context

from airflow_provider_logto.operators.invitations import InviteMembersOperator


def tell_process(context: Context) -> None:
    """Leave the id of the task's process where the test finds it."""
    task = context["ti"]
    Path(os.environ["AIRFLOW_HOME"], f"{task.task_id}.{task.try_number}.pid").write_text(str(os.getpid()))


with DAG("killed_inviter", schedule=None):
    # With the invitation, and in a request of its own.
    for name, link in (("at_once", "https://x.example"), ("afterwards", "https://x.example/{invitation_id}")):
        InviteMembersOperator(
            task_id=f"invite_{name}",
            organization="Inviter",
            invitees=[f"{name}@example.com"],
            message={"link": link},
            retries=1,
            retry_delay=timedelta(seconds=1),
            pre_execute=tell_process,
        )
