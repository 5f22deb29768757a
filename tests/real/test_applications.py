"""ProvisionApplicationOperator and RotateApplicationSecretOperator on any Logto."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from airflow_provider_logto.operators.applications import ProvisionApplicationOperator, RotateApplicationSecretOperator
from tests.conftest import Tenant
from tests.real.conftest import Corner


@pytest.fixture
def word(corner: Corner) -> Iterator[str]:
    """The corner's word; applications that carry it go afterwards."""
    yield corner.word
    for application in list(corner.hook.iterate("/applications", where={"name": {"like": f"{corner.word}%"}})):
        corner.hook.request("DELETE", f"/applications/{application['id']}")


def provision(**arguments: Any) -> dict[str, Any]:
    result: dict[str, Any] = ProvisionApplicationOperator(task_id="provision", **arguments).execute({})
    return result


def test_a_web_application(corner: Corner, word: str) -> None:
    wanted: dict[str, Any] = {
        "name": f"{word} portal",
        "application_type": "Traditional",
        "external_id": word,
        "description": "For customers",
        "redirect_uris": ["https://portal.example.com/callback"],
        "cors_allowed_origins": ["https://portal.example.com"],
        "client_metadata": {"refreshTokenTtlInDays": 14},
        "custom_data": {"owner": "sales"},
    }
    first = provision(**wanted)
    assert first["outcome"] == "created"
    assert provision(**wanted)["outcome"] == "unchanged"
    renamed = provision(**{**wanted, "name": f"{word} renamed", "redirect_uris": ["https://new.example.com"]})
    assert (renamed["id"], renamed["changed"]) == (first["id"], ["name", "oidcClientMetadata"])
    row = corner.hook.request("GET", f"/applications/{first['id']}")
    assert row["customData"] == {"owner": "sales", "externalId": word}
    assert len(row["oidcClientMetadata"]["redirectUris"]) == 2
    assert row["customClientMetadata"]["refreshTokenTtlInDays"] == 14


def test_a_machine_and_its_secrets(corner: Corner, word: str, tenant: Tenant) -> None:
    roles = []
    for name in ("reader", "writer"):
        body = {"name": f"{word}-{name}", "description": "-", "type": "MachineToMachine"}
        roles.append(corner.hook.request("POST", "/roles", body=body)["name"])
    machine: dict[str, Any] = {"name": f"{word} importer", "application_type": "MachineToMachine"}
    made = provision(**machine, roles=roles[:1])
    assert made["roles"]["added"] == roles[:1]
    exact = provision(**machine, roles=roles[1:], exact=True)
    assert (exact["roles"]["added"], exact["roles"]["removed"]) == (roles[1:], roles[:1])
    assert provision(**machine, roles=roles[1:], exact=True)["outcome"] == "unchanged"

    stored: list[str] = []

    def rotate(name: str, old: list[str]) -> dict[str, Any]:
        operator = RotateApplicationSecretOperator(
            task_id="rotate",
            application=made,
            hand_over=lambda secret, about: stored.append(secret),
            secret_name=name,
            old_secrets=old,
        )
        result: dict[str, Any] = operator.execute({})
        return result

    assert rotate("one/a b", ["Default secret"])["deleted"] == ["Default secret"]
    resource = corner.hook.request("POST", "/resources", body={"name": word, "indicator": f"https://{word}.example"})
    form = {"grant_type": "client_credentials", "resource": resource["indicator"]}
    token = httpx.post(f"{tenant.endpoint}/oidc/token", data=form, auth=(made["id"], stored[0]))
    corner.hook.request("DELETE", f"/resources/{resource['id']}")
    assert token.status_code == 200, token.text
    second = rotate("two", ["one/a b"])
    assert second["deleted"] == []
    assert [one["name"] for one in second["kept"]] == ["one/a b"]
