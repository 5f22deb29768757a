"""The token endpoint for applications that act for a user: refresh tokens, and the exchange of a personal access token.

Up to 1.42 neither asks whether the user is suspended: what a suspension does not take away keeps buying tokens.
"""

from __future__ import annotations

import secrets
from typing import Any

from logto_sandbox.auth.client_auth import OidcError
from logto_sandbox.store.access import SCOPE, add_grant
from logto_sandbox.store.relations import Row
from logto_sandbox.store.tenant import Tenant

REFRESH = "refresh_token"
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
_PERSONAL = "urn:logto:token-type:personal_access_token"
_TTL = 3600
_USER_APPLICATIONS = ("Native", "SPA", "Traditional")


def user_grant(tenant: Tenant, app: Row, form: dict[str, Any]) -> dict[str, Any] | None:
    """The token response; None where the application may not use the grant, or it is another one.

    :raises OidcError: 400 ``invalid_grant``
    """
    if app["type"] not in _USER_APPLICATIONS:
        return None
    if form.get("grant_type") == REFRESH:
        return _refresh(tenant, app, form)
    if form.get("grant_type") == EXCHANGE and app["customClientMetadata"].get("allowTokenExchange"):
        return _exchange(tenant, app, form)
    return None


def _refresh(tenant: Tenant, app: Row, form: dict[str, Any]) -> dict[str, Any]:
    row = tenant.tables["refresh_tokens"].get(str(form.get("refresh_token")))
    if row is None or row["applicationId"] != app["id"] or row["grantId"] not in tenant.tables["grants"]:
        raise OidcError(400, "invalid_grant", "grant request is invalid")
    return {**_issued(SCOPE), "refresh_token": row["id"]}


def _exchange(tenant: Tenant, app: Row, form: dict[str, Any]) -> dict[str, Any]:
    value, now = form.get("subject_token"), tenant.now_ms()
    row = next((one for one in tenant.tables["personal_access_tokens"].values() if one["value"] == value), None)
    if form.get("subject_token_type") != _PERSONAL or row is None or (row["expiresAt"] or now + 1) <= now:
        raise OidcError(400, "invalid_grant", "grant request is invalid")
    scope = str(form.get("scope") or "openid")
    add_grant(tenant, row["userId"], app, scope)
    return _issued(scope)


def _issued(scope: str) -> dict[str, Any]:
    return {"access_token": secrets.token_urlsafe(32), "expires_in": _TTL, "scope": scope, "token_type": "Bearer"}
