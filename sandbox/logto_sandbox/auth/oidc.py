"""The OpenID provider as far as a machine meets it: the token endpoint, discovery and the key set."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from logto_sandbox.auth.client_auth import Client, OidcError, authenticate
from logto_sandbox.auth.discovery import discovery_document
from logto_sandbox.auth.user_grants import EXCHANGE, REFRESH, user_grant
from logto_sandbox.errors import ApiError, BareError, MalformedJsonError, PlainNotFoundError
from logto_sandbox.http.bodies import FORM_LIMIT, parse_body
from logto_sandbox.http.responses import json_response, language, to_json
from logto_sandbox.store.relations import Row
from logto_sandbox.store.tenant import Tenant, new_id

GRANT = "client_credentials"
ORGANIZATION_TOKEN_TTL = 3600
_OTHER_GRANTS = {
    "authorization_code": "AuthorizationCode",
    REFRESH: "RefreshToken",
    EXCHANGE: "TokenExchange",
    "urn:ietf:params:oauth:grant-type:device_code": "DeviceCode",
}
_OPEN = {"Access-Control-Allow-Origin": "*"}


def origin(tenant: Tenant, request: Request) -> str:
    """The server's own origin: its ENDPOINT, or what the client dialled when none is set."""
    return tenant.endpoint or f"{request.url.scheme}://{request.headers.get('host', '')}"


def issuer(tenant: Tenant, request: Request) -> str:
    """The issuer of tokens and of the discovery document."""
    return origin(tenant, request) + "/oidc"


def respond(tenant: Tenant, request: Request, body: bytes, path: str) -> Response:
    """The answer to a request below ``/oidc``."""
    answers = {
        ("GET", "/oidc/.well-known/openid-configuration"): _discovery,
        ("GET", "/oidc/jwks"): _jwks,
        ("POST", "/oidc/token"): _token,
    }
    answer = answers.get((request.method, path.removesuffix("/")))
    try:
        if answer is None:
            route = path.removeprefix("/oidc")
            raise OidcError(
                404,
                "invalid_request",
                f"unrecognized route or not allowed method ({request.method} on {route})",
            )
        return answer(tenant, request, body)
    except OidcError as error:
        response = _refused(error, tenant, request)
        if answer is _token:
            response.headers["Cache-Control"] = "no-store"
        return response


def _discovery(tenant: Tenant, request: Request, body: bytes) -> Response:
    return _open(json_response(200, to_json(discovery_document(issuer(tenant, request))), request))


def _jwks(tenant: Tenant, request: Request, body: bytes) -> Response:
    raw = to_json({"keys": [tenant.key.jwk]})
    response = _open(json_response(200, raw, request, "application/jwk-set+json; charset=utf-8"))
    response.headers["Cache-Control"] = "no-cache, max-age=0, must-revalidate"
    return response


def _open(response: Response) -> Response:
    response.headers.update(_OPEN)
    return response


def _refused(error: OidcError, tenant: Tenant, request: Request) -> Response:
    body = error.body(language(request), bare=request.query_params.get("parse_error") == "false")
    response = _open(json_response(error.status, to_json(body), request))
    if error.challenge:
        response.headers["WWW-Authenticate"] = (
            f'Basic realm="{issuer(tenant, request)}", error="{error.error}", error_description="{error.description}"'
        )
    return response


def _token(tenant: Tenant, request: Request, body: bytes) -> Response:
    form = _form(request, body)
    if "token_quota" in tenant.token_faults:
        raise ApiError(429, "auth.exceed_token_limit", "The token quota of this month is used up.")
    if "secret_expired" in tenant.token_faults:
        raise OidcError(400, "invalid_request", "client secret has expired")
    client = Client()
    try:
        app = authenticate(tenant, request.headers.get("authorization"), form, client)
        answer = _grant(tenant, app, form, issuer(tenant, request))
    except OidcError as error:
        if error.logged:
            _log(tenant, request, form, client, error=error)
        raise
    _log(tenant, request, form, client, scope=answer.get("scope"))
    response = _open(json_response(200, to_json(answer), request))
    response.headers["Cache-Control"] = "no-store"
    return response


def _form(request: Request, body: bytes) -> dict[str, Any]:
    if len(body) > FORM_LIMIT:
        raise PlainNotFoundError
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in ("", "application/json", "application/x-www-form-urlencoded"):
        text = "only application/x-www-form-urlencoded content-type bodies are supported on POST /token"
        raise OidcError(400, "invalid_request", text, logged=False)
    try:
        form = parse_body(body, request.headers)
    except MalformedJsonError:
        form = {}
    form = form if isinstance(form, dict) else {}
    # These two reach the database, which takes no NUL.
    if any("\x00" in str(form.get(key, "")) for key in ("client_id", "resource")):
        raise BareError
    return form


