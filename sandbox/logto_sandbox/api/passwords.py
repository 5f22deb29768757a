"""Passwords and imported digests. Own passwords are kept as salted scrypt under the name of Logto's algorithm."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
from typing import Any, NamedTuple

from logto_sandbox.errors import ApiError, BareError

ALGORITHMS = ("Argon2i", "Argon2id", "Argon2d", "SHA1", "SHA256", "MD5", "Bcrypt", "Legacy")
_OWN = "sandbox$"
_PLAIN = {"MD5": "md5", "SHA1": "sha1", "SHA256": "sha256"}
_COST = {"n": 2**10, "r": 8, "p": 1}
_PBKDF2 = ("pbkdf2", "pbkdf2Sync")
_FIREBASE = "firebase-scrypt"
# Node's names of hashes that Python has as well.
_NODE_HASHES = {name: name.replace("-", "_") for name in ("md5", "sha1", "sha224", "sha256", "sha384", "sha512")}
_NODE_HASHES |= {f"sha3-{size}": f"sha3_{size}" for size in (224, 256, 384, 512)}
_BCRYPT = re.compile(r"\$2[axyb]?\$\d\d\$[./A-Za-z0-9]{53}")
_ARGON2 = re.compile(r"\$argon2(id|i|d)\$v=\d+\$([mtp]=\d+,?){3}\$[A-Za-z0-9+/]+\$[A-Za-z0-9+/]+")


def hashed(password: str) -> dict[str, str]:
    """What is stored of a plain password: ``passwordDigest`` and ``passwordAlgorithm``."""
    salt = secrets.token_hex(8)
    digest = hashlib.scrypt(password.encode(), salt=salt.encode(), **_COST).hex()
    return {"passwordDigest": f"{_OWN}{salt}${digest}", "passwordAlgorithm": "Argon2i"}


def matches(kept: dict[str, str], password: str) -> bool:
    """Whether a password fits what is stored. Well-formed imported Argon2, Bcrypt and Firebase digests match nothing
    here: the sandbox brings no library for them.

    :raises BareError: for a digest that the real server's libraries cannot parse
    """
    digest, algorithm = kept["passwordDigest"], kept["passwordAlgorithm"]
    if digest.startswith(_OWN):
        _, salt, expected = digest.split("$")
        found = hashlib.scrypt(password.encode(), salt=salt.encode(), **_COST).hex()
        return hmac.compare_digest(found, expected)
    if algorithm == "Legacy":
        return _matches_legacy(parse_legacy(digest), password)
    if algorithm not in _PLAIN:
        if not (_BCRYPT if algorithm == "Bcrypt" else _ARGON2).fullmatch(digest):
            raise BareError
        return False
    found = hashlib.new(_PLAIN[algorithm], password.encode()).hexdigest()
    return hmac.compare_digest(found.encode(), digest.encode())


class Legacy(NamedTuple):
    """A Legacy digest, taken apart."""

    algorithm: str
    arguments: list[str]
    digest: str


def parse_legacy(text: str | None) -> Legacy:
    """A Legacy digest: a JSON text ``[algorithm, [arguments], hash]``; the argument ``@`` stands for the password.

    :raises ApiError: 400 ``password.*``
    """
    if not text:
        raise ApiError(400, "password.unsupported_encryption_method")
    try:
        parts: Any = json.loads(text)
    except ValueError:
        parts = None
    invalid = ApiError(400, "password.invalid_legacy_password_format")
    if not isinstance(parts, list) or len(parts) != 3 or not isinstance(parts[1], list):
        raise invalid
    algorithm, arguments, digest = parts
    if not all(isinstance(part, str) for part in (algorithm, digest, *arguments)) or "@" not in arguments:
        raise invalid
    if algorithm.lower() not in _NODE_HASHES and algorithm not in (*_PBKDF2, _FIREBASE):
        raise ApiError(400, "password.unsupported_legacy_hash_algorithm")
    if algorithm in _PBKDF2 and _salt(arguments[0]) is None:
        raise invalid
    return Legacy(algorithm, arguments, digest)


def _salt(text: str) -> bytes | None:
    """The bytes of a PBKDF2 salt, None for one that says ``hex:`` and is not."""
    if not text.startswith("hex:"):
        return text.encode()
    try:
        return bytes.fromhex(text[4:]) or None
    except ValueError:
        return None


def _matches_legacy(legacy: Legacy, password: str) -> bool:
    """A digest that cannot be computed matches nothing."""
    arguments = [password if argument == "@" else argument for argument in legacy.arguments]
    if legacy.algorithm == _FIREBASE:
        return False
    try:
        if legacy.algorithm in _PBKDF2:
            _, iterations, length, name, *_ = arguments
            salt = _salt(legacy.arguments[0]) or b""
            found = hashlib.pbkdf2_hmac(name, password.encode(), salt, int(iterations), int(length)).hex()
        else:
            name = _NODE_HASHES[legacy.algorithm.lower()]
            found = hashlib.new(name, "".join(arguments).encode()).hexdigest()
    except ValueError:
        return False
    return found == legacy.digest
