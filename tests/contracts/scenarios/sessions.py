"""What a sign-in leaves behind, and what of it each way to end it takes away."""

from __future__ import annotations

from tests.contracts.contract import Step
from tests.contracts.scenarios.steps import gone, user
from tests.real.end_user import PASSWORD

_SESSIONS = "/api/users/<ann>/sessions"
_GRANTS = "/api/users/<ann>/grants"
_WEB = {
    "name": "<run>-web",
    "type": "Traditional",
    "oidcClientMetadata": {"redirectUris": ["http://localhost:9/callback"], "postLogoutRedirectUris": []},
    "customClientMetadata": {"alwaysIssueRefreshToken": True},
}
_REFRESH = {"grant_type": "refresh_token", "refresh_token": "<refresh>", "client_id": "<web>", "client_secret": "<key>"}

_SIGN_IN = [
    Step("SIGN-IN <ann> <web>"),
    Step(f"GET {_GRANTS}", keep={"grant": "grants.0.id"}),
    Step(f"GET {_SESSIONS}", keep={"session": "sessions.0.payload.uid"}),
]
_LEFT = [Step(f"GET {_SESSIONS}"), Step(f"GET {_GRANTS}"), Step("POST /oidc/token", form=_REFRESH, auth="none")]

SESSIONS = [
    user("ann", password=PASSWORD),
    Step("POST /api/applications", _WEB, keep={"web": "id"}),
    Step("GET /api/applications/<web>/secrets", keep={"key": "0.value"}),
    Step(f"GET {_SESSIONS}"),
    Step(f"GET {_GRANTS}"),
    *_SIGN_IN,
    Step("GET /api/users/<ann>"),
    Step(f"GET {_SESSIONS}/<session>"),
    Step(f"GET {_SESSIONS}/none"),
    Step(f"GET {_GRANTS}?appType=firstParty"),
    Step(f"GET {_GRANTS}?appType=thirdParty"),
    Step(f"GET {_GRANTS}?appType=x"),
    Step(f"DELETE {_SESSIONS}/none"),
    Step(f"DELETE {_SESSIONS}/<session>?revokeGrantsTarget=thirdParty"),
    Step(f"DELETE {_GRANTS}/none"),
    Step("DELETE /api/users/none/grants/<grant>"),
    Step("GET /api/users/none/sessions"),
    Step("POST /oidc/token", form=_REFRESH, auth="none", keep={"refresh": "refresh_token"}),
    Step(f"DELETE {_SESSIONS}/<session>"),
    Step(f"DELETE {_SESSIONS}/<session>"),
    *_LEFT,
    Step(f"DELETE {_GRANTS}/<grant>"),
    Step(f"DELETE {_GRANTS}/<grant>"),
    *_SIGN_IN,
    Step(f"DELETE {_SESSIONS}/<session>?revokeGrantsTarget=firstParty"),
    *_LEFT,
    *_SIGN_IN,
    Step(f"DELETE {_GRANTS}/<grant>"),
    *_LEFT,
    Step(f"GET {_SESSIONS}", keep={"session": "sessions.0.payload.uid"}),
    Step(f"DELETE {_SESSIONS}/<session>"),
    *_SIGN_IN,
    Step("PATCH /api/users/<ann>/is-suspended", {"isSuspended": True}),
    *_LEFT,
    Step("PATCH /api/users/<ann>/is-suspended", {"isSuspended": False}),
    *_LEFT,
    *gone("users/<ann>", "applications/<web>"),
    Step(f"GET {_SESSIONS}"),
    Step(f"GET {_GRANTS}"),
]
