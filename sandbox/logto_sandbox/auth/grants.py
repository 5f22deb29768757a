"""What the token endpoint gives to an authenticated application: client credentials, and the exchange of a user's
token."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import jwt

from logto_sandbox.auth.errors import OidcError
from logto_sandbox.store.access import SCOPE, add_grant
from logto_sandbox.store.keys import ALGORITHM
from logto_sandbox.store.relations import Row
from logto_sandbox.store.rows import new_id
from logto_sandbox.store.tenant import Tenant

CLIENT_CREDENTIALS = "client_credentials"
REFRESH_TOKEN = "refresh_token"
TOKEN_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
#: grant type -> how log keys call it
GRANT_TYPES = {
    CLIENT_CREDENTIALS: "ClientCredentials",
    TOKEN_EXCHANGE: "TokenExchange",
    "authorization_code": "AuthorizationCode",
    REFRESH_TOKEN: "RefreshToken",
    "urn:ietf:params:oauth:grant-type:device_code": "DeviceCode",
}
_TTL = 3600
_USER_SCOPES = (
    "openid",
    "offline_access",
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
)
_SUBJECT = "urn:ietf:params:oauth:token-type:access_token"
_IMPERSONATION = "urn:logto:token-type:impersonation_token"
_PERSONAL = "urn:logto:token-type:personal_access_token"


@dataclass
class Client:
    """What became known of the client and the user on the way; the log row tells it."""

    app_id: str | None = None
    secret_name: str | None = None
    user_id: str | None = None


def issue(tenant: Tenant, app: Row, form: dict[str, Any], issuer: str, client: Client) -> dict[str, Any]:
    """The token response for an authenticated application.

    :param client: its user is filled in as far as the exchange gets

    :raises OidcError: as the provider words it
    """
    grant = form.get("grant_type")
    _refuse_repeated({"grant_type": grant})
    if not grant:
        raise OidcError(400, "invalid_request", "missing required parameter 'grant_type'")
    if grant not in GRANT_TYPES:
        raise OidcError(400, "unsupported_grant_type", "unsupported grant_type requested")
    _refuse_repeated(form)
    machine = grant == CLIENT_CREDENTIALS and app["type"] == "MachineToMachine"
    exchange = grant == TOKEN_EXCHANGE and app["customClientMetadata"].get("allowTokenExchange")
    refresh = grant == REFRESH_TOKEN and app["type"] in ("Native", "SPA", "Traditional")
    if not machine and not exchange and not refresh:
        raise OidcError(400, "invalid_request", "requested grant type is not allowed for this client")
    resource = _resource(tenant, form.get("resource"))
    if machine:
        answer = _client_credentials(tenant, app, form, resource, issuer)
    elif refresh:
        answer = _refresh_token(tenant, app, form, issuer, client)
    else:
        answer = _token_exchange(tenant, app, form, resource, issuer, client)
    if "without_scope" in tenant.token_faults:
        answer.pop("scope", None)
    return answer


def _refuse_repeated(form: dict[str, Any]) -> None:
    for name, value in form.items():
        if isinstance(value, list) and name != "resource":
            raise OidcError(400, "invalid_request", f"'{name}' parameter must not be provided twice")


def _resource(tenant: Tenant, indicator: Any) -> Row | None:
    """The resource asked for; None when none is."""
    if isinstance(indicator, list):
        for one in indicator:
            _resource(tenant, one)
        raise OidcError(400, "invalid_target", "only a single resource indicator value must be requested/resolved")
    if not indicator:
        return None
    parts = urlsplit(indicator)
    if not parts.scheme or " " in indicator:
        raise OidcError(400, "invalid_target", "resource indicator must be an absolute URI")
    if parts.fragment:
        raise OidcError(400, "invalid_target", "resource indicator must not contain a fragment component")
    rows = tenant.tables["resources"].values()
    found = next((row for row in rows if row["indicator"] == indicator), None)
    if found is None:
        raise OidcError(400, "invalid_target", "resource indicator is missing, or unknown")
    return found


def _default_resource(tenant: Tenant) -> Row | None:
    return next((row for row in tenant.tables["resources"].values() if row["isDefault"]), None)


def _granted(tenant: Tenant, form: dict[str, Any], held: Iterable[str]) -> str:
    """The scopes asked for that are held."""
    if "without_scope" in tenant.token_faults:
        return ""
    asked, held = dict.fromkeys(str(form.get("scope") or "").split()), set(held)
    return " ".join(scope for scope in asked if scope in held)


def _scope_names(tenant: Tenant, roles: Iterable[str], relation: str, resource: Row | None) -> set[str]:
    """Names of the scopes that roles carry, of one resource if one is given."""
    table = tenant.tables["organization_scopes" if relation == "organization_roles_scopes" else "scopes"]
    rows = [table[scope] for role in roles for scope in tenant.relations[relation].ids(1, role)]
    return {row["name"] for row in rows if not resource or row["resourceId"] == resource["id"]}


def _sign(
    tenant: Tenant, issuer: str, subject: str, app: Row, granted: str, resource: Row | None, organization: Any
) -> dict[str, Any]:
    """A JWT access token and its lifetime."""
    ttl = resource["accessTokenTtl"] if resource else _TTL
    now = tenant.now_ms() // 1000
    claims = {"jti": new_id(43), "sub": subject, "iat": now, "exp": now + ttl}
    claims |= {"scope": granted} if granted else {}
    claims |= {"organization_id": organization} if organization and resource else {}
    audience = resource["indicator"] if resource else f"urn:logto:organization:{organization}"
    claims |= {"client_id": app["id"], "iss": issuer, "aud": audience}
    return {"access_token": tenant.key.sign(claims), "expires_in": ttl, "token_type": "Bearer"}


# -- client credentials


def _client_credentials(
    tenant: Tenant, app: Row, form: dict[str, Any], resource: Row | None, issuer: str
) -> dict[str, Any]:
    organization, relations = form.get("organization_id"), tenant.relations
    if resource is None and not organization:
        resource = _default_resource(tenant)
        if resource is None:
            raise OidcError(400, "invalid_target", "both `resource` and `organization_id` are not provided")
    if not organization:
        roles, relation = relations["applications_roles"].ids(1, app["id"]), "roles_scopes"
    elif (organization, app["id"]) not in relations["organization_applications"]:
        raise OidcError(403, "access_denied", "app has not associated with the organization")
    else:
        roles = relations["organization_applications_roles"].ids(2, organization, app["id"])
        relation = "organization_roles_resource_scopes" if resource else "organization_roles_scopes"
    granted = _granted(tenant, form, _scope_names(tenant, roles, relation, resource))
    answer = _sign(tenant, issuer, app["id"], app, granted, resource, organization)
    # A plain organization token always echoes its scope, even an empty one.
    return answer | ({"scope": granted} if granted or not resource else {})


# -- tokens of a user


def _account(tenant: Tenant, user_id: str, client: Client) -> Row:
    """The user that a token stands for; released versions do not ask whether they are suspended."""
    user = tenant.tables["users"].get(user_id)
    if user is None:
        raise _invalid_grant("user not found")
    if user["isSuspended"] and tenant.has("suspension_ends_exchange"):
        raise _invalid_grant("user is suspended")
    client.user_id = user["id"]
    return user


def _refresh_token(tenant: Tenant, app: Row, form: dict[str, Any], issuer: str, client: Client) -> dict[str, Any]:
    row = tenant.tables["refresh_tokens"].get(str(form.get("refresh_token")))
    if row is None or row["clientId"] != app["id"]:
        raise _invalid_grant("refresh token not found")
    user = _account(tenant, row["userId"], client)
    answer = _opaque(tenant, user, app, SCOPE, row["grantId"])
    return answer | {"scope": SCOPE, "refresh_token": row["id"], "id_token": _id_token(tenant, user, app, issuer)}


def _id_token(tenant: Tenant, user: Row, app: Row, issuer: str) -> str:
    """Who the user is, for the scope ``profile``."""
    now = tenant.now_ms() // 1000
    claims = {"sub": user["id"], "aud": app["id"], "iss": issuer, "iat": now, "exp": now + _TTL}
    claims |= {"name": user["name"], "picture": user["avatar"], "username": user["username"]}
    claims |= {"preferred_username": user["profile"].get("preferredUsername") or user["username"]}
    return tenant.key.sign(claims | {"created_at": user["createdAt"], "updated_at": user["updatedAt"]}, None)


def _token_exchange(
    tenant: Tenant, app: Row, form: dict[str, Any], resource: Row | None, issuer: str, client: Client
) -> dict[str, Any]:
    missing = [f"'{name}'" for name in ("subject_token", "subject_token_type") if not form.get(name)]
    if missing:
        many = "s" if len(missing) > 1 else ""
        raise OidcError(400, "invalid_request", f"missing required parameter{many} {' and '.join(missing)}")
    subject = _subject(tenant, str(form["subject_token"]), str(form["subject_token_type"]), issuer)
    user = _account(tenant, subject, client)
    organization = form.get("organization_id")
    if organization and (organization, user["id"]) not in tenant.relations["organization_users"]:
        raise OidcError(403, "access_denied", "user is not a member of the organization")
    if resource is None and not organization:
        resource = _default_resource(tenant)
    grant_id = add_grant(tenant, user["id"], app["id"], str(form.get("scope") or ""))
    if resource or organization:
        granted = _granted(tenant, form, _user_scopes(tenant, user, resource, organization))
        answer = _sign(tenant, issuer, user["id"], app, granted, resource, organization)
    else:
        granted = _granted(tenant, form, _USER_SCOPES)
        answer = _opaque(tenant, user, app, granted, grant_id)
    if consumed := tenant.tables["subject_tokens"].get(str(form["subject_token"])):
        tenant.tables["subject_tokens"].put(consumed | {"consumedAt": tenant.now_ms()})
    return answer | {"scope": granted}


def _user_scopes(tenant: Tenant, user: Row, resource: Row | None, organization: Any) -> set[str]:
    relations = tenant.relations
    if not organization:
        return _scope_names(tenant, relations["users_roles"].ids(1, user["id"]), "roles_scopes", resource)
    roles = relations["organization_users_roles"].ids(2, organization, user["id"])
    relation = "organization_roles_resource_scopes" if resource else "organization_roles_scopes"
    return _scope_names(tenant, roles, relation, resource)


def _opaque(tenant: Tenant, user: Row, app: Row, granted: str, grant_id: str) -> dict[str, Any]:
    """An access token that is a row, not a JWT: without a resource, for the user's own endpoints."""
    row = {"id": secrets.token_urlsafe(32), "userId": user["id"], "clientId": app["id"], "grantId": grant_id}
    tenant.tables["access_tokens"].put(row | {"scope": granted, "expiresAt": tenant.now_ms() + _TTL * 1000})
    return {"access_token": row["id"], "expires_in": _TTL, "token_type": "Bearer"}


