"""Webhooks from Logto: is this delivery genuine and fresh, and what does it say?

Logto signs the raw body of a delivery with the signing key of the webhook: header ``logto-signature-sha-256``,
lower-case hex HMAC-SHA256. There is neither a timestamp nor a delivery id beside it, so the signature of an old
delivery stays good. :func:`verify` therefore judges the signed ``createdAt`` too; a receiver that must not act twice
within the tolerance remembers the SHA-256 of the raw body (``docs/webhooks.md`` shows how).

Source: Logto docs, "Securing your webhooks".
"""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from airflow_provider_logto.exceptions import InvalidInput, WebhookRejected

#: The header that carries the signature.
SIGNATURE_HEADER = "logto-signature-sha-256"


def sign(raw_body: bytes | str, signing_key: str) -> str:
    """The signature that Logto would send for a body, for your own tests.

    :param raw_body: the body exactly as it is sent.
    :param signing_key: the webhook's signing key.
    :returns: lower-case hex HMAC-SHA256.
    :raises InvalidInput: for an empty key, or a body that is already parsed.
    """
    (key,) = _keys([signing_key])
    return hmac.new(key, _raw(raw_body), hashlib.sha256).hexdigest()


def verify(
    raw_body: bytes | str,
    signature: str | None,
    signing_keys: str | Iterable[str],
    tolerance: float | None = 300,
) -> dict[str, Any]:
    """Check a delivery and return its event.

    :param raw_body: the body exactly as it arrived, before any parsing.
    :param signature: the header ``logto-signature-sha-256``.
    :param signing_keys: the webhook's signing key, or several: Logto replaces a key at once, so a receiver accepts the
        old and the new one for as long as deliveries signed with the old one may arrive.
    :param tolerance: seconds by which the signed ``createdAt`` may differ from now, in either direction; None accepts
        any age (to read stored deliveries).
    :returns: the event: ``{"event", "createdAt", "hookId", ...}``.
    :raises WebhookRejected: where the signature is missing or wrong, the delivery is too old, or the body is no event.
    :raises InvalidInput: for no or an empty signing key, a body that is already parsed, a tolerance that is no number.
    """
    raw, keys = _raw(raw_body), _keys(signing_keys)
    if tolerance is not None and (not isinstance(tolerance, int | float) or not tolerance >= 0):
        raise InvalidInput("tolerance", f"must be a number of seconds, or None; got {tolerance!r}")
    if not isinstance(signature, str) or not signature:
        raise WebhookRejected(f"the header {SIGNATURE_HEADER} is missing or empty")
    given = signature.encode("utf-8", "surrogatepass")
    # Every key is tried, so that the time taken does not tell which one fits.
    fits = [hmac.compare_digest(hmac.new(key, raw, hashlib.sha256).hexdigest().encode(), given) for key in keys]
    if not any(fits):
        raise WebhookRejected("the signature fits none of the signing keys: another key, or a changed body")
    event = _event(raw)
    if tolerance is not None:
        _refuse_old(event["createdAt"], tolerance)
    return event


def _raw(body: Any) -> bytes:
    if isinstance(body, str):
        return _encoded("raw_body", body)
    if isinstance(body, bytes | bytearray | memoryview):
        return bytes(body)
    raise InvalidInput("raw_body", f"must be the bytes that arrived, before any parsing; got {type(body).__name__}")


def _keys(given: Any) -> list[bytes]:
    keys = [given] if isinstance(given, str) else list(given) if isinstance(given, Iterable) else []
    if not keys or not all(isinstance(key, str) and key for key in keys):
        # An empty key would accept what anybody can sign.
        raise InvalidInput("signing_keys", "give at least one signing key, none of them empty (Console: Webhooks)")
    return [_encoded("signing_keys", key) for key in keys]


def _encoded(field: str, text: str) -> bytes:
    """The bytes that a text was made of."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise InvalidInput(field, "contains half of a surrogate pair; it was decoded wrongly somewhere") from None


def _event(raw: bytes) -> dict[str, Any]:
    try:
        event = json.loads(raw)
    except (ValueError, RecursionError):
        raise WebhookRejected("the body is not JSON") from None
    if not isinstance(event, dict) or not all(isinstance(event.get(key), str) for key in ("event", "createdAt")):
        raise WebhookRejected("the body is not a Logto event: event or createdAt is missing")
    return event


def _refuse_old(created_at: str, tolerance: float) -> None:
    try:
        age = time.time() - datetime.fromisoformat(created_at).timestamp()
    except (ValueError, OverflowError):
        raise WebhookRejected("createdAt is no ISO 8601 time") from None
    if abs(age) > tolerance:
        when = f"{age:.0f} s ago" if age > 0 else f"{-age:.0f} s in the future"
        raise WebhookRejected(f"the event was created {when}; the tolerance is {tolerance:.0f} s")
