"""The check of a Connection, as a task and as a command."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from airflow_provider_logto.__main__ import main
from airflow_provider_logto.exceptions import AuthFailed, ConfigurationError, Forbidden, LogtoError
from airflow_provider_logto.hooks.logto import LogtoHook
from airflow_provider_logto.operators.connection import CheckConnectionOperator
from tests.conftest import Tenant, execute


def use(monkeypatch: pytest.MonkeyPatch, tenant: Tenant, **changed: str) -> None:
    connection = json.loads(tenant.connection()) | changed
    monkeypatch.setenv("AIRFLOW_CONN_LOGTO_OTHER", json.dumps(connection))


def check(conn_id: str = "logto_other") -> object:
    return execute(CheckConnectionOperator(task_id="check", logto_conn_id=conn_id))


def test_a_good_connection(tenant: Tenant) -> None:
    found = CheckConnectionOperator(task_id="check").execute({})
    assert (found["endpoint"], found["app_id"]) == (tenant.endpoint, tenant.app_id)
    assert isinstance(found["users"], int)


def test_it_asks_the_server_each_time(sandbox_tenant: Tenant) -> None:
    assert sandbox_tenant.sandbox is not None
    for tokens in (1, 2):
        check("logto_default")
        assert sandbox_tenant.sandbox.stats()["tokens"] == tokens
    assert sandbox_tenant.sandbox.stats()["writes"] == 0


def test_what_is_wrong_fails_the_task(sandbox_tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, sandbox_tenant, password="wrong")
    with pytest.raises(AuthFailed):
        check()
    use(monkeypatch, sandbox_tenant, login="sandbox-norole", password="sandbox-norole-secret")
    with pytest.raises((Forbidden, LogtoError), match="role"):
        check()
    use(monkeypatch, sandbox_tenant, host="http://logto.example.com")
    with pytest.raises(LogtoError, match="allow_http"):
        check()


def test_the_command_says_what_the_button_says(
    sandbox_tenant: Tenant, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("_AIRFLOW_PROCESS_CONTEXT", "client")
    assert main(["check"]) == 0
    assert "may use the Management API (0 users)" in capsys.readouterr().out
    use(monkeypatch, sandbox_tenant, password="wrong")
    assert main(["check", "logto_other"]) == 1
    captured = capsys.readouterr()
    assert "invalid_client" in captured.err
    assert "may use the Management API" not in captured.out  # 2.11 logs there
    assert main(["check", "no_such_connection"]) == 1
    assert "AIRFLOW_CONN_NO_SUCH_CONNECTION" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ('{"conn_type": "logto", "user": "x", "password": "hidden-secret"}', "unexpected keyword argument 'user'"),
        ('{"conn_type": "logto", "password": "hidden-secret", host: "x"}', "Expecting property name"),
        ("logto://id:hidden-secret/tail@host", "as a URI: write /, : and @ in login and password as %2F"),
    ],
)
def test_the_command_says_what_is_wrong_with_a_variable(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], value: str, problem: str
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_MISTYPED", value)
    assert main(["check", "mistyped"]) == 1
    said = capsys.readouterr().err
    assert problem in said
    assert "AIRFLOW_CONN_MISTYPED cannot be read" in said
    assert "hidden-secret" not in said


def test_the_command_finds_connections_of_airflows_database(
    sandbox_tenant: Tenant, airflow_database: None, tmp_path: Path
) -> None:
    connection = json.loads(sandbox_tenant.connection())
    env = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_CONN_")}
    run = [sys.executable, "-m"]
    add = ["airflow", "connections", "add", "logto_stored", "--conn-json", json.dumps(connection)]
    subprocess.run([*run, *add], env=env, check=True, capture_output=True, timeout=120)
    done = subprocess.run(
        [*run, "airflow_provider_logto", "check", "logto_stored"], env=env, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert sandbox_tenant.endpoint in done.stdout


@pytest.mark.parametrize(
    ("value", "said"), [(None, "add it in Admin > Connections, or set"), ("{broken", "cannot be read")]
)
def test_a_task_without_its_connection_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, value: str | None, said: str
) -> None:
    """It may be tried again: Airflow says the same where a secrets backend does not answer for a moment."""
    if value:
        monkeypatch.setenv("AIRFLOW_CONN_LOGTO_PROD", value)
    with pytest.raises(ConfigurationError, match=f"logto_prod.*{said}") as caught:
        CheckConnectionOperator(task_id="check", logto_conn_id="logto_prod").execute({})
    assert caught.value.transient

    async def use() -> None:
        async with LogtoHook("logto_prod").client():
            pass

    with pytest.raises(ConfigurationError, match=said):
        asyncio.run(use())
