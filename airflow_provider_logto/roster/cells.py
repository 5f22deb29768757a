"""One cell -> its value, checked. What a spreadsheet has damaged is named, not repaired.

What is wrong goes into task logs: messages show a value only where it tells nothing about a person.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from airflow_provider_logto.exceptions import InvalidInput
from airflow_provider_logto.management import fields as checks
from airflow_provider_logto.management.json_values import json_object
from airflow_provider_logto.management.marks import OWN_KEYS

_ERROR_CELL = re.compile(r"#(REF!|N/A|VALUE!|NAME\?|DIV/0!|NULL!|NUM!|SPILL!|CALC!|#+)|n/a|N/A|NaN|#+")
_FLOAT = re.compile(r"\d+(\.\d+)?[eE]\+?\d+|\d{3,}\.0+")
_TRUE, _FALSE = ("true", "1", "yes", "y"), ("false", "0", "no", "n")


def refuse_damage(name: str, value: str, exact: bool) -> None:
    """
    :param exact: whether the cell is a key or a date, where a rewritten number is another value.
    :raises InvalidInput: for what a spreadsheet writes instead of a value.
    """
    if _ERROR_CELL.fullmatch(value):
        raise InvalidInput(name, f"{value!r} is what a spreadsheet writes for a missing value; correct the source")
    if exact and _FLOAT.fullmatch(value):
        raise InvalidInput(name, "is a number that a spreadsheet has rewritten; format the column as text")


def without_value(error: InvalidInput, value: Any) -> InvalidInput:
    """The same error for a task log: it does not quote the value, unless that stands for no value at all."""
    if isinstance(value, str) and value in checks.NO_VALUE:
        return error
    return InvalidInput(error.field, error.hint.replace(repr(value), "the value"))


def number_text(name: str, value: Any) -> Any:
    """JSON may hold a number where a text is meant; a float has lost digits."""
    if isinstance(value, float):
        raise InvalidInput(name, "is a number with a decimal point; write it as text")
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def date(name: str, value: Any, date_format: str | None) -> str:
    """An ISO date, or one in a format of its own, as ISO."""
    if isinstance(value, dt.datetime):
        return value.date().isoformat()
    if isinstance(value, dt.date):
        return value.isoformat()
    hint = f"{value!r} is not a date; write " + (
        f"it as {date_format}" if date_format else "2026-01-31, or give date_format"
    )
    if not isinstance(value, str):
        raise InvalidInput(name, hint)
    try:
        if date_format:
            return dt.datetime.strptime(value, date_format).date().isoformat()
        return dt.date.fromisoformat(value).isoformat()
    except ValueError:
        raise InvalidInput(name, hint) from None


def boolean(name: str, value: Any) -> bool:
    """True or false, in the words of spreadsheets too."""
    text = str(value).strip().lower()
    if isinstance(value, bool) or text in (*_TRUE, *_FALSE):
        return text in _TRUE
    raise InvalidInput(name, f"{value!r} is neither true nor false")


def texts(name: str, value: Any, separator: str) -> tuple[str, ...]:
    """The entries of a list, each once, sorted."""
    entries = value.split(separator) if isinstance(value, str) else value
    if not isinstance(entries, Sequence) or not all(isinstance(one, str) for one in entries):
        raise InvalidInput(name, "is no list of names")
    return shared(tuple(sorted({one.strip() for one in entries if one.strip()})))


@lru_cache(maxsize=4096)
def shared(names: tuple[str, ...]) -> tuple[str, ...]:
    """The same list for everybody who has it."""
    return names


def organization_roles(name: str, value: Any, separator: str) -> dict[str, tuple[str, ...]]:
    """Organization -> its roles."""
    if isinstance(value, Mapping):
        return {
            organization: texts(f"{name}.{organization}", roles, separator) for organization, roles in value.items()
        }
    found: dict[str, tuple[str, ...]] = {}
    for entry in texts(name, value, separator):
        organization, colon, role = (part.strip() for part in entry.rpartition(":"))
        if not colon or not organization or not role:
            raise InvalidInput(name, "has an entry that is no organization:role")
        found[organization] = (*found.get(organization, ()), role)
    return found


def claims(name: str, value: Any) -> dict[str, str | None]:
    """Claims of the profile; those of an address are named ``address.`` and their part."""
    parts = name.split(".")[1:]
    nested: Any = value
    for part in reversed(parts):
        nested = {part: nested}
    claims: Mapping[str, Any] = checks.profile("profile", nested) or {}
    flat = {claim: text for claim, text in claims.items() if claim != "address"}
    return {**flat, **{f"address.{part}": text for part, text in claims.get("address", {}).items()}}


def data(name: str, value: Any) -> dict[str, Any]:
    """Custom data by top-level key."""
    entries = {name.removeprefix("custom_data."): value} if name != "custom_data" else value
    data = json_object("custom_data", entries) or {}
    for kept in OWN_KEYS:
        if kept in data:
            raise InvalidInput(f"custom_data.{kept}", "is kept by the provider; leave it out")
    return data
