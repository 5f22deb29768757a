"""Enterprise SSO connectors, and the settings of the sign-in page."""

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
