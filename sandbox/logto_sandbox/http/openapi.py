"""The sandbox's own OpenAPI document, and a 501 for every operation of the real API that it does not have."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from logto_sandbox.errors import ApiError
from logto_sandbox.http.routing import ANONYMOUS, MANAGEMENT, USER, Call, Handler, Route
from logto_sandbox.store.tenant import Tenant

DOCUMENT = "/api/.well-known/management.openapi.json"
_PARAMETER = re.compile(r"{(\w+)}")
_PUBLIC = ("/api/.well-known/", "/api/authn/", "/api/swagger.json", "/api/saml/")


@cache
def operations() -> dict[str, str]:
    """Every operation of the real Management API: ``"GET /api/users"`` -> ``"ListUsers"``."""
    found: dict[str, str] = json.loads(Path(__file__).with_name("operations.json").read_text("utf-8"))
    return found


def not_modelled(known: Iterable[Route]) -> list[Route]:
    """Routes that answer 501 ``sandbox.not_modelled`` with the operation's name."""
    modelled = {f"{route.method} {route.path}" for route in known}
    found = []
    for name, operation in operations().items():
        if name not in modelled:
            method, path = name.split(" ", 1)
            auth = ANONYMOUS if path.startswith(_PUBLIC) else MANAGEMENT
            found.append(Route(method, path, _refusal(operation), auth=auth))
    return found


def _refusal(operation: str) -> Handler:
    def refuse(call: Call) -> None:
        text = f"The sandbox does not model {operation}."
        raise ApiError(501, "sandbox.not_modelled", text, data={"operation": operation})

    return refuse


def document(tenant: Tenant, known: Iterable[Route]) -> dict[str, Any]:
    """The OpenAPI document of what this tenant's version has. Like the real one, it does not tell the version."""
    paths: dict[str, dict[str, Any]] = {}
    for route in known:
        if route.auth != USER and (not route.since or tenant.has(route.since)):
            paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    info = {"title": "Logto API references", "version": "Cloud"}
    return {"openapi": "3.0.1", "info": info, "paths": dict(sorted(paths.items()))}


def _operation(route: Route) -> dict[str, Any]:
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in _PARAMETER.findall(route.path)
    ]
    if route.paging:
        parameters += [
            {"name": name, "in": "query", "required": False, "schema": {"type": "integer", "minimum": 1}}
            for name in ("page", "page_size")
        ]
    found: dict[str, Any] = {
        "operationId": operations().get(f"{route.method} {route.path}", ""),
        "parameters": parameters,
        "responses": {str(route.status): {"description": ""}},
    }
    if route.body is not None:
        found["requestBody"] = {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}}
    return found
