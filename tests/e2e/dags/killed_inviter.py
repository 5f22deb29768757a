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
    at_once, afterwards = (
        InviteMembersOperator(
            task_id=f"invite_{name}",
            organization="Inviter",
            invitees=[f"{name}@example.com"],
            message={"link": link},
            retries=1,
            retry_delay=timedelta(seconds=1),
            pre_execute=tell_process,
        )
        # The message leaves with the invitation, or in a request of its own.
        for name, link in (("at_once", "https://x.example"), ("afterwards", "https://x.example/{invitation_id}"))
    )
    # One after the other, since the test slows one request of each kind.
    at_once >> afterwards
