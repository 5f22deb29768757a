"""What lets a user in: sessions, grants, social identities, MFA factors. They come from sign-ins and from seeds."""

from __future__ import annotations

import secrets
from typing import Any

from logto_sandbox.api.common import NO_CONTENT, read
from logto_sandbox.api.users import update_user_row
from logto_sandbox.errors import ApiError, not_found
from logto_sandbox.http.paging import Rows
from logto_sandbox.http.routing import Call, Reply, Routes
from logto_sandbox.http.schema import Obj, Text
from logto_sandbox.store import access
from logto_sandbox.store.relations import Row
from logto_sandbox.store.tenant import new_id

routes = Routes("/api/users/{userId}")


def _own(call: Call, table: str) -> list[Row]:
    return access.own(call.tenant, table, call["userId"])


def _shown(row: Row, *hidden: str) -> Row:
    return {key: value for key, value in row.items() if key not in ("userId", *hidden)}


@routes.get("/sessions", since="user_sessions")
def list_sessions(call: Call) -> Row:
    return {"sessions": [_shown(row, "id") for row in _own(call, "sessions")]}


def _session(call: Call) -> Row:
    row = call.tenant.tables["sessions"].get(call["sessionId"])
    if row is None:
        raise ApiError(404, "oidc.session_not_found")
    if row["userId"] != call["userId"]:
        raise ApiError(404, "oidc.invalid_session_account_id")
    return row


@routes.get("/sessions/{sessionId}", since="user_sessions")
def get_session(call: Call) -> Row:
    return _shown(_session(call), "id")


@routes.delete("/sessions/{sessionId}", since="user_sessions")
def delete_session(call: Call) -> Reply:
    row, target = _session(call), call.first("revokeGrantsTarget")
    for application_id, authorization in list(row["payload"]["authorizations"].items()):
        third_party = call.tenant.tables["applications"].get(application_id, {}).get("isThirdParty", False)
        if target == "all" or (target == "firstParty" and not third_party):
            access.revoke_grant(call.tenant, authorization["grantId"])
    call.tenant.delete("sessions", row["id"])
    return NO_CONTENT


@routes.get("/grants", since="user_sessions")
def list_grants(call: Call) -> Row:
    kind = call.first("appType")

    def wanted(row: Row) -> bool:
        application = call.tenant.tables["applications"].get(row["application"]["id"], {})
        return kind is None or bool(application.get("isThirdParty")) == (kind == "thirdParty")

    return {"grants": [_shown(row) for row in _own(call, "grants") if wanted(row)]}


@routes.delete("/grants/{grantId}", since="user_sessions")
def delete_grant(call: Call) -> Reply:
    row = call.tenant.tables["grants"].get(call["grantId"])
    if row is None or row["userId"] != call["userId"]:
        raise ApiError(404, "oidc.invalid_grant")
    access.revoke_grant(call.tenant, row["id"])
    return NO_CONTENT


@routes.get("/identities/{target}")
def get_identity(call: Call) -> Row:
    user = read(call, "users", call["userId"])
    if call["target"] not in user["identities"]:
        raise ApiError(404, "user.identity_not_exist")
    return {"identity": user["identities"][call["target"]]}


@routes.put("/identities/{target}", body=Obj({"userId": Text(), "details": Obj(optional=True)}))
def put_identity(call: Call) -> Reply:
    user, target = read(call, "users", call["userId"]), call["target"]
    for other in call.tenant.tables["users"].values():
        taken = other["identities"].get(target, {}).get("userId") == call.body["userId"]
        if taken and other["id"] != user["id"]:
            raise ApiError(422, "user.identity_already_in_use")
    identities = user["identities"] | {target: dict(call.body)}
    status = 200 if target in user["identities"] else 201
    return Reply(status, update_user_row(call.tenant, user, {"identities": identities})["identities"])


@routes.delete("/identities/{target}")
def delete_identity(call: Call) -> Row:
    user = read(call, "users", call["userId"])
    if call["target"] not in user["identities"]:
        raise ApiError(404, "user.identity_not_exist")
    kept = {target: one for target, one in user["identities"].items() if target != call["target"]}
    return update_user_row(call.tenant, user, {"identities": kept})


@routes.get("/all-identities")
def list_identities(call: Call) -> Row:
    user = read(call, "users", call["userId"])
    social = [{"target": target, "identity": identity} for target, identity in user["identities"].items()]
    return {"socialIdentities": social, "ssoIdentities": []}


@routes.get("/mfa-verifications")
def list_factors(call: Call) -> Rows:
    read(call, "users", call["userId"])
    return Rows([_shown(row, "secret") for row in _own(call, "mfa_verifications")])


@routes.post("/mfa-verifications", body=Obj({"type": Text(), "secret": Text(optional=True)}))
def add_factor(call: Call) -> Any:
    user = read(call, "users", call["userId"])
    held = {row["type"] for row in _own(call, "mfa_verifications")}
    kind = call.body["type"]
    if kind == "BackupCode" and not held:
        raise ApiError(422, "session.mfa.backup_code_can_not_be_alone")
    if kind in held:
        raise ApiError(422, "user.totp_already_in_use" if kind == "Totp" else "user.backup_code_already_in_use")
    row = {"id": new_id(21), "userId": user["id"], "type": kind, "createdAt": call.tenant.now_ms()}
    row["secret"] = call.body.get("secret") or secrets.token_hex(10).upper()
    call.tenant.tables["mfa_verifications"].put(row)
    return {"type": kind, "secret": row["secret"], "secretQrCode": "data:image/png;base64,"}


@routes.delete("/mfa-verifications/{verificationId}")
def delete_factor(call: Call) -> Reply:
    user = read(call, "users", call["userId"])
    row = call.tenant.tables["mfa_verifications"].get(call["verificationId"])
    if row is None or row["userId"] != user["id"]:
        raise not_found()
    call.tenant.delete("mfa_verifications", row["id"])
    return NO_CONTENT
