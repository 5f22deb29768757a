"""LogtoHook: the Connection, its form and its test."""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
import types
from typing import Any

import pytest

from airflow_provider_logto.connection_fields import EXTRA_FIELDS
from airflow_provider_logto.exceptions import ConfigurationError, InvalidInput
from airflow_provider_logto.get_provider_info import get_provider_info
from airflow_provider_logto.hooks.logto import LogtoHook
from logto_sandbox import Sandbox
from tests.clients import Connect


def test_a_working_connection_says_what_it_reached(connect: Connect, sandbox: Sandbox) -> None:
    works, message = connect().test_connection()
    assert works
    assert sandbox.url in message


def test_the_connection_test_goes_past_the_cache(connect: Connect, sandbox: Sandbox) -> None:
    hook = connect()
    hook.request("GET", "/users")
    tokens = sandbox.stats()["tokens"]
    assert hook.test_connection()[0]
    assert sandbox.stats()["tokens"] == tokens + 1
    sandbox.add_fault(kind="secret_expired", times=None)
    works, message = hook.test_connection()
    assert not works
    assert "secret has expired" in message


@pytest.mark.parametrize(
    ("fields", "extra", "hint"),
    [
        ({"password": "wrong"}, {}, "check password"),
        ({"login": "nobody"}, {}, "check login"),
        ({"login": "sandbox-norole", "password": "sandbox-norole-secret"}, {}, "machine-to-machine role"),
        ({}, {"resource": "https://logto.example.com/api"}, "https://default.logto.app/api"),
        ({"host": None}, {}, "host is missing"),
        ({"login": None}, {}, "login is missing"),
        ({"password": None}, {}, "password is missing"),
        ({"host": "http://logto.example.com"}, {}, "allow_http"),
        ({"host": "https://logto.example.com/api"}, {}, "bare endpoint"),
        ({}, {"timeout": "soon"}, "extra.timeout"),
        ({}, {"timeout": 0}, "extra.timeout"),
        ({}, {"rate_limit_share": 1.5}, "extra.rate_limit_share"),
        ({}, {"rate_limit": -1}, "extra.rate_limit"),
        ({}, {"allow_http": "maybe"}, "extra.allow_http"),
        ({}, {"verify": "no-such-file.pem"}, "extra.verify"),
        ({}, {"resource": 5}, "extra.resource"),
    ],
)
def test_a_broken_connection_says_what_to_fix(
    connect: Connect, fields: dict[str, Any], extra: dict[str, Any], hint: str
) -> None:
    works, message = connect(extra, **fields).test_connection()
    assert not works
    assert hint in message
    assert "sandbox-m2m-secret" not in message


def test_a_host_where_nobody_listens(connect: Connect) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        works, message = connect(host=f"http://127.0.0.1:{free.getsockname()[1]}").test_connection()
    assert not works
    assert "check host and port" in message


def test_a_host_that_is_no_logto(connect: Connect, sandbox: Sandbox) -> None:
    sandbox.add_fault(kind="wrong_content_type", path="/oidc/token", times=None)
    works, message = connect().test_connection()
    assert not works
    assert "is host the tenant's Logto endpoint?" in message


def test_the_port_may_stand_on_its_own(connect: Connect, sandbox: Sandbox) -> None:
    assert connect(host="http://127.0.0.1", port=sandbox.port).request("GET", "/users") == []


def test_requests_items_and_functions(connect: Connect, sandbox: Sandbox) -> None:
    sandbox.seed({"users": [{"username": f"u{at}"} for at in range(230)]})
    hook = connect()
    assert len(hook.request("GET", "/users", {"page_size": 5})) == 5
    names = [user["username"] for user in hook.iterate("/users")]
    assert sorted(names) == sorted(f"u{at}" for at in range(230))

    async def count(client: Any, path: str, *, add: int) -> int:
        return int(await client.count(path)) + add

    assert hook.run(count, "/users", add=1) == 231


def test_iterating_fetches_as_it_goes_and_can_be_left(connect: Connect, sandbox: Sandbox) -> None:
    sandbox.seed({"users": [{"username": f"u{at}"} for at in range(230)]})
    sandbox.reset_stats()
    items = connect().iterate("/users")
    next(items)
    items.close()  # type: ignore[attr-defined]
    assert sandbox.stats()["routes"]["GET /api/users"] == 1


def test_inside_an_event_loop_it_names_the_right_method(connect: Connect, sandbox: Sandbox) -> None:
    hook = connect()

    async def inside() -> Any:
        for call in (
            lambda: hook.run(lambda client: client.request("GET", "/users")),
            lambda: hook.request("GET", "/users"),
            lambda: next(hook.iterate("/users")),
        ):
            with pytest.raises(RuntimeError, match=r"hook\.client\(\)"):
                call()
        async with hook.client() as client:
            return await client.request("GET", "/users")

    assert asyncio.run(inside()) == []


