"""The router over all modelled families, and route templates as statistics and faults name them."""

from __future__ import annotations

import re

from logto_sandbox.api import (
    account_center,
    applications,
    connectors,
    hooks,
    invitations,
    jit_email_domains,
    logs,
    one_time_tokens,
    organization_template,
    organizations,
    resources,
    roles,
    small,
    user_access,
    user_relations,
    users,
)
from logto_sandbox.http import openapi
from logto_sandbox.http.routing import Route, Router, label

ROUTES: list[Route] = [
    route
    for family in (
        users.routes,
        user_relations.routes,
        user_access.routes,
        one_time_tokens.routes,
        roles.routes,
        resources.routes,
        applications.routes,
        organizations.routes,
        jit_email_domains.routes,
        organization_template.roles,
        organization_template.scopes,
        invitations.routes,
        logs.routes,
        hooks.routes,
        connectors.routes,
        connectors.factories,
        connectors.codes,
        connectors.sso,
        account_center.routes,
        small.routes,
    )
    for route in family.all
]
ROUTES.append(Route("GET", openapi.DOCUMENT, lambda call: openapi.document(call.tenant, ROUTES), public=True))

ROUTER = Router()
for _route in (*ROUTES, *openapi.not_modelled(ROUTES)):
    ROUTER.add(_route)

_PARAMETER = re.compile(r"\{[^{}]*\}")
# Served outside the table of the Management API.
_OTHER = ("/oidc/token", "/oidc/jwks", "/oidc/.well-known/openid-configuration")


def route_of(method: str, path: str) -> str:
    """How statistics call a request: ``POST /api/users/{id}/roles``; an unknown path is its own name."""
    route, _, _ = ROUTER.find(method, path)
    return route.label if route else label(method, path)


def shape(template: str) -> str:
    """A template without its parameters' names: ``/api/users/{}/roles``."""
    return _PARAMETER.sub("{}", template)


def is_route(path: str) -> bool:
    """Whether some method knows this template (whatever its parameters are called) or concrete path."""
    methods = ROUTER.find("", _PARAMETER.sub("x", path))[2]
    return bool(methods) or path in _OTHER
