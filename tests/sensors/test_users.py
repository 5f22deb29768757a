"""UserSensor in both modes, and what it says when it resumes."""

from __future__ import annotations

import time
from typing import Any

import pytest

from airflow_provider_logto.compat import (
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    TaskDeferred,
)
from airflow_provider_logto.exceptions import InvalidInput
from airflow_provider_logto.sensors.users import UserSensor
from airflow_provider_logto.triggers.users import UserTrigger
from logto_sandbox import Sandbox
from tests.conftest import Tenant, execute

pytestmark = pytest.mark.usefixtures("sandbox_tenant")


def test_it_defers_with_what_the_trigger_needs_and_no_more(sandbox_tenant: Tenant) -> None:
    sensor = UserSensor(task_id="wait", user={"username": "mika"}, deferrable=True, timeout=100, poke_interval=7)
    with pytest.raises(TaskDeferred) as caught:
        sensor.execute({})
    trigger = caught.value.trigger
    assert isinstance(trigger, UserTrigger)
    _, kwargs = trigger.serialize()
    assert kwargs.pop("end_time") == pytest.approx(time.time() + 100, abs=5)
    assert kwargs == {
        "logto_conn_id": "logto_default",
        "user": {"username": "mika"},
        "condition": "exists",
        "since_ms": None,
        "poke_interval": 7.0,
    }
    assert sandbox_tenant.app_secret not in repr(kwargs)
    assert caught.value.timeout is not None
    assert caught.value.timeout.total_seconds() > 100


def test_it_does_not_defer_for_what_is_true_already(sandbox: Sandbox) -> None:
    sandbox.seed({"users": [{"username": "mika"}]})
    assert UserSensor(task_id="wait", user="mika", deferrable=True).execute({}) is None


@pytest.mark.parametrize("deferrable", [True, False])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"user": ""}, "user: must be"),
        ({"user": "a", "condition": "dead"}, "condition"),
        ({"user": "a", "since": "2026-01-01T00:00:00Z"}, "only goes with"),
        ({"user": "a", "condition": "signed_in", "since": "yesterday"}, "since"),
    ],
)
def test_wrong_arguments_fail_before_the_first_request(
    sandbox: Sandbox, deferrable: bool, arguments: dict[str, Any], message: str
) -> None:
    # Before Airflow 3.3 there is no other word for "a retry cannot help" than the second one.
    with pytest.raises(InvalidInput, match=message):
        execute(UserSensor(task_id="wait", deferrable=deferrable, **arguments))
    assert sandbox.stats()["requests"] == 0


def test_resuming() -> None:
    sensor = UserSensor(task_id="wait", user="a")
    sensor.execute_complete({}, {"status": "success", "message": "there"})
    with pytest.raises(AirflowSensorTimeout, match="too late"):
        sensor.execute_complete({}, {"status": "timeout", "message": "too late"})
    soft = UserSensor(task_id="soft", user="a", soft_fail=True)
    with pytest.raises(AirflowSkipException, match="too late"):
        soft.execute_complete({}, {"status": "timeout", "message": "too late"})
    with pytest.raises(AirflowFailException, match="no such secret"):
        sensor.execute_complete({}, {"status": "error", "message": "no such secret"})
    for nonsense in (None, {}, {"status": "?"}):
        with pytest.raises(AirflowFailException, match="the trigger sent"):
            sensor.execute_complete({}, nonsense)
