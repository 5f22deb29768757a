"""Rows that more than one part of the sandbox makes, and their ids."""

from __future__ import annotations

import secrets
from typing import Any

from logto_sandbox.store import versions
from logto_sandbox.store.relations import Row
from logto_sandbox.store.state import TENANT_ID

# What the secret column holds since applications have named secrets.
INTERNAL = "#internal:"
_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz"


def new_id(length: int = 21) -> str:
    """A fresh id as the server makes them: lower-case letters and digits."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def application_row(version: versions.Version, app_id: str, name: str, now_ms: int, **fields: Any) -> Row:
    """An application as the API shows it, with the column defaults of a version."""
    row: Row = {"tenantId": TENANT_ID, "id": app_id, "name": name}
    if not versions.has(version, "internal_secret_hidden"):
        # Of no use since applications have named secrets, but shown for long.
        row["secret"] = INTERNAL + new_id(32)
    row |= {"description": None, "type": "MachineToMachine"}
    row |= {"oidcClientMetadata": {"redirectUris": [], "postLogoutRedirectUris": []}, "customClientMetadata": {}}
    row |= {"protectedAppMetadata": None, "customData": {}, "isThirdParty": False}
    if versions.has(version, "application_access_control"):
        row["appLevelAccessControlEnabled"] = False
    return row | {"createdAt": now_ms} | fields


def secret_row(app_id: str, name: str, value: str, now_ms: int, expires_at: int | None = None) -> Row:
    """An application secret as the API shows it, with an id that stays inside."""
    return {
        "id": f"{app_id}/{name}",
        "tenantId": TENANT_ID,
        "applicationId": app_id,
        "name": name,
        "value": value,
        "createdAt": now_ms,
        "expiresAt": expires_at,
    }
