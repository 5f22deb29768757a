"""Applications with their secrets, roles and organizations."""

from __future__ import annotations

import secrets
from typing import Any

from logto_sandbox.api.common import (
    NO_CONTENT,
    OK,
    by_name,
    change,
    delete_row,
    read,
    search_rows,
    stored,
    unlink,
)
from logto_sandbox.errors import (
    ApiError,
    BareError,
    UniqueViolationError,
    constraint_violated,
    invalid_input,
    not_found,
)
from logto_sandbox.http.paging import Rows
from logto_sandbox.http.routing import OPTIONAL, PAGED, Call, Reply, Routes
from logto_sandbox.http.schema import Array, Bool, Enum, Number, Obj, Text, ids, validate
from logto_sandbox.http.search import SearchError
from logto_sandbox.store.defaults import BUILT_IN_APPLICATIONS, DEFAULT_SECRET, INTERNAL_ADMIN_ROLE
from logto_sandbox.store.relations import Row
from logto_sandbox.store.rows import INTERNAL, application_row, new_id, secret_row
from logto_sandbox.store.state import TENANT_ID

routes = Routes("/api/applications")

TYPES = ("Native", "SPA", "Traditional", "MachineToMachine", "Protected", "SAML")
MACHINE = "MachineToMachine"
_NO_EXCHANGE = ApiError(422, "application.third_party_application_cannot_enable_token_exchange")
_WITH_SECRETS = frozenset({MACHINE, "Traditional", "Protected"})
_FIELDS = ("id", "name", "description")
_URIS = Array(Text(kind="custom"))
_SWITCHES = "alwaysIssueRefreshToken rotateRefreshToken allowTokenExchange isDeviceFlow"
_METADATA = {
    "description": Text(optional=True, nullable=True),
    "oidcClientMetadata": Obj(
        {
            "redirectUris": _URIS,
            "postLogoutRedirectUris": _URIS,
            "backchannelLogoutUri": Text(kind="url", optional=True),
            "backchannelLogoutSessionRequired": Bool(optional=True),
            "logoUri": Text(optional=True),
        },
        optional=True,
    ),
    "customClientMetadata": Obj(
        {
            "corsAllowedOrigins": ids(optional=True),
            "tenantId": Text(optional=True),
            "refreshTokenTtlInDays": Number(1, 180, optional=True),
            **{name: Number(optional=True) for name in ("idTokenTtl", "refreshTokenTtl", "maxAllowedGrants")},
            **{name: Bool(optional=True) for name in _SWITCHES.split()},
        },
        optional=True,
    ),
    "customData": Obj(optional=True),
}


@routes.get(paging=OPTIONAL)
def list_applications(call: Call) -> Rows:
    kinds = [value for key, value in call.query if key == "types"]
    for kind in kinds:
        validate(Obj({"types": Enum(*TYPES)}), {"types": kind}, "query")
    role, organization = call.first("excludeRoleId"), call.first("excludeOrganizationId")
    if role and organization:
        raise ApiError(400, "request.invalid_input", "Only one exclude filter can be used at a time.")
    relations = call.tenant.relations
    out = set(relations["applications_roles"].ids(0, None, role)) if role else set()
    out |= set(relations["organization_applications"].ids(1, organization)) if organization else set()
    third = call.first("isThirdParty")

    def keep(row: Row) -> bool:
        return (
            row["id"] not in out
            and (not kinds or row["type"] in kinds)
            and (third is None or row["isThirdParty"] == (third == "true"))
        )

    rows = call.tenant.tables["applications"].newest()
    try:
        found = search_rows(call, rows, _FIELDS, keep)
    except ApiError as error:
        # This list alone does not turn a bad search into a 400.
        if isinstance(error.__cause__, SearchError):
            raise BareError from error
        raise
    return Rows(found)


@routes.post(body=Obj({"name": Text(1, 256), "type": Enum(*TYPES), "isThirdParty": Bool(optional=True)} | _METADATA))
def create_application(call: Call) -> Row:
    body = dict(call.body)
    if body["type"] == "SAML":
        raise ApiError(400, "application.saml.use_saml_app_api")
    if body["type"] == "Protected":
        raise ApiError(400, "application.protected_app_metadata_is_required")
    third_party, metadata = body.get("isThirdParty"), body.get("customClientMetadata", {})
    if metadata.get("isDeviceFlow") and body["type"] != "Native":
        raise ApiError(422, "application.device_flow_native_only")
    if third_party and metadata.get("allowTokenExchange"):
        raise _NO_EXCHANGE
    if third_party and body["type"] not in ("Native", "SPA", "Traditional"):
        raise ApiError(400, "application.invalid_third_party_application_type")
    row = call.tenant.tables["applications"].put(
        application_row(call.tenant.version, new_id(), body.pop("name"), call.tenant.now_ms(), **stored(body))
    )
    if row["type"] in _WITH_SECRETS:
        _put_secret(call, row["id"], DEFAULT_SECRET, None)
    return row


