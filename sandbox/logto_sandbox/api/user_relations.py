"""What hangs on a user: roles, organizations, personal access tokens, configuration."""

from __future__ import annotations

import secrets

from logto_sandbox.api.common import NO_CONTENT, read, search_rows, unlink
from logto_sandbox.errors import ApiError, BareError, UniqueViolationError, not_found
from logto_sandbox.http.paging import Rows
from logto_sandbox.http.routing import PAGED, Call, Reply, Routes
from logto_sandbox.http.schema import Number, Obj, Text, ids
from logto_sandbox.store.relations import Row
from logto_sandbox.store.tenant import TENANT_ID

routes = Routes("/api/users/{userId}")

_ROLE_IDS = Obj({"roleIds": ids()})
_ROLE_FIELDS = ("id", "name", "description")


@routes.get("/roles", paging=PAGED)
def list_roles(call: Call) -> Rows:
    user = read(call, "users", call["userId"])
    held = set(call.tenant.relations["users_roles"].ids(1, user["id"]))
    rows = call.tenant.tables["roles"].unordered()
    keep = lambda row: row["id"] in held and row["type"] == "User"  # noqa: E731
    return Rows(search_rows(call, rows, _ROLE_FIELDS, keep))


def _insert_roles(call: Call, user_id: str, role_ids: list[str]) -> None:
    try:
        links = ((user_id, role_id) for role_id in role_ids)
        call.tenant.relations["users_roles"].insert(links, ignore_held=False)
    except UniqueViolationError:
        raise BareError from None


@routes.post("/roles", body=_ROLE_IDS)
def assign_roles(call: Call) -> Reply:
    user = read(call, "users", call["userId"])
    wanted = call.body["roleIds"]
    held = set(call.tenant.relations["users_roles"].ids(1, user["id"]))
    missing = [role_id for role_id in wanted if role_id not in held]
    roles = call.tenant.tables["roles"]
    if any(roles[role_id]["type"] != "User" for role_id in missing if role_id in roles):
        raise ApiError(422, "user.invalid_role_type")
    for role_id in missing:
        read(call, "roles", role_id)
    _insert_roles(call, user["id"], missing)
    return Reply(201, {"roleIds": wanted, "addedRoleIds": missing})


@routes.put("/roles", body=_ROLE_IDS)
def replace_roles(call: Call) -> Reply:
    user = read(call, "users", call["userId"])
    wanted = call.body["roleIds"]
    relation = call.tenant.relations["users_roles"]
    held = relation.ids(1, user["id"])
    missing = [role_id for role_id in wanted if role_id not in held]
    for role_id in missing:
        read(call, "roles", role_id)
    # Not transactional: what fails from here on leaves the user without the removed roles.
    for role_id in set(held).difference(wanted):
        relation.remove((user["id"], role_id))
    _insert_roles(call, user["id"], missing)
    return Reply(200, {"roleIds": list(dict.fromkeys(wanted))})


@routes.delete("/roles/{roleId}")
def remove_role(call: Call) -> Reply:
    return unlink(call.tenant.relations["users_roles"], call["userId"], call["roleId"])


@routes.get("/organizations")
def list_organizations(call: Call) -> Rows:
    user = read(call, "users", call["userId"])
    tables, relations = call.tenant.tables, call.tenant.relations

    def shown(row: Row) -> Row:
        held = relations["organization_users_roles"].ids(2, row["id"], user["id"])
        return row | {"organizationRoles": [_named(tables["organization_roles"][role]) for role in held]}

    joined = relations["organization_users"].ids(0, None, user["id"])
    return Rows(tables["organizations"].unordered(joined), shown)


def _named(row: Row) -> Row:
    return {"id": row["id"], "name": row["name"]}


# -- personal access tokens


def _token_view(row: Row) -> Row:
    return {key: value for key, value in row.items() if key != "id"}


def _own_tokens(call: Call) -> list[Row]:
    rows = call.tenant.tables["personal_access_tokens"].values()
    return [row for row in rows if row["userId"] == call["userId"]]


@routes.get("/personal-access-tokens")
def list_tokens(call: Call) -> Rows:
    read(call, "users", call["userId"])
    return Rows(_own_tokens(call), _token_view)


@routes.post(
    "/personal-access-tokens", body=Obj({"name": Text(1, 256), "expiresAt": Number(optional=True, nullable=True)})
)
def create_token(call: Call) -> Reply:
    expires = call.body.get("expiresAt")
    if expires and expires <= call.tenant.now_ms():
        raise ApiError(400, "request.invalid_input", "expiresAt must lie in the future.")
    if call["userId"] not in call.tenant.tables["users"]:
        raise ApiError(404, "entity.relation_foreign_key_not_found")
    _free_name(call, call.body["name"])
    row = {
        "id": f"{call['userId']}/{call.body['name']}",
        "tenantId": TENANT_ID,
        "userId": call["userId"],
        "name": call.body["name"],
        "value": "pat_" + secrets.token_urlsafe(24),
        "createdAt": call.tenant.now_ms(),
        "expiresAt": expires,
    }
    return Reply(201, _token_view(call.tenant.tables["personal_access_tokens"].put(row)))


def _free_name(call: Call, name: str) -> None:
    if any(row["name"] == name for row in _own_tokens(call)):
        raise ApiError(422, "user.personal_access_token_name_exists")


def _token(call: Call, name: str, error: ApiError) -> Row:
    found = next((row for row in _own_tokens(call) if row["name"] == name), None)
    if found is None:
        raise error
    return found


def _rename(call: Call, name: str) -> Row:
    row = _token(call, name, ApiError(404, "entity.not_exists"))
    new = call.body["name"]
    if new != name:
        _free_name(call, new)
    table = call.tenant.tables["personal_access_tokens"]
    table.remove(row["id"])
    return _token_view(table.put(row | {"id": f"{call['userId']}/{new}", "name": new}))


def _remove_token(call: Call, name: str) -> Reply:
    call.tenant.tables["personal_access_tokens"].remove(_token(call, name, not_found())["id"])
    return NO_CONTENT


@routes.patch("/personal-access-tokens/{name}", body=Obj({"name": Text(1, 256)}))
def rename_token(call: Call) -> Row:
    return _rename(call, call["name"])


@routes.patch("/personal-access-tokens", body=Obj({"name": Text(1, 256), "currentName": Text(optional=True)}))
def rename_token_by_body(call: Call) -> Row:
    return _rename(call, call.body.get("currentName", call.body["name"]))


@routes.delete("/personal-access-tokens/{name}")
def delete_token(call: Call) -> Reply:
    return _remove_token(call, call["name"])


@routes.post("/personal-access-tokens/delete", body=Obj({"name": Text()}))
def delete_token_by_body(call: Call) -> Reply:
    return _remove_token(call, call.body["name"])


# -- what needs an end user's sign-in: known, and always the same


@routes.get("/logto-configs")
def get_configs(call: Call) -> Row:
    read(call, "users", call["userId"])
    return {"mfa": {"skipped": False, "skipMfaOnSignIn": False}, "passkeySignIn": {"skipped": False}}
