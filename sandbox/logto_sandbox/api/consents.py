"""What third-party applications may ask of users: scopes, and the organizations a user lets them see."""

from __future__ import annotations

from logto_sandbox.api.common import CREATED, NO_CONTENT, read, stored, unlink
from logto_sandbox.errors import ApiError, not_found
from logto_sandbox.http.paging import PageOf
from logto_sandbox.http.routing import PAGED, Call, Reply, Routes
from logto_sandbox.http.schema import Array, Enum, Obj, Text, ids, validate
from logto_sandbox.store.defaults import MANAGEMENT_API
from logto_sandbox.store.relations import Row

routes = Routes("/api/applications")

USER_SCOPES = (
    "profile",
    "email",
    "phone",
    "address",
    "custom_data",
    "identities",
    "roles",
    "urn:logto:scope:organizations",
    "urn:logto:scope:organization_roles",
    "urn:logto:scope:sessions",
    "urn:logto:scope:trusted_devices",
)
# key of the body -> (relation, table of the scopes, type in the path of DELETE)
_KINDS = {
    "organizationScopes": ("consent_organization_scopes", "organization_scopes", "organization-scopes"),
    "resourceScopes": ("consent_resource_scopes", "scopes", "resource-scopes"),
    "organizationResourceScopes": (
        "consent_organization_resource_scopes",
        "scopes",
        "organization-resource-scopes",
    ),
    "userScopes": ("consent_user_scopes", "", "user-scopes"),
}
_IDS = Array(Text(), optional=True)


def _third_party(call: Call, parameter: str) -> Row:
    row = read(call, "applications", call[parameter])
    if not row["isThirdParty"]:
        raise ApiError(422, "application.third_party_application_only")
    return row


@routes.post(
    "/{applicationId}/user-consent-scopes",
    body=Obj(
        {
            "organizationScopes": _IDS,
            "resourceScopes": _IDS,
            "organizationResourceScopes": _IDS,
            "userScopes": Array(Enum(*USER_SCOPES), optional=True),
        }
    ),
)
def add_scopes(call: Call) -> Reply:
    app, tables = _third_party(call, "applicationId"), call.tenant.tables
    asked = {key: call.body.get(key, []) for key in _KINDS}
    missing = {
        f"invalid{key[0].upper()}{key[1:]}": [scope for scope in asked[key] if scope not in tables[table]]
        for key, (_, table, _) in _KINDS.items()
        if table
    }
    if any(missing.values()):
        raise ApiError(422, "application.user_consent_scopes_not_found", data=missing)
    for scope in (*asked["resourceScopes"], *asked["organizationResourceScopes"]):
        if tables["scopes"][scope]["resourceId"] == MANAGEMENT_API:
            raise ApiError(422, "application.consent_management_api_scopes_not_allowed")
    for key, (relation, _, _) in _KINDS.items():
        call.tenant.relations[relation].insert((app["id"], scope) for scope in asked[key])
    return CREATED


@routes.get("/{applicationId}/user-consent-scopes")
def list_scopes(call: Call) -> Row:
    app, tables = read(call, "applications", call["applicationId"]), call.tenant.tables
    held = {key: call.tenant.relations[relation].ids(1, app["id"]) for key, (relation, _, _) in _KINDS.items()}

    def by_resource(scope_ids: list[str]) -> list[Row]:
        grouped: dict[str, list[Row]] = {}
        for scope in (tables["scopes"][scope_id] for scope_id in scope_ids):
            grouped.setdefault(scope["resourceId"], []).append(_named(scope))
        resources = tables["resources"]
        return [{"resource": _resource(resources[key]), "scopes": scopes} for key, scopes in grouped.items()]

    return {
        "organizationScopes": [_named(tables["organization_scopes"][scope]) for scope in held["organizationScopes"]],
        "resourceScopes": by_resource(held["resourceScopes"]),
        "organizationResourceScopes": by_resource(held["organizationResourceScopes"]),
        "userScopes": held["userScopes"],
    }


