"""The tenant's signing key: P-384 as on fresh Logto tenants."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec

ALGORITHM = "ES384"


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


class SigningKey:
    """One private key with the public half as a JWK."""

    def __init__(self) -> None:
        self._private = ec.generate_private_key(ec.SECP384R1())
        self.public = self._private.public_key()
        numbers = self.public.public_numbers()
        x, y = (_base64url(number.to_bytes(48, "big")) for number in (numbers.x, numbers.y))
        # RFC 7638: the thumbprint of the required members in this order is the key id.
        thumbprint = json.dumps({"crv": "P-384", "kty": "EC", "x": x, "y": y}, separators=(",", ":"))
        self.kid = _base64url(hashlib.sha256(thumbprint.encode()).digest())
        self.jwk = {
            "kty": "EC",
            "use": "sig",
            "kid": self.kid,
            "alg": ALGORITHM,
            "crv": "P-384",
            "x": x,
            "y": y,
        }

    def sign(self, claims: dict[str, Any], kind: str | None = "at+jwt") -> str:
        """A compact JWT of these claims."""
        return jwt.encode(claims, self._private, algorithm=ALGORITHM, headers={"typ": kind, "kid": self.kid})
