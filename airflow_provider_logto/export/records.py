"""What one exported row looks like, and what may be blacked out in it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from airflow_provider_logto.management.audit_logs.rows import MAX_DEPTH, Row

#: What an exported row repeats of its payload.
LIFTED = ("result", "userId", "applicationId", "ip", "userAgent")
#: Columns of every export, in this order.
COLUMNS = ("id", "createdAt", "createdAtIso", "key", *LIFTED, "payload")
#: What stands in the place of a redacted value.
REDACTED = "[redacted]"
#: What can be redacted: name -> the fields it covers, wherever they stand in a row (``parent.field``: only there).
REDACTIONS: Mapping[str, frozenset[str]] = {
    "authorization_code": frozenset({"params.code", "params.code_verifier"}),
    "ip": frozenset({"ip"}),
    "user_agent": frozenset({"userAgent", "userAgentParsed"}),
    "user_id": frozenset({"userId"}),
    "session_id": frozenset({"sessionId"}),
    "identifier": frozenset({"identifier"}),
}

# Without a zone, since isoformat would write it as +00:00.
_EPOCH = datetime(1970, 1, 1)


def iso(moment_ms: int) -> str:
    """Epoch ms -> ``2026-01-31T12:00:00.000Z``."""
    minute, rest = divmod(moment_ms, 60_000)
    second, millisecond = divmod(rest, 1000)
    return _minute(minute) + _SECONDS[second] + _MILLISECONDS[millisecond]


_SECONDS = [f":{number:02d}." for number in range(60)]
_MILLISECONDS = [f"{number:03d}Z" for number in range(1000)]


# Rows come in their order: most share the minute of the one before.
@lru_cache(maxsize=64)
def _minute(number: int) -> str:
    return (_EPOCH + timedelta(minutes=number)).isoformat(timespec="minutes")


def record(row: Row, hidden: frozenset[str] = frozenset()) -> dict[str, Any]:
    """One audit log in columns.

    :param hidden: fields to redact, see :func:`hidden_fields`.
    :returns: the values of :data:`COLUMNS`; a field that the payload lacks is None.
    """
    payload = json.loads(bytes(row.payload)) or {}
    if hidden:
        payload = _redact(payload, "", hidden, 0)
    return {
        "id": row.id,
        "createdAt": row.created_at,
        "createdAtIso": iso(row.created_at),
        "key": row.key,
        **{name: payload.get(name) if isinstance(payload, Mapping) else None for name in LIFTED},
        "payload": payload,
    }


def hidden_fields(names: tuple[str, ...]) -> frozenset[str]:
    """The fields that some names of :data:`REDACTIONS` cover."""
    return frozenset().union(*(REDACTIONS[name] for name in names))


def _redact(value: Any, parent: str, hidden: frozenset[str], depth: int) -> Any:
    if isinstance(value, Mapping):
        return {
            name: REDACTED
            if inner is not None and (name in hidden or f"{parent}.{name}" in hidden)
            else _redact(inner, name, hidden, depth + 1)
            for name, inner in value.items()
        }
    if isinstance(value, list):
        return [_redact(inner, parent, hidden, depth + 1) for inner in value]
    if depth >= MAX_DEPTH and isinstance(value, str):
        return REDACTED  # may hold the JSON of what lies deeper
    return value
