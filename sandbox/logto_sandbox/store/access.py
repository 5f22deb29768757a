"""What a sign-in leaves behind (a session, a grant, tokens), and what takes it away again."""

from __future__ import annotations

import secrets

from logto_sandbox.errors import ApiError, not_found
from logto_sandbox.store.defaults import BUILT_IN_APPLICATIONS
from logto_sandbox.store.relations import Row
from logto_sandbox.store.rows import new_id
from logto_sandbox.store.state import IDENTIFIERS
from logto_sandbox.store.tenant import Tenant

SESSION_TTL = 14 * 86_400
GRANT_TTL = 180 * 86_400
SCOPE = "openid offline_access profile"
_AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
_KINDS = {"username": "username", "primaryEmail": "email", "primaryPhone": "phone"}


def sign_in(tenant: Tenant, user_id: str, application_id: str) -> dict[str, str]:
    """What is left behind when a user signs in to an application with a password and consents.

    :return: ``{"sessionId", "grantId", "refreshToken"}``
    :raises ApiError: 404 for an unknown user or application, 400 for a suspended user
    """
    user = tenant.tables["users"].get(user_id)
    if user is None or application_id not in (*tenant.tables["applications"], *BUILT_IN_APPLICATIONS):
        raise not_found()
    if user["isSuspended"]:
        raise ApiError(400, "user.suspended")
    grant_id = add_grant(tenant, user_id, application_id)
    session_id = _add_session(tenant, user, application_id, grant_id)
    token = {"id": secrets.token_urlsafe(32), "userId": user_id, "grantId": grant_id, "clientId": application_id}
    tenant.tables["refresh_tokens"].put(token)
    now = tenant.now_ms()
    seen = {"lastSignInAt": now, "applicationId": user["applicationId"] or application_id, "updatedAt": now}
    tenant.tables["users"].put(user | seen)
    return {"sessionId": session_id, "grantId": grant_id, "refreshToken": token["id"]}


def add_grant(tenant: Tenant, user_id: str, application_id: str, scope: str = SCOPE) -> str:
    """A consent of a user to an application; its id."""
    now, grant_id = tenant.now_ms(), secrets.token_urlsafe(32)
    payload = {
        "exp": now // 1000 + GRANT_TTL,
        "iat": now // 1000,
        "jti": grant_id,
        "kind": "Grant",
        "openid": {"scope": scope},
        "clientId": application_id,
        "accountId": user_id,
    }
    row = {"id": grant_id, "userId": user_id, "clientId": application_id, "payload": payload}
    tenant.tables["grants"].put(row | {"expiresAt": now + GRANT_TTL * 1000})
    return grant_id


def _add_session(tenant: Tenant, user: Row, application_id: str, grant_id: str) -> str:
    now, uid = tenant.now_ms(), secrets.token_urlsafe(32)
    authorization = {"sid": secrets.token_urlsafe(32), "grantId": grant_id, "persistsLogout": True}
    payload = {
        "exp": now // 1000 + SESSION_TTL,
        "iat": now // 1000,
        "jti": secrets.token_urlsafe(32),
        "uid": uid,
        "kind": "Session",
        "loginTs": now // 1000,
        "accountId": user["id"],
        "authorizations": {application_id: authorization},
    }
    field = next((field for field in IDENTIFIERS if user[field]), "username")
    verification = {"id": new_id(), "type": "Password", "identifier": {"type": _KINDS[field], "value": user[field]}}
    submission = {
        "interactionEvent": "SignIn",
        "userId": user["id"],
        "verificationRecords": [verification | {"verified": True}],
        "signInContext": {"ip": "203.0.113.1", "userAgent": _AGENT},
    }
    row = {"id": uid, "userId": user["id"], "payload": payload, "lastSubmission": submission}
    tenant.tables["sessions"].put(row | {"clientId": application_id, "expiresAt": now + SESSION_TTL * 1000})
    return uid


def sign_out(tenant: Tenant, user_id: str) -> None:
    """What a suspension takes away: sessions, refresh tokens and opaque access tokens. Grants and personal access
    tokens stay."""
    for table in ("sessions", "refresh_tokens", "access_tokens"):
        for row in tenant.rows_of(table, "userId", user_id):
            tenant.delete(table, row["id"])


def revoke_grant(tenant: Tenant, grant_id: str) -> None:
    """Takes away a grant and the tokens that rest on it. Sessions keep what they say of it."""
    tenant.delete("grants", grant_id)


def remove_authorization(tenant: Tenant, user_id: str, grant_id: str) -> None:
    """Takes a grant out of the user's sessions; a session that held it gets a new identifier."""
    for session in tenant.rows_of("sessions", "userId", user_id):
        held = session["payload"]["authorizations"]
        left = {client_id: entry for client_id, entry in held.items() if entry.get("grantId") != grant_id}
        if len(left) < len(held):
            payload = session["payload"] | {"authorizations": left, "jti": secrets.token_urlsafe(32)}
            tenant.tables["sessions"].put(session | {"payload": payload})
