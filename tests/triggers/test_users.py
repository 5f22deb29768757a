"""UserTrigger: looks, waits, gives up; nothing blocks the loop."""

from __future__ import annotations

import asyncio
import json
import time
from importlib import import_module
from typing import Any

import pytest

from airflow_provider_logto import waiting
from airflow_provider_logto.client.client import LogtoClient
from airflow_provider_logto.exceptions import AuthFailed, ConnectionFailed, RateLimited
from airflow_provider_logto.triggers import base
from airflow_provider_logto.triggers.users import UserTrigger
from logto_sandbox import Sandbox
from tests.conftest import Tenant

pytestmark = pytest.mark.usefixtures("sandbox_tenant")


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "MIN_POKE_INTERVAL", 0.01)


def trigger(**changes: Any) -> UserTrigger:
    arguments: dict[str, Any] = {
        "logto_conn_id": "logto_default",
        "user": "mika",
        "condition": "exists",
        "since_ms": None,
        "poke_interval": 0.05,
        "end_time": time.time() + 20,
    }
    return UserTrigger(**{**arguments, **changes})


async def events(one: UserTrigger) -> list[Any]:
    return [event.payload async for event in one.run()]


def test_it_survives_being_stored() -> None:
    path, kwargs = trigger(user={"username": "mika"}).serialize()
    module, _, name = path.rpartition(".")
    again = getattr(import_module(module), name)(**kwargs)
    assert again.serialize() == (path, kwargs)


def test_it_fires_when_the_condition_comes_true(sandbox: Sandbox) -> None:
    async def scenario() -> Any:
        waiting = asyncio.create_task(events(trigger()))
        await asyncio.sleep(0.5)
        assert not waiting.done()
        await asyncio.to_thread(sandbox.seed, {"users": [{"username": "mika"}]})
        return await asyncio.wait_for(waiting, 10)

    (event,) = asyncio.run(scenario())
    assert event["status"] == "success"
    assert sandbox.stats()["tokens"] <= 1
    assert sandbox.stats()["writes"] == 0


def test_the_deadline_is_absolute() -> None:
    (event,) = asyncio.run(events(trigger(end_time=time.time() + 0.2)))
    assert event["status"] == "timeout"
    began = time.monotonic()
    (event,) = asyncio.run(events(trigger(end_time=time.time() - 5, poke_interval=60)))
    assert event["status"] == "timeout"
    assert time.monotonic() - began < 5


def test_passing_failures_are_borne(sandbox: Sandbox) -> None:
    sandbox.seed({"users": [{"username": "mika"}]})
    sandbox.add_fault(kind="reset", path="/api/users", times=2)
    (event,) = asyncio.run(events(trigger()))
    assert event["status"] == "success"


