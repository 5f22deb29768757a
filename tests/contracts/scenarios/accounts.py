"""What end users hold: tokens, identities, second factors, and the account center."""

from __future__ import annotations

from tests.contracts.contract import Step
from tests.contracts.scenarios.steps import gone, made, user

_PERSONAL = "urn:logto:token-type:personal_access_token"
_EXCHANGE = {
    "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
    "client_id": "<portal>",
    "client_secret": "<portal-secret>",
    "subject_token": "<pat>",
    "subject_token_type": _PERSONAL,
}


def exchange(keep: str = "", **fields: str) -> Step:
    form = {key: value for key, value in (_EXCHANGE | fields).items() if value}
    return Step("POST /oidc/token", form=form, auth="none", keep={keep: "access_token"} if keep else {})


def account(method: str, body: object = None, token: str = "<ann-token>", path: str = "") -> Step:  # noqa: S107
    return Step(f"{method} /api/my-account{path}", body, auth=f"Bearer {token}")


_CENTER = {"enabled": False, "fields": {}, "webauthnRelatedOrigins": [], "deleteAccountUrl": None}

ACCOUNTS = [
    user("ann", customData={"mark": "ours", "team": "a"}),
    Step("POST /api/users/<ann>/personal-access-tokens", {"name": "ci"}, keep={"pat": "value"}),
    made("applications", "portal", type="MachineToMachine"),
    Step("GET /api/applications/<portal>/secrets", keep={"portal-secret": "0.value"}),
    exchange(),
    Step("PATCH /api/applications/<portal>", {"customClientMetadata": {"allowTokenExchange": True}}),
    exchange(subject_token=""),
    exchange(subject_token="", subject_token_type=""),
    exchange(subject_token_type="urn:unknown"),
    exchange(subject_token="pat_unknown"),
    exchange(subject_token="nothing", subject_token_type="urn:ietf:params:oauth:token-type:access_token"),
    exchange("plain", scope="profile"),
    exchange("ann-token", scope="openid profile custom_data unknown"),
    exchange("ann-basic", scope="openid profile"),
    exchange(resource="https://default.logto.app/api", scope="all"),
    exchange(organization_id="none"),
    Step("PATCH /api/account-center", {"enabled": False}),
    account("GET"),
    account("GET", token="unknown"),
    account("GET", token="<plain>"),
    Step("PATCH /api/account-center", {"enabled": True, "fields": {"customData": "ReadOnly", "name": "Edit"}}),
    Step("GET /api/account-center"),
    account("GET"),
    account("PATCH", {"customData": {}}),
    Step("PATCH /api/account-center", {"fields": {"customData": "Edit", "username": "Edit"}}),
    account("PATCH", {"customData": {"team": "b"}}),
    account("PATCH", {"customData": {}}, token="<ann-basic>"),
    account("PATCH", {"name": "Ann"}),
    account("PATCH", {"username": "<run>_x"}),
    account("PATCH", {"givenName": "Ann"}, path="/profile"),
    Step("GET /api/users/<ann>"),
    Step("PATCH /api/account-center", {"fields": {"customData": "Maybe"}}),
    Step("PATCH /api/account-center", {"deleteAccountUrl": "https://example.com/bye", "customCss": ".a {}"}),
    Step("PATCH /api/account-center", {"deleteAccountUrl": "", "customCss": None}),
    Step("PATCH /api/account-center", {"deleteAccountUrl": "ftp://example.com"}),
    Step("PATCH /api/account-center", _CENTER),
    Step("POST /api/subject-tokens", {"userId": "<ann>"}, keep={"subject": "subjectToken"}),
    exchange(subject_token="<subject>", subject_token_type="urn:ietf:params:oauth:token-type:access_token"),
    exchange(subject_token="<subject>", subject_token_type="urn:logto:token-type:impersonation_token"),
    Step("POST /api/subject-tokens", {"userId": "nobody"}),
    Step("PATCH /api/users/<ann>/is-suspended", {"isSuspended": True}),
    exchange(),
    account("GET"),
    Step("POST /api/users/<ann>/personal-access-tokens/delete", {"name": "ci"}),
    exchange(),
    *gone("applications/<portal>", "users/<ann>"),
    Step("GET /api/users/<ann>/personal-access-tokens"),
]

_CODES = [f"{number:010x}" for number in range(10)]

