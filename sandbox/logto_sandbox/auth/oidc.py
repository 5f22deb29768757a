"""The OpenID provider as far as a machine meets it: the token endpoint, discovery and the key set."""

from __future__ import annotations

import codecs
import re
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from logto_sandbox.auth import grants
from logto_sandbox.auth.audit import Exchange
from logto_sandbox.auth.client_auth import authenticate
from logto_sandbox.auth.discovery import discovery_document
from logto_sandbox.auth.errors import OidcError
from logto_sandbox.errors import ApiError, BareError, MalformedJsonError, PlainNotFoundError
from logto_sandbox.http.bodies import FORM_LIMIT, parse_body
from logto_sandbox.http.responses import json_response, language, to_json
from logto_sandbox.store.tenant import Tenant

_CHARSET = re.compile(r"charset=\"?([\w-]+)", re.IGNORECASE)
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
        ("GET", "/oidc/.well-known/oauth-authorization-server"): _discovery,
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
        if answer is _token and not error.early:
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
    client = grants.Client()
    exchange = Exchange(request, form, client)
    try:
        app = authenticate(tenant, request.headers.get("authorization"), form, client)
        answer = grants.issue(tenant, app, form, issuer(tenant, request), client)
    except OidcError as error:
        if error.logged:
            exchange.log(tenant, error=error)
        raise
    exchange.log(tenant, scope=answer.get("scope"))
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
    charset = _CHARSET.search(request.headers.get("content-type", ""))
    if charset and charset[1].lower().replace("-", "").startswith("utf16"):
        body = body.removeprefix(codecs.BOM_UTF16_LE).decode("utf-16-le", "replace").encode()
    if b"\0" in body:
        raise OidcError(400, "invalid_request", "null bytes are not allowed in the request body", early=True)
    try:
        form = parse_body(body, request.headers)
    except MalformedJsonError:
        form = {}
    form = form if isinstance(form, dict) else {}
    # What reaches the database, which takes no NUL.
    if any("\x00" in str(form.get(key, "")) for key in ("client_id", "client_secret")):
        raise BareError
    if "\x00" in str(form.get("resource", "")):
        raise OidcError(500, "server_error", "oops! something went wrong", logged=False)
    return form
