"""The sign-in experience. The sandbox has no sign-in page: settings are kept and checked, nothing follows from them."""

from __future__ import annotations

from logto_sandbox.api.common import stored
from logto_sandbox.api.connectors import targets
from logto_sandbox.api.patterns import ZOD_EMAIL
from logto_sandbox.errors import ApiError
from logto_sandbox.http.routing import Call, Routes
from logto_sandbox.http.schema import Array, Bool, Enum, Number, Obj, Text, validate
from logto_sandbox.store.relations import Row
from logto_sandbox.store.tenant import Tenant

routes = Routes("/api/sign-in-exp")

_SAMPLES = 20
_METHOD = Obj(
    {
        "identifier": Enum("username", "email", "phone"),
        "password": Bool(),
        "verificationCode": Bool(),
        "isPasswordPrimary": Bool(),
    }
)
_SIGN_UP = Obj(
    {
        "identifiers": Array(Enum("username", "email", "phone")),
        "password": Bool(),
        "verify": Bool(),
        "secondaryIdentifiers": Array(Obj(), optional=True),
    },
    optional=True,
)
_POLICIES = ("UserControlled", "Mandatory", "PromptOnlyAtSignIn", "PromptAtSignInAndSignUp", "NoPrompt")
_MANDATORY = ("PromptAtSignInAndSignUpMandatory", "PromptOnlyAtSignInMandatory")
_MFA = Obj(
    {
        "factors": Array(Enum("Totp", "WebAuthn", "BackupCode", "EmailVerificationCode", "PhoneVerificationCode")),
        "policy": Enum(*_POLICIES, *_MANDATORY),
        "organizationRequiredMfaPolicy": Text(optional=True),
    },
    optional=True,
)
_COLOR = Obj(
    {"primaryColor": Text(), "isDarkModeEnabled": Bool(), "darkPrimaryColor": Text()},
    optional=True,
)
_URL = Text(kind="url", empty=True, optional=True, nullable=True)
_ADDRESSES = ("termsOfUseUrl", "privacyPolicyUrl", "supportWebsiteUrl", "unknownSessionRedirectUrl")
_EMAIL_LISTS = ("customAllowlist", "customBlocklist")
# What a group gets that is given in part.
_PASSWORD_POLICY: dict[str, Row] = {
    "length": {"min": 8, "max": 256},
    "characterTypes": {"min": 1},
    "rejects": {"pwned": True, "repetitionAndSequence": True, "userInfo": True, "words": []},
}
_LISTS = ("socialSignInConnectorTargets", "forgotPasswordMethods")
_OBJECTS = (
    "socialSignIn customContent customUiCsp passwordPolicy adaptiveMfa captchaPolicy sentinelPolicy "
    "emailBlocklistPolicy verificationCodePolicy passkeySignIn"
)
_BODY = Obj(
    {
        "color": _COLOR,
        "branding": Obj(optional=True),
        "hideLogtoBranding": Bool(optional=True),
        "languageInfo": Obj({"autoDetect": Bool(), "fallbackLanguage": Text()}, optional=True),
        "agreeToTermsPolicy": Enum("Automatic", "ManualRegistrationOnly", "Manual", optional=True),
        "signIn": Obj({"methods": Array(_METHOD)}, optional=True),
        "signUp": _SIGN_UP,
        "signInMode": Enum("SignIn", "Register", "SignInAndRegister", optional=True),
        "mfa": _MFA,
        "customCss": Text(optional=True, nullable=True),
        "customUiAssets": Obj(optional=True, nullable=True),
        "singleSignOnEnabled": Bool(optional=True),
        "passwordExpiration": Obj(
            {"enabled": Bool(optional=True), "validPeriodDays": Number(optional=True)}, optional=True
        ),
        "usernamePolicy": Obj(optional=True),
        "signUpProfileFields": Array(Obj({"name": Text()}), optional=True, nullable=True),
        **{name: Array(Text(), optional=True, nullable=True) for name in _LISTS},
        **{name: Obj(optional=True) for name in _OBJECTS.split()},
        **dict.fromkeys(_ADDRESSES, _URL),
        "supportEmail": Text(pattern=ZOD_EMAIL, kind="email", empty=True, optional=True, nullable=True),
    }
)


@routes.get()
def get_sign_in_experience(call: Call) -> Row:
    return call.tenant.documents["sign_in_experience"]


@routes.patch(body=_BODY)
def patch_sign_in_experience(call: Call) -> Row:
    """JSON columns are replaced whole."""
    document = call.tenant.documents["sign_in_experience"]
    body = dict(call.body)
    kinds = {row["type"] for row in call.tenant.tables["connectors"].values()}
    if "signUp" in body:
        _check_sign_up(body["signUp"], kinds)
    if "signIn" in body:
        _check_sign_in(body["signIn"]["methods"], (document | body)["signUp"], kinds)
    _check_usernames(call.tenant, document, body)
    _check_mfa(document, body)
    _check_forgotten_passwords(body, kinds)
    if "passwordExpiration" in body:
        body["passwordExpiration"] = _expiration(call.tenant, document, body, kinds)
    if "socialSignInConnectorTargets" in body:
        known = targets(call.tenant)
        body["socialSignInConnectorTargets"] = [one for one in body["socialSignInConnectorTargets"] if one in known]
    if "emailBlocklistPolicy" in body:
        policy = body["emailBlocklistPolicy"]
        body["emailBlocklistPolicy"] = {
            name: list(dict.fromkeys(value)) if name in _EMAIL_LISTS else value for name, value in policy.items()
        }
    if "passwordPolicy" in body:
        policy = body["passwordPolicy"]
        body["passwordPolicy"] = {
            name: _PASSWORD_POLICY[name] | policy[name] for name in _PASSWORD_POLICY if name in policy
        }
    call.tenant.documents["sign_in_experience"] = document | stored(body)
    return call.tenant.documents["sign_in_experience"]


