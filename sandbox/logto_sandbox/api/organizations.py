"""Organizations with their members, member applications, roles of both, and just-in-time rules."""

from __future__ import annotations

import re
from collections.abc import Callable

from logto_sandbox.api.common import (
    CREATED,
    NO_CONTENT,
    by_name,
    unlink,
)
from logto_sandbox.api.generated import Entity, Link
from logto_sandbox.errors import ApiError, invalid_input
from logto_sandbox.http.paging import Rows
from logto_sandbox.http.routing import OPTIONAL, PAGED, Call, Reply, Routes
from logto_sandbox.http.schema import Bool, Obj, Text, ids
from logto_sandbox.http.search import TRUTHY, keyword_filter
from logto_sandbox.store.relations import Row

routes = Routes("/api/organizations")

_FEATURED = 3
_PICTURES = "logoUrl darkLogoUrl favicon darkFavicon"
_HEX = Text(pattern=re.compile(r"^#[\da-f]{3}([\da-f]{3})?$", re.IGNORECASE), optional=True)
_COLOR = Obj({"primaryColor": _HEX, "isDarkModeEnabled": Bool(optional=True), "darkPrimaryColor": _HEX}, optional=True)
_SHAPE = Obj(
    {
        "name": Text(1, 128),
        "description": Text(most=256, optional=True, nullable=True),
        "customData": Obj(optional=True),
        "isMfaRequired": Bool(optional=True),
        "color": _COLOR,
        "branding": Obj({name: Text(kind="url", optional=True) for name in _PICTURES.split()}, optional=True),
        "customCss": Text(optional=True, nullable=True),
    }
)


def _defaults(call: Call) -> Row:
    return {
        "name": None,
        "description": None,
        "customData": {},
        "isMfaRequired": False,
        "color": {},
        "branding": {},
        "customCss": None,
        "createdAt": call.tenant.now_ms(),
    }


Entity("organizations", "organization", _SHAPE, _defaults, search=("id", "name"), id_length=12, own="GET").declare(
    routes
)


@routes.get(paging=PAGED)
def list_organizations(call: Call) -> Rows:
    tables, relation = call.tenant.tables, call.tenant.relations["organization_users"]

    def featured(row: Row) -> Row:
        members = relation.ids(1, row["id"])
        faces = [tables["users"][user_id] for user_id in members[:_FEATURED]]
        shown = [{"id": face["id"], "avatar": face["avatar"], "name": face["name"]} for face in faces]
        return row | {"usersCount": len(members), "featuredUsers": shown}

    matches = keyword_filter(call.first("q"), ("id", "name"))
    view = featured if (call.first("showFeatured") or "").lower() in TRUTHY else None
    return Rows([row for row in tables["organizations"].unordered() if matches(row)], view)


# -- members; users and applications are alike but for the words

_USER_FIELDS = ("id", "primaryEmail", "primaryPhone", "username", "name")


def _with_roles(call: Call, relation: str, hidden: str = "") -> Callable[[Row], Row]:
    tables, links = call.tenant.tables, call.tenant.relations[relation]

    def shown(row: Row) -> Row:
        roles = by_name(tables["organization_roles"][role] for role in links.ids(2, call["id"], row["id"]))
        visible = {key: value for key, value in row.items() if key != hidden}
        return visible | {"organizationRoles": [{"id": role["id"], "name": role["name"]} for role in roles]}

    return shown


@routes.get("/{id}/users", paging=PAGED)
def list_members(call: Call) -> Rows:
    tenant, users = call.tenant, call.tenant.tables["users"]
    found = tenant.relations["organization_users"].ids(1, call["id"])
    if tenant.has("organization_role_filter") and (role := call.first("organizationRoleId")):
        found = tenant.relations["organization_users_roles"].ids(1, call["id"], None, role)
    ordered = tenant.has("organization_users_ordered")
    rows = [users[user_id] for user_id in sorted(found)] if ordered else users.unordered(found)
    matches = keyword_filter(call.first("q"), _USER_FIELDS)
    view = _with_roles(call, "organization_users_roles", "hasPassword")
    return Rows([row for row in rows if matches(row)], view)


@routes.post("/{id}/users", body=Obj({"userIds": ids(1)}))
def add_members(call: Call) -> Reply:
    wanted = call.body["userIds"]
    call.tenant.relations["organization_users"].insert((call["id"], user_id) for user_id in wanted)
    return Reply(201, {"userIds": wanted} if call.tenant.has("organization_bodies") else None)


@routes.put("/{id}/users", body=Obj({"userIds": ids()}))
def replace_members(call: Call) -> Reply:
    relation, wanted = call.tenant.relations["organization_users"], list(dict.fromkeys(call.body["userIds"]))
    if not call.tenant.has("organization_users_delta"):
        # All rows used to be deleted and inserted anew: everybody's organization roles went with them.
        held = call.tenant.relations["organization_users_roles"].where(call["id"])
        relation.replace((call["id"],), wanted)
        for link in held:
            call.tenant.relations["organization_users_roles"].remove(link)
    else:
        relation.replace((call["id"],), wanted)
    return NO_CONTENT


