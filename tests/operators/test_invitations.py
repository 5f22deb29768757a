"""InviteMembersOperator: rows for XCom, and what a task says of those who failed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_logto.compat import AirflowFailException
from airflow_provider_logto.exceptions import InvalidInput, PartlyFailed
from airflow_provider_logto.operators.invitations import InviteMembersOperator
from logto_sandbox import Sandbox

pytestmark = pytest.mark.usefixtures("sandbox_tenant")


class TaskInstance:
    """What the operator asks of Airflow's."""

    def __init__(self, try_number: int) -> None:
        self.try_number = try_number
        self.pushed: dict[str, Any] = {}

    def xcom_push(self, key: str, value: Any) -> None:
        self.pushed[key] = value


def invite(context: Any = None, **arguments: Any) -> Any:
    operator = InviteMembersOperator(task_id="invite", organization="Acme", **arguments)
    return operator.execute(context or {})


@pytest.fixture(autouse=True)
def acme(sandbox: Sandbox) -> None:
    sandbox.seed({"organizations": [{"name": "Acme"}]})


def test_rows_come_back_in_order() -> None:
    rows = invite(invitees=["b@x.example", "a@x.example"], roles="member", expires_in=3600)
    assert [(row["invitee"], row["outcome"]) for row in rows] == [
        ("b@x.example", "invited"),
        ("a@x.example", "invited"),
    ]
    json.dumps(rows)
    rows = invite(invitees=["a@x.example", "c@x.example"], mode="revoke")
    assert [row["outcome"] for row in rows] == ["revoked", "absent"]


def test_those_who_failed_are_named_and_the_rest_is_kept(sandbox: Sandbox) -> None:
    instance = TaskInstance(1)
    sandbox.add_fault(kind="error", status=400, method="POST", path="/api/organization-invitations")
    with pytest.raises((PartlyFailed, AirflowFailException), match=r"1 of 3 invitations failed: .@x.example: POST"):
        invite({"ti": instance}, invitees=[f"{name}@x.example" for name in "abc"])
    assert sorted(row["outcome"] for row in instance.pushed["report"]) == ["failed", "invited", "invited"]


def test_a_retry_of_the_task_resends_nothing(sandbox: Sandbox) -> None:
    invite(invitees="a@x.example")
    (row,) = invite({"ti": TaskInstance(2)}, invitees="a@x.example", message={}, if_pending="resend")
    assert (row["outcome"], row["message"]) == ("pending", "unknown")


def test_wrong_arguments_fail_before_the_first_request(sandbox: Sandbox) -> None:
    for arguments, message in (
        ({"invitees": ["nobody"]}, r"invitees\[0\]"),
        ({"invitees": "a@x.example", "mode": "accept"}, "mode: 'accept' is unknown"),
        ({"invitees": [], "mode": "revoke"}, "invitees: is empty"),
    ):
        with pytest.raises((InvalidInput, AirflowFailException), match=message):
            invite(**arguments)
    assert sandbox.stats()["requests"] == 0