def _named(scope: Row) -> Row:
    return {key: scope[key] for key in ("id", "name", "description")}


def _resource(row: Row) -> Row:
    return {key: row[key] for key in ("id", "name", "indicator")}


@routes.delete("/{applicationId}/user-consent-scopes/{scopeType}/{scopeId}")
def remove_scope(call: Call) -> Reply:
    kinds = {kind: relation for relation, _, kind in _KINDS.values()}
    validate(Obj({"scopeType": Enum(*kinds)}), {"scopeType": call["scopeType"]}, "parameters")
    app = read(call, "applications", call["applicationId"])
    return unlink(call.tenant.relations[kinds[call["scopeType"]]], app["id"], call["scopeId"])


# -- organizations that a user lets an application see

_PATH = "/{id}/users/{userId}/consent-organizations"
_RELATION = "consent_organizations"


def _pair(call: Call) -> tuple[str, str]:
    return _third_party(call, "id")["id"], read(call, "users", call["userId"])["id"]


@routes.get(_PATH, paging=PAGED)
def list_organizations(call: Call) -> PageOf:
    """The page is an object that holds the list."""
    found = call.tenant.relations[_RELATION].ids(2, *_pair(call))
    offset, limit = call.page.bounds() if call.page else (0, len(found))
    rows = call.tenant.tables["organizations"].unordered(found)[offset : offset + limit]
    return PageOf({"organizations": rows}, len(found))


def _wanted(call: Call, least: int | None = None) -> tuple[tuple[str, str], list[str]]:
    app_id, user_id = _pair(call)
    # Who is asked for is checked before the body.
    wanted = validate(Obj({"organizationIds": ids(least)}), call.body)["organizationIds"]
    members = call.tenant.relations["organization_users"]
    if any((organization, user_id) not in members for organization in wanted):
        raise ApiError(422, "organization.require_membership")
    return (app_id, user_id), wanted


@routes.put(_PATH, body=Obj())
def replace_organizations(call: Call) -> Reply:
    pair, wanted = _wanted(call)
    call.tenant.relations[_RELATION].replace(pair, wanted)
    return NO_CONTENT


@routes.post(_PATH, body=Obj())
def add_organizations(call: Call) -> Reply:
    pair, wanted = _wanted(call, 1)
    call.tenant.relations[_RELATION].insert((*pair, organization) for organization in wanted)
    return CREATED


@routes.delete(_PATH + "/{organizationId}")
def remove_organization(call: Call) -> Reply:
    if not call.tenant.relations[_RELATION].remove((*_pair(call), call["organizationId"])):
        raise not_found()
    return NO_CONTENT


# -- how an application's sign-in page looks

_URL = Text(kind="url", empty=True, optional=True, nullable=True)
_LOOK = Obj(
    {
        "color": Obj(optional=True),
        "branding": Obj(optional=True),
        "displayName": Text(optional=True, nullable=True),
        "termsOfUseUrl": _URL,
        "privacyPolicyUrl": _URL,
        "customCss": Text(optional=True, nullable=True),
    }
)
_NO_LOOK: Row = {"color": {}, "branding": {}, "termsOfUseUrl": None, "privacyPolicyUrl": None}
_NO_LOOK |= {"displayName": None, "customCss": None}


@routes.get("/{applicationId}/sign-in-experience")
def get_look(call: Call) -> Row:
    app = read(call, "applications", call["applicationId"])
    return _look(read(call, "application_sign_in_experiences", app["id"]))


@routes.put("/{applicationId}/sign-in-experience", body=_LOOK)
def put_look(call: Call) -> Reply:
    app, table = (
        read(call, "applications", call["applicationId"]),
        call.tenant.tables["application_sign_in_experiences"],
    )
    known = table.get(app["id"])
    row = known or {"id": app["id"], "tenantId": app["tenantId"], "applicationId": app["id"], **_NO_LOOK}
    return Reply(200 if known else 201, _look(table.put(row | stored(call.body))))


def _look(row: Row) -> Row:
    return {key: value for key, value in row.items() if key != "id"}
