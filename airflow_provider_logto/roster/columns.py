"""How the cells of a row become the columns that rosters and imports know."""

from __future__ import annotations

import difflib
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from airflow_provider_logto.exceptions import InvalidInput
from airflow_provider_logto.management.user_fields import FIELD
from airflow_provider_logto.roster.presets import PRESETS

#: What people may be matched by, in the order of the default.
KEYS = ("id", "external_id", "username", "primary_email", "primary_phone")
#: Column -> field of a user in Logto; blank ones can be cleared.
TEXTS = {one.argument: one.name for one in FIELD.values() if one.kind != "merged"}
LISTS = ("roles", "organizations", "organization_roles")
DATES = ("start_date", "end_date")
OBJECTS = ("custom_data", "profile")
#: Only imports take these.
SECRETS = ("password", "password_digest", "password_algorithm", "identities")
COLUMNS = (*KEYS, *(name for name in TEXTS if name not in KEYS), *OBJECTS, *LISTS, *DATES, "suspended")
_PREFIXES = ("custom_data.", "profile.")


@dataclass(frozen=True)
class Columns:
    """How cells become people.

    :param mapping: standard column -> column of the source.
    :param preset: reads a known system's rows instead.
    :param transform: changes a row first, or leaves it out (None).
    :param clear_blank: standard columns whose blanks clear.
    :param date_format: of dates, as ``strptime`` takes it; None: ISO.
    :param list_separator: between the entries of a list in one cell.
    :param secrets: whether passwords and identities are read.
    """

    mapping: Mapping[str, str] = field(default_factory=dict)
    preset: str | None = None
    transform: Callable[[dict[str, Any]], Any] | None = None
    clear_blank: frozenset[str] = frozenset()
    date_format: str | None = None
    list_separator: str = ";"
    secrets: bool = False

    @classmethod
    def checked(
        cls,
        mapping: Any = None,
        transform: Any = None,
        clear_blank: Any = (),
        date_format: Any = None,
        list_separator: Any = ";",
        secrets: bool = False,
    ) -> Columns:
        """
        :raises InvalidInput: naming the argument and what would be right.
        """
        preset = mapping if isinstance(mapping, str) and mapping else None
        if preset is not None and preset not in PRESETS:
            raise InvalidInput("mapping", f"{preset!r} is unknown; use one of {', '.join(PRESETS)}, or a dict")
        pairs = {} if mapping is None or preset else mapping
        if not isinstance(pairs, Mapping):
            raise InvalidInput("mapping", f"must map standard columns to columns of the source, not {mapping!r}")
        for name, column in pairs.items():
            _check_column(f"mapping.{name}", name, secrets)
            if not isinstance(column, str) or not column:
                raise InvalidInput(f"mapping.{name}", f"{column!r} is not a column name")
        if transform is not None and not callable(transform):
            raise InvalidInput("transform", f"{transform!r} is no function of a row")
        blanks = (clear_blank,) if isinstance(clear_blank, str) else tuple(clear_blank or ())
        for name in blanks:
            _check_column("clear_blank", name, secrets)
            if name in ("id", "external_id", *DATES, *OBJECTS, "suspended", *SECRETS):
                raise InvalidInput("clear_blank", f"{name} cannot be cleared by a blank")
        if date_format is not None and (not isinstance(date_format, str) or "%" not in date_format):
            raise InvalidInput("date_format", f"{date_format!r} is no format; write e.g. %d.%m.%Y")
        if not isinstance(list_separator, str) or not list_separator.strip():
            raise InvalidInput("list_separator", f"{list_separator!r} separates nothing")
        return cls(pairs, preset, transform, frozenset(blanks), date_format, list_separator, secrets)

    def transformed(self, cells: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """A row as ``transform`` returns it; None where that leaves it out.

        :raises InvalidInput: where the row cannot be read.
        """
        if self.transform is not None:
            try:
                cells = self.transform(dict(cells))
            except Exception as error:  # the DAG author's own code
                raise InvalidInput("transform", f"failed: {type(error).__name__}, {_place(error)}") from None
            if cells is None:
                return None
            if not isinstance(cells, Mapping):
                raise InvalidInput("transform", f"must return a dict or None, not {type(cells).__name__}")
        return cells

    def standard(self, cells: Mapping[str, Any]) -> dict[str, Any]:
        """A transformed row under the standard names.

        :raises InvalidInput: where the row cannot be read.
        """
        if self.preset is not None:
            try:
                return PRESETS[self.preset](cells)
            except (LookupError, TypeError, ValueError, AttributeError) as error:
                if isinstance(error, InvalidInput):
                    raise
                raise InvalidInput("row", f"is no user of {self.preset} ({type(error).__name__})") from None
        if not self.mapping:
            return dict(cells)
        mapped = {column.partition(".")[0] for column in self.mapping.values()} | set(self.mapping.values())
        found = {name: value for name, value in cells.items() if name not in mapped and is_column(name, self.secrets)}
        for name, column in self.mapping.items():
            value = _at(cells, column)
            if value is not _ABSENT:
                found[name] = value
        return found


def _place(error: Exception) -> str:
    """Where code of others failed; the words of its error may quote a row."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"line {frame.lineno} of {Path(frame.filename).name}"


_ABSENT = object()


#: How alike two names must be: "pasword" is a slip, "surname" is not "username".
_NEAR = 0.85
#: What never is custom data.
_SECRET_WORDS = ("passw", "pwd", "salt")


def offered(secrets: bool) -> str:
    """The standard columns that something comes of, for a message."""
    return f"{', '.join(_read(secrets))}, custom_data.KEY, profile.CLAIM"


def _read(secrets: bool) -> tuple[str, ...]:
    # An import knows roles, organizations and days, and ignores them.
    return (*(one for one in COLUMNS if one not in (*LISTS, *DATES)), *SECRETS) if secrets else COLUMNS


def unknown_column(name: str, secrets: bool) -> str:
    """What is wrong with a column of the source, and which one it may be."""
    said = f"{name!r} is not a standard column"
    close = _meant(name, secrets)
    if close in SECRETS and not secrets:
        return f"{said}; only imports take {close}"
    if close is not None:
        return f"{said}; did you mean {close!r}? Rename it, or write mapping={{{close!r}: {name!r}}}"
    if any(word in _plain(name) for word in _SECRET_WORDS):
        return said
    return f"{said}; map it, e.g. mapping={{'custom_data.KEY': {name!r}}}"


def _meant(name: str, secrets: bool) -> str | None:
    """The standard column that a column of another name may be."""
    plain = _plain(name)
    if "hash" in plain:  # before it is taken for a password
        return "password_digest"
    by_plain = {_plain(column): column for column in (*_read(secrets), *SECRETS)}
    contained = (column for one, column in by_plain.items() if len(plain) > 2 and plain in one)
    near = (by_plain[one] for one in difflib.get_close_matches(plain, by_plain, n=1, cutoff=_NEAR))
    return next(contained, None) or next(near, None)


def _plain(name: str) -> str:
    return "".join(filter(str.isalnum, name)).lower()


def _check_column(where: str, name: Any, secrets: bool) -> None:
    if isinstance(name, str) and is_column(name, secrets):
        return
    close = _meant(name, secrets) if isinstance(name, str) else None
    hint = f"; did you mean {close!r}?" if close is not None and is_column(close, secrets) else ""
    raise InvalidInput(where, f"{name!r} is not a standard column{hint}; use {offered(secrets)}")


def is_column(name: str, secrets: bool) -> bool:
    """Whether a name is a standard column."""
    return name in COLUMNS or (secrets and name in SECRETS) or (name.startswith(_PREFIXES) and not name.endswith("."))


def _at(cells: Mapping[str, Any], column: str) -> Any:
    """A cell by its column, or by a path through nested objects."""
    if column in cells:
        return cells[column]
    found: Any = cells
    for part in column.split("."):
        if not isinstance(found, Mapping) or part not in found:
            return _ABSENT
        found = found[part]
    return found