def _subject(tenant: Tenant, token: str, kind: str, issuer: str) -> str:
    """The id of the user that a subject token stands for."""
    now = tenant.now_ms()
    if kind == _PERSONAL:
        rows = tenant.tables["personal_access_tokens"].values()
        row = next((row for row in rows if row["value"] == token), None)
        _check(row is not None, "subject token not found")
        _check(row is None or not row["expiresAt"] or row["expiresAt"] > now, "subject token is expired")
    elif kind == _IMPERSONATION or (kind == _SUBJECT and token.startswith("sub_")):
        row = tenant.tables["subject_tokens"].get(token)
        _check(row is not None, "subject token not found")
        _check(row is None or row["expiresAt"] > now, "subject token is expired")
        _check(row is None or not row["consumedAt"], "subject token is already consumed")
    elif kind == _SUBJECT:
        row = tenant.tables["access_tokens"].get(token)
        _check(row is None or row["expiresAt"] > now, "subject token is expired")
    else:
        raise _invalid_grant("unsupported subject token type")
    return str(row["userId"]) if row is not None else _subject_of_jwt(tenant, token, issuer)


def _subject_of_jwt(tenant: Tenant, token: str, issuer: str) -> str:
    try:
        claims = jwt.decode(
            token, tenant.key.public, algorithms=[ALGORITHM], issuer=issuer, options={"verify_aud": False}
        )
    except jwt.PyJWTError:
        raise _invalid_grant("invalid subject token") from None
    return str(claims["sub"])


def _check(good: bool, detail: str) -> None:
    if not good:
        raise _invalid_grant(detail)


def _invalid_grant(detail: str) -> OidcError:
    return OidcError(400, "invalid_grant", "grant request is invalid", detail=detail)
