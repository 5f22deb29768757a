"""Where a user is signed in: sessions, and the grants given to applications."""

from __future__ import annotations

from logto_sandbox.api.common import NO_CONTENT
from logto_sandbox.errors import ApiError
from logto_sandbox.http.routing import Call, Reply, Routes
from logto_sandbox.http.schema import Enum, Obj
from logto_sandbox.store import access
from logto_sandbox.store.relations import Row

routes = Routes("/api/users/{userId}")

_SINCE = "user_sessions"


# -- sessions


def _active(call: Call, table: str) -> list[Row]:
    rows = call.tenant.rows_of(table, "userId", call["userId"])
    return [row for row in rows if row["expiresAt"] > call.tenant.now_ms()]


def _session_view(row: Row) -> Row:
    shown = {key: row[key] for key in ("payload", "lastSubmission", "clientId")}
    return shown | {"accountId": row["userId"], "expiresAt": row["expiresAt"]}


@routes.get("/sessions", since=_SINCE)
def list_sessions(call: Call) -> Row:
    return {"sessions": [_session_view(row) for row in _active(call, "sessions")]}


@routes.get("/sessions/{sessionId}", since=_SINCE)
def get_session(call: Call) -> Row:
    for row in _active(call, "sessions"):
        if row["id"] == call["sessionId"]:
            return _session_view(row)
    raise ApiError(404, "oidc.session_not_found")


_REVOKE = Obj({"revokeGrantsTarget": Enum("all", "firstParty", optional=True)})


@routes.delete("/sessions/{sessionId}", query=_REVOKE, since=_SINCE)
def delete_session(call: Call) -> Reply:
    row = call.tenant.tables["sessions"].get(call["sessionId"])
    if row is None or row["expiresAt"] <= call.tenant.now_ms():
        raise ApiError(404, "oidc.session_not_found")
    if row["userId"] != call["userId"]:
        raise ApiError(404, "oidc.invalid_session_account_id")
    target = call.first("revokeGrantsTarget")
    applications = call.tenant.tables["applications"]
    for client_id, authorization in row["payload"]["authorizations"].items() if target else ():
        first_party = client_id in applications and not applications[client_id]["isThirdParty"]
        if target == "all" or first_party:
            access.revoke_grant(call.tenant, authorization.get("grantId", ""))
    call.tenant.delete("sessions", row["id"])
    return NO_CONTENT


# -- grants


@routes.get("/grants", query=Obj({"appType": Enum("firstParty", "thirdParty", optional=True)}), since=_SINCE)
def list_grants(call: Call) -> Row:
    """Grants to applications that the tenant lists: one to a built-in application is not shown."""
    kind, applications, shown = call.first("appType"), call.tenant.tables["applications"], []
    for row in _active(call, "grants"):
        application = applications.get(row["clientId"])
        if application is None or (kind and application["isThirdParty"] != (kind == "thirdParty")):
            continue
        about = {"id": application["id"], "name": application["name"]}
        shown.append({key: row[key] for key in ("id", "payload", "expiresAt")} | {"application": about})
    return {"grants": shown}


@routes.delete("/grants/{grantId}", since=_SINCE)
def delete_grant(call: Call) -> Reply:
    row = call.tenant.tables["grants"].get(call["grantId"])
    if row is None or row["userId"] != call["userId"]:
        raise ApiError(404, "oidc.invalid_grant")
    access.revoke_grant(call.tenant, row["id"])
    access.remove_authorization(call.tenant, call["userId"], row["id"])
    return NO_CONTENT