def test_a_lasting_failure_is_reported_after_many_looks(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """A look that succeeds in between starts the count again."""
    monkeypatch.setattr(base, "MAX_CONSECUTIVE_FAILURES", 3)
    looks: list[str] = []

    async def look(self: UserTrigger, client: LogtoClient) -> bool:
        failed = len(looks) != 2
        looks.append("failed" if failed else "succeeded")
        if failed:
            raise RateLimited("GET /api/users", 429, None, "slow down", None, "", 30.0)
        return False

    monkeypatch.setattr(UserTrigger, "look", look)
    (event,) = asyncio.run(events(trigger(poke_interval=0.01)))
    assert looks == ["failed", "failed", "succeeded", "failed", "failed", "failed"]
    assert (event["status"], event["type"], event["retry_after"]) == ("error", "RateLimited", 30.0)


def test_an_outage_until_the_deadline_is_no_verdict(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    async def look(self: UserTrigger, client: LogtoClient) -> bool:
        raise RateLimited("GET /api/users", 429, None, "slow down", None, "", 30.0)

    monkeypatch.setattr(UserTrigger, "look", look)
    (event,) = asyncio.run(events(trigger(poke_interval=0.3, end_time=time.time() + 0.5)))
    assert (event["status"], event["type"]) == ("error", "RateLimited")


def test_an_outage_that_ends_in_a_look_that_hangs_is_no_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "MIN_LOOK_TIME", 0.1)
    looks = iter([True, True])

    async def look(self: UserTrigger, client: LogtoClient) -> bool:
        if next(looks, False):
            raise ConnectionFailed("GET /api/users", "refused", False, "localhost:3001")
        await asyncio.sleep(30)
        return False

    monkeypatch.setattr(UserTrigger, "look", look)
    (event,) = asyncio.run(events(trigger(end_time=time.time() + 0.5)))
    assert (event["status"], event["type"]) == ("error", "ConnectionFailed")


@pytest.mark.parametrize("renewed", [True, False])
def test_a_secret_that_is_rotated_while_it_waits(
    sandbox_tenant: Tenant, monkeypatch: pytest.MonkeyPatch, renewed: bool
) -> None:
    """The Connection has the new secret; the trigger began with the old one."""
    secrets: list[str] = []

    async def look(self: UserTrigger, client: LogtoClient) -> bool:
        secrets.append(client.fingerprint(b"x"))
        if len(secrets) == 2:
            if renewed:
                monkeypatch.setenv("AIRFLOW_CONN_LOGTO_DEFAULT", sandbox_tenant.connection(password="the-new-secret"))
            raise AuthFailed("POST /oidc/token", 401, "oidc.invalid_client", "no", "abc", "check password")
        if len(secrets) == 3 and not renewed:
            raise AuthFailed("POST /oidc/token", 401, "oidc.invalid_client", "no", "abc", "check password")
        return len(secrets) == 3

    monkeypatch.setattr(UserTrigger, "look", look)
    (event,) = asyncio.run(events(trigger(poke_interval=0.01)))
    assert event["status"] == ("success" if renewed else "error")
    assert (len(secrets), len(set(secrets))) == (3, 2 if renewed else 1)


def test_a_look_that_hangs_ends_at_the_deadline(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "MIN_LOOK_TIME", 0.2)
    sandbox.add_fault(kind="slow", seconds=30, path="/api/users", times=None)
    began = time.monotonic()
    (event,) = asyncio.run(events(trigger(end_time=time.time() + 1)))
    assert event == {"status": "timeout"}
    assert time.monotonic() - began < 5


def test_looks_are_a_second_apart_at_least(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "MIN_POKE_INTERVAL", waiting.MIN_POKE_INTERVAL)
    (event,) = asyncio.run(events(trigger(poke_interval=0.0, end_time=time.time() + 4)))
    assert event["status"] == "timeout"
    assert 2 <= sandbox.stats()["routes"]["GET /api/users"] <= 5


def test_nothing_secret_is_in_its_event(sandbox_tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the error says: what this process has masked is not in the event either."""

    async def look(self: UserTrigger, client: LogtoClient) -> bool:
        raise AuthFailed("GET /api/users", 401, None, f"you sent {sandbox_tenant.app_secret}")

    monkeypatch.setattr(UserTrigger, "look", look)
    (event,) = asyncio.run(events(trigger()))
    assert event["status"] == "error"
    assert sandbox_tenant.app_secret not in json.dumps(event)


def test_what_waiting_cannot_fix_is_reported_at_once(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    sandbox.seed({"users": [{"username": "mika"}]})
    user = sandbox.state()["users"][0]["id"]
    while not user[0].isalpha():
        sandbox.seed({"users": [{"username": f"x{user}"}]})
        user = sandbox.state()["users"][-1]["id"]
    sandbox.seed({"users": [{"username": user}]})
    (event,) = asyncio.run(events(trigger(user=user)))
    assert event["status"] == "error"
    assert "more than one user" in event["message"]
    monkeypatch.setenv("AIRFLOW_CONN_LOGTO_DEFAULT", '{"conn_type": "logto", "host": "http://127.0.0.1:9"}')
    (event,) = asyncio.run(events(trigger()))
    assert (event["status"], event["type"], event["transient"]) == ("error", "ConfigurationError", False)
    assert "login is missing" in event["message"]
