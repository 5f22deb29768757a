"""What ``shared_state`` of a Connection leads to, in tasks and in the Connection test."""

from __future__ import annotations

import asyncio
import logging
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_logto.client.sharing import fallback
from airflow_provider_logto.client.sharing.redis_server import RedisServer
from airflow_provider_logto.compat import Connection
from airflow_provider_logto.exceptions import ConfigurationError
from airflow_provider_logto.hooks import shared_state
from logto_sandbox import Sandbox
from tests.clients import Connect


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path / "airflow"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(fallback, "_warned", set())


@pytest.fixture
def shared(connect: Connect) -> Connect:
    """``shared(**extra)``: a hook whose Connection shares as by default, or as ``extra`` says."""
    return lambda **extra: connect({"shared_state": None, **extra})


def test_by_default_the_tasks_of_a_host_share(shared: Connect, sandbox: Sandbox, tmp_path: Path) -> None:
    for _ in range(3):
        assert shared().request("GET", "/users") == []
    assert sandbox.stats()["tokens"] == 1
    assert (tmp_path / "airflow" / ".airflow-provider-logto").is_dir()


def test_a_connection_test_goes_past_the_cache(shared: Connect, sandbox: Sandbox) -> None:
    hook = shared()
    hook.request("GET", "/users")
    assert hook.test_connection()[0]
    assert sandbox.stats()["tokens"] == 2


def test_triggers_share_one_client(shared: Connect, sandbox: Sandbox) -> None:
    hook = shared(shared_state="process")

    async def trigger(found: list[object]) -> None:
        async with hook.client() as client:
            found.append(client)
            await client.request("GET", "/users")
            await asyncio.sleep(0.05)

    async def go() -> list[object]:
        found: list[object] = []
        await asyncio.gather(*(trigger(found) for _ in range(20)))
        return found

    assert len(set(map(id, asyncio.run(go())))) == 1
    assert sandbox.stats()["tokens"] <= 1


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("no_such_connection", "'no_such_connection' is none of process, host and the id"),
        ("redis://:hunter2@localhost:6379/0", "not a URL"),
        ("not_redis", "of type http"),
        ("dead_redis", r"redis 127.0.0.1:9/3"),
        ("cluster", "cluster is not supported"),
    ],
)
def test_what_leads_nowhere(
    shared: Connect, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, state: str, words: str
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_NOT_REDIS", "http://example.com")
    monkeypatch.setenv("AIRFLOW_CONN_DEAD_REDIS", "redis://:pw@127.0.0.1:9/?db=3")
    monkeypatch.setenv("AIRFLOW_CONN_CLUSTER", '{"conn_type": "redis", "extra": {"cluster": true}}')
    hook = shared(shared_state=state)
    works, message = hook.test_connection()
    assert not works
    assert words in message
    for _ in range(2):
        hook.request("GET", "/users")  # a task goes on

    async def deferred() -> None:
        async with hook.client() as client:
            await client.request("GET", "/users")

    asyncio.run(deferred())
    said = [r for r in caplog.records if r.name.startswith("airflow_provider_logto") and r.levelno >= logging.WARNING]
    assert len(said) == 1
    assert "hunter2" not in caplog.text + message


@pytest.mark.parametrize("share", [0, -0.5, 1.5, "half", True])
def test_a_wrong_share(shared: Connect, caplog: pytest.LogCaptureFixture, share: Any) -> None:
    hook = shared(rate_limit_share=share)
    works, message = hook.test_connection()
    assert (works, "extra.rate_limit_share" in message) == (False, True)
    for _ in range(2):
        hook.request("GET", "/users")  # a task goes on
    assert caplog.text.count("0.8 is used") == 1


def test_an_open_directory_fails_the_connection_test_and_no_task(shared: Connect, tmp_path: Path) -> None:
    (tmp_path / "airflow" / ".airflow-provider-logto").mkdir(mode=0o755, parents=True)
    hook = shared()
    works, message = hook.test_connection()
    assert (works, "chmod 700" in message) == (False, True)
    hook.request("GET", "/users")
    assert (tmp_path / "cache" / "airflow-provider-logto").is_dir()


def test_a_user_without_a_home_shares_where_airflow_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(uid: int) -> Any:
        raise KeyError(uid)

    monkeypatch.setattr("pwd.getpwuid", nobody)
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert shared_state.state_directories() == [tmp_path / "airflow" / ".airflow-provider-logto"]
    monkeypatch.delenv("AIRFLOW_HOME")
    assert shared_state.state_directories() == []


def test_a_redis_connection_is_read_as_airflow_reads_it() -> None:
    extra = {"db": "3", "ssl": True, "ssl_ca_certs": "/ca.pem", "other": 1}
    connection = Connection(conn_id="r", conn_type="redis", host="cache", login="u", password="p", port=6380)
    server = shared_state.redis_server(connection, extra)
    assert server == RedisServer("cache", 6380, 3, "u", "p", {"ssl": True, "ssl_ca_certs": "/ca.pem"})
    bare = shared_state.redis_server(Connection(conn_id="r", conn_type="redis"), {})
    assert bare == RedisServer("localhost", 6379)
    with pytest.raises(ConfigurationError, match=r"extra\.db"):
        shared_state.redis_server(connection, {"db": "three"})


def test_an_operation_knows_when_its_task_must_end(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shared_state.task_deadline() is None  # outside a task
    task = SimpleNamespace(execution_timeout=timedelta(minutes=10))
    started = datetime.now(UTC) - timedelta(minutes=4)
    context = {"task": task, "ti": SimpleNamespace(start_date=started)}
    monkeypatch.setattr("airflow_provider_logto.compat.get_current_context", lambda: context)
    assert shared_state.task_deadline() == pytest.approx(time.monotonic() + 360, abs=2)
    # As Airflow 3.3 resumes a deferred task: it shows the first start, and begins the timeout anew.
    resumed = SimpleNamespace(start_date=started, next_method="execute_complete")
    context["ti"] = SimpleNamespace(start_date=started, _ti_context_from_server=resumed)
    assert shared_state.task_deadline() == pytest.approx(time.monotonic() + 600, abs=2)
    # As 3.0 and 3.1 do: it shows when it resumed.
    resumed.start_date = None
    assert shared_state.task_deadline() == pytest.approx(time.monotonic() + 360, abs=2)
    task.execution_timeout = None
    assert shared_state.task_deadline() is None
