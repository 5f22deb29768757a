"""Connectors, enterprise SSO connectors, and the settings of the sign-in page."""

from __future__ import annotations

from tests.contracts.contract import Step
from tests.contracts.scenarios.steps import gone

_ISSUER = {"clientId": "a", "clientSecret": "b", "issuer": "<origin>/oidc"}


def connector(alias: str, provider: str, **fields: object) -> Step:
    body = {"providerName": provider, "connectorName": f"<run>-{alias}", **fields}
    return Step("POST /api/sso-connectors", body, keep={alias: "id"})


def refused(provider: str, **fields: object) -> Step:
    return Step("POST /api/sso-connectors", {"providerName": provider, "connectorName": "<run>-x", **fields})


_OIDC = {
    "authorizationEndpoint": "https://x.example/auth",
    "tokenEndpoint": "https://x.example/token",
    "clientId": "a",
    "clientSecret": "b",
    "scope": "openid",
    "idTokenVerificationConfig": {"jwksUri": "https://x.example/jwks"},
}
_MOCK = {"clientId": "a", "clientSecret": "b"}
_TEMPLATE = {"usageType": "Generic", "type": "text/plain", "subject": "Code", "content": "{{code}}"}
_MAIL = {"apiKey": "a", "fromEmail": "a@x.example", "templates": [_TEMPLATE]}


def social(target: str | None, factory: str = "oidc", config: object = _OIDC, **more: object) -> Step:
    metadata = {} if target is None else {"metadata": {"target": target, "name": {"en": "Mine"}}}
    return Step("POST /api/connectors", {"connectorId": factory, "config": config, **metadata, **more})


def kept(step: Step, alias: str) -> Step:
    return Step(step.call, step.body, keep={alias: "id"})


# Needs a Logto that was built with its OIDC and OAuth 2.0 connectors.
CONNECTORS = [
    kept(social("<run>-acme", enableTokenStorage=False), "acme"),
    kept(social("<run>-globex", config={**_OIDC, "customConfig": {}, "clientId": "a"}, syncProfile=True), "globex"),
    social("<run>-acme"),
    social(None),
    social("<run>-other", config={"clientId": "a"}),
    social("<run>-other", factory="none"),
    social("<run>-acme", factory="oauth2", config={**_OIDC, "userInfoEndpoint": "https://x.example/me"}),
    kept(social(None, "mock-social-connector", _MOCK), "mock"),
    social(None, "mock-social-connector", _MOCK),
    social("<run>-mock", "mock-social-connector", _MOCK),
    Step("GET /api/connectors?target=<run>-acme"),
    Step("GET /api/connectors/<globex>"),
    Step("GET /api/connectors/none"),
    Step("PATCH /api/connectors/<acme>", {"metadata": {"target": "<run>-other"}}),
    Step("PATCH /api/connectors/<acme>", {"metadata": {"name": {"en": "Acme"}}}),
    Step("PATCH /api/connectors/<acme>", {"metadata": {"target": "<run>-acme", "logo": ""}}),
    Step("PATCH /api/connectors/<acme>", {"config": {"clientId": "a"}}),
    Step("PATCH /api/connectors/<acme>", {"config": {**_OIDC, "customConfig": {}}, "syncProfile": True}),
    Step("PATCH /api/connectors/<mock>", {"metadata": {"target": "mock-social"}}),
    Step("PATCH /api/connectors/none", {"syncProfile": True}),
    Step("PATCH /api/sign-in-exp", {"socialSignInConnectorTargets": ["<run>-acme", "<run>-none", "mock-social"]}),
    Step("POST /api/users", {"username": "<run>_ann"}, keep={"ann": "id"}),
    Step("POST /api/users/<ann>/identities", {"connectorId": "<mock>", "connectorData": {"code": "x", "userId": "1"}}),
    Step("POST /api/users/<ann>/identities", {"connectorId": "<mock>", "connectorData": {"userId": "1"}}),
    Step("GET /api/users/<ann>/identities/mock-social"),
    Step("DELETE /api/users/<ann>"),
    social(None, "mock-email-service", {**_MAIL, "templates": [{"usageType": "Generic", "content": "{{code}}"}]}),
    kept(social(None, "mock-email-service", _MAIL), "mail"),
    kept(social(None, "mock-email-service-alternative", _MAIL), "alternative"),
    Step("GET /api/connectors/<mail>"),
    Step("PATCH /api/connectors/<alternative>", {"syncProfile": True}),
    Step("PATCH /api/connectors/<alternative>", {"metadata": {"target": "x"}}),
    Step("POST /api/users", {"username": "<run>_bob"}, keep={"bob": "id"}),
    Step("POST /api/users/<bob>/identities", {"connectorId": "<alternative>", "connectorData": {}}),
    Step("DELETE /api/users/<bob>"),
    Step("POST /api/connectors/mock-email-service/test", {"email": "a@x.example", "config": _MAIL}),
    Step("POST /api/connectors/mock-email-service/test", {"email": "a@x.example", "config": {}}),
    Step("POST /api/connectors/mock-email-service/test", {"phone": "8612345678901", "config": _MAIL}),
    Step("POST /api/connectors/mock-email-service/test", {"config": _MAIL}),
    Step("POST /api/connectors/none/test", {"email": "a@x.example", "config": _MAIL}),
    Step("POST /api/connectors/<mock>/authorization-uri", {"state": "s", "redirectUri": "http://x.example/a b"}),
    Step("POST /api/connectors/<mock>/authorization-uri", {"state": "", "redirectUri": "http://x.example"}),
    Step("POST /api/connectors/<alternative>/authorization-uri", {"state": "s", "redirectUri": "http://x.example"}),
    Step("POST /api/connectors/<acme>/authorization-uri", {"state": "s", "redirectUri": "http://x.example"}),
    Step("POST /api/connectors/none/authorization-uri", {"state": "s", "redirectUri": "http://x.example"}),
    Step("GET /api/connector-factories/oidc"),
    Step("GET /api/connector-factories/mock-social-connector"),
    Step("GET /api/connector-factories/none"),
    *gone("connectors/<acme>", "connectors/<globex>", "connectors/<mock>", "connectors/<alternative>"),
]

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