def _grant(tenant: Tenant, app: Row, form: dict[str, Any], token_issuer: str) -> dict[str, Any]:
    """The token response for an authenticated application."""
    grant = form.get("grant_type")
    if not grant:
        raise OidcError(400, "invalid_request", "missing required parameter 'grant_type'")
    if grant != GRANT and grant not in _OTHER_GRANTS:
        raise OidcError(400, "unsupported_grant_type", "unsupported grant_type requested")
    if (answer := user_grant(tenant, app, form)) is not None:
        return answer
    if grant != GRANT or app["type"] != "MachineToMachine":
        raise OidcError(400, "invalid_request", "requested grant type is not allowed for this client")
    organization = form.get("organization_id")
    resource = _resource(tenant, form.get("resource"), bool(organization))
    if organization and (organization, app["id"]) not in tenant.relations["organization_applications"]:
        raise OidcError(403, "access_denied", "app has not associated with the organization")
    held = _scopes(tenant, app, resource, organization)
    asked = str(form.get("scope") or "").split()
    granted = " ".join(dict.fromkeys(scope for scope in asked if scope in held))
    if "without_scope" in tenant.token_faults:
        granted = ""
    ttl = resource["accessTokenTtl"] if resource else ORGANIZATION_TOKEN_TTL
    now = tenant.now_ms() // 1000
    claims = {"jti": new_id(43), "sub": app["id"], "iat": now, "exp": now + ttl}
    claims |= {"scope": granted} if granted else {}
    claims |= {"organization_id": organization} if organization and resource else {}
    audience = resource["indicator"] if resource else f"urn:logto:organization:{organization}"
    claims |= {"client_id": app["id"], "iss": token_issuer, "aud": audience}
    answer = {"access_token": tenant.key.sign(claims), "expires_in": ttl, "token_type": "Bearer"}
    # A plain organization token always echoes its scope, even an empty one.
    return answer | ({"scope": granted} if granted or not resource else {})


def _resource(tenant: Tenant, indicator: Any, for_organization: bool) -> Row | None:
    rows = list(tenant.tables["resources"].values())
    if isinstance(indicator, list):
        for one in indicator:
            _resource(tenant, one, for_organization)
        raise OidcError(400, "invalid_target", "only a single resource indicator value must be requested/resolved")
    if not indicator:
        default = next((row for row in rows if row["isDefault"]), None)
        if default is None and not for_organization:
            raise OidcError(400, "invalid_target", "both `resource` and `organization_id` are not provided")
        return None if for_organization else default
    parts = urlsplit(indicator)
    if not parts.scheme or " " in indicator:
        raise OidcError(400, "invalid_target", "resource indicator must be an absolute URI")
    if parts.fragment:
        raise OidcError(400, "invalid_target", "resource indicator must not contain a fragment component")
    found = next((row for row in rows if row["indicator"] == indicator), None)
    if found is None:
        raise OidcError(400, "invalid_target", "resource indicator is missing, or unknown")
    return found


def _scopes(tenant: Tenant, app: Row, resource: Row | None, organization: str | None) -> set[str]:
    """Names of the scopes an application holds: through its roles, or through its roles in an organization."""
    relations, tables = tenant.relations, tenant.tables
    if not organization:
        roles = relations["applications_roles"].ids(1, app["id"])
        linked, table = relations["roles_scopes"], "scopes"
    else:
        roles = relations["organization_applications_roles"].ids(2, organization, app["id"])
        name = "organization_roles_resource_scopes" if resource else "organization_roles_scopes"
        linked, table = relations[name], "scopes" if resource else "organization_scopes"
    rows = [tables[table][scope] for role in roles for scope in linked.ids(1, role)]
    return {row["name"] for row in rows if not resource or row["resourceId"] == resource["id"]}


def _log(
    tenant: Tenant,
    request: Request,
    form: dict[str, Any],
    client: Client,
    *,
    error: OidcError | None = None,
    scope: str | None = None,
) -> None:
    """Every exchange leaves an audit log row, a failed one too."""
    grant = form.get("grant_type")
    exchange = "ClientCredentials" if grant == GRANT else _OTHER_GRANTS.get(str(grant), "Unknown")
    key = f"ExchangeTokenBy.{exchange}"
    payload: dict[str, Any] = {"key": key, "result": "Error" if error else "Success"}
    if error:
        payload["error"] = json.dumps({"name": "OIDCProviderError", **error.body("en", bare=True)})
    payload["ip"] = request.client.host if request.client else "127.0.0.1"
    if agent := request.headers.get("user-agent"):
        payload |= {"userAgent": agent, "userAgentParsed": {"ua": agent}}
    if client.app_id:
        payload["applicationId"] = client.app_id
    payload["params"] = {name: value for name, value in form.items() if name != "client_secret"}
    payload["params"]["client_secret"] = "******"
    if scope is not None:
        payload["scope"] = scope
    payload["tokenTypes"] = [] if error else ["AccessToken"]
    if client.secret_name:
        payload["applicationSecret"] = {"name": client.secret_name}
    tenant.logs.append(key, payload, tenant.now_ms())
