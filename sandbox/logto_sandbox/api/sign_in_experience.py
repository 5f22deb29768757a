"""The sign-in experience. The sandbox has no sign-in page: settings are kept and checked, nothing follows from them."""

from __future__ import annotations

from logto_sandbox.api.common import stored
from logto_sandbox.errors import ApiError
from logto_sandbox.http.routing import Call, Routes
from logto_sandbox.http.schema import Array, Bool, Enum, Number, Obj, Text
from logto_sandbox.store.relations import Row

routes = Routes("/api/sign-in-exp")

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
        **dict.fromkeys(("termsOfUseUrl", "privacyPolicyUrl", "supportWebsiteUrl"), _URL),
        **dict.fromkeys(("supportEmail", "unknownSessionRedirectUrl"), _URL),
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
    if "socialSignInConnectorTargets" in body:
        body["socialSignInConnectorTargets"] = []  # only targets of existing social connectors stay: there are none
    for name in ("termsOfUseUrl", "privacyPolicyUrl", "supportWebsiteUrl", "supportEmail", "unknownSessionRedirectUrl"):
        if body.get(name) == "":
            body[name] = None
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
    if "username" in identifiers and not sign_up["password"]:
        raise _refused("username_requires_password")


def _check_sign_in(methods: list[Row], sign_up: Row, kinds: set[str]) -> None:
    for method in methods:
        if method["verificationCode"] and _CONNECTORS.get(method["identifier"], "Email") not in kinds:
            raise _refused("enabled_connector_not_found")
    if not all(method["password"] or method["verificationCode"] for method in methods):
        raise _refused("at_least_one_authentication_factor")
    by_code = all(method["identifier"] == "username" or method["verificationCode"] for method in methods)
    if sign_up["verify"] and not sign_up["password"] and not by_code:
        raise _refused("code_sign_in_must_be_enabled")


def _refused(reason: str) -> ApiError:
    return ApiError(400, f"sign_in_experiences.{reason}")
