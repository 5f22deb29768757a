"""The audit log row that every token exchange leaves, a failed one too."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request

from logto_sandbox.auth.errors import OidcError
from logto_sandbox.auth.grants import CLIENT_CREDENTIALS, GRANT_TYPES, TOKEN_EXCHANGE, Client
from logto_sandbox.http.bodies import jsonb
from logto_sandbox.store.tenant import Tenant

_MASK = "******"
# Logged masked, whether given or not: what the grant knows, or everything as long as no client is authenticated.
_SECRETS = {CLIENT_CREDENTIALS: ("client_secret",), TOKEN_EXCHANGE: ("actor_token", "client_secret", "subject_token")}
_ALL_SECRETS = ("actor_token", "client_secret", "refresh_token", "subject_token")
_PLAIN = ("client_id", "grant_type", "organization_id", "resource", "scope", "subject_token_type", "actor_token_type")
_AGENT_PARTS = ("browser", "device", "engine", "os", "cpu")


@dataclass
class Exchange:
    """One request to the token endpoint, as far as it got."""

    request: Request
    form: dict[str, Any]
    client: Client

    def log(self, tenant: Tenant, *, scope: str | None = None, error: OidcError | None = None) -> None:
        """Write the row.

        :param scope: what was granted; None leaves the key out
        """
        key = f"ExchangeTokenBy.{GRANT_TYPES.get(str(self.form.get('grant_type')), 'Unknown')}"
        payload: dict[str, Any] = {"key": key, "result": "Error" if error else "Success"}
        if error:
            payload["error"] = json.dumps(error.logged_as())
        payload["ip"] = self.request.client.host if self.request.client else "127.0.0.1"
        if agent := self.request.headers.get("user-agent"):
            payload |= {"userAgent": agent, "userAgentParsed": {"ua": agent} | {part: {} for part in _AGENT_PARTS}}
        payload |= {"userId": self.client.user_id} if self.client.user_id else {}
        payload |= {"applicationId": self.client.app_id} if self.client.app_id else {}
        payload["params"] = self._params()
        payload |= {"scope": scope} if scope is not None else {}
        payload["tokenTypes"] = [] if error else ["AccessToken"]
        if self.client.secret_name:
            payload["applicationSecret"] = {"name": self.client.secret_name}
        tenant.logs.append(key, payload, tenant.now_ms())

    def _params(self) -> Any:
        given = {name: self.form[name] for name in _PLAIN if name in self.form}
        grant = str(self.form.get("grant_type"))
        masked = _SECRETS.get(grant, ("client_secret",)) if self.client.secret_name else _ALL_SECRETS
        return jsonb(given | dict.fromkeys(masked, _MASK))
