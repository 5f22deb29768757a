"""UserSensor in both modes, and what it says when it resumes."""

from __future__ import annotations

import json
import time
from base64 import b64encode
from typing import Any

import pytest

from airflow_provider_logto.compat import (
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    TaskDeferred,
)
from airflow_provider_logto.exceptions import (
    AuthFailed,
    ConfigurationError,
    ConnectionFailed,
    IncompleteList,
    InvalidInput,
    LogtoError,
    NeverTrue,
    OutcomeUnknown,
    PaceExceeded,
    RateLimited,
    ServerFailed,
)
from airflow_provider_logto.retry_policy import LogtoRetryPolicy
from airflow_provider_logto.sensors.users import UserSensor
from airflow_provider_logto.triggers.users import UserTrigger
from airflow_provider_logto.waiting import error_of, event_of
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


def test_the_trigger_knows_no_more_of_a_person_than_names_them() -> None:
    made = {"id": "abc", "outcome": "created", "changed": [], "username": "ada", "primaryEmail": "ada@acme.example"}
    sensor = UserSensor(task_id="wait", user=made, deferrable=True)
    assert sensor.make_trigger(5.0, 1.0).serialize()[1]["user"] == {"id": "abc"}


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
    with pytest.raises(InvalidInput, match=message):
        execute(UserSensor(task_id="wait", deferrable=deferrable, **arguments))
    assert sandbox.stats()["requests"] == 0


def test_resuming() -> None:
    sensor = UserSensor(task_id="wait", user="mika", timeout=90)
    sensor.execute_complete({}, {"status": "success"})
    said = "User mika: the condition 'exists' did not come true within 90 s"
    with pytest.raises(AirflowSensorTimeout, match=said):
        sensor.execute_complete({}, {"status": "timeout"})
    with pytest.raises(AirflowSkipException, match=said):
        UserSensor(task_id="soft", user="mika", timeout=90, soft_fail=True).execute_complete({}, {"status": "timeout"})
    for nonsense in (None, {}, {"status": "?"}, {"status": "error", "type": "OSError", "args": ["x"]}):
        with pytest.raises(AirflowFailException, match="the trigger sent"):
            sensor.execute_complete({}, nonsense)


@pytest.mark.parametrize("soft_fail", [True, False])
def test_a_poking_sensor_says_whom_it_waited_for(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str], soft_fail: bool
) -> None:
    sensor = UserSensor(task_id="wait", user="mika", timeout=2, poke_interval=0.1, soft_fail=soft_fail)
    with pytest.raises(AirflowSkipException if soft_fail else AirflowSensorTimeout) as caught:
        sensor.execute({})
    assert "User mika: the condition 'exists' did not come true within 2 s" in str(caught.value)
    assert 1 <= sandbox.stats()["routes"]["GET /api/users"] <= 4  # looks are a second apart at least
    logged = caplog.text + capsys.readouterr().out  # the former on 2.11, the latter on 3.x
    assert "User mika: the condition 'exists' is not yet true" in logged


