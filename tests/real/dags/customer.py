"""Every operator that a customer needs, from the configuration to the farewell, each fed by the one before it."""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from airflow import DAG

from airflow_provider_logto.operators.applications import ProvisionApplicationOperator, RotateApplicationSecretOperator
from airflow_provider_logto.operators.configuration import ApplyConfigurationOperator, ExportConfigurationOperator
from airflow_provider_logto.operators.invitations import InviteMembersOperator
from airflow_provider_logto.operators.organizations import (
    DeleteOrganizationOperator,
    ProvisionOrganizationOperator,
    RemoveMembersOperator,
)
from airflow_provider_logto.operators.users import CreateUserOperator
from airflow_provider_logto.sensors.invitations import InvitationSensor

WORD, FOLDER = os.environ.get("CUSTOMER_WORD", "customer"), os.environ.get("CUSTOMER_FOLDER", "/tmp")
CONFIG = {
    "roles": [{"name": f"{WORD}-batch", "description": "-", "type": "MachineToMachine"}],
    "organization_scopes": [f"{WORD}:read"],
    "organization_roles": [
        {"name": f"{WORD}-member", "scopes": [f"{WORD}:read"]},
        {"name": f"{WORD}-worker", "type": "MachineToMachine", "scopes": [f"{WORD}:read"]},
    ],
}


def keep(secret: str, about: dict[str, Any]) -> None:
    """Stands for a secrets backend."""
    Path(FOLDER, f"{about['id']}.{about['secret_name']}").write_text(secret)


with DAG("customer", schedule=None, start_date=datetime(2026, 1, 1), catchup=False):
    configured = ApplyConfigurationOperator(
        task_id="configure", configuration=WORD, config=CONFIG, folder=f"file://{FOLDER}/plans", mode="apply"
    )
    people = CreateUserOperator.partial(task_id="create", if_exists="skip").expand_kwargs(
        [{"username": f"{WORD}_ada"}, {"username": f"{WORD}_bob"}]
    )
    application = ProvisionApplicationOperator(
        task_id="application",
        name=f"{WORD} importer",
        application_type="MachineToMachine",
        external_id="{{ dag_run.conf['external_id'] }}",
        roles=[f"{WORD}-batch"],
    )
    rotated = RotateApplicationSecretOperator(
        task_id="rotate", application=application.output, hand_over=keep, secret_name="s-{{ dag_run.run_id }}"
    )
    organization = ProvisionOrganizationOperator(
        task_id="organization",
        name=WORD,
        external_id="{{ dag_run.conf['external_id'] }}",
        custom_data={"run": "{{ dag_run.run_id }}"},
        members=people.output,
        member_roles=[f"{WORD}-member"],
        applications=[{"application": application.output, "roles": [f"{WORD}-worker"]}],
        jit_email_domains=[f"{WORD}.example"],
        jit_roles=[f"{WORD}-member"],
    )
    invited = InviteMembersOperator(
        task_id="invite",
        organization=organization.output,
        invitees=[f"eve@{WORD}.example"],
        roles=[f"{WORD}-member"],
        expires_in=timedelta(days=3),
    )
    revoked = InviteMembersOperator(
        task_id="revoke", organization=organization.output, invitees=[f"eve@{WORD}.example"], mode="revoke"
    )
    closed = InvitationSensor.partial(task_id="closed", condition="closed", poke_interval=1, timeout=30).expand(
        invitation=invited.output
    )
    exported = ExportConfigurationOperator(task_id="export", destination=f"file://{FOLDER}/tenant.yaml")
    removed = RemoveMembersOperator(
        task_id="remove", organization=organization.output, members=[f"{WORD}_ada", f"{WORD}_bob"]
    )
    deleted = DeleteOrganizationOperator(task_id="delete", organization=organization.output, max_members=0)

    configured >> [application, organization]
    rotated >> exported
    invited >> revoked >> closed >> removed >> deleted
