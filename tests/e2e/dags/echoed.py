"""Tasks whose Logto repeats every header that it gets (the test is that server)."""

from __future__ import annotations

from airflow.sdk import DAG

from airflow_provider_logto.operators.management_api import ManagementApiOperator
from airflow_provider_logto.operators.users import CreateUserOperator
from airflow_provider_logto.sensors.users import UserSensor

with DAG("echoed", schedule=None, default_args={"logto_conn_id": "logto_echo", "retries": 0}):
    ManagementApiOperator(task_id="request", method="GET", path="/users")
    CreateUserOperator(task_id="create", username="ada", password="first-Passw0rd-of-ada")
    UserSensor(task_id="poke", user={"username": "ada"}, timeout=60)
    UserSensor(task_id="defer", user={"username": "ada"}, timeout=60, deferrable=True)
