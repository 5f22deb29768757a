"""One-time tokens: a secret for one sign-in, bound to an e-mail address."""

from __future__ import annotations

import secrets

from logto_sandbox.api.common import delete_row, insert, read
from logto_sandbox.api.patterns import EMAIL
from logto_sandbox.errors import ApiError, not_found
from logto_sandbox.http.paging import Rows
from logto_sandbox.http.routing import OPTIONAL, Call, Reply, Routes
from logto_sandbox.http.schema import Array, Enum, Number, Obj, Text
from logto_sandbox.store.relations import Row

routes = Routes("/api/one-time-tokens")

_TTL = 600
_STATUS = ("active", "consumed", "revoked", "expired")
_CONTEXT = Obj({"jitOrganizationIds": Array(Text(), optional=True)}, optional=True)


@routes.get(paging=OPTIONAL)
def list_tokens(call: Call) -> Rows:
    wanted = {"email": call.first("email"), "status": call.first("status")}
    rows = call.tenant.tables["one_time_tokens"].newest()
    return Rows([row for row in rows if all(value in (None, row[key]) for key, value in wanted.items())])


@routes.post(body=Obj({"email": Text(pattern=EMAIL), "expiresIn": Number(1, optional=True), "context": _CONTEXT}))
def create_token(call: Call) -> Reply:
    now = call.tenant.now_ms()
    row = {"email": call.body["email"], "token": secrets.token_urlsafe(24), "context": call.body.get("context", {})}
    row |= {"status": "active", "createdAt": now, "expiresAt": now + int(call.body.get("expiresIn", _TTL) * 1000)}
    return Reply(201, insert(call, "one_time_tokens", row))


@routes.get("/{id}")
def get_token(call: Call) -> Row:
    return read(call, "one_time_tokens", call["id"])


@routes.post("/verify", body=Obj({"token": Text(), "email": Text()}))
def verify_token(call: Call) -> Row:
    table = call.tenant.tables["one_time_tokens"]
    row = next((one for one in table.values() if one["token"] == call.body["token"]), None)
    if row is None:
        raise not_found()
    if row["email"] != call.body["email"]:
        raise ApiError(400, "one_time_token.email_mismatch")
    if row["expiresAt"] <= call.tenant.now_ms() or row["status"] == "expired":
        raise ApiError(400, "one_time_token.token_expired")
    if row["status"] != "active":
        raise ApiError(400, f"one_time_token.token_{row['status']}")
    return table.put(row | {"status": "consumed"})


@routes.put("/{id}/status", body=Obj({"status": Enum(*_STATUS)}))
def set_status(call: Call) -> Row:
    row = read(call, "one_time_tokens", call["id"])
    if call.body["status"] == "active":
        raise ApiError(400, "one_time_token.cannot_reactivate_token")
    return call.tenant.tables["one_time_tokens"].put(row | call.body)


@routes.delete("/{id}")
def delete_token(call: Call) -> Reply:
    return delete_row(call, "one_time_tokens", call["id"])
