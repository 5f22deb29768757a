"""The example DAG of a customer: roles, organization, invitation, and the wait until it is accepted."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_provider_logto.hooks.logto import LogtoHook
from tests.conftest import EXAMPLES, RunDag, Tenant
from tests.real.conftest import Corner

FILE = EXAMPLES / "customer_onboarding.py"
DRIFT = EXAMPLES / "configuration_drift.py"


@pytest.fixture
def template(corner: Corner, tenant: Tenant) -> Iterator[None]:
    """What the DAG makes besides the corner's goes afterwards."""
    yield
    hook = corner.hook
    for path, names in (
        ("/organization-roles", {"customer_member", "customer_admin"}),
        ("/organization-scopes", {"customer:read", "customer:manage"}),
    ):
        for row in list(hook.iterate(path)):
            if row["name"] in names:
                hook.request("DELETE", f"{path}/{row['id']}")
    own = hook.request("GET", f"/applications/{tenant.app_id}")
    data = {name: value for name, value in own["customData"].items() if "customer_portal" not in name}
    hook.request("PATCH", f"/applications/{tenant.app_id}", body={"customData": data})


def accept(user_id: str, email: str) -> None:
    """What the invited person does: accept as soon as the invitation is there."""
    hook = LogtoHook()
    for _ in range(600):
        for row in hook.request("GET", "/organization-invitations", {"invitee": email}):
            if row["status"] == "Pending":
                body = {"status": "Accepted", "acceptedUserId": user_id}
                hook.request("PUT", f"/organization-invitations/{row['id']}/status", body=body)
                return
        time.sleep(0.05)


def test_a_customer_is_onboarded_and_a_second_run_changes_nothing(
    run_dag: RunDag, corner: Corner, template: None, tenant: Tenant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_VAR_LOGTO_PLANS", f"file://{tmp_path}")
    assert run_dag(DRIFT, "configuration_drift").state == "failed"
    email = corner.email("ada")
    user = corner.hook.request("POST", "/users", body={"primaryEmail": email})
    conf = {
        "customer": corner.word,
        "external_id": corner.word,
        "domain": f"{corner.word}.example",
        "invitees": [email],
    }
    guest = threading.Thread(target=accept, args=(user["id"], email))
    guest.start()
    assert run_dag(FILE, "customer_onboarding", conf=conf).state == "success"
    guest.join(30)
    (organization,) = corner.hook.iterate("/organizations", {"q": corner.word})
    (member,) = corner.hook.iterate(f"/organizations/{organization['id']}/users")
    assert member["id"] == user["id"]
    assert [role["name"] for role in member["organizationRoles"]] == ["customer_admin"]
    jit = list(corner.hook.iterate(f"/organizations/{organization['id']}/jit/roles"))
    assert [role["name"] for role in jit] == ["customer_member"]

    if tenant.sandbox:
        tenant.sandbox.reset_stats()
    assert run_dag(FILE, "customer_onboarding", conf=conf).state == "success"
    if tenant.sandbox:
        assert tenant.sandbox.stats()["writes"] == 0
    assert run_dag(DRIFT, "configuration_drift").state == "success"