IDENTITIES = [
    user("ann"),
    user("bob"),
    Step("GET /api/users/<ann>/all-identities"),
    Step("PUT /api/users/<ann>/identities/github", {"userId": "<run>-1", "details": {"name": "Ann"}}),
    Step("PUT /api/users/<ann>/identities/github", {"userId": "<run>-2"}),
    Step("PUT /api/users/<bob>/identities/github", {"userId": "<run>-2"}),
    Step("PUT /api/users/<bob>/identities/github", {"user": "<run>-2"}),
    Step("PUT /api/users/nobody/identities/github", {"userId": "<run>-2"}),
    Step("GET /api/users/<ann>/identities/github"),
    Step("GET /api/users/<ann>/all-identities"),
    Step("GET /api/users/<ann>/sso-identities/none"),
    Step("POST /api/users/<ann>/identities", {"connectorId": "none", "connectorData": {}}),
    Step("DELETE /api/users/<ann>/identities/github"),
    Step("DELETE /api/users/<ann>/identities/github"),
    Step("GET /api/users/<ann>/logto-configs"),
    Step("PATCH /api/users/<ann>/logto-configs", {"mfa": {"skipped": True}}),
    Step("PATCH /api/users/<ann>/logto-configs", {"mfa": {"skipMfaOnSignIn": True}, "passkeySignIn": {}}),
    Step("PATCH /api/users/<ann>/logto-configs", {"mfa": {"skipped": "yes"}}),
    Step("GET /api/users/<ann>/logto-configs"),
    Step("GET /api/users/nobody/logto-configs"),
    Step("POST /api/users/<ann>/mfa-verifications", {"type": "BackupCode"}),
    Step("POST /api/users/<ann>/mfa-verifications", {"type": "WebAuthn"}),
    Step("POST /api/users/<ann>/mfa-verifications", {}),
    Step("POST /api/users/<ann>/mfa-verifications", {"type": "Totp", "secret": "too short"}),
    Step("POST /api/users/<ann>/mfa-verifications", {"type": "Totp"}),
    Step("POST /api/users/<ann>/mfa-verifications", {"type": "Totp"}),
    Step("POST /api/users/<ann>/mfa-verifications", {"type": "BackupCode", "codes": ["1"]}),
    Step("POST /api/users/<ann>/mfa-verifications", {"type": "BackupCode", "codes": _CODES}),
    Step("POST /api/users/<ann>/mfa-verifications", {"type": "BackupCode"}),
    Step("GET /api/users/<ann>/mfa-verifications", keep={"factor": "0.id"}),
    Step("DELETE /api/users/<ann>/mfa-verifications/<factor>"),
    Step("DELETE /api/users/<ann>/mfa-verifications/<factor>"),
    Step("GET /api/users/<ann>/mfa-verifications"),
    Step("GET /api/users/<ann>/sessions/none"),
    Step("DELETE /api/users/<ann>/sessions/none"),
    Step("DELETE /api/users/<ann>/sessions/none?revokeGrantsTarget=some"),
    Step("GET /api/users/<ann>/grants?appType=none"),
    Step("DELETE /api/users/<ann>/grants/none"),
    *gone("users/<bob>", "users/<ann>"),
]

ONE_TIME_TOKENS = [
    Step("POST /api/one-time-tokens", {"email": "<run>@example.com"}, keep={"id": "id", "token": "token"}),
    Step("POST /api/one-time-tokens", {"email": "<run>"}),
    Step("POST /api/one-time-tokens", {"email": "<run>@example.com", "expiresIn": 0}),
    Step(
        "POST /api/one-time-tokens",
        {"email": "<run>@example.com", "expiresIn": 60, "context": {"jitOrganizationIds": ["x"], "other": 1}},
        keep={"second": "id", "second-token": "token"},
    ),
    Step("GET /api/one-time-tokens?email=<run>@example.com"),
    Step("GET /api/one-time-tokens?email=<run>@example.com&status=consumed"),
    Step("GET /api/one-time-tokens?status=none"),
    Step("GET /api/one-time-tokens/<id>"),
    Step("GET /api/one-time-tokens/none"),
    Step("POST /api/one-time-tokens/verify", {"token": "<token>", "email": "<run>.x@example.com"}),
    Step("POST /api/one-time-tokens/verify", {"token": "none", "email": "<run>@example.com"}),
    Step("POST /api/one-time-tokens/verify", {"token": "<token>", "email": "<run>@example.com"}),
    Step("POST /api/one-time-tokens/verify", {"token": "<token>", "email": "<run>@example.com"}),
    Step("PUT /api/one-time-tokens/<second>/status", {"status": "active"}),
    Step("PUT /api/one-time-tokens/<second>/status", {"status": "revoked"}),
    Step("POST /api/one-time-tokens/verify", {"token": "<second-token>", "email": "<run>@example.com"}),
    Step("PUT /api/one-time-tokens/none/status", {"status": "revoked"}),
    *gone("one-time-tokens/<id>", "one-time-tokens/<id>", "one-time-tokens/<second>"),
]
