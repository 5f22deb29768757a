"""API resources and their scopes."""

from __future__ import annotations

from logto_sandbox.api.common import change, delete_row, insert, read, search_rows
from logto_sandbox.errors import ApiError, invalid_input
from logto_sandbox.http.paging import Rows
from logto_sandbox.http.routing import OPTIONAL, PAGED, Call, Reply, Routes
from logto_sandbox.http.schema import Bool, Number, Obj, Text
from logto_sandbox.http.search import TRUTHY
from logto_sandbox.store.defaults import MANAGEMENT_API
from logto_sandbox.store.relations import Row

routes = Routes("/api/resources")

_SCOPE_FIELDS = ("id", "name", "description")


def _with_scopes(call: Call, row: Row) -> Row:
    scopes = call.tenant.tables["scopes"].values()
    return row | {"scopes": [scope for scope in scopes if scope["resourceId"] == row["id"]]}


@routes.get(paging=OPTIONAL)
def list_resources(call: Call) -> Rows:
    wanted = (call.first("includeScopes") or "").lower() in TRUTHY
    rows = call.tenant.tables["resources"].unordered()
    return Rows(rows, (lambda row: _with_scopes(call, row)) if wanted else None)


@routes.post(
    body=Obj(
        {
            "name": Text(1, column=256),
            "indicator": Text(1, column=256),
            "isDefault": Bool(optional=True),
            "accessTokenTtl": Number(optional=True, whole=True),
        }
    ),
    status=201,
)
def create_resource(call: Call) -> Row:
    indicator = call.body["indicator"]
    if any(row["indicator"] == indicator for row in call.tenant.tables["resources"].values()):
        raise ApiError(422, "resource.resource_identifier_in_use", f"{indicator} is in use already.")
    defaults = {"name": None, "indicator": None, "isDefault": False, "accessTokenTtl": 3600}
    return insert(call, "resources", defaults | call.body) | {"scopes": []}


@routes.get("/{id}")
def get_resource(call: Call) -> Row:
    return read(call, "resources", call["id"])


def _own(call: Call, parameter: str = "id", verb: str = "modify") -> Row:
    """A resource that is not the Management API's.

    :raises ApiError: 400 for that one
    """
    row = read(call, "resources", call[parameter])
    if row["id"] == MANAGEMENT_API:
        raise ApiError(400, f"resource.cannot_{verb}_management_api")
    return row


@routes.patch(
    "/{id}", body=Obj({"name": Text(1, optional=True, column=256), "accessTokenTtl": Number(optional=True, whole=True)})
)
def patch_resource(call: Call) -> Row:
    return change(call.tenant.tables["resources"], _own(call), call.body)


@routes.patch("/{id}/is-default", body=Obj({"isDefault": Bool()}))
def set_default(call: Call) -> Row:
    row, table = read(call, "resources", call["id"]), call.tenant.tables["resources"]
    if call.body["isDefault"]:
        for other in [other for other in table.values() if other["isDefault"]]:
            table.put(other | {"isDefault": False})
    return change(table, row, call.body)


@routes.delete("/{id}")
def delete_resource(call: Call) -> Reply:
    return delete_row(call, "resources", _own(call, verb="delete")["id"])


# -- scopes


@routes.get("/{resourceId}/scopes", paging=PAGED)
def list_scopes(call: Call) -> Rows:
    rows = call.tenant.tables["scopes"].unordered()
    return Rows(search_rows(call, rows, _SCOPE_FIELDS, lambda row: row["resourceId"] == call["resourceId"]))


_NAMED = {"name": Text(1, 256), "description": Text(optional=True, nullable=True)}


def _check_name(call: Call, name: str, scope_id: str | None = None) -> None:
    if any(sign.isspace() for sign in name):
        raise ApiError(400, "scope.name_with_space", "The name of a scope holds no white space.")
    for row in call.tenant.tables["scopes"].values():
        if row["resourceId"] == call["resourceId"] and row["name"] == name and row["id"] != scope_id:
            raise ApiError(422, "scope.name_exists", f"There is a scope {name} already.")


@routes.post("/{resourceId}/scopes", body=Obj(_NAMED), status=201)
def create_scope(call: Call) -> Row:
    _own(call, "resourceId")
    _check_name(call, call.body["name"])
    row = {"resourceId": call["resourceId"], "name": None, "description": None}
    return insert(call, "scopes", row | call.body | {"createdAt": call.tenant.now_ms()})


@routes.patch(
    "/{resourceId}/scopes/{scopeId}",
    body=Obj({"name": Text(1, 256, optional=True), "description": Text(optional=True, nullable=True)}),
)
def patch_scope(call: Call) -> Row:
    _own(call, "resourceId")
    if "name" in call.body:
        _check_name(call, call.body["name"], call["scopeId"])
    table = call.tenant.tables["scopes"]
    if not call.body:
        raise invalid_input()
    if call["scopeId"] not in table:
        raise ApiError(404, "entity.not_exists")
    return change(table, table[call["scopeId"]], call.body)


@routes.delete("/{resourceId}/scopes/{scopeId}")
def delete_scope(call: Call) -> Reply:
    _own(call, "resourceId")
    return delete_row(call, "scopes", call["scopeId"])
