"""How an application proves who it is at the token endpoint, and every way that fails."""

from __future__ import annotations

import base64
import binascii
import hmac
from typing import Any
from urllib.parse import unquote_plus

from logto_sandbox.auth.errors import OidcError
from logto_sandbox.auth.grants import Client
from logto_sandbox.store.relations import Row
from logto_sandbox.store.tenant import Tenant


def authenticate(tenant: Tenant, authorization: str | None, form: dict[str, Any], client: Client) -> Row:
    """The application that sent the request.

    :param client: filled in as far as the check gets
    :raises OidcError: as the provider words it
    """
    app_id, secret = _credentials(authorization, form)
    app = tenant.tables["applications"].get(app_id)
    stored = _matching_secret(tenant, app_id, secret) if app else None
    legacy = app is not None and _equal(app.get("secret", ""), secret)
    if stored is not None:
        expires = stored["expiresAt"]
        # Judged before the provider sees the request, hence no log row.
        if expires is not None and expires < tenant.now_ms():
            raise OidcError(400, "invalid_request", "client secret has expired", logged=False)
        client.secret_name = stored["name"]
    if app is None:
        raise OidcError(400, "invalid_client", f"invalid client {app_id}")
    client.app_id = app_id
    # No log row names a legacy secret.
    if stored is None and not legacy:
        raise OidcError(401, "invalid_client", "client authentication failed", challenge=authorization is not None)
    return app


def _credentials(authorization: str | None, form: dict[str, Any]) -> tuple[str, str]:
    """Client id and secret ("" when absent) from the header or the body, never from both."""
    if authorization is None:
        if not form.get("client_id"):
            raise OidcError(400, "invalid_request", "no client authentication mechanism provided")
        return str(form["client_id"]), str(form.get("client_secret") or "")
    app_id, secret = _basic(authorization)
    if not app_id:
        raise OidcError(400, "invalid_request", "no client authentication mechanism provided")
    if not secret:
        raise OidcError(400, "invalid_request", "client_secret must be provided in the Authorization header")
    if form.get("client_id") and form["client_id"] != app_id:
        raise OidcError(400, "invalid_request", "client_id mismatch")
    if form.get("client_secret"):
        raise OidcError(400, "invalid_request", "client authentication must only be provided using one mechanism")
    return app_id, secret


def _basic(authorization: str) -> tuple[str, str]:
    scheme, _, encoded = authorization.partition(" ")
    bad = OidcError(400, "invalid_request", "invalid authorization header value format")
    if scheme.lower() != "basic" or not encoded or " " in encoded:
        raise bad
    try:
        pair = base64.b64decode(encoded).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise bad from None
    app_id, colon, secret = pair.partition(":")
    if not colon:
        raise bad
    # Each half is form-encoded: a plus sign means a space.
    return unquote_plus(app_id), unquote_plus(secret)


def _matching_secret(tenant: Tenant, app_id: str, secret: str) -> Row | None:
    rows = tenant.tables["application_secrets"].values()
    own = [row for row in rows if row["applicationId"] == app_id]
    return next((row for row in own if _equal(row["value"], secret)), None)


def _equal(value: str, secret: str) -> bool:
    return bool(secret) and hmac.compare_digest(value.encode(), secret.encode())
