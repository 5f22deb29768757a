"""Encrypts what is shared between tasks with the application's own secret.

Without the Connection nobody can read a kept token or tell whose it is; with it, no further key is needed. A
rotated secret leads to other names, so that it neither reads nor evicts what the old one kept.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from dataclasses import asdict

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from airflow_provider_logto.client.auth.token_cache import Token

_NONCE = 12


class Vault:
    """Names and encrypts tokens under one application secret (HKDF-SHA256, HMAC-SHA256, AES-256-GCM).

    :param secret: the application's secret.
    """

    def __init__(self, secret: str) -> None:
        self._naming = _subkey(secret, b"name")
        self._sealing = AESGCM(_subkey(secret, b"content"))

    def name(self, key: str) -> str:
        """Under which name the token of ``key`` is kept: 64 hex digits that tell nothing."""
        return hmac.new(self._naming, key.encode(), hashlib.sha256).hexdigest()

    def seal(self, name: str, token: Token) -> bytes:
        """The token encrypted; readable only with the same secret and under the same name."""
        nonce = os.urandom(_NONCE)
        return nonce + self._sealing.encrypt(nonce, json.dumps(asdict(token)).encode(), name.encode())

    def open(self, name: str, sealed: bytes) -> Token | None:
        """The token, or None for anything that is not one of ours: damaged, foreign, moved."""
        try:
            plain = self._sealing.decrypt(sealed[:_NONCE], sealed[_NONCE:], name.encode())
            return Token(**json.loads(plain))
        except (InvalidTag, ValueError, TypeError):
            return None


def _subkey(secret: str, purpose: bytes) -> bytes:
    return HKDF(SHA256(), 32, salt=None, info=b"airflow-provider-logto " + purpose).derive(secret.encode())
