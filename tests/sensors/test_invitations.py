"""InvitationSensor: poke and deferrable come to the same verdict."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from airflow_provider_logto.compat import AirflowFailException, TaskDeferred
from airflow_provider_logto.exceptions import InvalidInput, NeverTrue
from airflow_provider_logto.hooks.logto import LogtoHook
from airflow_provider_logto.operators.invitations import InviteMembersOperator
from airflow_provider_logto.sensors.invitations import InvitationSensor
from logto_sandbox import Sandbox
from tests.conftest import execute

pytestmark = pytest.mark.usefixtures("sandbox_tenant")


@pytest.fixture
def row(sandbox: Sandbox) -> dict[str, Any]:
    """What InviteMembersOperator returned for one invitee."""
    sandbox.seed({"organizations": [{"name": "Acme"}], "users": [{"primaryEmail": "a@x.example"}]})
    invite = InviteMembersOperator(task_id="invite", organization="Acme", invitees="a@x.example")
    found: dict[str, Any] = invite.execute({})[0]
    return found


def end(sandbox: Sandbox, row: dict[str, Any], status: str) -> None:
    body = {"status": status}
    if status == "Accepted":
        body["acceptedUserId"] = sandbox.state()["users"][0]["id"]
    LogtoHook().request("PUT", f"/organization-invitations/{row['id']}/status", body=body)


def deferred(sensor: InvitationSensor) -> Any:
    with pytest.raises(TaskDeferred) as caught:
        sensor.execute({})
    return caught.value.trigger


async def verdict(trigger: Any) -> dict[str, Any]:
    (event,) = [event.payload async for event in trigger.run()]
    return event


def test_it_defers_with_what_the_trigger_needs_and_no_more(row: dict[str, Any]) -> None:
    trigger = deferred(InvitationSensor(task_id="wait", invitation=row, deferrable=True, poke_interval=7))
    path, kwargs = trigger.serialize()
    assert path == "airflow_provider_logto.triggers.invitations.InvitationTrigger"
    assert kwargs["invitation"] == {"id": row["id"]}
    assert set(kwargs) == {"logto_conn_id", "invitation", "condition", "poke_interval", "end_time"}
    by_name = {"organization": "Acme", "invitee": "a@x.example"}
    trigger = deferred(InvitationSensor(task_id="wait", invitation=by_name, deferrable=True))
    assert trigger.serialize()[1]["invitation"] == by_name


@pytest.mark.parametrize(
    ("status", "condition", "met"),
    [
        ("Accepted", "accepted", True),
        ("Revoked", "accepted", False),
        ("Revoked", "revoked", True),
        ("Accepted", "revoked", False),
        ("Revoked", "closed", True),
    ],
)
def test_both_ways_come_to_the_same_verdict(
    sandbox: Sandbox, row: dict[str, Any], status: str, condition: Any, met: bool
) -> None:
    poking = InvitationSensor(task_id="poke", invitation=row, condition=condition)
    waiting = InvitationSensor(task_id="wait", invitation=row, condition=condition, deferrable=True)
    assert poking.poke({}) is False
    trigger = deferred(waiting)
    end(sandbox, row, status)
    event = asyncio.run(verdict(trigger))
    if met:
        assert poking.poke({}) is True
        assert event["status"] == "success"
        waiting.execute_complete({}, event)
        return
    with pytest.raises(AirflowFailException, match="can no longer come true"):
        poking.poke({})
    assert (event["status"], event["type"]) == ("error", "NeverTrue")
    with pytest.raises(AirflowFailException) as resumed:
        waiting.execute_complete({}, event)
    assert isinstance(resumed.value.__cause__, NeverTrue)
    # Not to the letter: on 2.11 an event is masked with whatever other tests of this process made secret.
    assert str(resumed.value).endswith("can no longer come true")


@pytest.mark.parametrize("deferrable", [True, False])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"invitation": ""}, "invitation: must be"),
        ({"invitation": {"organization": "Acme"}}, "invitation: must be"),
        ({"invitation": "x", "condition": "declined"}, "condition: 'declined' is unknown"),
    ],
)
def test_wrong_arguments_fail_before_the_first_request(
    sandbox: Sandbox, deferrable: bool, arguments: Any, message: str
) -> None:
    with pytest.raises(InvalidInput, match=message):
        execute(InvitationSensor(task_id="wait", deferrable=deferrable, **arguments))
    assert sandbox.stats()["requests"] == 0
