"""The sandbox as an ASGI application: real Logto paths only, ``/oidc/*``, ``/api/*`` and the sign-in page."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Sequence
from http import HTTPStatus
from inspect import isawaitable
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from logto_sandbox.api.router import ROUTER
from logto_sandbox.auth import oidc
from logto_sandbox.auth.access import Gate
from logto_sandbox.errors import (
    ApiError,
    BareError,
    ForeignKeyError,
    PlainNotFoundError,
    UniqueViolationError,
)
from logto_sandbox.http.bodies import parse_body, refuse_nul
from logto_sandbox.http.paging import PageOf, Rows, page_headers, parse_page
from logto_sandbox.http.responses import json_response, language, text_response, to_json
from logto_sandbox.http.routing import MANAGEMENT, OPTIONAL, USER, Call, Reply, Route
from logto_sandbox.http.schema import validate
from logto_sandbox.store.tenant import Tenant
from logto_sandbox.webhooks.delivery import Deliveries
from logto_sandbox.webhooks.events import Event, Watch

_log = logging.getLogger(__name__)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"})
_SIGN_IN_PAGE = "<!doctype html><title>Logto sandbox: no sign-in experience</title>\n"

Headers = list[tuple[str, str]]


def create_app(tenant: Tenant) -> ASGIApp:
    """The application that serves one tenant."""
    return App(tenant)


class App:
    """Requests in, answers out: authorization, paging, schema, handler, and the shapes of what goes wrong."""

    def __init__(self, tenant: Tenant) -> None:
        self.tenant = tenant
        self.gate = Gate(tenant)
        self._deliveries = Deliveries(tenant)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        body = await request.body()
        response, events = await self._respond(request, body)
        response.headers["Logto-Core-Request-Id"] = secrets.token_urlsafe(12)
        try:
            await response(scope, receive, send)
        finally:
            self._deliveries.send(events)

    async def _respond(self, request: Request, body: bytes) -> tuple[Response, list[Event]]:
        """The answer to one request, and what webhooks are to hear of it."""
        path = request.scope["path"] if "raw_path" not in request.scope else request.scope["raw_path"].decode("latin-1")
        try:
            if path.startswith("/oidc/"):
                return oidc.respond(self.tenant, request, body, path), []
            if path == "/api" or path.startswith("/api/"):
                return await self._api(request, body, path)
        except Exception as error:
            return self._failed(error, request, path), []
        if path.startswith("/.well-known/"):
            return text_response(404), []
        page = {"Cache-Control": "no-cache, no-store, must-revalidate"}
        return Response(_SIGN_IN_PAGE, headers=page, media_type="text/html"), []

    async def _api(self, request: Request, body: bytes, path: str) -> tuple[Response, list[Event]]:
        route, params, allowed = ROUTER.find(request.method, path)
        if route is None and allowed:
            return _other_method(request.method, ", ".join(allowed)), []
        if route is None:
            raise PlainNotFoundError
        if route.since and not self.tenant.has(route.since):
            raise PlainNotFoundError
        authorization = request.headers.get("authorization")
        if route.auth == MANAGEMENT:
            self.gate.check(authorization, oidc.issuer(self.tenant, request))
        access_token = self.gate.access_token(authorization) if route.auth == USER else {}
        call = self._call(route, params, request, body, path)
        call.access_token = access_token
        watch = self._watch(route, call, request)
        result = route.handler(call)
        if isawaitable(result):
            result = await result
        response, shown = self._shown(route, call, result, request)
        return response, watch.events(response.status_code, shown) if watch else []

    def _watch(self, route: Route, call: Call, request: Request) -> Watch | None:
        if route.method == "GET" or not self.tenant.tables["hooks"]:
            return None
        address = request.client.host if request.client else "127.0.0.1"
        return Watch(route, call, request.headers.get("user-agent"), address)

    def _call(self, route: Route, params: dict[str, str], request: Request, body: bytes, path: str) -> Call:
        query = parse_qsl(request.url.query, keep_blank_values=True)
        call = Call(
            self.tenant, path, params, query, origin=f"{request.url.scheme}://{request.headers.get('host', '')}"
        )
        if route.paging:
            call.page = parse_page(query, optional=route.paging == OPTIONAL)
        if route.query is not None:
            validate(route.query, collapsed(query), "query")
        if route.body is not None:
            parsed = parse_body(body, request.headers)
            call.body = validate(route.body, parsed, "body")
            if b"\\u0000" in body or b"\x00" in body:
                refuse_nul(call.body)
        return call

    def _shown(self, route: Route, call: Call, result: Any, request: Request) -> tuple[Response, Any]:
        """The response that shows what a handler returned, and the JSON in it."""
        status, headers = route.status, []
        if isinstance(result, Reply):
            if result.body is None and result.status != HTTPStatus.NO_CONTENT:
                return text_response(result.status), None
            status, result = result.status, result.body
        if isinstance(result, Rows):
            result = result.cut(call.page)
        if isinstance(result, PageOf):
            if call.page is not None:
                headers = page_headers(call.origin, call.path.removeprefix("/api"), call.query, call.page, result)
            result = result.rows
        if self.tenant.unreadable:
            _refuse_unreadable(result, self.tenant.unreadable)
        status = HTTPStatus.NO_CONTENT if result is None else status
        return self._json(status, result, request, headers), result

    def _json(self, status: int, body: Any, request: Request, headers: Sequence[tuple[str, str]] = ()) -> Response:
        if body is None:
            return _plain(Response(status_code=status), headers)
        raw = to_json(body)
        response = json_response(status, raw, request)
        return _plain(response, headers)

    def _failed(self, error: Exception, request: Request, path: str) -> Response:
        if isinstance(error, PlainNotFoundError):
            return text_response(404)
        if isinstance(error, ForeignKeyError):
            status = 422 if path.startswith("/api/organization") else 404
            error = ApiError(status, "entity.relation_foreign_key_not_found")
        if isinstance(error, UniqueViolationError) and path.startswith("/api/organization"):
            error = ApiError(422, "entity.unique_integrity_violation")
        if isinstance(error, ApiError):
            return json_response(error.status, to_json(error.body(language(request))), request)
        if not isinstance(error, (BareError, UniqueViolationError)):
            _log.exception("%s %s failed", request.method, path)
        bare = error if isinstance(error, BareError) else BareError()
        return json_response(bare.status, to_json(bare.body()), request)


def _refuse_unreadable(value: Any, unreadable: set[str]) -> None:
    """What an answer shows of a user is checked once more, and more strictly than when it was written.

    :raises BareError: for a list or object that shows the name or avatar of such a user
    """
    if isinstance(value, dict):
        if value.get("id") in unreadable and "name" in value:
            raise BareError
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            _refuse_unreadable(item, unreadable)


def collapsed(query: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """A query as an object; a repeated key becomes a list."""
    found: dict[str, Any] = {}
    for key, value in query:
        if key in found:
            found[key] = [*(found[key] if isinstance(found[key], list) else [found[key]]), value]
        else:
            found[key] = value
    return found


def _other_method(method: str, allow: str) -> Response:
    """A known path that this method is not for."""
    if method == "OPTIONS":
        return Response(b"", headers={"Allow": allow}, media_type="text/plain")
    status = HTTPStatus.METHOD_NOT_ALLOWED if method in _METHODS else HTTPStatus.NOT_IMPLEMENTED
    return text_response(status, {"Allow": allow})


def _plain(response: Response, headers: Sequence[tuple[str, str]]) -> Response:
    for name, value in headers:
        response.headers.append(name, value)
    return response
