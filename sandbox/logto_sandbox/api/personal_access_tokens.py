"""Personal access tokens of a user."""

from __future__ import annotations

import secrets

from logto_sandbox.api.common import NO_CONTENT, read
from logto_sandbox.errors import ApiError, not_found
from logto_sandbox.http.paging import Rows
from logto_sandbox.http.routing import Call, Reply, Routes
from logto_sandbox.http.schema import Number, Obj, Text
from logto_sandbox.store.relations import Row
from logto_sandbox.store.state import TENANT_ID

routes = Routes("/api/users/{userId}/personal-access-tokens")

_NAME = Text(1, 256)


def _view(row: Row) -> Row:
    return {key: value for key, value in row.items() if key != "id"}


def _own(call: Call) -> list[Row]:
    return call.tenant.rows_of("personal_access_tokens", "userId", call["userId"])


@routes.get()
def list_tokens(call: Call) -> Rows:
    read(call, "users", call["userId"])
    return Rows(_own(call), _view)


@routes.post(body=Obj({"name": _NAME, "expiresAt": Number(optional=True, nullable=True)}))
def create_token(call: Call) -> Reply:
    expires = call.body.get("expiresAt")
    if expires and expires <= call.tenant.now_ms():
        raise ApiError(400, "request.invalid_input", "expiresAt must lie in the future.")
    if call["userId"] not in call.tenant.tables["users"]:
        raise ApiError(404, "entity.relation_foreign_key_not_found")
    _check_free(call, call.body["name"])
    row = {
        "id": f"{call['userId']}/{call.body['name']}",
        "tenantId": TENANT_ID,
        "userId": call["userId"],
        "name": call.body["name"],
        "value": "pat_" + secrets.token_urlsafe(24),
        "createdAt": call.tenant.now_ms(),
        "expiresAt": expires,
    }
    return Reply(201, _view(call.tenant.tables["personal_access_tokens"].put(row)))


def _check_free(call: Call, name: str) -> None:
    if any(row["name"] == name for row in _own(call)):
        raise ApiError(422, "user.personal_access_token_name_exists")


def _named(call: Call, name: str, error: ApiError) -> Row:
    found = next((row for row in _own(call) if row["name"] == name), None)
    if found is None:
        raise error
    return found


def _rename(call: Call, name: str) -> Row:
    row = _named(call, name, ApiError(404, "entity.not_exists"))
    new = call.body["name"]
    if new != name:
        _check_free(call, new)
    table = call.tenant.tables["personal_access_tokens"]
    table.remove(row["id"])
    return _view(table.put(row | {"id": f"{call['userId']}/{new}", "name": new}))


def _remove(call: Call, name: str) -> Reply:
    call.tenant.tables["personal_access_tokens"].remove(_named(call, name, not_found())["id"])
    return NO_CONTENT


@routes.patch("/{name}", body=Obj({"name": _NAME}))
def rename_token(call: Call) -> Row:
    return _rename(call, call["name"])


@routes.patch(body=Obj({"name": _NAME, "currentName": Text(optional=True)}))
def rename_token_by_body(call: Call) -> Row:
    return _rename(call, call.body.get("currentName", call.body["name"]))


@routes.delete("/{name}")
def delete_token(call: Call) -> Reply:
    return _remove(call, call["name"])


@routes.post("/delete", body=Obj({"name": Text()}))
def delete_token_by_body(call: Call) -> Reply:
    return _remove(call, call.body["name"])
