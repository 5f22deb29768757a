"""Tasks whose Logto, or whose token endpoint, repeats whatever it gets (the test is that server)."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG

from airflow_provider_logto.operators.management_api import ManagementApiOperator
from airflow_provider_logto.operators.users import CreateUserOperator
from airflow_provider_logto.retry_policy import LogtoRetryPolicy
from airflow_provider_logto.sensors.users import UserSensor

with DAG("echoed", schedule=None, default_args={"logto_conn_id": "logto_echo", "retries": 0}):
    # The server answers with the status that the address names.
    for status in (200, 400, 401, 403, 404, 409, 422, 429, 500, 502, 503):
        ManagementApiOperator(task_id=f"answer_{status}", method="GET", path=f"/users/{status}")
    CreateUserOperator(task_id="create", username="ada", password="first-Passw0rd-of-ada")
    UserSensor(task_id="poke", user={"username": "ada"}, timeout=60)
    # Unknown at first, so that the triggerer looks for the person.
    UserSensor(task_id="defer", user={"username": "later"}, timeout=60, poke_interval=1, deferrable=True)
    ManagementApiOperator(
        task_id="again",
        method="GET",
        path="/users/503",
        retries=1,
        retry_delay=timedelta(seconds=1),
        retry_policy=LogtoRetryPolicy(),
    )
    for status in (400, 401, 503):
        ManagementApiOperator(
            task_id=f"token_{status}", method="GET", path="/users", logto_conn_id=f"logto_echo_token_{status}"
        )
