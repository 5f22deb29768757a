"""One-time tokens (magic links) by e-mail address, and subject tokens for impersonation."""

from __future__ import annotations

import secrets

from logto_sandbox.api.common import delete_row, insert, read, stored
from logto_sandbox.api.patterns import EMAIL
from logto_sandbox.errors import ApiError, ForeignKeyError
from logto_sandbox.http.paging import PageOf
from logto_sandbox.http.routing import OPTIONAL, Call, Reply, Routes
from logto_sandbox.http.schema import Array, Enum, Number, Obj, Text
from logto_sandbox.store.relations import Row
from logto_sandbox.store.rows import new_id

routes = Routes("/api/one-time-tokens")
subjects = Routes("/api/subject-tokens")

_DEFAULT_TTL_S = 600
_STATUS = Enum("active", "consumed", "revoked", "expired", optional=True)
_EMAIL = Text(1, 128)
_CONTEXT = Obj(
    {"jitOrganizationIds": Array(Text(), optional=True), "interactionEvent": Text(optional=True)}, optional=True
)


def _view(call: Call, row: Row) -> Row:
    """``expired`` once its time is over: the stored status lags behind."""
    late = row["status"] == "active" and row["expiresAt"] < call.tenant.now_ms()
    return row | {"status": "expired"} if late else row


@routes.get(paging=OPTIONAL, query=Obj({"email": Text(pattern=EMAIL, optional=True), "status": _STATUS}))
def list_one_time_tokens(call: Call) -> PageOf:
    """Filters look at the stored status; the total is that of all tokens, whatever the filters."""
    table = call.tenant.tables["one_time_tokens"]
    wanted = {key: value for key in ("email", "status") if (value := call.first(key))}
    rows = [row for row in table.newest() if all(row[key] == value for key, value in wanted.items())]
    if call.page is not None:
        offset, limit = call.page.bounds()
        rows = rows[offset : offset + limit]
    return PageOf([_view(call, row) for row in rows], len(table))


@routes.post(
    body=Obj({"email": _EMAIL, "context": _CONTEXT, "expiresIn": Number(1, optional=True)}),
    status=201,
)
def create_one_time_token(call: Call) -> Row:
    body, now = dict(call.body), call.tenant.now_ms()
    table = call.tenant.tables["one_time_tokens"]
    for row in call.tenant.rows_of("one_time_tokens", "email", body["email"]):
        if row["status"] == "active" and row["expiresAt"] <= now:
            table.put(row | {"status": "expired"})
    expires = now + int(body.pop("expiresIn", _DEFAULT_TTL_S) * 1000)
    values = {"email": body["email"], "token": secrets.token_urlsafe(24), "context": body.get("context", {})}
    return insert(call, "one_time_tokens", values | {"status": "active", "createdAt": now, "expiresAt": expires})


@routes.get("/{id}")
def get_one_time_token(call: Call) -> Row:
    return _view(call, read(call, "one_time_tokens", call["id"]))


@routes.post("/verify", body=Obj({"token": Text(1, 256), "email": Text(1, 128)}))
def verify_one_time_token(call: Call) -> Row:
    table = call.tenant.tables["one_time_tokens"]
    row = next((row for row in table.values() if row["token"] == call.body["token"]), None)
    if row is None:
        raise ApiError(404, "one_time_token.token_not_found")
    if row["email"] != call.body["email"]:
        raise ApiError(400, "one_time_token.email_mismatch")
    if row["expiresAt"] <= call.tenant.now_ms() or row["status"] == "expired":
        table.put(row | {"status": "expired"})
        raise ApiError(400, "one_time_token.token_expired")
    if row["status"] != "active":
        raise ApiError(400, f"one_time_token.token_{row['status']}")
    return table.put(row | {"status": "consumed"})


@routes.put("/{id}/status", body=Obj({"status": Enum("active", "consumed", "revoked", "expired")}))
def set_status(call: Call) -> Row:
    row = read(call, "one_time_tokens", call["id"])
    if call.body["status"] == "active":
        raise ApiError(400, "one_time_token.cannot_reactivate_token")
    return call.tenant.tables["one_time_tokens"].put(row | call.body)


@routes.delete("/{id}")
def delete_one_time_token(call: Call) -> Reply:
    return delete_row(call, "one_time_tokens", call["id"])


@subjects.post(body=Obj({"userId": Text(), "context": Obj(optional=True)}), status=201)
def create_subject_token(call: Call) -> Row:
    if call.body["userId"] not in call.tenant.tables["users"]:
        raise ForeignKeyError
    values = {"id": f"sub_{new_id()}", "consumedAt": None, "expiresAt": call.tenant.now_ms() + _DEFAULT_TTL_S * 1000}
    row = call.tenant.tables["subject_tokens"].put({"context": {}} | stored(call.body) | values)
    return {"subjectToken": row["id"], "expiresIn": _DEFAULT_TTL_S}
