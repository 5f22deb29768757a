"""What end users hold as far as a seed makes it: sessions, grants, tokens, enterprise identities."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from logto_sandbox import Sandbox
from logto_sandbox.seed import SeedError

SEED: dict[str, Any] = {
    "accountCenter": {"enabled": True, "fields": {"customData": "Edit"}},
    "signInExperience": {"signInMode": "SignIn"},
    "ssoConnectors": [{"providerName": "OIDC", "connectorName": "Okta", "domains": ["example.com"]}],
    "applications": [
        {"name": "web", "type": "Traditional"},
        {"name": "partner", "type": "Traditional", "isThirdParty": True},
    ],
    "users": [
        {
            "username": "ada",
            "personalAccessTokens": ["ci", {"name": "old", "expiresAt": 4_000_000_000_000}],
            "identities": {"github": {"userId": "42"}},
            "ssoIdentities": [{"connector": "Okta", "identityId": "ada@okta"}],
            "mfaVerifications": ["Totp"],
        },
        {"username": "bob"},
    ],
    "sessions": [{"user": "ada", "application": "web"}, {"user": "ada"}],
    "grants": [{"user": "ada", "application": "partner"}],
}

seeded = pytest.mark.logto_sandbox(seed=SEED)


def user_id(sandbox: Sandbox, username: str) -> str:
    return next(str(row["id"]) for row in sandbox.state()["users"] if row["username"] == username)


def clients(answer: httpx.Response) -> list[str]:
    (rows,) = answer.raise_for_status().json().values()
    return sorted(row["clientId"] if "clientId" in row else row["payload"]["clientId"] for row in rows)


@seeded
def test_what_a_sign_in_leaves_behind(logto_sandbox: Sandbox, api: httpx.Client) -> None:
    ada = f"/api/users/{user_id(logto_sandbox, 'ada')}"
    web, partner = (row["id"] for row in logto_sandbox.state()["applications"][-2:])
    assert clients(api.get(f"{ada}/sessions")) == sorted([web, "demo-app"])
    # A grant to a built-in application is not listed.
    assert clients(api.get(f"{ada}/grants")) == sorted([web, partner])
    assert clients(api.get(f"{ada}/grants", params={"appType": "thirdParty"})) == [partner]
    assert clients(api.get(f"{ada}/grants", params={"appType": "firstParty"})) == [web]
    assert api.get(ada).json()["lastSignInAt"] is not None
    held = api.get(f"{ada}/all-identities").json()
    assert held["socialIdentities"] == [{"target": "github", "identity": {"userId": "42"}}]
    (enterprise,) = held["ssoIdentities"]
    assert enterprise["ssoIdentity"]["identityId"] == "ada@okta"
    assert [row["name"] for row in api.get(f"{ada}/personal-access-tokens").json()] == ["ci", "old"]
    assert [row["type"] for row in api.get(f"{ada}/mfa-verifications").json()] == ["Totp"]
    assert api.get("/api/account-center").json()["enabled"] is True
    assert api.get("/api/sign-in-exp").json()["signInMode"] == "SignIn"


@seeded
@pytest.mark.parametrize(("target", "left"), [("", 3), ("firstParty", 2), ("all", 2)])
def test_ending_a_session_may_revoke_its_grants(
    logto_sandbox: Sandbox, api: httpx.Client, target: str, left: int
) -> None:
    ada, bob = (f"/api/users/{user_id(logto_sandbox, name)}" for name in ("ada", "bob"))
    session = next(row for row in logto_sandbox.state()["sessions"] if row["clientId"] != "demo-app")
    path = f"sessions/{session['id']}"
    assert api.get(f"{ada}/{path}").json()["payload"]["uid"] == session["id"]
    assert api.delete(f"{bob}/{path}").json()["code"] == "oidc.invalid_session_account_id"
    query = {"revokeGrantsTarget": target} if target else {}
    assert api.delete(f"{ada}/{path}", params=query).status_code == 204
    assert api.delete(f"{ada}/{path}").json()["code"] == "oidc.session_not_found"
    assert len(logto_sandbox.state()["grants"]) == left
    assert clients(api.get(f"{ada}/sessions")) == ["demo-app"]


@seeded
def test_a_revoked_grant_leaves_the_session_without_it(logto_sandbox: Sandbox, api: httpx.Client) -> None:
    ada, bob = (f"/api/users/{user_id(logto_sandbox, name)}" for name in ("ada", "bob"))
    session = next(row for row in logto_sandbox.state()["sessions"] if row["clientId"] != "demo-app")
    (authorization,) = session["payload"]["authorizations"].values()
    path = f"grants/{authorization['grantId']}"
    assert api.delete(f"{bob}/{path}").json()["code"] == "oidc.invalid_grant"
    assert api.delete(f"{ada}/{path}").status_code == 204
    assert api.delete(f"{ada}/{path}").status_code == 404
    payload = api.get(f"{ada}/sessions/{session['id']}").json()["payload"]
    assert (payload["authorizations"], payload["jti"] != session["payload"]["jti"]) == ({}, True)


@seeded
def test_suspension_ends_sessions_and_leaves_grants_and_tokens(logto_sandbox: Sandbox, api: httpx.Client) -> None:
    ada = f"/api/users/{user_id(logto_sandbox, 'ada')}"
    api.patch(f"{ada}/is-suspended", json={"isSuspended": True}).raise_for_status()
    assert clients(api.get(f"{ada}/sessions")) == []
    assert len(clients(api.get(f"{ada}/grants"))) == 2
    assert len(api.get(f"{ada}/personal-access-tokens").json()) == 2
    assert api.delete(ada).status_code == 204
    state = logto_sandbox.state()
    assert [state[table] for table in ("sessions", "grants", "personal_access_tokens", "user_sso_identities")] == [
        []
    ] * 4
    assert state["private"] == {}


@pytest.mark.parametrize(("version", "status"), [("1.42", 200), ("1.43", 400)])
def test_a_suspended_users_token_buys_further_tokens_until_1_43(version: str, status: int) -> None:
    with Sandbox(logto_version=version, seed=SEED) as sandbox:
        state = sandbox.state()
        sandbox.tenant.tables["users"].put(state["users"][0] | {"isSuspended": True})
        app = sandbox.tenant.tables["applications"][state["applications"][-2]["id"]]
        app["customClientMetadata"] = {"allowTokenExchange": True}
        secret = next(row["value"] for row in state["application_secrets"] if row["applicationId"] == app["id"])
        form = {
            "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
            "subject_token": state["personal_access_tokens"][0]["value"],
            "subject_token_type": "urn:logto:token-type:personal_access_token",
        }
        answer = httpx.post(f"{sandbox.url}/oidc/token", data=form, auth=(app["id"], secret))
        assert answer.status_code == status
        (row,) = (row for row in sandbox.state()["logs"] if row["key"] == "ExchangeTokenBy.TokenExchange")
        assert ("user is suspended" in row["payload"].get("error", "")) is (status == 400)
        assert row["payload"]["params"]["subject_token"] == "******"
        assert row["payload"]["applicationSecret"] == {"name": "Default secret"}


@pytest.mark.parametrize(
    ("seed", "where"),
    [
        ({"sessions": [{"user": "eve"}]}, r"sessions\[0\]\.user"),
        ({"users": [{"username": "ada"}], "sessions": [{"user": "ada", "application": "x"}]}, r"sessions\[0\]\.appl"),
        ({"users": [{"username": "ada", "ssoIdentities": [{}]}]}, r"users\[0\]\.ssoIdentities"),
        ({"users": [{"username": "ada", "personalAccessTokens": [""]}]}, r"users\[0\]: .*name"),
        ({"accountCenter": {"enabled": "yes"}}, "accountCenter: .*enabled"),
        ({"accountCenter": {"on": True}}, "accountCenter.on: unknown key"),
        ({"grants": [{"user": "ada", "for": 1}]}, r"grants\[0\]"),
    ],
)
def test_a_wrong_seed_is_named(seed: dict[str, Any], where: str) -> None:
    with pytest.raises(SeedError, match=f"^{where}"):
        Sandbox(seed=seed)
