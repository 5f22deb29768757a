"""The password of a new person: in clear, or as a digest made elsewhere.

Source: Logto Management API, ``POST /api/users``; the server checks the shape of ``Legacy`` digests only, and a digest
that does not fit its algorithm is stored and never verifies. ``legacyVerify`` compares with lower-case hexadecimal
digits (firebase-scrypt: base64); the server's Argon2 knows version 19 only.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Literal, get_args

from airflow_provider_logto.exceptions import InvalidInput
from airflow_provider_logto.management import fields

Algorithm = Literal["Argon2i", "Argon2id", "Argon2d", "SHA1", "SHA256", "MD5", "Bcrypt", "Legacy"]
PASSWORD_ALGORITHMS: tuple[Algorithm, ...] = get_args(Algorithm)

_MAX_PASSWORD = 4096
_MAX_DIGEST = 256
_ARGON2 = r"\$%s\$v=19\$[mtp]=[0-9]+,[mtp]=[0-9]+,[mtp]=[0-9]+\$[A-Za-z0-9+/]+\$[A-Za-z0-9+/]+"
#: Algorithm -> how its digests look, as a pattern and in words.
_SHAPES: Mapping[str, tuple[str, str]] = {
    "MD5": ("[0-9a-f]{32}", "32 hexadecimal digits"),
    "SHA1": ("[0-9a-f]{40}", "40 hexadecimal digits"),
    "SHA256": ("[0-9a-f]{64}", "64 hexadecimal digits"),
    "Bcrypt": (r"\$2[abxy]\$[0-3][0-9]\$[./A-Za-z0-9]{53}", "$2b$<cost>$<salt and hash: 53 characters>"),
    "Argon2i": (_ARGON2 % "argon2i", "$argon2i$v=19$m=...,t=...,p=...$<salt>$<hash>"),
    "Argon2id": (_ARGON2 % "argon2id", "$argon2id$v=19$m=...,t=...,p=...$<salt>$<hash>"),
    "Argon2d": (_ARGON2 % "argon2d", "$argon2d$v=19$m=...,t=...,p=...$<salt>$<hash>"),
}
#: The Legacy algorithm whose hashes are base64.
_BASE64 = "firebase-scrypt"
_HEXADECIMAL = frozenset({"MD5", "SHA1", "SHA256"})


def checked_password(password: Any, digest: Any, algorithm: Any) -> dict[str, str]:
    """The password part of ``POST /api/users``.

    :raises InvalidInput: for both password and digest, a digest without algorithm, an unknown algorithm, a digest that
        cannot be one of its algorithm. The message never shows the digest.
    """
    secret = fields.text("password", password, _MAX_PASSWORD)
    hashed = fields.text("password_digest", digest, _MAX_DIGEST)
    method = fields.text("password_algorithm", algorithm)
    if secret and hashed:
        raise InvalidInput("password", "give either password or password_digest, not both")
    if hashed and not method:
        raise InvalidInput("password_algorithm", f"missing; one of {', '.join(PASSWORD_ALGORITHMS)}")
    if method and not hashed:
        raise InvalidInput("password_digest", "missing; password_algorithm goes with a digest only")
    if method and method not in PASSWORD_ALGORITHMS:
        raise InvalidInput("password_algorithm", f"{method!r} is unknown; one of {', '.join(PASSWORD_ALGORITHMS)}")
    if secret:
        return {"password": secret}
    return {"passwordDigest": _digest(hashed, method), "passwordAlgorithm": method} if hashed and method else {}


def _digest(digest: str, algorithm: str) -> str:
    if algorithm == "Legacy":
        name, expected = _legacy(digest)
        if not name or (name != _BASE64 and not re.fullmatch("[0-9A-Fa-f]+", expected)):
            raise InvalidInput(
                "password_digest",
                'is no Legacy digest; write a JSON array: ["sha512", ["<salt>", "@"], "<hash>"], @ is the password '
                f"and <hash> hexadecimal (of {_BASE64}: base64)",
            )
        # The last occurrence, and not the whole array anew: escaped characters stay as they are.
        head, found, tail = digest.rpartition(expected)
        return digest if name == _BASE64 else f"{head}{found.lower()}{tail}"
    # The server compares text: in upper case it would never verify.
    digest = digest.lower() if algorithm in _HEXADECIMAL else digest
    pattern, words = _SHAPES[algorithm]
    if not re.fullmatch(pattern, digest):
        raise InvalidInput("password_digest", f"is no {algorithm} digest; that looks like {words}")
    return digest


def _legacy(digest: str) -> tuple[str, str]:
    """Algorithm and expected hash of a Legacy digest; empty ones where it is none."""
    try:
        name, arguments, expected = json.loads(digest)
    except (ValueError, TypeError, RecursionError):
        return "", ""
    fits = (
        all(isinstance(one, str) and one for one in (name, expected))
        and isinstance(arguments, list)
        and all(isinstance(one, str) for one in arguments)
        and "@" in arguments
    )
    return (name, expected) if fits else ("", "")
