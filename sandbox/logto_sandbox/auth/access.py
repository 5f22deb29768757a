"""Who may call the Management API: the checks of a bearer token, in the server's order."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

import jwt

from logto_sandbox.errors import ApiError
from logto_sandbox.store.keys import ALGORITHM
from logto_sandbox.store.relations import Row
from logto_sandbox.store.tenant import Tenant

_KEPT = 256
_FAMILIES = ("ES", "RS", "PS", "Ed")
_NAMES = {
    "ERR_JOSE_NOT_SUPPORTED": "JOSENotSupported",
    "ERR_JWS_INVALID": "JWSInvalid",
    "ERR_JWT_INVALID": "JWTInvalid",
    "ERR_JWT_EXPIRED": "JWTExpired",
    "ERR_JWT_CLAIM_VALIDATION_FAILED": "JWTClaimValidationFailed",
    "ERR_JWKS_NO_MATCHING_KEY": "JWKSNoMatchingKey",
    "ERR_JWS_SIGNATURE_VERIFICATION_FAILED": "JWSSignatureVerificationFailed",
}


class Gate:
    """Checks tokens for one tenant. Signatures once verified are remembered: the check costs a millisecond."""

    def __init__(self, tenant: Tenant) -> None:
        self.tenant = tenant
        self._verified: dict[tuple[str, str], dict[str, Any]] = {}

    def check(self, authorization: str | None, issuer: str) -> None:
        """Lets an Authorization header pass.

        :param issuer: the tenant's issuer for this request
        :raises ApiError: 401 ``auth.*`` or 403 ``auth.forbidden``
        """
        claims = self._claims(_bearer(authorization))
        self._judge(claims, issuer)
        if not claims.get("sub"):
            raise ApiError(401, "auth.jwt_sub_missing")
        if "all" not in str(claims.get("scope", "")).split(" "):
            raise ApiError(403, "auth.forbidden")

    def access_token(self, authorization: str | None) -> Row:
        """The opaque access token of an end user.

        :raises ApiError: 401 ``auth.*`` or 403 ``auth.forbidden`` without the scope ``openid``
        """
        row = self.tenant.tables["access_tokens"].get(_bearer(authorization))
        if row is None or row["expiresAt"] <= self.tenant.now_ms():
            raise ApiError(401, "auth.unauthorized")
        if "openid" not in row["scope"].split():
            raise ApiError(403, "auth.forbidden")
        return row

    def _claims(self, token: str) -> dict[str, Any]:
        key = self.tenant.key
        known = self._verified.get((token, key.kid))
        if known is not None:
            return known
        header = _part(token, 0)
        if token.count(".") != 2 or header is None:
            raise _refused("ERR_JWS_INVALID")
        if not str(header.get("alg")).startswith(_FAMILIES):
            raise _refused("ERR_JOSE_NOT_SUPPORTED")
        if header.get("kid") != key.kid or header.get("alg") != ALGORITHM:
            raise _refused("ERR_JWKS_NO_MATCHING_KEY")
        try:
            jwt.PyJWS().decode(token, key.public, algorithms=[ALGORITHM])
        except jwt.PyJWTError as error:
            raise _refused("ERR_JWS_SIGNATURE_VERIFICATION_FAILED") from error
        claims = _part(token, 1)
        if claims is None:
            raise _refused("ERR_JWT_INVALID")
        if len(self._verified) >= _KEPT:
            self._verified.clear()
        self._verified[token, key.kid] = claims
        return claims

    def _judge(self, claims: dict[str, Any], issuer: str) -> None:
        wanted = {"iss": issuer, "aud": self.tenant.settings.resource}
        for claim, value in wanted.items():
            if claims.get(claim) != value:
                raise _refused("ERR_JWT_CLAIM_VALIDATION_FAILED", claim, claims)
        now = self.tenant.now_ms() / 1000
        # No tolerance for clocks that disagree.
        if now < claims.get("nbf", 0):
            raise _refused("ERR_JWT_CLAIM_VALIDATION_FAILED", "nbf", claims)
        if claims.get("exp", 0) <= int(now):
            raise _refused("ERR_JWT_EXPIRED", "exp", claims)


def _bearer(authorization: str | None) -> str:
    if authorization is None:
        raise ApiError(401, "auth.authorization_header_missing")
    # The scheme is compared with case, unlike RFC 9110 asks for.
    if not authorization.startswith("Bearer"):
        raise ApiError(401, "auth.authorization_token_type_not_supported", data={"supportedTypes": ["Bearer"]})
    return authorization.removeprefix("Bearer").strip()


def _part(token: str, index: int) -> dict[str, Any] | None:
    """The header (0) or payload (1) of a compact JWT, None when it is no JSON object."""
    try:
        raw = token.split(".")[index]
        found = json.loads(base64.urlsafe_b64decode(raw + "=" * (-len(raw) % 4)))
    except (IndexError, ValueError, binascii.Error):
        return None
    return found if isinstance(found, dict) else None


def _refused(code: str, claim: str | None = None, claims: dict[str, Any] | None = None) -> ApiError:
    data: dict[str, Any] = {"code": code, "name": _NAMES[code]}
    if claim:
        data |= {"claim": claim, "reason": "check_failed", "payload": claims}
    return ApiError(401, "auth.unauthorized", data=data)