def _built_in(app_id: str, name: str, description: str, kind: str, **metadata: bool) -> Row:
    row: Row = {
        "tenantId": TENANT_ID,
        "id": app_id,
        "name": name,
        "secret": "N/A",
        "description": description,
        "type": kind,
    }
    row |= {"oidcClientMetadata": {"redirectUris": [], "postLogoutRedirectUris": []}, "customClientMetadata": metadata}
    row |= {"protectedAppMetadata": None, "isThirdParty": False, "appLevelAccessControlEnabled": False}
    return row | {"createdAt": 0, "customData": {}}


_DEMO_APP, _ACCOUNT_APP, _DEVICE_APP = BUILT_IN_APPLICATIONS
# Applications of every tenant, shown by their ids but in no list.
BUILT_IN = {
    _DEMO_APP: _built_in(_DEMO_APP, "Live Preview", "Preview for Sign-in Experience.", "SPA"),
    "account-center": _built_in(
        "account-center", "Account Center", "Placeholder application for Account Center.", "SPA"
    ),
    _DEVICE_APP: _built_in(
        _DEVICE_APP, "Device Flow Preview", "Preview for Device Authorization Flow.", "Native", isDeviceFlow=True
    ),
}


@routes.get("/{id}")
def get_application(call: Call) -> Row:
    row = BUILT_IN.get(call["id"]) or read(call, "applications", call["id"])
    admin = (row["id"], INTERNAL_ADMIN_ROLE) in call.tenant.relations["applications_roles"]
    return row | {"isAdmin": admin}


@routes.patch("/{id}", body=Obj({"name": Text(1, 256, optional=True), "isAdmin": Bool(optional=True)} | _METADATA))
def patch_application(call: Call) -> Row:
    row, body = read(call, "applications", call["id"]), dict(call.body)
    metadata = body.get("customClientMetadata")
    if row["isThirdParty"] and (metadata or {}).get("allowTokenExchange"):
        raise _NO_EXCHANGE
    if metadata is not None and bool(metadata.get("isDeviceFlow")) != _is_device_flow(row):
        raise ApiError(422, "application.device_flow_not_changeable")
    if (admin := body.pop("isAdmin", None)) is not None:
        # Deprecated: an internal role that no list shows.
        relation, link = call.tenant.relations["applications_roles"], (row["id"], INTERNAL_ADMIN_ROLE)
        relation.insert([link]) if admin else relation.remove(link)
    return change(call.tenant.tables["applications"], row, body) if body else row


def _is_device_flow(row: Row) -> bool:
    return bool(row["customClientMetadata"].get("isDeviceFlow"))


@routes.delete("/{id}")
def delete_application(call: Call) -> Reply:
    return delete_row(call, "applications", read(call, "applications", call["id"])["id"])


@routes.patch("/{applicationId}/custom-data", body=Obj())
def patch_custom_data(call: Call) -> Any:
    table = call.tenant.tables["applications"]
    row = table.get(call["applicationId"])
    if row is None:
        raise ApiError(404, "entity.not_exists")
    return change(table, row, {"customData": row["customData"] | call.body})["customData"]


@routes.get("/{id}/organizations", paging=OPTIONAL)
def list_organizations(call: Call) -> Rows:
    tables, relations = call.tenant.tables, call.tenant.relations
    roles = relations["organization_applications_roles"]
    read(call, "applications", call["id"])

    def shown(row: Row) -> Row:
        held = by_name(tables["organization_roles"][role] for role in roles.ids(2, row["id"], call["id"]))
        return row | {"organizationRoles": [{"id": role["id"], "name": role["name"]} for role in held]}

    joined = relations["organization_applications"].ids(0, None, call["id"])
    return Rows(tables["organizations"].unordered(joined), shown)


# -- secrets


def _put_secret(call: Call, app_id: str, name: str, expires_at: int | None) -> Row:
    table = call.tenant.tables["application_secrets"]
    if f"{app_id}/{name}" in table:
        raise ApiError(422, "application.secret_name_exists")
    return table.put(secret_row(app_id, name, secrets.token_urlsafe(24), call.tenant.now_ms(), expires_at))


def _secret_view(row: Row) -> Row:
    return {key: value for key, value in row.items() if key != "id"}


@routes.get("/{id}/secrets")
def list_secrets(call: Call) -> Rows:
    app = read(call, "applications", call["id"])
    rows = call.tenant.tables["application_secrets"].values()
    return Rows([row for row in rows if row["applicationId"] == app["id"]], _secret_view)