_CONNECTORS = {"email": "Email", "phone": "Sms"}


def _check_sign_up(sign_up: Row, kinds: set[str]) -> None:
    secondary = [entry.get("identifier") for entry in sign_up.get("secondaryIdentifiers", [])]
    identifiers = [*sign_up["identifiers"], *secondary]
    if secondary and not sign_up["identifiers"]:
        raise _refused("missing_sign_up_identifiers")
    if len(set(identifiers)) < len(identifiers):
        raise _refused("duplicated_sign_up_identifiers")
    if any(identifier != "username" for identifier in identifiers) and not sign_up["verify"]:
        raise _refused("passwordless_requires_verify")
    if any(_CONNECTORS.get(identifier) not in kinds for identifier in identifiers if identifier in _CONNECTORS):
        raise _refused("enabled_connector_not_found")


def _check_sign_in(methods: list[Row], sign_up: Row, kinds: set[str]) -> None:
    for method in methods:
        if method["verificationCode"] and _CONNECTORS.get(method["identifier"], "Email") not in kinds:
            raise _refused("enabled_connector_not_found")
    if not all(method["password"] or method["verificationCode"] for method in methods):
        raise _refused("at_least_one_authentication_factor")
    by_code = all(method["identifier"] == "username" or method["verificationCode"] for method in methods)
    if sign_up["verify"] and not sign_up["password"] and not by_code:
        raise _refused("code_sign_in_must_be_enabled")


def _check_mfa(document: Row, body: Row) -> None:
    """A code by message is either the way to sign in or a second factor; adaptive MFA needs mandatory MFA."""
    settings = document | body
    factors, policy = settings["mfa"].get("factors", []), settings["mfa"].get("policy")
    if "signIn" in body or "mfa" in body:
        by_code = {method["identifier"] for method in settings["signIn"]["methods"] if method["verificationCode"]}
        for identifier in ("email", "phone"):
            if identifier in by_code and f"{identifier.capitalize()}VerificationCode" in factors:
                use = "sign_in" if "signIn" in body else "mfa"
                raise _refused(f"{identifier}_verification_code_cannot_be_used_for_{use}")
    adaptive, mandatory = body.get("adaptiveMfa"), policy in _MANDATORY
    if adaptive is None and body.get("mfa") and factors:
        adaptive = {"enabled": bool(document["adaptiveMfa"].get("enabled"))}
    elif adaptive is None and body.get("mfa"):
        body["adaptiveMfa"] = {"enabled": False}
    if adaptive is None:
        return
    if adaptive.get("enabled") and not factors:
        raise _refused("adaptive_mfa_requires_mfa", 422)
    if adaptive.get("enabled") and not mandatory:
        raise _refused("adaptive_mfa_requires_non_skippable_policy", 422)
    if adaptive.get("enabled") is False and mandatory:
        raise _refused("non_adaptive_mfa_requires_skippable_policy", 422)


def _check_forgotten_passwords(body: Row, kinds: set[str]) -> None:
    needed = {"EmailVerificationCode": "Email", "PhoneVerificationCode": "Sms"}
    if any(needed.get(method) not in kinds for method in body.get("forgotPasswordMethods") or ()):
        raise _refused("forgot_password_method_requires_connector")


def _expiration(tenant: Tenant, document: Row, body: Row, kinds: set[str]) -> Row:
    """The policy with the moment it was turned on, which only the server sets."""
    before, asked = document["passwordExpiration"], body["passwordExpiration"]
    policy: Row = {"enabled": False} if asked.get("enabled") is False else before | asked
    if not policy.get("enabled"):
        return {key: value for key, value in policy.items() if key == "enabled"}
    if not (policy.get("validPeriodDays") or 0) >= 1:
        raise _refused("password_expiration_invalid_period_days", 422)
    if not (document | body)["forgotPasswordMethods"] or not kinds & {"Email", "Sms"}:
        raise _refused("password_expiration_requires_forgot_password", 422)
    since = before.get("enabledAt") if before.get("enabled") else None
    return policy | {"enabledAt": since or tenant.now_ms()}


# -- usernames that differ in case only


def _conflicts(tenant: Tenant, most: int) -> Row:
    names: dict[str, list[str]] = {}
    for row in tenant.tables["users"].values():
        if row["username"]:
            names.setdefault(row["username"].lower(), []).append(row["id"])
    found = [{"usernameLower": name, "userIds": held} for name, held in names.items() if len(held) > 1]
    return {"totalConflicts": len(found), "samples": found[:most]}


def _check_usernames(tenant: Tenant, document: Row, body: Row) -> None:
    if body.get("usernamePolicy", {}).get("caseSensitive") is not False:
        return
    conflicts = _conflicts(tenant, _SAMPLES)
    if document["usernamePolicy"]["caseSensitive"] and conflicts["totalConflicts"]:
        raise ApiError(409, "sign_in_experiences.username_policy_case_conflicts_exist", data=conflicts)


@routes.get("/username-policy/case-sensitivity-conflicts")
def list_case_conflicts(call: Call) -> Row:
    asked = call.first("limit")
    try:
        limit: float | str = _SAMPLES if asked is None else float(asked)
    except ValueError:
        limit = str(asked)
    checked = validate(Obj({"limit": Number(1, 100)}), {"limit": limit}, "query")
    return _conflicts(call.tenant, int(checked["limit"]))


def _refused(reason: str, status: int = 400) -> ApiError:
    return ApiError(status, f"sign_in_experiences.{reason}")
