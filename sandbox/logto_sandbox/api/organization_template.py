"""The organization template: organization roles and organization scopes."""

from __future__ import annotations

from logto_sandbox.api.common import insert
from logto_sandbox.api.generated import Entity, Link
from logto_sandbox.errors import ApiError, ForeignKeyError
from logto_sandbox.http.routing import OPTIONAL, Call, Routes
from logto_sandbox.http.schema import Array, Enum, Obj, Text
from logto_sandbox.store.relations import Row

roles = Routes("/api/organization-roles")
scopes = Routes("/api/organization-scopes")

_NAMED = {"name": Text(1, 128), "description": Text(most=256, optional=True, nullable=True)}
_IDS = Array(Text(), optional=True)
_KIND = Enum("User", "MachineToMachine", optional=True)
# key of the role in lists and bodies -> relation, table
_SCOPES = {
    "organizationScopeIds": ("organization_roles_scopes", "organization_scopes", "scopes"),
    "resourceScopeIds": ("organization_roles_resource_scopes", "scopes", "resourceScopes"),
}


def _role_defaults(call: Call) -> Row:
    return {"name": None, "description": None, "type": "User"}


def _with_scopes(call: Call, row: Row) -> Row:
    shown = dict(row)
    for relation, table, key in _SCOPES.values():
        rows = [call.tenant.tables[table][scope] for scope in call.tenant.relations[relation].ids(1, row["id"])]
        shown[key] = [_scope_view(call, scope) for scope in rows]
    return shown


def _scope_view(call: Call, scope: Row) -> Row:
    view = {"id": scope["id"], "name": scope["name"]}
    if "resourceId" in scope:
        resource = call.tenant.tables["resources"][scope["resourceId"]]
        view["resource"] = {"id": resource["id"], "name": resource["name"]}
    return view


Entity(
    "organization_roles",
    "organization role",
    Obj(_NAMED | {"type": _KIND}),
    _role_defaults,
    search=("id", "name", "description"),
    unique_name=True,
    view=_with_scopes,
    own="POST",
).declare(roles)


@roles.post(
    body=Obj(_NAMED | {"type": _KIND, "organizationScopeIds": _IDS, "resourceScopeIds": _IDS}),
    status=201,
)
def create_organization_role(call: Call) -> Row:
    body = dict(call.body)
    linked = {key: body.pop(key, []) for key in _SCOPES}
    role = insert(call, "organization_roles", _role_defaults(call) | body, unique_name=True)
    try:
        for key, scope_ids in linked.items():
            call.tenant.relations[_SCOPES[key][0]].insert((role["id"], scope) for scope in scope_ids)
    except (ForeignKeyError, ApiError):
        # Before transactions the role stayed although its creation failed.
        if call.tenant.has("organization_role_transaction"):
            call.tenant.delete("organization_roles", role["id"])
        raise
    return role


Link(
    "/{id}/scopes",
    "organization_roles_scopes",
    "organizationScopeIds",
    "organizationScopeId",
    table="organization_scopes",
    owner="organization_roles",
    paging=OPTIONAL,
).declare(roles)
Link(
    "/{id}/resource-scopes",
    "organization_roles_resource_scopes",
    "scopeIds",
    "scopeId",
    table="scopes",
    owner="organization_roles",
    paging=OPTIONAL,
).declare(roles)
Entity(
    "organization_scopes",
    "organization scope",
    Obj(_NAMED),
    lambda call: {"name": None, "description": None},
    search=("name",),
    unique_name=True,
    paging=OPTIONAL,
).declare(scopes)