def test_soft_fail_of_an_error_names_the_error(sandbox_tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_LOGTO_DEFAULT", sandbox_tenant.connection(password="wrong"))
    sensor = UserSensor(task_id="wait", user="mika", timeout=60, soft_fail=True)
    with pytest.raises(AirflowSkipException, match=r"User mika: POST /oidc/token .*the secret is wrong") as caught:
        sensor.execute({})
    assert "did not come true" not in str(caught.value)


@pytest.mark.parametrize("deferrable", [False, True])
@pytest.mark.parametrize(
    ("options", "password", "status", "ends"),
    [
        ({"soft_fail": True}, "wrong", None, AirflowSkipException),
        ({"soft_fail": True}, None, 503, ServerFailed),
        ({"never_fail": True}, "wrong", None, AirflowSkipException),
        ({"never_fail": True}, None, 503, AirflowSkipException),
        ({}, "wrong", None, AirflowFailException),
        ({}, None, 503, ServerFailed),
    ],
)
def test_the_first_look_ends_alike_in_both_modes(
    sandbox_tenant: Tenant,
    monkeypatch: pytest.MonkeyPatch,
    deferrable: bool,
    options: dict[str, Any],
    password: str | None,
    status: int | None,
    ends: type[Exception],
) -> None:
    if password:
        monkeypatch.setenv("AIRFLOW_CONN_LOGTO_DEFAULT", sandbox_tenant.connection(password=password))
    else:
        monkeypatch.setattr(UserSensor, "look", _unavailable)
    sensor = UserSensor(task_id="wait", user="mika", timeout=60, deferrable=deferrable, **options)
    with pytest.raises(ends):
        sensor.execute({})


def _unavailable(self: UserSensor) -> bool:
    raise ServerFailed("GET /api/users", 503)


@pytest.mark.parametrize(
    ("options", "error", "ends"),
    [
        ({"soft_fail": True}, NeverTrue("it was revoked"), AirflowSkipException),
        ({"soft_fail": True}, ServerFailed("GET /api/users", 503), ServerFailed),
        ({"never_fail": True}, NeverTrue("it was revoked"), AirflowSkipException),
        ({"never_fail": True}, ServerFailed("GET /api/users", 503), AirflowSkipException),
    ],
)
def test_what_the_trigger_met_ends_as_in_poke_mode(
    options: dict[str, Any], error: LogtoError, ends: type[Exception]
) -> None:
    with pytest.raises(ends):
        UserSensor(task_id="wait", user="mika", **options).execute_complete({}, event_of(error))


def test_a_silent_first_look_is_followed_by_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(UserSensor, "look", _unavailable)
    with pytest.raises(TaskDeferred):
        UserSensor(task_id="wait", user="mika", deferrable=True, silent_fail=True).execute({})


def test_the_last_look_has_time_for_its_requests(sandbox: Sandbox) -> None:
    """It begins when the timeout has passed: a server that asks to wait a second is no failure of the sensor."""
    sensor = UserSensor(task_id="wait", user="mika", timeout=0, poke_interval=1, soft_fail=True)
    sandbox.add_fault(kind="error", status=503, path="/api/users", times=1)
    with pytest.raises(AirflowSkipException, match="did not come true within 0 s"):
        sensor.execute({})


ERRORS = [
    RateLimited("GET /api/users", 429, "rate", "slow down", None, "", 40.0),
    ServerFailed("GET /api/users", 503),
    ConnectionFailed("GET /api/users", "refused", False, "localhost:3001"),
    PaceExceeded("GET /api/users", 7.0),
    IncompleteList("GET /api/users", 1, 2),
    AuthFailed("POST /oidc/token", 401, "oidc.invalid_client", "no", "abc", "check password"),
    NeverTrue("the invitation was revoked"),
    InvalidInput("user", "is empty"),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_the_resumed_task_raises_what_the_trigger_met(error: LogtoError) -> None:
    """So a retry policy comes to the same verdict in both modes."""
    event = json.loads(json.dumps(event_of(error)))
    assert event["retry_after"] == getattr(error, "retry_after", None)
    with pytest.raises(type(error)) as caught:
        execute_complete(UserSensor(task_id="wait", user="mika"), event)
    assert str(caught.value) == str(error)
    assert LogtoRetryPolicy().judge(caught.value) == LogtoRetryPolicy().judge(error)


def test_an_error_that_carries_another_keeps_its_words_and_its_verdict() -> None:
    lost = OutcomeUnknown("POST /api/users", ServerFailed("POST /api/users", 502))
    again = error_of(json.loads(json.dumps(event_of(lost))))
    assert (type(again), str(again), again.transient) == (LogtoError, str(lost), False)
    newer = error_of({"status": "error", "type": "RateLimited", "args": [], "message": "slow", "transient": True})
    assert (str(newer), newer.transient) == ("slow", True)


def test_an_error_that_may_pass_for_once_stays_so() -> None:
    """A missing Connection: Airflow says so too where a secrets backend does not answer for a moment."""
    missing = ConfigurationError("The conn_id isn't defined")
    missing.transient = True
    with pytest.raises(ConfigurationError) as caught:
        UserSensor(task_id="wait", user="mika").execute_complete({}, json.loads(json.dumps(event_of(missing))))
    assert caught.value.transient


def test_the_resumed_task_masks_the_secrets(sandbox_tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    masked: list[str] = []
    monkeypatch.setattr("airflow_provider_logto.hooks.logto.mask_secret", masked.append)
    with pytest.raises(ServerFailed):
        execute_complete(UserSensor(task_id="wait", user="mika"), event_of(ServerFailed("GET /api/users", 503)))
    basic = b64encode(f"{sandbox_tenant.app_id}:{sandbox_tenant.app_secret}".encode()).decode()
    assert {sandbox_tenant.app_secret, basic} <= set(masked)


def execute_complete(sensor: UserSensor, event: dict[str, Any]) -> None:
    try:
        sensor.execute_complete({}, event)
    except AirflowFailException as error:
        raise (error.__cause__ or error) from None
