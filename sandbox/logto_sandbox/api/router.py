"""The router over all modelled families, and route templates as statistics and faults name them."""

from __future__ import annotations

import re

from logto_sandbox.api import (
    account_center,
    applications,
    connector_factories,
    connectors,
    consents,
    hooks,
    identities,
    invitations,
    jit_email_domains,
    logs,
    mfa,
    my_account,
    one_time_tokens,
    organization_template,
    organizations,
    personal_access_tokens,
    resources,
    roles,
    sessions,
    sign_in_experience,
    small,
    sso_connectors,
    user_relations,
    users,
    verification_codes,
)
from logto_sandbox.http import openapi
from logto_sandbox.http.routing import ANONYMOUS, Route, Router, label

ROUTES: list[Route] = [
    route
    for family in (
        users.routes,
        user_relations.routes,
        personal_access_tokens.routes,
        sessions.routes,
        identities.routes,
        mfa.routes,
        roles.routes,
        resources.routes,
        applications.routes,
        consents.routes,
        organizations.routes,
        jit_email_domains.routes,
        organization_template.roles,
        organization_template.scopes,
        invitations.routes,
        logs.routes,
        hooks.routes,
        connectors.routes,
        connector_factories.routes,
        sso_connectors.routes,
        sso_connectors.providers,
        one_time_tokens.routes,
        one_time_tokens.subjects,
        account_center.routes,
        sign_in_experience.routes,
        my_account.routes,
        small.routes,
        verification_codes.routes,
    )
    for route in family.all
]
ROUTES.append(Route("GET", openapi.DOCUMENT, lambda call: openapi.document(call.tenant, ROUTES), auth=ANONYMOUS))

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
