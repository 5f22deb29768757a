"""What belongs to one person: sessions, tokens, credentials, codes, profile."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from airflow_provider_logto.exceptions import Conflict, InvalidInput, LogtoApiError, NotFound, OutcomeUnknown
from airflow_provider_logto.management.credentials import (
    delete_identity,
    delete_mfa_factor,
    list_identities,
    list_mfa_factors,
    put_identity,
    scramble_password,
)
from airflow_provider_logto.management.one_time_tokens import (
    create_one_time_token,
    delete_one_time_token,
    list_one_time_tokens,
    magic_link,
)
from airflow_provider_logto.management.personal_access_tokens import (
    delete_personal_access_token,
    list_personal_access_tokens,
)
from airflow_provider_logto.management.profile import read_profile, update_profile
from airflow_provider_logto.management.sessions import end_session, list_grants, list_sessions, revoke_grant
from airflow_provider_logto.management.users import UserSpec, ensure_user
from airflow_provider_logto.management.verification_codes import (
    change_identifier,
    send_verification_code,
    verify_code,
)
from logto_sandbox import Sandbox
from tests.clients import Run

CONNECTORS = (
    {
        "connectorId": "mock-email-service",
        "config": {"apiKey": "k", "fromEmail": "a@example.com", "templates": []},
    },
    {
        "connectorId": "mock-short-message-service",
        "config": {"accountSID": "a", "authToken": "t", "fromMessagingServiceSID": "f", "templates": []},
    },
)


async def call(client: Any, method: str, path: str, body: Any = None) -> Any:
    return await client.request(method, path, body=body)


@pytest.fixture
def mika(sandbox: Sandbox) -> str:
    sandbox.seed({"users": [{"username": "mika", "primaryEmail": "mika@example.com", "password": "x1"}]})
    return str(sandbox.state()["users"][0]["id"])


@pytest.fixture
def portal(run: Run) -> str:
    body = {"name": "Portal", "type": "SPA", "oidcClientMetadata": {"redirectUris": [], "postLogoutRedirectUris": []}}
    return str(run(call, "POST", "/applications", body)["id"])


@pytest.fixture
def messages(run: Run, sandbox: Sandbox) -> Any:
    """What was sent, oldest first."""
    for connector in CONNECTORS:
        run(call, "POST", "/connectors", connector)
    return lambda: sandbox.state()["messages"]


def test_sessions_and_grants_are_listed_by_id_and_ended(run: Run, sandbox: Sandbox, mika: str, portal: str) -> None:
    first, second = (sandbox.sign_in(mika, portal) for _ in range(2))
    sessions = run(list_sessions, mika)
    assert [set(row) for row in sessions] == [{"id", "application", "expiresAt"}] * 2
    assert [row["id"] for row in sessions] == [first["sessionId"], second["sessionId"]]
    assert run(end_session, mika, first["sessionId"]) is True
    assert run(end_session, mika, first["sessionId"]) is False
    (grant,) = run(list_grants, mika)
    assert (grant["id"], grant["application"]) == (second["grantId"], portal)
    assert run(revoke_grant, mika, grant["id"]) is True
    assert run(revoke_grant, mika, grant["id"]) is False
    assert run(list_grants, mika) == []


@pytest.mark.parametrize("function", [list_sessions, list_grants])
def test_an_older_server_says_that_it_has_no_such_lists(function: Any) -> None:
    import asyncio

    from tests.clients import client_of

    async def ask(old: Sandbox) -> None:
        async with client_of(old) as client:
            await function(client, "u1")

    with Sandbox(logto_version="1.36") as old, pytest.raises(NotFound, match="no such operation"):
        asyncio.run(ask(old))


def test_personal_access_tokens_are_known_by_name_only(run: Run, sandbox: Sandbox, mika: str) -> None:
    for name in ("laptop", "a/b c"):
        run(call, "POST", f"/users/{mika}/personal-access-tokens", {"name": name})
    found = run(list_personal_access_tokens, mika)
    assert {row["name"] for row in found} == {"laptop", "a/b c"}
    assert "pat_" not in repr(found)
    assert run(delete_personal_access_token, mika, "laptop") is True
    assert run(delete_personal_access_token, mika, "laptop") is False
    sandbox.add_fault(kind="lost_answer", method="POST", path="/api/users/{id}/personal-access-tokens/delete")
    assert run(delete_personal_access_token, mika, "a/b c") is True
    assert run(list_personal_access_tokens, mika) == []


def test_a_deletion_that_did_not_happen_is_no_success(run: Run, sandbox: Sandbox, mika: str) -> None:
    run(call, "POST", f"/users/{mika}/personal-access-tokens", {"name": "laptop"})
    path = "/api/users/{id}/personal-access-tokens/delete"
    sandbox.add_fault(kind="reset", method="POST", path=path, times=None)
    with pytest.raises(OutcomeUnknown):
        run(delete_personal_access_token, mika, "laptop")
    assert len(run(list_personal_access_tokens, mika)) == 1


@pytest.mark.parametrize("status", [404, 405])
def test_before_1_33_a_token_is_deleted_by_its_path(run: Run, sandbox: Sandbox, mika: str, status: int) -> None:
    run(call, "POST", f"/users/{mika}/personal-access-tokens", {"name": "a/b c"})
    path = "/api/users/{id}/personal-access-tokens/delete"
    sandbox.add_fault(kind="error", status=status, method="POST", path=path)
    assert run(delete_personal_access_token, mika, "a/b c") is True
    assert run(list_personal_access_tokens, mika) == []


def test_a_one_time_token_is_made_listed_and_deleted(run: Run) -> None:
    made = run(create_one_time_token, "Mika@Example.com", 60)
    assert set(made) == {"id", "token", "email", "expiresAt"}
    assert made["email"] == "mika@example.com"
    assert run(list_one_time_tokens, "mika@example.com") == [{"id": made["id"], "expiresAt": made["expiresAt"]}]
    run(call, "POST", "/one-time-tokens/verify", {"token": made["token"], "email": "mika@example.com"})
    assert run(list_one_time_tokens, "mika@example.com") == []
    assert run(delete_one_time_token, made["id"]) is True
    assert run(delete_one_time_token, made["id"]) is False


def test_a_lost_one_time_token_is_not_made_twice(run: Run, sandbox: Sandbox) -> None:
    sandbox.add_fault(kind="lost_answer", method="POST", path="/api/one-time-tokens")
    with pytest.raises(OutcomeUnknown):
        run(create_one_time_token, "mika@example.com")
    assert len(sandbox.state()["one_time_tokens"]) == 1


@pytest.mark.parametrize(
    ("arguments", "field"),
    [(("",), "email"), (("x",), "email"), (("a@b.co", 0), "expires_in"), (("a@b.co", True), "exp")],
)
def test_a_wrong_one_time_token_is_refused_before_any_request(
    run: Run, sandbox: Sandbox, arguments: Any, field: str
) -> None:
    with pytest.raises(InvalidInput, match=f"^{field}"):
        run(create_one_time_token, *arguments)
    assert sandbox.stats()["requests"] == 0


def test_the_link_carries_token_and_address() -> None:
    for page in ("https://app.example.com/welcome", "https://app.example.com/?a=1"):
        query = parse_qs(urlsplit(magic_link(page, "t+k/n", "a+b@example.com")).query)
        assert (query["one_time_token"], query["login_hint"]) == (["t+k/n"], ["a+b@example.com"])
    for wrong in ("http://app.example.com", "app.example.com", "https://[app.example.com", "", None):
        with pytest.raises(InvalidInput, match="page"):
            magic_link(wrong, "t", "a@example.com")  # type: ignore[arg-type]


def test_credentials_are_taken_away(run: Run, mika: str) -> None:
    run(put_identity, mika, "github", {"userId": "g1", "details": {"name": "Mika"}})
    assert run(list_identities, mika) == ({"github": {"userId": "g1", "details": {"name": "Mika"}}}, [])
    assert run(delete_identity, mika, "github") is True
    assert run(delete_identity, mika, "github") is False
    run(call, "POST", f"/users/{mika}/mfa-verifications", {"type": "Totp"})
    (factor,) = run(list_mfa_factors, mika)
    assert (set(factor), factor["type"]) == ({"id", "type"}, "Totp")
    assert run(delete_mfa_factor, mika, factor["id"]) is True
    assert run(delete_mfa_factor, mika, factor["id"]) is False
    run(scramble_password, mika)
    with pytest.raises(Conflict, match="invalid_credentials"):
        run(call, "POST", f"/users/{mika}/password/verify", {"password": "x1"})


def test_an_identifier_changes_only_with_a_verified_code(run: Run, sandbox: Sandbox, mika: str, messages: Any) -> None:
    run(send_verification_code, email="New@Example.com")
    code = messages()[-1]["payload"]["code"]
    wrong = f"{(int(code) + 1) % 10**6:06d}"
    with pytest.raises(InvalidInput, match=r"^code"):
        run(change_identifier, mika, wrong, email="new@example.com")
    with pytest.raises(InvalidInput, match=r"^code"):
        run(change_identifier, mika, code, email="other@example.com")
    assert sandbox.state()["users"][0]["primaryEmail"] == "mika@example.com"
    assert run(change_identifier, {"username": "mika"}, code, email="new@example.com")["id"] == mika
    assert sandbox.state()["users"][0]["primaryEmail"] == "new@example.com"
    with pytest.raises(InvalidInput, match="used up"):
        run(change_identifier, mika, code, email="new@example.com")

    run(send_verification_code, phone="+81 90 1234 5678")
    code = messages()[-1]["payload"]["code"]
    assert run(change_identifier, mika, f" {code} ", phone="+81 90 1234 5678")["primaryPhone"] == "819012345678"


def test_nobody_is_asked_for_a_code_in_vain(run: Run, sandbox: Sandbox, messages: Any) -> None:
    run(send_verification_code, email="a@example.com")
    code = messages()[-1]["payload"]["code"]
    with pytest.raises(InvalidInput, match=r"^user"):
        run(change_identifier, "nobody", code, email="a@example.com")
    # The code is still good: nothing was verified for nobody.
    assert run(verify_code, code, email="a@example.com") is True
    assert run(verify_code, code, email="a@example.com") is False


def test_a_code_is_sent_once(run: Run, sandbox: Sandbox, messages: Any) -> None:
    sandbox.add_fault(kind="lost_answer", method="POST", path="/api/verification-codes")
    with pytest.raises(OutcomeUnknown):
        run(send_verification_code, email="a@example.com")
    assert len(messages()) == 1
    for _ in range(9):
        run(send_verification_code, email="a@example.com")
    with pytest.raises(LogtoApiError, match="too many messages"):
        run(send_verification_code, email="a@example.com")
    assert run(verify_code, "1", email="b@example.com") is False


@pytest.mark.parametrize(
    "recipient", [{}, {"email": "a@b.co", "phone": "+81901234567"}, {"email": "x"}, {"phone": "1"}]
)
def test_a_wrong_recipient_is_refused(run: Run, sandbox: Sandbox, recipient: Any) -> None:
    with pytest.raises(InvalidInput, match=r"^(email|phone)"):
        run(send_verification_code, **recipient)
    with pytest.raises(InvalidInput):
        run(verify_code, "", email="a@example.com")
    assert sandbox.stats()["requests"] == 0


def test_a_profile_is_merged_and_sent_only_where_it_differs(run: Run, sandbox: Sandbox, mika: str) -> None:
    run(update_profile, mika, {"givenName": "Mika", "address": {"country": "JP", "locality": "Kyoto"}})
    after = run(update_profile, mika, {"familyName": "Ito", "address": {"locality": "Nara"}, "nickname": ""})
    assert after == {"givenName": "Mika", "familyName": "Ito", "address": {"country": "JP", "locality": "Nara"}}
    assert run(read_profile, {"username": "mika"}) == after
    sandbox.reset_stats()
    assert run(update_profile, mika, {"givenName": "Mika", "address": {"country": "JP"}}) == after
    assert sandbox.stats()["writes"] == 0
    for arguments in ((mika, {"shoeSize": "44"}), ("nobody", {"givenName": "x"})):
        with pytest.raises(InvalidInput):
            run(update_profile, *arguments)


@pytest.mark.parametrize("by_hand", [True, False], ids=["update_profile", "ensure_user"])
def test_what_a_person_changes_meanwhile_stays(run: Run, mika: str, by_hand: bool) -> None:
    old = {"givenName": "M", "nickname": "old", "address": {"country": "JP", "locality": "Kyoto"}}
    wanted = {"givenName": "Mika", "nickname": "old", "address": {"locality": "Nara"}}
    run(update_profile, mika, {**old, "website": "https://old.example"})

    async def race(client: Any) -> Any:
        request = client.request

        async def first_the_person(method: str, path: str, *args: Any, **kwargs: Any) -> Any:
            if method == "PATCH":
                theirs = {"nickname": "new", "website": "https://new.example"}
                await request("PATCH", f"/users/{mika}/profile", body={"profile": theirs})
            return await request(method, path, *args, **kwargs)

        client.request = first_the_person
        if by_hand:
            return await update_profile(client, mika, wanted)
        return await ensure_user(client, UserSpec.checked(username="mika", profile=wanted), if_exists="update")

    run(race)
    assert run(read_profile, mika) == {
        "givenName": "Mika",
        "nickname": "new",
        "website": "https://new.example",
        "address": {"country": "JP", "locality": "Nara"},
    }