@routes.post("/{id}/secrets", body=Obj({"name": Text(1, 256), "expiresAt": Number(optional=True, nullable=True)}))
def create_secret(call: Call) -> Reply:
    expires = call.body.get("expiresAt")
    if expires and expires <= call.tenant.now_ms():
        raise ApiError(400, "request.invalid_input", "expiresAt must lie in the future.")
    app = read(call, "applications", call["id"])
    if app["type"] not in _WITH_SECRETS:
        raise constraint_violated()
    return Reply(201, _secret_view(_put_secret(call, app["id"], call.body["name"], expires)))


@routes.delete("/{id}/legacy-secret")
def delete_legacy_secret(call: Call) -> Row:
    """The one secret of an application made before 1.19, which still buys tokens."""
    row = read(call, "applications", call["id"])
    if row.get("secret", INTERNAL).startswith(INTERNAL):
        raise ApiError(400, "application.no_legacy_secret_found")
    if call.tenant.has("internal_secret_hidden"):
        left = {key: value for key, value in row.items() if key != "secret"}
    else:
        left = row | {"secret": INTERNAL + new_id(32)}
    return call.tenant.tables["applications"].put(left)


@routes.patch("/{id}/secrets/{name}", body=Obj({"name": Text(1, 256)}))
def rename_secret(call: Call) -> Row:
    table, name = call.tenant.tables["application_secrets"], call.body["name"]
    row = table.get(f"{call['id']}/{call['name']}")
    if row is None:
        raise ApiError(404, "entity.not_exists")
    if name != row["name"] and f"{call['id']}/{name}" in table:
        raise ApiError(422, "application.secret_name_exists")
    table.remove(row["id"])
    return _secret_view(table.put(row | {"id": f"{call['id']}/{name}", "name": name}))


@routes.delete("/{id}/secrets/{name}")
def delete_secret(call: Call) -> Reply:
    if not call.tenant.tables["application_secrets"].remove(f"{call['id']}/{call['name']}"):
        raise not_found()
    return NO_CONTENT


# -- roles

_ROLE_IDS = Obj({"roleIds": ids()})


def _machine(call: Call) -> Row:
    row = read(call, "applications", call["applicationId"])
    if row["type"] != MACHINE:
        raise ApiError(422, "application.invalid_type")
    return row


@routes.get("/{applicationId}/roles", paging=PAGED)
def list_roles(call: Call) -> Rows:
    app = _machine(call)
    held = set(call.tenant.relations["applications_roles"].ids(1, app["id"]))
    rows = call.tenant.tables["roles"].unordered()
    keep = lambda row: row["id"] in held and row["id"] != INTERNAL_ADMIN_ROLE  # noqa: E731
    return Rows(search_rows(call, rows, _FIELDS, keep))


@routes.post("/{applicationId}/roles", body=_ROLE_IDS)
def assign_roles(call: Call) -> Reply:
    app, wanted = _machine(call), call.body["roleIds"]
    roles, relation = call.tenant.tables["roles"], call.tenant.relations["applications_roles"]
    missing = [role for role in dict.fromkeys(wanted) if (app["id"], role) not in relation]
    modern = call.tenant.has("application_roles_idempotent")
    if not modern and len(missing) != len(wanted):
        raise ApiError(422, "application.role_exists")
    if any(roles[role]["type"] != MACHINE for role in missing if role in roles):
        raise ApiError(422, "application.invalid_role_type")
    for role in missing:
        read(call, "roles", role)
    relation.insert((app["id"], role) for role in missing)
    return Reply(201, {"roleIds": wanted, "addedRoleIds": missing} if modern else None)


@routes.put("/{applicationId}/roles", body=_ROLE_IDS)
def replace_roles(call: Call) -> Reply:
    app, wanted = _machine(call), call.body["roleIds"]
    relation = call.tenant.relations["applications_roles"]
    held = relation.ids(1, app["id"])
    missing = [role for role in wanted if role not in held]
    for role in missing:
        read(call, "roles", role)
    for role in set(held).difference(wanted):
        relation.remove((app["id"], role))
    # The insert lacks a guard against an empty list: a repeat of the same PUT fails after its removals.
    if not missing:
        raise invalid_input()
    try:
        relation.insert(((app["id"], role) for role in missing), ignore_held=False)
    except UniqueViolationError:
        raise BareError from None
    return OK


@routes.delete("/{applicationId}/roles/{roleId}")
def remove_role(call: Call) -> Reply:
    return unlink(call.tenant.relations["applications_roles"], _machine(call)["id"], call["roleId"])
