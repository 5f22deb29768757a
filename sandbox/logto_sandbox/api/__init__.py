"""The modelled families, each a small table of operations, and the router over all of them."""

from __future__ import annotations

from logto_sandbox.api import (
    account_center,
    applications,
    connectors,
    hooks,
    invitations,
    jit_email_domains,
    logs,
    organization_template,
    organizations,
    resources,
    roles,
    small,
    user_relations,
    users,
)
from logto_sandbox.http import openapi
from logto_sandbox.http.routing import Route, Router

ROUTES: list[Route] = [
    route
    for family in (
        users.routes,
        user_relations.routes,
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
