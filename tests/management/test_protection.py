"""Who must not be touched."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_logto.exceptions import InvalidInput
from airflow_provider_logto.hooks.logto import LogtoHook
from airflow_provider_logto.management.protection import Protection
from logto_sandbox import Sandbox

Run = Callable[..., Any]

USER = {
    "id": "abc123def456",
    "username": "svc_build",
    "primaryEmail": "Build@Example.com",
    "primaryPhone": "61412345678",
}


@pytest.mark.parametrize(
    "entry",
    [
        "abc123def456",
        "svc_build",
        "build@example.com",
        "+61 412 345 678",
        "+61 0412 345 678",
        "61 412 345 678",
        "svc_*",
        "*@EXAMPLE.com",
        {"id": "abc123def456"},
        {"username": "svc_build"},
        {"email": "BUILD@example.com"},
        {"phone": "+61412345678"},
        {"phone": "+61 0412 345 678"},
        {"pattern": "svc_????d"},
    ],
)
def test_an_entry_protects(entry: Any) -> None:
    assert Protection.checked([entry]).reason(USER)
    assert Protection.checked(None, entry).reason(USER)


@pytest.mark.parametrize("stored", ["61412345678", "610412345678"])
def test_a_phone_number_protects_in_the_forms_that_logto_takes_for_the_same(stored: str) -> None:
    for entry in ("+61 412 345 678", "+61 0412 345 678"):
        assert Protection.checked([entry]).reason({"id": "x", "primaryPhone": stored})


@pytest.mark.parametrize(
    ("entry", "stored"),
    [
        ("+7 8 916 123 45 67", "79161234567"),
        ("7 8 916 123 45 67", "79161234567"),
        ("+7 916 123 45 67", "789161234567"),  # stored before Logto 1.28
        ("+36 06 30 123 4567", "36301234567"),
    ],
)
def test_a_phone_number_protects_with_any_national_prefix(entry: str, stored: str) -> None:
    assert Protection.checked([entry]).reason({"id": "x", "primaryPhone": stored})


def test_a_landline_does_not_protect_a_mobile() -> None:
    assert Protection.checked(["+39 0331 123456"]).reason({"id": "x", "primaryPhone": "39331123456"}) is None


@pytest.mark.parametrize("entry", ["SVC_Build", {"username": "SVC_BUILD"}])
def test_a_username_protects_in_any_case(entry: Any) -> None:
    """Where the tenant ignores the case of usernames, both are one person."""
    for username in ("svc_build", "Svc_Build"):
        assert Protection.checked([entry]).reason({"id": "x", "username": username}) == "protected by username"
    assert Protection.checked([{"id": "ABC"}]).reason({"id": "abc"}) is None


@pytest.mark.parametrize("entry", ["abc123", "svc", {"id": "svc_build"}, {"username": "abc123def456"}, "x*"])
def test_an_entry_does_not_protect_others(entry: Any) -> None:
    assert Protection.checked([entry]).reason(USER) is None


@pytest.mark.parametrize(
    "entry", ["", "*", "**?*", 5, None, {}, {"id": ""}, {"rol": "x"}, {"id": "x", "role": "y"}, {"email": "x"}]
)
def test_what_is_no_entry_is_named(entry: Any) -> None:
    with pytest.raises(InvalidInput, match=r"protect\[0\]"):
        Protection.checked([entry])


@pytest.mark.parametrize(
    "entry",
    [
        "admin,root",
        "admin; root",
        "admin root",
        "admin*, root*",
        '[{"role": "admin"}',
        "'admin'",
        "svc_?uild",  # a ? stands for a character in {"pattern": ...} alone
        "+81*",  # Logto keeps numbers without +
        "+81",
        "090 1234 5678",
        {"username": "admin,root"},
        {"pattern": "admin*, root*"},
    ],
)
def test_an_entry_that_can_match_nobody_is_refused(entry: Any) -> None:
    with pytest.raises(InvalidInput, match=r"^protect\[0\]: .*(can match nobody|not an international phone number)"):
        Protection.checked([entry])


def test_nothing_protects_nobody() -> None:
    assert not Protection.checked(None, [])
    assert Protection.checked([{"role": "admin"}])
    assert Protection.checked(None).reason(USER) is None


def test_holders_of_a_role(run: Run, sandbox: Sandbox) -> None:
    sandbox.seed({"roles": [{"name": "break glass", "description": "x"}]})
    sandbox.seed({"users": [{"username": "boss", "roles": ["break glass"]}, {"username": "other"}]})
    boss, other = sandbox.state()["users"]
    protection = Protection.checked([{"role": "break glass"}, "other"])
    assert run(protection.holders) == {boss["id"]: "break glass"}
    assert run(protection.reasons, [boss, other]) == {
        boss["id"]: "protected by the role break glass",
        other["id"]: "protected by username",
    }
    with pytest.raises(InvalidInput, match=boss["id"]):
        run(protection.refuse, [boss])
    run(Protection.checked([{"role": "break glass"}]).refuse, [other])


def test_a_misspelt_role_protects_nobody_and_is_therefore_refused(run: Run, sandbox: Sandbox) -> None:
    with pytest.raises(InvalidInput, match="protect: there is no role 'breakglass'"):
        run(Protection.checked([{"role": "breakglass"}]).holders)


@pytest.mark.parametrize("kept", [["svc_*"], "svc_*, boss", "boss\nsvc_*", '["boss", {"pattern": "svc_*"}]'])
def test_the_connections_list_counts_for_every_task(monkeypatch: pytest.MonkeyPatch, kept: Any) -> None:
    connection = {"conn_type": "logto", "host": "https://x.logto.app", "extra": {"protect": kept}}
    monkeypatch.setenv("AIRFLOW_CONN_LOGTO_DEFAULT", json.dumps(connection))
    protection = LogtoHook().protection(["mika"])
    assert protection.reason(USER)
    assert protection.reason({"username": "mika"})


def test_a_wrong_list_in_the_connection_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_LOGTO_DEFAULT", '{"conn_type": "logto", "extra": {"protect": [5]}}')
    with pytest.raises(InvalidInput, match=r"extra\.protect\[0\]"):
        LogtoHook().protection()


@pytest.mark.parametrize("kept", ['[{"role": "admin"}, "root"', '["root"], ada', "[root]"])
def test_a_text_in_the_connection_that_only_begins_like_json_is_refused(
    monkeypatch: pytest.MonkeyPatch, kept: str
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_LOGTO_DEFAULT", json.dumps({"conn_type": "logto", "extra": {"protect": kept}}))
    with pytest.raises(InvalidInput, match=r"^extra\.protect: begins like JSON and is none"):
        LogtoHook().protection()


@pytest.mark.parametrize("kept", ['{"role": "admin"}', '[{"role": "admin"}, "root"]'])
def test_the_connections_field_takes_json(monkeypatch: pytest.MonkeyPatch, kept: str) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_LOGTO_DEFAULT", json.dumps({"conn_type": "logto", "extra": {"protect": kept}}))
    assert LogtoHook().protection().roles == ("admin",)
