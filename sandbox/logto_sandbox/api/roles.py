"""Roles with their users, applications and scopes."""

from __future__ import annotations

from collections.abc import Iterable

from logto_sandbox.api.common import (
    CREATED,
    change,
    delete_row,
    insert,
    read,
    search_rows,
    unlink,
)
from logto_sandbox.api.users import search_users
from logto_sandbox.errors import ApiError, BareError, UniqueViolationError, invalid_input
from logto_sandbox.http.paging import Rows
from logto_sandbox.http.routing import OPTIONAL, PAGED, Call, Reply, Routes
from logto_sandbox.http.schema import Bool, Enum, Obj, Text, ids
from logto_sandbox.store.defaults import MANAGEMENT_API
from logto_sandbox.store.relations import Row

routes = Routes("/api/roles")

FIELDS = ("id", "name", "description")
TYPES = ("User", "MachineToMachine")
_FEATURED = 3
# relation -> (column of its other rows, their table, what a featured one shows, key of the count, key of the list)
_HOLDERS = {
    "users_roles": ("users", ("id", "avatar", "name"), "usersCount", "featuredUsers"),
    "applications_roles": ("applications", ("id", "name", "type"), "applicationsCount", "featuredApplications"),
}


def _with_holders(call: Call, row: Row) -> Row:
    shown = dict(row)
    for relation, (table, fields, count, featured) in _HOLDERS.items():
        rows = call.tenant.tables[table]
        links = call.tenant.relations[relation].ids(0, None, row["id"])
        shown[count] = len(links)
        shown[featured] = [{field: rows[held][field] for field in fields} for held in links[:_FEATURED]]
    return shown


@routes.get(paging=PAGED, query=Obj({"type": Enum(*TYPES, optional=True)}))
def list_roles(call: Call) -> Rows:
    relations, kind = call.tenant.relations, call.first("type")
    excluded: set[str] = set()
    for key, relation in (("excludeUserId", "users_roles"), ("excludeApplicationId", "applications_roles")):
        if holder := call.first(key):
            excluded.update(relations[relation].ids(1, holder))

    def keep(row: Row) -> bool:
        return not row["name"].startswith("#internal:") and row["id"] not in excluded and kind in (None, row["type"])

    rows = call.tenant.tables["roles"].unordered()
    return Rows(search_rows(call, rows, FIELDS, keep), lambda row: _with_holders(call, row))


_NAMED = {"name": Text(1, 128), "description": Text(1, 128)}
_DEFAULT = {"isDefault": Bool(optional=True)}


def _free_name(call: Call, name: str, role_id: str | None = None) -> None:
    rows = call.tenant.tables["roles"].values()
    if any(row["name"] == name and row["id"] != role_id for row in rows):
        raise ApiError(422, "role.name_in_use", f"There is a role {name} already.")


@routes.post(body=Obj({**_NAMED, "type": Enum(*TYPES, optional=True), **_DEFAULT, "scopeIds": ids(optional=True)}))
def create_role(call: Call) -> Row:
    body = dict(call.body)
    scope_ids = body.pop("scopeIds", None)
    _free_name(call, body["name"])
    defaults = {"name": None, "description": None, "type": "User", "isDefault": False}
    role = insert(call, "roles", defaults | body)
    # Not transactional: from here on the role exists, whatever happens to its scopes.
    if scope_ids is not None:
        _link_scopes(call, role, scope_ids)
    return role


def _link_scopes(call: Call, role: Row, scope_ids: list[str]) -> None:
    for scope_id in scope_ids:
        scope = read(call, "scopes", scope_id)
        if role["type"] == "User" and scope["resourceId"] == MANAGEMENT_API:
            raise ApiError(400, "role.management_api_scopes_not_assignable_to_user_role")
    if not scope_ids:
        raise invalid_input()
    _insert(call, "roles_scopes", [(role["id"], scope_id) for scope_id in scope_ids])


def _insert(call: Call, relation: str, links: Iterable[tuple[str, str]]) -> None:
    try:
        call.tenant.relations[relation].insert(links, ignore_held=False)
    except UniqueViolationError:
        raise BareError from None


