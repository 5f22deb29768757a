"""What one exported user looks like."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from airflow_provider_logto.exceptions import InvalidInput

#: Field of an exported user -> its kind, in the order of the columns; ``json`` is a JSON text in Parquet.
FIELDS: Mapping[str, str] = {
    "id": "text",
    "username": "text",
    "primaryEmail": "text",
    "primaryPhone": "text",
    "name": "text",
    "avatar": "text",
    "isSuspended": "boolean",
    "hasPassword": "boolean",
    "createdAt": "integer",
    "updatedAt": "integer",
    "lastSignInAt": "integer",
    "applicationId": "text",
    "profile": "json",
    "customData": "json",
    "identities": "json",
}
#: What comes besides where it is asked for.
ROLES, ORGANIZATIONS = {"roles": "texts"}, {"organizations": "json"}
DIGESTS = {"passwordDigest": "text", "passwordAlgorithm": "text"}


def checked_fields(value: Any) -> tuple[str, ...]:
    """The fields to export, in their fixed order; None means all.

    :raises InvalidInput: for an unknown one.
    """
    if value is None or value == "":
        return tuple(FIELDS)
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, Sequence) or not names:
        raise InvalidInput("fields", f"must be a list of fields; known: {', '.join(FIELDS)}")
    for name in names:
        if name not in FIELDS:
            raise InvalidInput("fields", f"{name!r} is unknown; known: {', '.join(FIELDS)}")
    return tuple(name for name in FIELDS if name in names)


def flattened(record: dict[str, Any], columns: Mapping[str, str]) -> dict[str, Any]:
    """A record as Parquet takes it."""
    return {name: _json(record[name]) if kind == "json" else record[name] for name, kind in columns.items()}


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
