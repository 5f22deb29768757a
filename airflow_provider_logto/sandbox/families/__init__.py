"""The modelled families, each a small table of operations, and the router over all of them."""

from __future__ import annotations

from airflow_provider_logto.sandbox.families import (
    applications,
    jit_email_domains,
    logs,
    organization_template,
    organizations,
    resources,
    roles,
    user_relations,
    users,
)
from airflow_provider_logto.sandbox.routing import Route, Router

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
        logs.routes,
    )
    for route in family.all
]

ROUTER = Router()
for _route in ROUTES:
    ROUTER.add(_route)
