"""Somebody with every kind of access that Logto knows, in a sandbox of any version."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from airflow_provider_logto.destinations import folder_at
from airflow_provider_logto.management.offboarding.offboard import offboard_user
from airflow_provider_logto.plans.store import Store
from logto_sandbox import Sandbox
from tests.clients import client_of

EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
PERSONAL = "urn:logto:token-type:personal_access_token"
SEED: dict[str, Any] = {
    "roles": [{"name": name, "description": "x"} for name in ("manager", "engineer")],
    "organizationRoles": [{"name": "member"}, {"name": "owner"}],
    "users": [
        {"username": "mika", "primaryEmail": "mika@acme.example", "roles": ["manager", "engineer"], "password": "x1"},
        {"username": "other", "roles": ["manager"]},
    ],
    "organizations": [
        {
            "name": "Acme",
            "members": [{"user": "mika", "roles": ["member", "owner"]}, {"user": "other"}],
            "jitEmailDomains": ["acme.example"],
        },
        {"name": "Globex", "members": ["mika"], "jitEmailDomains": ["globex.example"]},
        {"name": "Initech"},
    ],
}


class World:
    """A sandbox with the leaver, and what they hold in their hands."""

    def __init__(self, sandbox: Sandbox, folder: Path, exchange: bool = True) -> None:
        self.sandbox, self.folder = sandbox, folder
        sandbox.seed(SEED)
        self.user = next(one["id"] for one in sandbox.state()["users"] if one["username"] == "mika")
        body = {"name": "Portal", "type": "Traditional", "customClientMetadata": {"allowTokenExchange": exchange}}
        body["oidcClientMetadata"] = {"redirectUris": [], "postLogoutRedirectUris": []}
        self.app = self.api("POST", "/applications", body)["id"]
        self.secret = self.api("GET", f"/applications/{self.app}/secrets")[0]["value"]
        path = f"/users/{self.user}"
        self.refresh_tokens = [sandbox.sign_in(self.user, self.app)["refreshToken"] for _ in range(3)]
        self.personal = [
            self.api("POST", f"{path}/personal-access-tokens", {"name": name})["value"] for name in ("laptop", "ci/cd")
        ]
        self.one_time = self.api("POST", "/one-time-tokens", {"email": "mika@acme.example", "expiresIn": 9999})["token"]
        third = next(one["id"] for one in sandbox.state()["organizations"] if one["name"] == "Initech")
        expires = 4_000_000_000_000
        body = {"invitee": "Mika@acme.example", "organizationId": third, "expiresAt": expires, "messagePayload": False}
        self.invitation = self.api("POST", "/organization-invitations", body)["id"]
        self.api("PUT", f"{path}/identities/github", {"userId": "g1", "details": {"login": "mika"}})
        self.api("POST", f"{path}/mfa-verifications", {"type": "Totp"})

    def run(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        async def call() -> Any:
            async with client_of(self.sandbox) as client:
                return await function(client, *args, **kwargs)

        return asyncio.run(call())

    def api(self, method: str, path: str, body: Any = None) -> Any:
        async def call(client: Any) -> Any:
            return await client.request(method, path, body=body)

        return self.run(call)

    def offboard(self, user: Any = "mika", run: str = "run-1", **options: Any) -> dict[str, Any]:
        files = Store(folder_at(f"file://{self.folder}").path)
        report: dict[str, Any] = self.run(offboard_user, user, files, run=run, **options)
        json.dumps(report)
        return report

    def buys(self, **form: str) -> bool:
        """Whether the token endpoint gives a token for it."""
        data, auth = form, (self.app, self.secret)
        answer = httpx.post(f"{self.sandbox.url}/oidc/token", auth=auth, data=data, trust_env=False)
        assert answer.status_code in (200, 400)
        return answer.status_code == 200

    def what_buys_a_token(self) -> list[str]:
        """Of everything that the leaver holds."""
        found = [token for token in self.refresh_tokens if self.buys(grant_type="refresh_token", refresh_token=token)]
        found += [
            token
            for token in self.personal
            if self.buys(grant_type=EXCHANGE, subject_token=token, subject_token_type=PERSONAL)
        ]
        one_time = [row for row in self.sandbox.state()["one_time_tokens"] if row["status"] == "active"]
        invitations = [row for row in self.sandbox.state()["invitations"] if row["status"] == "Pending"]
        return found + [row["token"] for row in one_time] + [row["id"] for row in invitations]

    def left(self) -> dict[str, int]:
        """How much of each kind is left."""
        state = self.sandbox.state()
        kinds = ("sessions", "grants", "personal_access_tokens")
        counts = {kind: len([row for row in state[kind] if row["userId"] == self.user]) for kind in kinds}
        counts["mfa_factors"] = len(self.api("GET", f"/users/{self.user}/mfa-verifications"))
        relations = state["relations"]
        counts["roles"] = len([one for one in relations["users_roles"] if one[0] == self.user])
        counts["organizations"] = len([one for one in relations["organization_users"] if one[1] == self.user])
        counts["identities"] = len(self.stored()["identities"])
        return counts

    def stored(self) -> dict[str, Any]:
        return next(one for one in self.sandbox.state()["users"] if one["id"] == self.user)

    def snapshots(self) -> list[Path]:
        return sorted(path for path in self.folder.rglob("*") if path.is_file())
