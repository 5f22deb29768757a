"""Onboard a customer: roles and template from a file, an organization, invitations, and a wait for their acceptance.

Copy this file and ``customer_portal.yaml`` into your DAGs folder and add a Connection of type Logto named
``logto_default``. Start a run with a configuration such as:

    {"customer": "Acme", "external_id": "customer-17", "domain": "acme.example", "invitees": ["ada@acme.example"]}

The roles that an onboarding needs are made by the DAG itself. Run it as often as you like: nobody is invited twice. Add
``message={"link": ...}`` to let Logto send the invitations by the tenant's e-mail connector.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

try:
    from airflow.sdk import DAG, Param, task
except ImportError:  # Airflow 2.11
    from airflow.decorators import task
    from airflow.models.dag import DAG
    from airflow.models.param import Param

from airflow_provider_logto.operators.configuration import ApplyConfigurationOperator
from airflow_provider_logto.operators.invitations import InviteMembersOperator
from airflow_provider_logto.operators.organizations import ProvisionOrganizationOperator
from airflow_provider_logto.sensors.invitations import InvitationSensor

CONFIG = f"file://{Path(__file__).with_name('customer_portal.yaml')}"


@task(multiple_outputs=True, show_return_value_in_logs=False)
def customer(params: dict[str, object]) -> dict[str, object]:
    """What the run was started with."""
    return dict(params)


with DAG(
    "customer_onboarding",
    schedule=None,
    catchup=False,
    tags=["logto"],
    doc_md=__doc__,
    params={
        "customer": Param("Acme", type="string", title="Name"),
        "external_id": Param("customer-17", type="string", title="Your key for the customer"),
        "domain": Param("acme.example", type="string", title="E-mail domain whose users join by themselves"),
        "invitees": Param(["ada@acme.example"], type="array", title="E-mail addresses to invite"),
    },
):
    template = ApplyConfigurationOperator(
        task_id="make_roles",
        configuration="customer_portal",
        config=CONFIG,
        folder="{{ var.value.get('logto_plans', 'file:///tmp/logto-plans') }}",
        mode="apply",
    )

    given = customer()

    organization = ProvisionOrganizationOperator(
        task_id="provision_organization",
        name=given["customer"],
        external_id=given["external_id"],
        jit_email_domains=given["domain"],
        jit_roles=["customer_member"],
    )

    invitations = InviteMembersOperator(
        task_id="invite",
        organization=organization.output,
        invitees=given["invitees"],
        roles=["customer_admin"],
        expires_in=timedelta(days=14),
    )

    InvitationSensor.partial(
        task_id="wait_until_joined",
        condition="accepted",
        deferrable=True,
        poke_interval=300,
        timeout=14 * 24 * 3600,
    ).expand(invitation=invitations.output)

    template >> organization