def test_bad_input_fails_before_the_first_request(connect: Connect, sandbox: Sandbox) -> None:
    with pytest.raises(InvalidInput, match="path"):
        connect().request("GET", "https://example.com/users")
    with pytest.raises(ConfigurationError, match="host"):
        connect(host="").request("GET", "/users")
    assert sandbox.stats()["requests"] == 0


def test_nothing_secret_is_logged_or_shown(
    connect: Connect, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    masked: list[str] = []
    monkeypatch.setattr("airflow_provider_logto.hooks.logto.mask_secret", masked.append)
    hook = connect()
    with caplog.at_level(logging.DEBUG):
        assert hook.test_connection()[0]
        assert hook.request("GET", "/users") == []
    token = next(value for value in masked if value.startswith("eyJ"))
    basic = next(value for value in masked if not value.startswith("eyJ"))
    logged = "\n".join(record.getMessage() for record in caplog.records if record.name.startswith("airflow_provider"))
    for secret in ("sandbox-m2m-secret", token, basic):
        assert secret not in logged
        assert secret not in repr(hook.__dict__)


def test_both_connection_forms_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    """Airflow 2.11 to 3.1 ask the hook, with the form library of their web server; later ones read the metadata."""

    class Field:
        def __init__(self, label: str, description: str, **options: Any) -> None:
            self.label, self.description = label, description

    class StringField(Field): ...

    class IntegerField(Field): ...

    class BooleanField(Field): ...

    for name, members in {
        "flask_appbuilder": {},
        "flask_appbuilder.fieldwidgets": {"BS3TextFieldWidget": object},
        "flask_babel": {"lazy_gettext": str},
        "wtforms": {"StringField": StringField, "IntegerField": IntegerField, "BooleanField": BooleanField},
        "wtforms.validators": {"Optional": object},
    }.items():
        module = types.ModuleType(name)
        module.__dict__.update(members)
        monkeypatch.setitem(sys.modules, name, module)
    metadata: Any = get_provider_info()
    declared = metadata["connection-types"][0]
    kinds = {"StringField": {"string", "number"}, "IntegerField": {"integer"}, "BooleanField": {"boolean"}}
    widgets = LogtoHook.get_connection_form_widgets()
    assert {name: (widget.label, widget.description) for name, widget in widgets.items()} == {
        name: (field["label"], field["description"].replace("<tenant>", "[tenant]"))
        for name, field in declared["conn-fields"].items()
    }
    assert not any("<" in widget.description for widget in widgets.values())
    for name, widget in widgets.items():
        allowed = set(declared["conn-fields"][name]["schema"]["type"]) - {"null"}
        assert allowed <= kinds[type(widget).__name__], name
    behaviour = declared["ui-field-behaviour"]
    assert LogtoHook.get_ui_field_behaviour() == {
        "hidden_fields": behaviour["hidden-fields"],
        "relabeling": behaviour["relabeling"],
        "placeholders": behaviour["placeholders"],
    }
    assert (declared["connection-type"], declared["hook-name"]) == (LogtoHook.conn_type, LogtoHook.hook_name)
    assert declared["hook-class-name"] == f"{LogtoHook.__module__}.{LogtoHook.__qualname__}"


def test_airflow_reads_the_form() -> None:
    service = pytest.importorskip(
        "airflow.api_fastapi.core_api.services.ui.connections", reason="before Airflow 3 the form is made otherwise"
    )

    forms = list(service.HookMetaService.hook_meta_data())
    if not any(form.standard_fields for form in forms):
        pytest.skip("Airflow 3.0 without flask_appbuilder shows no provider's fields")
    form = next(entry for entry in forms if entry.connection_type == "logto")
    assert form.hook_name == "Logto"
    assert form.standard_fields is not None
    assert form.standard_fields.login is not None
    assert form.standard_fields.login.title == "App ID"
    assert set(form.extra_fields or {}) == set(EXTRA_FIELDS)


def test_iterate_takes_a_search_as_a_plain_dict(sandbox: Sandbox, connect: Connect) -> None:
    sandbox.seed({"users": [{"username": f"u{at}"} for at in range(3)]})
    found = connect().iterate("/api/users", where={"username": ["u0", "u2"]})
    assert sorted(user["username"] for user in found) == ["u0", "u2"]
    with pytest.raises(InvalidInput, match=r"where\.username: cannot be searched"):
        next(connect().iterate("/roles", where={"username": "a"}))