Link(
    "/{id}/users",
    "organization_users",
    "userIds",
    "userId",
    table="users",
    own="GET POST PUT",
).declare(routes)


@routes.get("/{id}/applications", paging=PAGED)
def list_applications(call: Call) -> Rows:
    found = call.tenant.relations["organization_applications"].ids(1, call["id"])
    matches = keyword_filter(call.first("q"), ("id", "name", "description"))
    rows = call.tenant.tables["applications"].unordered(found)
    view = _with_roles(call, "organization_applications_roles")
    return Rows([row for row in rows if matches(row)], view)


Link(
    "/{id}/applications",
    "organization_applications",
    "applicationIds",
    "applicationId",
    table="applications",
    own="GET",
).declare(routes)


# -- roles of members


def _bulk(path: str, relation: str, key: str) -> None:
    @routes.post(f"/{{id}}/{path}/roles", body=Obj({key: ids(1), "organizationRoleIds": ids(1)}))
    def assign(call: Call) -> Reply:
        roles = call.body["organizationRoleIds"]
        links = [(call["id"], member, role) for member in call.body[key] for role in roles]
        call.tenant.relations[relation].insert(links)
        return CREATED


_bulk("users", "organization_users_roles", "userIds")
_bulk("applications", "organization_applications_roles", "applicationIds")


def _member(call: Call, relation: str, parameter: str) -> tuple[str, str]:
    """(organization, member), once it is certain that the member is one."""
    pair = (call["id"], call[parameter])
    if pair not in call.tenant.relations[relation]:
        raise ApiError(422, "organization.require_membership")
    return pair


def _role_ids(call: Call) -> list[str]:
    """The organization roles a body names by id and by name, without repetition."""
    names = call.body.get("organizationRoleNames", [])
    known = {row["name"]: row["id"] for row in call.tenant.tables["organization_roles"].values()}
    unknown = [name for name in names if name not in known]
    if unknown:
        listed = ", ".join(unknown)
        raise ApiError(422, "organization.role_names_not_found", f"There are no organization roles {listed}.")
    by_id = call.body.get("organizationRoleIds", [])
    return list(dict.fromkeys([*by_id, *(known[name] for name in names)]))


def _member_roles(path: str, members: str, relation: str, parameter: str, body: Obj, *, echo: bool) -> None:
    """The roles of one member: list, add, replace, remove."""
    base = f"/{{id}}/{path}/{{{parameter}}}/roles"

    @routes.get(base, paging=OPTIONAL)
    def listed(call: Call) -> Rows:
        pair = _member(call, members, parameter)
        return Rows(call.tenant.tables["organization_roles"].unordered(call.tenant.relations[relation].ids(2, *pair)))

    @routes.post(base, body=body)
    def add(call: Call) -> Reply:
        pair = _member(call, members, parameter)
        wanted = _role_ids(call)
        if not wanted and not call.tenant.has("empty_role_lists"):
            raise invalid_input()
        call.tenant.relations[relation].insert((*pair, role) for role in wanted)
        with_body = echo and call.tenant.has("organization_bodies")
        return Reply(201, {"organizationRoleIds": wanted} if with_body else None)

    @routes.put(base, body=body)
    def replace(call: Call) -> Reply:
        pair = _member(call, members, parameter)
        call.tenant.relations[relation].replace(pair, _role_ids(call))
        return NO_CONTENT

    @routes.delete(base + "/{organizationRoleId}")
    def remove(call: Call) -> Reply:
        pair = _member(call, members, parameter)
        return unlink(call.tenant.relations[relation], *pair, call["organizationRoleId"])


_member_roles(
    "users",
    "organization_users",
    "organization_users_roles",
    "userId",
    Obj({"organizationRoleIds": ids(optional=True), "organizationRoleNames": ids(optional=True)}),
    echo=True,
)
_member_roles(
    "applications",
    "organization_applications",
    "organization_applications_roles",
    "applicationId",
    Obj({"organizationRoleIds": ids(1)}),
    echo=False,
)


@routes.get("/{id}/users/{userId}/scopes")
def list_member_scopes(call: Call) -> Rows:
    relations, table = call.tenant.relations, call.tenant.tables["organization_scopes"]
    roles = relations["organization_users_roles"].ids(2, call["id"], call["userId"])
    found = {scope for role in roles for scope in relations["organization_roles_scopes"].ids(1, role)}
    return Rows([table[scope] for scope in sorted(found)])


# -- just-in-time provisioning

Link(
    "/{id}/jit/roles",
    "organization_jit_roles",
    "organizationRoleIds",
    "organizationRoleId",
    table="organization_roles",
    owner="organizations",
    paging=OPTIONAL,
).declare(routes)
Link(
    "/{id}/jit/sso-connectors",
    "organization_jit_sso_connectors",
    "ssoConnectorIds",
    "ssoConnectorId",
    table="sso_connectors",
    owner="organizations",
    paging=OPTIONAL,
).declare(routes)
