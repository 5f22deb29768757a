"""The Connection's extras: what is unknown is named, and the documentation says what the code does."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from airflow.exceptions import AirflowNotFoundException

from airflow_provider_logto.client.sharing import fallback
from airflow_provider_logto.connection_fields import EXTRA_FIELDS, ExtraField
from airflow_provider_logto.exceptions import ConfigurationError
from logto_sandbox import Sandbox
from tests.clients import Connect
from tests.conftest import PROJECT, Tenant


@pytest.fixture(autouse=True)
def _warn_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fallback, "_warned", set())


@pytest.mark.parametrize(
    ("name", "hint"), [("rate_limt", "did you mean rate_limit?"), ("foo", f"known are {', '.join(EXTRA_FIELDS)}")]
)
def test_an_unknown_extra_is_named(
    connect: Connect, sandbox: Sandbox, caplog: pytest.LogCaptureFixture, name: str, hint: str
) -> None:
    hook = connect({name: 5})
    works, message = hook.test_connection()
    assert not works
    assert f"extra.{name} is unknown" in message
    assert hint in message
    for _ in range(2):
        hook.request("GET", "/users")  # a task goes on
    assert caplog.text.count(f"extra.{name} is unknown") == 1


@pytest.mark.parametrize("url", ["javascript:alert(1)", "cloud.logto.io", "https://", "https://a/?x=1", 5])
def test_a_console_url_that_is_no_address(connect: Connect, sandbox: Sandbox, url: Any) -> None:
    hook = connect({"console_url": url})
    works, message = hook.test_connection()
    assert (works, "extra.console_url" in message) == (False, True)
    assert hook.console_url() is None
    assert hook.request("GET", "/users") == []


def test_an_extra_that_is_a_list(connect: Connect, sandbox_tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    hook = connect()
    connection = json.loads(sandbox_tenant.connection())
    monkeypatch.setenv("AIRFLOW_CONN_LOGTO_DEFAULT", json.dumps({**connection, "extra": '["rate_limit"]'}))
    try:
        hook.get_connection("logto_default")
    except AirflowNotFoundException:
        pytest.skip("Airflow 3.0 and 3.1 do not find a Connection whose extra is a list")
    works, message = hook.test_connection()
    assert (works, "extra must be a JSON object, not a list" in message) == (False, True)
    for use in (lambda: hook.request("GET", "/users"), hook.protection):
        with pytest.raises(ConfigurationError, match="extra must be a JSON object"):
            use()
    assert hook.console_url() is None


def test_every_extra_is_taken(connect: Connect, sandbox: Sandbox) -> None:
    extra = {
        "resource": "https://default.logto.app/api",
        "timeout": 50,
        "verify": True,
        "allow_http": False,
        "rate_limit": 1000,
        "rate_limit_share": 1,
        "shared_state": "process",
        "console_url": "http://localhost:3002/",
        "protect": ["admin@example.com"],
    }
    assert set(extra) == set(EXTRA_FIELDS)
    hook = connect(extra)
    works, message = hook.test_connection()
    assert works, message
    assert hook.console_url() == "http://localhost:3002"


def documented(name: str, field: ExtraField) -> str:
    """The line of the documentation's table."""

    def marked(text: str) -> str:
        return re.sub(r"(https://<\S+?|https://[a-z.]+/\S+?|\{.*?\})(?=[.,]?(?:\s|$))", r"`\1`", text)

    cells = (field.label, f"`{name}`", marked(field.default_text), marked(field.meaning))
    return f"| {' | '.join(cells)} |"


def test_documentation_lists_them() -> None:
    page = (PROJECT / "docs" / "connection.md").read_text("utf-8")
    lines = page[page.index("| Field | JSON key | Default |") :].splitlines()[2:]
    table = lines[: lines.index("")]
    assert table == [documented(name, field) for name, field in EXTRA_FIELDS.items()]


def test_documented_connection_is_valid(connect: Connect) -> None:
    page = (PROJECT / "docs" / "connection.md").read_text("utf-8")
    (example,) = re.findall(r"```json\n(.*?)```", page, re.DOTALL)
    assert set(json.loads(example)["extra"]) <= set(EXTRA_FIELDS)
