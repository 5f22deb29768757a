"""Refusals of the OpenID provider."""

from __future__ import annotations

from typing import Any

_NAMES = {
    "invalid_client": "InvalidClient",
    "invalid_grant": "InvalidGrant",
    "invalid_request": "InvalidRequest",
    "invalid_target": "InvalidTarget",
    "unsupported_grant_type": "UnsupportedGrantType",
    "access_denied": "AccessDenied",
}


class OidcError(Exception):
    """A refusal: ``{code, message, error, error_description}``.

    :param logged: whether the exchange reached the provider and so left a log row
    :param challenge: whether the answer carries WWW-Authenticate
    :param detail: what only the log row tells
    :param early: refused before the provider sees the request: no log row, no Cache-Control
    """

    def __init__(
        self,
        status: int,
        error: str,
        description: str,
        *,
        logged: bool = True,
        challenge: bool = False,
        detail: str | None = None,
        early: bool = False,
    ) -> None:
        super().__init__(description)
        self.status, self.error, self.description = status, error, description
        self.logged, self.challenge, self.detail = logged and not early, challenge, detail
        self.early = early

    def body(self, language: str, *, bare: bool = False) -> dict[str, Any]:
        """The JSON body; ``bare`` leaves only what OAuth 2.0 knows."""
        oauth = {"error": self.error, "error_description": self.description}
        message = f"The token request failed: {self.error}."
        words = message if language == "en" else f"[{language}] {message}"
        return oauth if bare else {"code": f"oidc.{self.error}", "message": words, **oauth}

    def logged_as(self) -> dict[str, Any]:
        """The error as a log row holds it."""
        name = "InvalidClientAuth" if self.status == 401 else _NAMES.get(self.error, "OIDCProviderError")
        shown: dict[str, Any] = {"message": self.error, "allow_redirect": True, "name": name, "error": self.error}
        shown |= {"status": 401 if self.status == 401 else 400, "statusCode": self.status, "expose": True}
        shown |= {"error_detail": self.detail} if self.detail else {}
        return shown | {"error_description": self.description}