_EXPERIENCE = "/api/sign-in-exp"
_USERNAMES = {"caseSensitive": True, "minLength": 1, "maxLength": 128}
_USERNAMES |= {"allowedChars": dict.fromkeys(("lowercase", "uppercase", "numbers", "underscore"), True)}
_METHOD = {"identifier": "username", "password": True, "verificationCode": False, "isPasswordPrimary": True}
_BY_CODE = {"identifier": "email", "password": False, "verificationCode": True, "isPasswordPrimary": False}
_MANDATORY = {"factors": ["Totp"], "policy": "PromptOnlyAtSignInMandatory"}
_OFF = {"factors": [], "policy": "UserControlled"}

# What can be asked of the sign-in experience of a tenant without connectors for messages.
SIGN_IN = [
    Step(f"PATCH {_EXPERIENCE}", {"signInMode": "Never"}),
    Step(f"PATCH {_EXPERIENCE}", {"supportEmail": "no e-mail"}),
    Step(f"PATCH {_EXPERIENCE}", {"termsOfUseUrl": "no url"}),
    Step(f"PATCH {_EXPERIENCE}", {"signUp": {"identifiers": ["email"], "password": False, "verify": False}}),
    Step(f"PATCH {_EXPERIENCE}", {"signUp": {"identifiers": ["email"], "password": False, "verify": True}}),
    Step(f"PATCH {_EXPERIENCE}", {"signUp": {"identifiers": ["username"], "password": False, "verify": False}}),
    Step(f"PATCH {_EXPERIENCE}", {"signUp": {"identifiers": ["username"], "password": True, "verify": False}}),
    Step(f"PATCH {_EXPERIENCE}", {"signIn": {"methods": [_BY_CODE]}}),
    Step(f"PATCH {_EXPERIENCE}", {"signIn": {"methods": [_METHOD | {"password": False}]}}),
    Step(f"PATCH {_EXPERIENCE}", {"signIn": {"methods": [{"identifier": "name"}]}}),
    Step(f"PATCH {_EXPERIENCE}", {"forgotPasswordMethods": ["EmailVerificationCode"]}),
    Step(f"PATCH {_EXPERIENCE}", {"passwordExpiration": {"enabled": True, "validPeriodDays": 30}}),
    Step(f"PATCH {_EXPERIENCE}", {"adaptiveMfa": {"enabled": True}}),
    Step(f"PATCH {_EXPERIENCE}", {"mfa": _MANDATORY, "adaptiveMfa": {"enabled": False}}),
    Step(f"PATCH {_EXPERIENCE}", {"mfa": _MANDATORY}),
    Step("POST /api/users", {"username": "<run>_ANN"}, keep={"upper": "id"}),
    Step("POST /api/users", {"username": "<run>_ann"}, keep={"lower": "id"}),
    Step(f"PATCH {_EXPERIENCE}", {"usernamePolicy": _USERNAMES | {"caseSensitive": False}}),
    Step("DELETE /api/users/<upper>"),
    Step(f"GET {_EXPERIENCE}/username-policy/case-sensitivity-conflicts?limit=0"),
    Step(f"GET {_EXPERIENCE}/username-policy/case-sensitivity-conflicts?limit=5"),
    Step("DELETE /api/users/<lower>"),
]
