"""What a fresh tenant holds: the server's own seed, and the two applications of a sandbox."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from logto_sandbox.store import versions
from logto_sandbox.store.rows import application_row, new_id, secret_row
from logto_sandbox.store.state import TENANT_ID, State

MANAGEMENT_API = "management-api"
MANAGEMENT_SCOPE = "management-api-all"
ACCESS_ROLE = "Logto Management API access"
BUILT_IN_APPLICATIONS = ("demo-app", "account-center", "device-demo-app")
INTERNAL_ADMIN_ROLE = "admin-role"
DEFAULT_SECRET = "Default secret"
# As every fresh server shows them.
_ALL = "Default scope for Management API, allows all permissions."
_ACCESS = "This default role grants access to the Logto management API."


@dataclass(frozen=True)
class Settings:
    """What a sandbox is started with.

    :param app_id: M2M application that holds the Management API role
    :param norole_id: M2M application without any role
    :param resource: indicator of the Management API
    :param logto_version: one of :data:`versions.SUPPORTED`
    :param endpoint: the server's own idea of its origin (issuer), without a trailing slash; None = the Host header
    """

    app_id: str = "sandbox-m2m"
    app_secret: str = "sandbox-m2m-secret"
    norole_id: str = "sandbox-norole"
    norole_secret: str = "sandbox-norole-secret"
    resource: str = "https://default.logto.app/api"
    logto_version: str = versions.LATEST
    endpoint: str | None = None


def fill(state: State, settings: Settings, version: versions.Version, now_ms: int) -> None:
    """Put into an empty tenant what a fresh one holds."""
    tables, relations = state.tables, state.relations
    resource = {"id": MANAGEMENT_API, "name": "Logto Management API", "indicator": settings.resource}
    tables["resources"].put({"tenantId": TENANT_ID, **resource, "isDefault": False, "accessTokenTtl": 3600})
    scope = {"id": MANAGEMENT_SCOPE, "resourceId": MANAGEMENT_API, "name": "all", "description": _ALL}
    tables["scopes"].put({"tenantId": TENANT_ID, **scope, "createdAt": now_ms})
    role = {"id": new_id(), "name": ACCESS_ROLE, "description": _ACCESS}
    tables["roles"].put({"tenantId": TENANT_ID, **role, "type": "MachineToMachine", "isDefault": False})
    relations["roles_scopes"].insert([(role["id"], MANAGEMENT_SCOPE)])
    internal = {"id": INTERNAL_ADMIN_ROLE, "name": "#internal:admin", "description": "Internal admin role."}
    tables["roles"].put({"tenantId": TENANT_ID, **internal, "type": "MachineToMachine", "isDefault": False})
    relations["roles_scopes"].insert([(INTERNAL_ADMIN_ROLE, MANAGEMENT_SCOPE)])
    # Listed newest first, the application with the role comes first: it is the younger one.
    for app_id, value, name in (
        (settings.norole_id, settings.norole_secret, "m2m without role"),
        (settings.app_id, settings.app_secret, "m2m airflow"),
    ):
        tables["applications"].put(application_row(version, app_id, name, now_ms))
        tables["application_secrets"].put(secret_row(app_id, DEFAULT_SECRET, value, now_ms))
    relations["applications_roles"].insert([(settings.app_id, role["id"])])
    state.documents["account_center"] = account_center()
    state.documents["sign_in_experience"] = sign_in_experience()


def account_center() -> dict[str, Any]:
    """The account center of a fresh tenant: off."""
    return {
        "tenantId": TENANT_ID,
        "id": "default",
        "enabled": False,
        "fields": {},
        "webauthnRelatedOrigins": [],
        "deleteAccountUrl": None,
        "customCss": None,
        "profileFields": None,
    }


def sign_in_experience() -> dict[str, Any]:
    """The sign-in experience of a fresh tenant: username and password."""
    method = {"identifier": "username", "password": True, "verificationCode": False, "isPasswordPrimary": True}
    signs = ("lowercase", "uppercase", "numbers", "underscore")
    return {
        "tenantId": TENANT_ID,
        "id": "default",
        "color": {"primaryColor": "#6139F6", "isDarkModeEnabled": False, "darkPrimaryColor": "#8768F8"},
        "branding": {"logoUrl": "https://logto.io/logo.svg", "darkLogoUrl": "https://logto.io/logo-dark.svg"},
        "hideLogtoBranding": False,
        "languageInfo": {"autoDetect": True, "fallbackLanguage": "en"},
        "termsOfUseUrl": None,
        "privacyPolicyUrl": None,
        "agreeToTermsPolicy": "Automatic",
        "signIn": {"methods": [method]},
        "signUp": {"identifiers": ["username"], "password": True, "verify": False},
        "socialSignIn": {},
        "socialSignInConnectorTargets": [],
        "signInMode": "SignInAndRegister",
        "customCss": None,
        "customContent": {},
        "customUiAssets": None,
        "customUiCsp": {},
        "passwordPolicy": {},
        "mfa": {"factors": [], "policy": "UserControlled"},
        "adaptiveMfa": {},
        "singleSignOnEnabled": False,
        "supportEmail": None,
        "supportWebsiteUrl": None,
        "unknownSessionRedirectUrl": None,
        "captchaPolicy": {},
        "sentinelPolicy": {},
        "emailBlocklistPolicy": {},
        "verificationCodePolicy": {},
        "forgotPasswordMethods": [],
        "passkeySignIn": {},
        "signUpProfileFields": None,
        "passwordExpiration": {},
        "usernamePolicy": {
            "caseSensitive": True,
            "minLength": 1,
            "maxLength": 128,
            "allowedChars": dict.fromkeys(signs, True),
        },
    }
