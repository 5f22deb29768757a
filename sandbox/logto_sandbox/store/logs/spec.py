"""Reading from JSON which log rows to insert: explicit ones, or a description of generated ones."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from logto_sandbox.store.logs.rows import PATTERNS, LogSpec
from logto_sandbox.store.logs.store import LogStore

MOST_ROWS = 10_000_000
_DAY_MS = 86_400_000
# field -> (JSON name, types, lowest, highest)
_NUMBERS: dict[str, tuple[str, tuple[type, ...], float, float]] = {
    "count": ("count", (int,), 0, MOST_ROWS),
    "bursts": ("bursts", (int,), 1, MOST_ROWS),
    "burst_ms": ("burst_ms", (int,), 0, 2**53),
    "ties": ("ties", (int,), 1, MOST_ROWS),
    "error_share": ("error_share", (int, float), 0, 1),
    "seed": ("seed", (int,), -(2**63), 2**63),
}
_FIELDS = {*_NUMBERS, "start", "end", "pattern", "whole_ms", "keys", "users", "applications", "hook_id"}
_ROW_FIELDS = {"key", "payload", "createdAt", "id", "tenantId"}


class LogSpecError(ValueError):
    """Rows or a description that cannot be understood; the text begins with the field's name."""


def insert_logs(logs: LogStore, rows: Mapping[str, Any] | Sequence[Any], now_ms: int | None = None) -> dict[str, Any]:
    """Insert generated rows (an object) or explicit ones (a list).

    :param rows: ``{"count", "start", "end", "pattern", "bursts", "burst_ms", "ties", "whole_ms", "keys", "users",
        "applications", "hook_id", "error_share", "seed"}``, see :class:`log_rows.LogSpec`; ``start`` and ``end``
        are epoch ms or ISO 8601 with an offset, by default the last 24 hours. Or rows
        ``{"key", "createdAt", "payload"?}``
    :return: ``{"count", "first", "last"}``, times in epoch ms
    :raises LogSpecError: nothing was inserted then
    """
    now = int(time.time() * 1000) if now_ms is None else now_ms
    if isinstance(rows, Mapping):
        return logs.insert(read_spec(rows, now))
    if isinstance(rows, (str, bytes)) or not isinstance(rows, Sequence):
        raise LogSpecError(f"logs: expected an object or a list of rows, got {rows!r}")
    checked = [_row(number, row) for number, row in enumerate(rows)]
    for row in checked:
        logs.append_row(row)
    times = [row["createdAt"] for row in checked]
    return {"count": len(checked), "first": min(times, default=None), "last": max(times, default=None)}


def read_spec(fields: Mapping[str, Any], now_ms: int) -> LogSpec:
    """The spec a JSON object means.

    :raises LogSpecError: unknown field or wrong value
    """
    if unknown := sorted(set(fields) - _FIELDS):
        raise LogSpecError(f"{unknown[0]}: unknown field; known: {', '.join(sorted(_FIELDS))}")
    if "count" not in fields:
        raise LogSpecError("count: required, the number of rows")
    values: dict[str, Any] = {name: _number(name, fields[name]) for name in _NUMBERS if name in fields}
    values["end_ms"] = _moment("end", fields.get("end", now_ms))
    values["start_ms"] = _moment("start", fields.get("start", values["end_ms"] - _DAY_MS))
    if values["start_ms"] > values["end_ms"]:
        raise LogSpecError("start: after end")
    for name, reader in _READERS.items():
        if name in fields:
            values[name] = reader(name, fields[name])
    return LogSpec(**values)


def _number(name: str, value: Any) -> Any:
    _, types, low, high = _NUMBERS[name]
    good = isinstance(value, types) and not isinstance(value, bool)
    if not good or not low <= value <= high:
        raise LogSpecError(f"{name}: expected a number from {low:g} to {high:g}, got {value!r}")
    return value


def _moment(name: str, value: Any) -> int:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return int(value)
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError) as error:
        raise LogSpecError(f"{name}: expected epoch ms or ISO 8601, got {value!r}") from error
    if moment.tzinfo is None:
        raise LogSpecError(f"{name}: {value!r} has no offset from UTC")
    return int(moment.timestamp() * 1000)


def _pattern(name: str, value: Any) -> str:
    if value not in PATTERNS:
        raise LogSpecError(f"{name}: {value!r} is not one of {', '.join(PATTERNS)}")
    return str(value)


def _flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise LogSpecError(f"{name}: expected true or false, got {value!r}")
    return value


def _texts(name: str, value: Any) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(text, str) and text for text in value):
        raise LogSpecError(f"{name}: expected a list of texts, got {value!r}")
    return value


def _keys(name: str, value: Any) -> Mapping[str, float] | list[str]:
    weights = value.values() if isinstance(value, dict) else ()
    if not value or not all(isinstance(weight, (int, float)) and weight > 0 for weight in weights):
        raise LogSpecError(f"{name}: expected log keys, or an object of log keys and weights, got {value!r}")
    return value if isinstance(value, dict) else _texts(name, value)


def _users(name: str, value: Any) -> int | list[str]:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 1_000_000:
        return value
    return _texts(name, value)


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise LogSpecError(f"{name}: expected a text, got {value!r}")
    return value


_READERS = {
    "pattern": _pattern,
    "whole_ms": _flag,
    "keys": _keys,
    "users": _users,
    "applications": _texts,
    "hook_id": _text,
}


def _row(number: int, row: Any) -> dict[str, Any]:
    where = f"logs[{number}]"
    if not isinstance(row, Mapping):
        raise LogSpecError(f"{where}: expected an object, got {row!r}")
    if unknown := sorted(set(row) - _ROW_FIELDS):
        raise LogSpecError(f"{where}.{unknown[0]}: unknown field")
    try:
        key = _text("key", row.get("key"))
        created_at = _moment("createdAt", row.get("createdAt"))
    except LogSpecError as error:
        raise LogSpecError(f"{where}.{error}") from error
    payload = row.get("payload", {})
    if not isinstance(payload, Mapping):
        raise LogSpecError(f"{where}.payload: expected an object, got {payload!r}")
    return {"key": key, "payload": {"key": key, "result": "Success", **payload}, "createdAt": created_at}
