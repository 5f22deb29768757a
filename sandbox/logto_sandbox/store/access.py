"""What a sign-in leaves behind, and what takes it away again."""

from __future__ import annotations

import secrets

from logto_sandbox.errors import ApiError, not_found
from logto_sandbox.store.relations import Row
from logto_sandbox.store.tenant import Tenant

SESSION_TTL = 14 * 86400
GRANT_TTL = 180 * 86400
SCOPE = "openid offline_access profile"


def sign_in(tenant: Tenant, user_id: str, application_id: str) -> dict[str, str]:
    """What is left behind when a user signs in to an application and consents.

    :return: ``{"sessionId", "grantId", "refreshToken"}``
    :raises ApiError: 404 for an unknown user or application, 400 for a suspended user
    """
    user, application = tenant.tables["users"].get(user_id), tenant.tables["applications"].get(application_id)
    if user is None or application is None:
        raise not_found()
    if user["isSuspended"]:
        raise ApiError(400, "user.suspended")
    grant_id = add_grant(tenant, user_id, application, SCOPE)
    now = tenant.now_ms()
    session_id, expires = secrets.token_urlsafe(32), now + SESSION_TTL * 1000
    payload = {"exp": expires // 1000, "iat": now // 1000, "jti": secrets.token_urlsafe(32), "uid": session_id}
    payload |= {"kind": "Session", "loginTs": now // 1000, "accountId": user_id}
    payload["authorizations"] = {
        application_id: {"sid": secrets.token_urlsafe(32), "grantId": grant_id, "persistsLogout": True}
    }
    row: Row = {"id": session_id, "userId": user_id, "payload": payload, "lastSubmission": None}
    row |= {"clientId": application_id, "accountId": user_id, "expiresAt": expires}
    tenant.tables["sessions"].put(row)
    token = secrets.token_urlsafe(32)
    tenant.tables["refresh_tokens"].put(
        {"id": token, "userId": user_id, "grantId": grant_id, "applicationId": application_id}
    )
    seen = {"lastSignInAt": now, "applicationId": user["applicationId"] or application_id}
    tenant.tables["users"].put(user | seen | {"updatedAt": now})
    return {"sessionId": session_id, "grantId": grant_id, "refreshToken": token}


def add_grant(tenant: Tenant, user_id: str, application: Row, scope: str) -> str:
    """A consent of a user to an application; its id."""
    now, grant_id = tenant.now_ms(), secrets.token_urlsafe(32)
    expires = now + GRANT_TTL * 1000
    payload = {"exp": expires // 1000, "iat": now // 1000, "jti": grant_id, "kind": "Grant"}
    payload |= {"clientId": application["id"], "accountId": user_id, "openid": {"scope": scope}}
    shown = {"id": application["id"], "name": application["name"]}
    row = {"id": grant_id, "userId": user_id, "payload": payload, "expiresAt": expires, "application": shown}
    tenant.tables["grants"].put(row)
    return grant_id


def sign_out(tenant: Tenant, user_id: str) -> None:
    """What a suspension takes away: sessions and refresh tokens. Grants and personal access tokens stay."""
    for table in ("sessions", "refresh_tokens"):
        for row in own(tenant, table, user_id):
            tenant.delete(table, row["id"])


def revoke_grant(tenant: Tenant, grant_id: str) -> None:
    """Takes a grant away, the refresh tokens that rest on it, and its mention in sessions."""
    tenant.delete("grants", grant_id)
    for row in [row for row in tenant.tables["refresh_tokens"].values() if row["grantId"] == grant_id]:
        tenant.delete("refresh_tokens", row["id"])
    for session in tenant.tables["sessions"].values():
        kept = session["payload"]["authorizations"]
        session["payload"]["authorizations"] = {app: one for app, one in kept.items() if one["grantId"] != grant_id}


def own(tenant: Tenant, table: str, user_id: str) -> list[Row]:
    """The rows of a table that belong to a user."""
    return [row for row in tenant.tables[table].values() if row["userId"] == user_id]
