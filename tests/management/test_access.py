"""Access that is taken from somebody who has it no more."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_logto.exceptions import Conflict
from airflow_provider_logto.management.access import revoke_organization_role
from airflow_provider_logto.management.members import MemberChanges, apply_members
from airflow_provider_logto.management.organization_details import Details, ResolvedDetails, ensure_details
from airflow_provider_logto.management.presence import delete
from logto_sandbox import Sandbox
from tests.clients import Run


@pytest.fixture
def acme(run: Run, sandbox: Sandbox) -> tuple[str, str, str]:
    """(an organization, an organization role, somebody who is no member)."""

    async def make(client: Any) -> tuple[str, str, str]:
        made = [
            await client.request("POST", "/organizations", body={"name": "Acme"}),
            await client.request("POST", "/organization-roles", body={"name": "buyer"}),
            await client.request("POST", "/users", body={"username": "mika"}),
        ]
        organization, role, user = (str(one["id"]) for one in made)
        return organization, role, user

    found: tuple[str, str, str] = run(make)
    return found


def test_an_organization_role_of_who_has_left_is_gone(run: Run, acme: tuple[str, str, str]) -> None:
    organization, role, user = acme
    run(revoke_organization_role, *acme)
    run(apply_members, organization, MemberChanges(revoke=((user, role),)))


def test_an_organization_role_of_an_application_that_has_left_is_gone(run: Run, acme: tuple[str, str, str]) -> None:
    organization, _, _ = acme

    async def story(client: Any) -> Any:
        role = await client.request("POST", "/organization-roles", body={"name": "robot", "type": "MachineToMachine"})
        app = await client.request("POST", "/applications", body={"name": "etl", "type": "MachineToMachine"})
        path = f"/organizations/{organization}/applications"
        await client.request("POST", path, body={"applicationIds": [app["id"]]})
        await client.request("POST", f"{path}/{app['id']}/roles", body={"organizationRoleIds": [role["id"]]})
        request = client.request

        async def first_somebody_else(method: str, path: str, *args: Any, **kwargs: Any) -> Any:
            if method == "DELETE":
                await request("DELETE", path.partition("/roles/")[0])
            return await request(method, path, *args, **kwargs)

        client.request = first_somebody_else
        details = ResolvedDetails(Details(prune_applications=True), applications={app["id"]: frozenset()})
        return await ensure_details(client, organization, details)

    assert run(story)["applications"]["roles_removed"] == 1


def test_other_refusals_stay_errors(run: Run, sandbox: Sandbox) -> None:
    sandbox.add_fault(kind="error", status=422, method="DELETE", path="/api/users/{userId}")
    with pytest.raises(Conflict):
        run(delete, "/users/x")
