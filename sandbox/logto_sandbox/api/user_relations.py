"""Roles and organizations of a user."""

from __future__ import annotations

from logto_sandbox.api.common import by_name, read, search_rows, unlink
from logto_sandbox.errors import ApiError, BareError, UniqueViolationError
from logto_sandbox.http.paging import Rows
from logto_sandbox.http.routing import PAGED, Call, Reply, Routes
from logto_sandbox.http.schema import Obj, ids
from logto_sandbox.store.relations import Row

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
        roles = by_name(tables["organization_roles"][role] for role in held)
        return row | {"organizationRoles": [{"id": role["id"], "name": role["name"]} for role in roles]}

    joined = relations["organization_users"].ids(0, None, user["id"])
    return Rows(tables["organizations"].unordered(joined), shown)
