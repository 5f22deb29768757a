"""Passwords and imported digests. Own passwords are kept as salted scrypt under the name of Logto's algorithm."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from typing import Any

from logto_sandbox.errors import ApiError

ALGORITHMS = ("Argon2i", "Argon2id", "Argon2d", "SHA1", "SHA256", "MD5", "Bcrypt", "Legacy")
_OWN = "sandbox$"
_PLAIN = {"MD5": "md5", "SHA1": "sha1", "SHA256": "sha256"}
_COST = {"n": 2**10, "r": 8, "p": 1}
_NODE_HASHES = frozenset({"md5", "sha1", "sha224", "sha256", "sha384", "sha512", "ripemd160"})
_DERIVATIONS = frozenset({"pbkdf2", "pbkdf2Sync", "firebase-scrypt"})


def hashed(password: str) -> dict[str, str]:
    """What is stored of a plain password: ``passwordDigest`` and ``passwordAlgorithm``."""
    salt = secrets.token_hex(8)
    digest = hashlib.scrypt(password.encode(), salt=salt.encode(), **_COST).hex()
    return {"passwordDigest": f"{_OWN}{salt}${digest}", "passwordAlgorithm": "Argon2i"}


def matches(kept: dict[str, str], password: str) -> bool:
    """Whether a password fits what is stored. Imported Argon2, Bcrypt and Legacy digests match nothing here:
    the sandbox brings no library for them."""
    digest, algorithm = kept["passwordDigest"], kept["passwordAlgorithm"]
    if digest.startswith(_OWN):
        _, salt, expected = digest.split("$")
        found = hashlib.scrypt(password.encode(), salt=salt.encode(), **_COST).hex()
        return hmac.compare_digest(found, expected)
    name = _PLAIN.get(algorithm)
    return name is not None and hmac.compare_digest(hashlib.new(name, password.encode()).hexdigest(), digest)


def check_legacy(digest: str | None) -> None:
    """Checks the form of a Legacy digest: a JSON text ``[algorithm, [arguments], hash]``.

    :raises ApiError: 400 ``password.*``
    """
    try:
        parts: Any = json.loads(digest or "")
    except ValueError:
        parts = None
    if not isinstance(parts, list) or len(parts) != 3 or not isinstance(parts[1], list):
        raise ApiError(400, "password.invalid_legacy_password_format")
    if parts[0] not in _NODE_HASHES | _DERIVATIONS:
        raise ApiError(400, "password.unsupported_legacy_hash_algorithm")