@routes.get("/{id}")
def get_role(call: Call) -> Row:
    return read(call, "roles", call["id"])


@routes.patch("/{id}", body=Obj({key: schema.or_absent() for key, schema in (_NAMED | _DEFAULT).items()}))
def patch_role(call: Call) -> Row:
    row = read(call, "roles", call["id"])
    if "name" in call.body:
        _free_name(call, call.body["name"], row["id"])
    return change(call.tenant.tables["roles"], row, call.body)


@routes.delete("/{id}")
def delete_role(call: Call) -> Reply:
    read(call, "roles", call["id"])
    return delete_row(call, "roles", call["id"])


# -- holders: all or nothing, and not idempotent


def _add_holders(call: Call, relation: str, table: str, holder_ids: list[str], code: str) -> Reply:
    role = read(call, "roles", call["id"])
    links = [(holder, role["id"]) for holder in holder_ids]
    held = next((link for link in links if link in call.tenant.relations[relation]), None)
    if held is not None:
        raise ApiError(422, code, f"{held[0]} holds this role already.")
    for holder in holder_ids:
        read(call, table, holder)
    _insert(call, relation, links)
    return CREATED


@routes.get("/{id}/users", paging=PAGED)
def list_role_users(call: Call) -> Rows:
    role = read(call, "roles", call["id"])
    held = set(call.tenant.relations["users_roles"].ids(0, None, role["id"]))
    return Rows([row for row in search_users(call) if row["id"] in held])


@routes.post("/{id}/users", body=Obj({"userIds": ids(1)}))
def add_users(call: Call) -> Reply:
    return _add_holders(call, "users_roles", "users", call.body["userIds"], "role.user_exists")


@routes.delete("/{id}/users/{userId}")
def remove_user(call: Call) -> Reply:
    return unlink(call.tenant.relations["users_roles"], call["userId"], call["id"])


@routes.get("/{id}/applications", paging=PAGED)
def list_role_applications(call: Call) -> Rows:
    role = read(call, "roles", call["id"])
    held = set(call.tenant.relations["applications_roles"].ids(0, None, role["id"]))
    rows = call.tenant.tables["applications"].unordered() if held else []
    keep = lambda row: row["id"] in held and row["type"] == "MachineToMachine"  # noqa: E731
    return Rows(search_rows(call, rows, FIELDS, keep))


@routes.post("/{id}/applications", body=Obj({"applicationIds": ids(1)}))
def add_applications(call: Call) -> Reply:
    body = call.body["applicationIds"]
    return _add_holders(call, "applications_roles", "applications", body, "role.application_exists")


@routes.delete("/{id}/applications/{applicationId}")
def remove_application(call: Call) -> Reply:
    return unlink(call.tenant.relations["applications_roles"], call["applicationId"], call["id"])


# -- scopes


@routes.get("/{id}/scopes", paging=OPTIONAL)
def list_scopes(call: Call) -> Rows:
    role = read(call, "roles", call["id"])
    held = set(call.tenant.relations["roles_scopes"].ids(1, role["id"]))
    tables = call.tenant.tables
    rows = search_rows(call, tables["scopes"].unordered(), FIELDS, lambda row: row["id"] in held)
    return Rows(rows, lambda row: row | {"resource": tables["resources"][row["resourceId"]]})


@routes.post("/{id}/scopes", body=Obj({"scopeIds": ids(1)}), status=201)
def add_scopes(call: Call) -> Rows:
    role = read(call, "roles", call["id"])
    relation = call.tenant.relations["roles_scopes"]
    held = next((scope for scope in call.body["scopeIds"] if (role["id"], scope) in relation), None)
    if held is not None:
        raise ApiError(422, "role.scope_exists", f"The role has scope {held} already.")
    _link_scopes(call, role, call.body["scopeIds"])
    return Rows(call.tenant.tables["scopes"].unordered(relation.ids(1, role["id"])))


@routes.delete("/{id}/scopes/{scopeId}")
def remove_scope(call: Call) -> Reply:
    return unlink(call.tenant.relations["roles_scopes"], call["id"], call["scopeId"])
