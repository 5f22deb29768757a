"""UserTrigger: looks, waits, gives up; nothing blocks the loop."""

from __future__ import annotations

import asyncio
import time
from importlib import import_module
from typing import Any

import pytest

from airflow_provider_logto.triggers.users import UserTrigger
from logto_sandbox import Sandbox

pytestmark = pytest.mark.usefixtures("sandbox_tenant")


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


def test_passing_failures_are_borne_and_lasting_ones_reported(sandbox: Sandbox) -> None:
    sandbox.seed({"users": [{"username": "mika"}]})
    sandbox.add_fault(kind="reset", path="/api/users", times=2)
    (event,) = asyncio.run(events(trigger()))
    assert event["status"] == "success"


def test_what_waiting_cannot_mend_is_reported_at_once(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
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
    assert event == {"status": "error", "message": event["message"]}
    assert "login is missing" in event["message"]
