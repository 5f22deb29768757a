"""A person signing in to an application: through OIDC and the Experience API, or as the sandbox does it."""

from __future__ import annotations

import base64
import hashlib
import secrets
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

from airflow_provider_logto.hooks.logto import LogtoHook
from tests.conftest import Tenant

CALLBACK = "http://localhost:9/callback"
PASSWORD = "aV3ry-Str0ng-pw!9"
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
PERSONAL = "urn:logto:token-type:personal_access_token"


@dataclass(frozen=True)
class Application:
    """A web application that people sign in to, and that may exchange tokens."""

    tenant: Tenant
    id: str
    secret: str

    @classmethod
    def create(cls, tenant: Tenant, hook: LogtoHook, name: str) -> Application:
        body = {
            "name": name,
            "type": "Traditional",
            "oidcClientMetadata": {"redirectUris": [CALLBACK], "postLogoutRedirectUris": []},
            "customClientMetadata": {"allowTokenExchange": True, "alwaysIssueRefreshToken": True},
        }
        made = hook.request("POST", "/applications", body=body)
        secret = hook.request("GET", f"/applications/{made['id']}/secrets")[0]["value"]
        return cls(tenant, made["id"], secret)

    def token(self, **form: str) -> dict[str, Any] | None:
        """What the token endpoint gives; None where it refuses."""
        address, auth = f"{self.tenant.endpoint}/oidc/token", (self.id, self.secret)
        answer = httpx.post(address, auth=auth, data=form, trust_env=False, timeout=30)
        assert answer.status_code in (200, 400), answer.text
        return answer.json() if answer.status_code == 200 else None

    def refreshes(self, refresh_token: str) -> bool:
        return self.token(grant_type="refresh_token", refresh_token=refresh_token) is not None

    def exchanges(self, personal_access_token: str) -> bool:
        form = {"grant_type": EXCHANGE, "subject_token": personal_access_token, "subject_token_type": PERSONAL}
        return self.token(**form, scope="openid") is not None

    def sign_in(self, user: dict[str, Any], extra_profile: dict[str, Any] | None = None) -> str:
        """Let a person sign in and consent -> their refresh token.

        :param extra_profile: what they write about themselves meanwhile; only a real Logto has this step.
        """
        if self.tenant.sandbox is not None:
            return self.tenant.sandbox.sign_in(user["id"], self.id)["refreshToken"]
        verifier = secrets.token_urlsafe(48)
        code = self._code(user["username"], verifier, extra_profile)
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK}
        token = self.token(**form, code_verifier=verifier)
        assert token is not None
        return str(token["refresh_token"])

    def _code(self, username: str, verifier: str, extra_profile: dict[str, Any] | None) -> str:
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        query = {
            "client_id": self.id,
            "redirect_uri": CALLBACK,
            "response_type": "code",
            "scope": "openid offline_access profile",
            "prompt": "consent",
            "state": "s",
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        with httpx.Client(base_url=self.tenant.endpoint, trust_env=False, timeout=30) as browser:
            browser.get("/oidc/auth", params=query)
            address = _experience(browser, username, extra_profile)
            for _ in range(8):
                address = browser.get(address).headers["location"]
                if address.startswith(CALLBACK):
                    return parse_qs(urlsplit(address).query)["code"][0]
                if "/consent" in address:
                    answer = browser.post("/api/interaction/consent", json={})
                    address = answer.raise_for_status().json()["redirectTo"]
        raise AssertionError(f"the sign-in led to {address}")


def _experience(browser: httpx.Client, username: str, extra_profile: dict[str, Any] | None) -> str:
    """Sign in with a password -> where the browser is sent next."""

    def call(method: str, path: str, body: Any = None) -> Any:
        answer = browser.request(method, f"/api/experience{path}", json=body).raise_for_status()
        return answer.json() if answer.content else None

    call("PUT", "", {"interactionEvent": "SignIn"})
    identifier = {"type": "username", "value": username}
    verified = call("POST", "/verification/password", {"identifier": identifier, "password": PASSWORD})
    call("POST", "/identification", {"verificationId": verified["verificationId"]})
    if extra_profile:
        call("POST", "/profile", {"type": "extraProfile", "values": extra_profile})
    return str(call("POST", "/submit")["redirectTo"])
