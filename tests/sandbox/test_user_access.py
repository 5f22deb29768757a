"""What lets a user of the sandbox in, and what takes it away: as a server of version 1.42 was seen to do it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from logto_sandbox import Sandbox

EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
PERSONAL = "urn:logto:token-type:personal_access_token"


class Access:
    """A sandbox with one user and one application that users sign in to."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.http = httpx.Client(base_url=sandbox.url, trust_env=False)
        token = self.http.post(
            "/oidc/token",
            auth=(sandbox.app_id, sandbox.app_secret),
            data={"grant_type": "client_credentials", "resource": sandbox.resource, "scope": "all"},
        ).json()["access_token"]
        self.http.headers["Authorization"] = f"Bearer {token}"
        self.user = self.api("POST", "/users", {"username": "mika"})[1]["id"]
        body = {"name": "Portal", "type": "Traditional", "customClientMetadata": {"allowTokenExchange": True}}
        body["oidcClientMetadata"] = {"redirectUris": [], "postLogoutRedirectUris": []}
        self.app = self.api("POST", "/applications", body)[1]["id"]
        self.secret = self.api("GET", f"/applications/{self.app}/secrets")[1][0]["value"]

    def api(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        answer = self.http.request(method, f"/api{path}", json=body)
        return answer.status_code, answer.json() if answer.content and "json" in answer.headers[
            "content-type"
        ] else None

    def buys(self, **form: str) -> bool:
        """Whether the token endpoint gives a token for it."""
        with httpx.Client(base_url=self.sandbox.url, trust_env=False) as http:
            answer = http.post("/oidc/token", auth=(self.app, self.secret), data=form)
        assert answer.status_code in (200, 400)
        return answer.status_code == 200

    def refreshes(self, token: str) -> bool:
        return self.buys(grant_type="refresh_token", refresh_token=token)

    def exchanges(self, value: str) -> bool:
        return self.buys(grant_type=EXCHANGE, subject_token=value, subject_token_type=PERSONAL)

    def listed(self, what: str) -> list[dict[str, Any]]:
        found = self.api("GET", f"/users/{self.user}/{what}")[1]
        return list(found[what] if isinstance(found, dict) else found)


@pytest.fixture(params=["1.39", "1.42"])
def access(request: pytest.FixtureRequest) -> Iterator[Access]:
    with Sandbox(logto_version=request.param) as sandbox:
        access = Access(sandbox)
        yield access
        access.http.close()


def test_a_sign_in_leaves_a_session_a_grant_and_a_refresh_token(access: Access) -> None:
    left = access.sandbox.sign_in(access.user, access.app)
    (session,) = access.listed("sessions")
    assert session["payload"]["uid"] == left["sessionId"]
    assert session["payload"]["authorizations"][access.app]["grantId"] == left["grantId"]
    (grant,) = access.listed("grants")
    assert (grant["id"], grant["application"]["id"]) == (left["grantId"], access.app)
    assert access.refreshes(left["refreshToken"])
    assert not access.refreshes("nonsense")


def test_a_suspension_ends_sessions_but_neither_grants_nor_personal_access_tokens(access: Access) -> None:
    left = access.sandbox.sign_in(access.user, access.app)
    token = access.api("POST", f"/users/{access.user}/personal-access-tokens", {"name": "laptop"})[1]["value"]
    assert access.api("PATCH", f"/users/{access.user}/is-suspended", {"isSuspended": True})[0] == 200
    assert access.listed("sessions") == []
    assert not access.refreshes(left["refreshToken"])
    assert len(access.listed("grants")) == 1
    assert access.exchanges(token)
    # Each exchange leaves a grant of its own.
    assert len(access.listed("grants")) == 2
    assert access.api("POST", f"/users/{access.user}/personal-access-tokens/delete", {"name": "laptop"})[0] == 204
    assert not access.exchanges(token)
    with pytest.raises(Exception, match=r"user\.suspended"):
        access.sandbox.sign_in(access.user, access.app)


def test_a_suspension_that_fails_half_way_has_set_the_flag(access: Access) -> None:
    left = access.sandbox.sign_in(access.user, access.app)
    access.sandbox.tenant.sign_out_failures = 1
    path = f"/users/{access.user}/is-suspended"
    assert access.api("PATCH", path, {"isSuspended": True})[0] == 500
    assert access.api("GET", f"/users/{access.user}")[1]["isSuspended"]
    assert access.refreshes(left["refreshToken"])
    assert access.api("PATCH", path, {"isSuspended": True})[0] == 200
    assert not access.refreshes(left["refreshToken"])


def test_sessions_and_grants_are_deleted_one_by_one(access: Access) -> None:
    first, second = (access.sandbox.sign_in(access.user, access.app) for _ in range(2))
    path = f"/users/{access.user}"
    assert access.api("DELETE", f"{path}/sessions/{first['sessionId']}?revokeGrantsTarget=all")[0] == 204
    assert not access.refreshes(first["refreshToken"])
    assert [grant["id"] for grant in access.listed("grants")] == [second["grantId"]]
    assert access.api("DELETE", f"{path}/grants/{second['grantId']}")[0] == 204
    assert not access.refreshes(second["refreshToken"])
    assert access.listed("sessions")[0]["payload"]["authorizations"] == {}
    answers = [
        access.api("DELETE", f"{path}/sessions/nonsense"),
        access.api("DELETE", f"{path}/grants/nonsense"),
        access.api("DELETE", f"/users/other/sessions/{second['sessionId']}"),
    ]
    codes = ["oidc.session_not_found", "oidc.invalid_grant", "oidc.invalid_session_account_id"]
    assert [(status, body["code"]) for status, body in answers] == [(404, code) for code in codes]


def test_before_1_38_there_are_no_such_lists() -> None:
    with Sandbox(logto_version="1.36") as sandbox:
        access = Access(sandbox)
        for what in ("sessions", "grants"):
            assert access.api("GET", f"/users/{access.user}/{what}")[0] == 404
        access.http.close()


def test_identities_and_factors(access: Access) -> None:
    path = f"/users/{access.user}"
    assert access.api("PUT", f"{path}/identities/github", {"userId": "g1"})[0] == 201
    assert access.api("PUT", f"{path}/identities/github", {"userId": "g2"})[0] == 200
    assert access.api("GET", f"{path}/all-identities")[1]["socialIdentities"][0]["target"] == "github"
    assert access.api("DELETE", f"{path}/identities/github")[0] == 200
    assert access.api("DELETE", f"{path}/identities/github")[1]["code"] == "user.identity_not_exist"
    assert access.api("POST", f"{path}/mfa-verifications", {"type": "Totp"})[0] == 200
    (factor,) = access.listed("mfa-verifications")
    assert set(factor) == {"id", "type", "createdAt"}
    assert access.api("DELETE", f"{path}/mfa-verifications/{factor['id']}")[0] == 204
    assert access.api("DELETE", f"{path}/mfa-verifications/{factor['id']}")[0] == 404


def test_one_time_tokens_are_for_one_use_and_one_address(access: Access) -> None:
    made = access.api("POST", "/one-time-tokens", {"email": "mika@example.com", "expiresIn": 60})[1]
    assert made["expiresAt"] - made["createdAt"] == 60_000

    def verify(email: str = "mika@example.com") -> tuple[int, Any]:
        return access.api("POST", "/one-time-tokens/verify", {"token": made["token"], "email": email})

    assert verify("other@example.com")[1]["code"] == "one_time_token.email_mismatch"
    assert verify()[1]["status"] == "consumed"
    assert verify()[1]["code"] == "one_time_token.token_consumed"
    assert access.api("GET", "/one-time-tokens?email=other@example.com")[1] == []
    assert len(access.api("GET", "/one-time-tokens?email=mika@example.com")[1]) == 1
    assert access.api("DELETE", f"/one-time-tokens/{made['id']}")[0] == 204


def test_a_state_with_all_of_this_can_be_taken_over(access: Access) -> None:
    access.sandbox.sign_in(access.user, access.app)
    state = access.sandbox.state()
    with Sandbox(seed=state) as other:
        assert other.state()["sessions"] == state["sessions"]


def test_the_control_plane_signs_in(access: Access) -> None:
    names = {"userId": access.user, "applicationId": access.app}
    made = access.http.post("/sandbox/sign-ins", json=names).json()
    assert access.refreshes(made["refreshToken"])
    assert access.http.post("/sandbox/sign-ins", json={}).json() == {"error": "sign-ins: entity.not_found"}
