"""InviteMembersOperator and InvitationSensor on any Logto."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_provider_logto.exceptions import Conflict, LogtoApiError, NeverTrue
from airflow_provider_logto.operators.invitations import InviteMembersOperator
from airflow_provider_logto.sensors.invitations import InvitationSensor
from tests.real.conftest import Corner


def invite(corner: Corner, **arguments: Any) -> list[dict[str, Any]]:
    return InviteMembersOperator(task_id="invite", organization=corner.word, **arguments).execute({})


def look(invitation: Any, condition: Any = "accepted") -> bool:
    return InvitationSensor(task_id="wait", invitation=invitation, condition=condition).look()


@pytest.fixture
def organization(corner: Corner) -> str:
    return str(corner.hook.request("POST", "/organizations", body={"name": corner.word})["id"])


@pytest.fixture
def mail(corner: Corner) -> Iterator[None]:
    """A connector that sends nothing; skipped where the server has none of that kind, or a real one is set up."""
    kind = "mock-email-service"
    if kind not in [one["id"] for one in corner.hook.request("GET", "/connector-factories")]:
        pytest.skip(f"the server has no {kind}")
    if any(one["type"] == "Email" for one in corner.hook.request("GET", "/connectors")):
        pytest.skip("the tenant sends real e-mails")
    template = {"usageType": "OrganizationInvitation", "type": "text/plain", "subject": "-", "content": "{{link}}"}
    config = {"apiKey": "k", "fromEmail": "no-reply@example.com", "templates": [template]}
    made = corner.hook.request("POST", "/connectors", body={"connectorId": kind, "config": config})
    yield
    corner.hook.request("DELETE", f"/connectors/{made['id']}")


def test_invite_accept_revoke(corner: Corner, organization: str) -> None:
    member, admin = corner.organization_roles["employee"], corner.organization_roles["engineer"]
    emails = [corner.email(name) for name in "abc"]
    users = [corner.hook.request("POST", "/users", body={"primaryEmail": one})["id"] for one in emails]
    corner.hook.request("POST", f"/organizations/{organization}/users", body={"userIds": [users[2]]})

    rows = invite(corner, invitees=[emails[0].upper(), {"email": emails[1], "roles": [admin]}, emails[2]], roles=member)
    assert [row["outcome"] for row in rows] == ["invited", "invited", "member"]
    shown = corner.hook.request("GET", f"/organization-invitations/{rows[1]['id']}")
    assert {role["name"] for role in shown["organizationRoles"]} == {member, admin}
    assert [row["outcome"] for row in invite(corner, invitees=emails, roles=member)] == ["pending", "pending", "member"]
    assert [look(row) for row in rows] == [False, False, True]

    body = {"status": "Accepted", "acceptedUserId": users[0]}
    corner.hook.request("PUT", f"/organization-invitations/{rows[0]['id']}/status", body=body)
    assert look(rows[0])
    assert [row["outcome"] for row in invite(corner, invitees=emails, mode="revoke")] == ["absent", "revoked", "absent"]
    with pytest.raises(NeverTrue, match="is revoked"):
        look({"organization": corner.word, "invitee": emails[1]})
    assert [row["outcome"] for row in invite(corner, invitees=emails)] == ["member", "invited", "member"]


def test_an_expired_one_makes_room(corner: Corner, organization: str) -> None:
    email = corner.email("late")
    soon = datetime.now(UTC) + timedelta(seconds=2)
    (row,) = invite(corner, invitees=email, expires_at=soon)
    assert row["outcome"] == "invited"
    sensor = InvitationSensor(
        task_id="wait", invitation=row, condition="expired", poke_interval=0.2, timeout=15, mode="poke"
    )
    sensor.execute({})
    (again,) = invite(corner, invitees=email)
    assert (again["outcome"], again["id"] != row["id"]) == ("invited", True)


def test_messages_are_sent(corner: Corner, organization: str, mail: None) -> None:
    email = corner.email("mailed")
    (row,) = invite(corner, invitees=email, message={"link": "https://app.example.com/?id={invitation_id}"})
    assert (row["outcome"], row["message"]) == ("invited", "sent")
    (row,) = invite(corner, invitees=email, message={}, if_pending="resend")
    assert (row["outcome"], row["message"]) == ("pending", "sent")
    (row,) = invite(corner, invitees=corner.email("other"), message={"locale": "de"})
    assert (row["outcome"], row["message"]) == ("invited", "sent")


def test_the_server_keeps_one_pending_invitation_a_person(corner: Corner, organization: str) -> None:
    """What the operator relies on."""
    body = {"invitee": corner.email("a"), "organizationId": organization}
    body["expiresAt"] = int((datetime.now(UTC) + timedelta(hours=1)).timestamp() * 1000)
    corner.hook.request("POST", "/organization-invitations", body=body)
    with pytest.raises(Conflict) as caught:
        corner.hook.request("POST", "/organization-invitations", body=body)
    assert caught.value.code == "entity.unique_integrity_violation"
    with pytest.raises(LogtoApiError):
        corner.hook.request("POST", "/organization-invitations", body={**body, "expiresAt": 1})
