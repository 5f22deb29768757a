"""Enterprise SSO connectors."""

from __future__ import annotations

from tests.contracts.contract import Step
from tests.contracts.scenarios.steps import gone

_ISSUER = {"clientId": "a", "clientSecret": "b", "issuer": "<origin>/oidc"}


def connector(alias: str, provider: str, **fields: object) -> Step:
    body = {"providerName": provider, "connectorName": f"<run>-{alias}", **fields}
    return Step("POST /api/sso-connectors", body, keep={alias: "id"})


def refused(provider: str, **fields: object) -> Step:
    return Step("POST /api/sso-connectors", {"providerName": provider, "connectorName": "<run>-x", **fields})


SSO_CONNECTORS = [
    connector("bare", "OIDC"),
    connector("saml", "SAML", domains=["<run>.Example.COM", "b.<run>.example"]),
    connector("full", "OIDC", config=_ISSUER | {"scope": "email custom"}),
    connector("okta", "Okta", syncProfile=True, branding={"displayName": "Okta"}),
    refused("Unknown"),
    refused("OIDC", config={"clientId": "a"}),
    refused("OIDC", domains=["gmail.com"]),
    refused("OIDC", domains=["<run>.example", "<run>.EXAMPLE"]),
    Step("POST /api/sso-connectors", {"providerName": "OIDC", "connectorName": "<run>-full"}),
    Step("POST /api/sso-connectors", {"providerName": "OIDC"}),
    Step("PATCH /api/sso-connectors/<bare>", {"connectorName": "<run>-full"}),
    Step("PATCH /api/sso-connectors/<okta>", {"connectorName": "<run>-okta", "domains": ["C.<run>.example"]}),
    Step("GET /api/sso-connectors/<full>"),
    Step("GET /api/sso-connectors/<bare>"),
    Step("GET /api/sso-connectors/none"),
    Step("PATCH /api/sso-connectors/none", {"connectorName": "x"}),
    Step("DELETE /api/sso-connectors/none"),
    *gone("sso-connectors/<bare>", "sso-connectors/<saml>", "sso-connectors/<full>", "sso-connectors/<okta>"),
]
