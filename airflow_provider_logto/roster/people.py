"""Rows -> people as they should be, checked and in canonical form.

A blank cell leaves a field alone, unless its column is one of ``clear_blank``; an empty JSON list means none. What a
spreadsheet has damaged is named, not repaired.
"""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec

from airflow_provider_logto.exceptions import InvalidInput
from airflow_provider_logto.management import fields as checks
from airflow_provider_logto.management.user_fields import FIELD
from airflow_provider_logto.plans.changes import digest_of, encoded
from airflow_provider_logto.roster import cells as cell
from airflow_provider_logto.roster.presets import PRESETS
from airflow_provider_logto.roster.sources import Problems, Row

#: What people may be matched by, in the order of the default.
KEYS = ("id", "external_id", "username", "primary_email", "primary_phone")
#: Column -> field of a user in Logto; blank ones can be cleared.
TEXTS = {one.argument: one.name for one in FIELD.values() if one.kind != "merged"}
LISTS = ("roles", "organizations", "organization_roles")
_DATES = ("start_date", "end_date")
_OBJECTS = ("custom_data", "profile")
#: Only imports take these.
SECRETS = ("password", "password_digest", "password_algorithm", "identities")
COLUMNS = (*KEYS, *(name for name in TEXTS if name not in KEYS), *_OBJECTS, *LISTS, *_DATES, "suspended")
_PLAIN = tuple(name for name in TEXTS if name not in KEYS)
_PREFIXES = ("custom_data.", "profile.")


#: One and the same for everybody: a roster may have a hundred thousand of them.
NOTHING: Mapping[str, Any] = MappingProxyType({})


class Person(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """A person as a row wants them. None in ``roles`` and the like leaves them alone; None among values clears.

    :param row: number of the row.
    :param key: what names the row in plans and journals, e.g. ``external_id:E1``.
    :param texts: field of the user in Logto -> value.
    :param profile: claim, or ``address.`` and its part -> value.
    :param custom_data: top-level key -> value.
    :param organization_roles: organization -> its roles.
    :param start_date: first day of access, ISO.
    :param end_date: last day of access, ISO.
    """

    row: int = 0
    key: str = ""
    id: str | None = None
    external_id: str | None = None
    texts: Mapping[str, str | None] = NOTHING
    profile: Mapping[str, str | None] = NOTHING
    custom_data: Mapping[str, Any] = NOTHING
    roles: tuple[str, ...] | None = None
    organizations: tuple[str, ...] | None = None
    organization_roles: Mapping[str, tuple[str, ...]] | None = None
    suspended: bool | None = None
    start_date: str | None = None
    end_date: str | None = None
    secrets: Mapping[str, Any] = NOTHING

    def value(self, key: str) -> str | None:
        """The value of one of :data:`KEYS`."""
        return getattr(self, key) if key in ("id", "external_id") else self.texts.get(TEXTS[key])

    def canonical(self) -> bytes:
        """What counts for the digest of the rows: everything but the number, and no password."""
        values = ((name, getattr(self, name)) for name in _CANONICAL)
        return encoded(
            {name: dict(value) if isinstance(value, Mapping) else value for name, value in values if value is not None}
        )


_CANONICAL = tuple(name for name in Person.__struct_fields__ if name not in ("row", "secrets"))


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
            if name in ("id", "external_id", *_DATES, *_OBJECTS, "suspended", *SECRETS):
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
        found = {name: value for name, value in cells.items() if name not in mapped and _is_column(name, self.secrets)}
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


def read_people(rows: Iterable[Row], columns: Columns, keys: Sequence[str], problems: Problems) -> list[Person]:
    """Check every row.

    :param keys: what people are matched by, in order: the first that a row has names it.
    :param problems: collects what is wrong with rows.
    """
    people: list[Person] = []
    seen: set[str] = set()
    unknown: set[str] = set()
    for row in rows:
        try:
            given = columns.transformed(row.cells)
            if given is None:
                continue
            cells = columns.standard(given)
            unknown.update(name for name in cells if name not in seen and not _is_column(name, columns.secrets))
            seen.update(given if columns.mapping else cells)
        except InvalidInput as error:
            problems.add(f"row {row.number}", error)
            continue
        person = _person(row.number, cells, columns, keys, problems)
        if person is not None:
            people.append(person)
    for name in sorted(unknown):
        problems.add(
            "columns",
            f"{name!r} is not a standard column; map it, e.g. mapping={{{_meant(name)!r}: {name!r}}}, or use "
            f"{', '.join(COLUMNS)}",
        )
    for name, column in columns.mapping.items() if people or seen else ():
        if column not in seen and column.partition(".")[0] not in seen:
            problems.add("mapping", f"{name}: there is no column {column!r}; there are {', '.join(sorted(seen))}")
    return people


def ignored_columns(people: Iterable[Person], manage: Collection[str]) -> dict[str, int]:
    """Columns that ``manage`` does not cover, so that nothing comes of them -> how many rows have something there."""
    kinds = {
        "profile": "profile",
        "custom_data": "custom_data",
        **dict(zip(LISTS, LISTS, strict=True)),
        "suspension": "suspended",
    }
    columns = [column for kind, column in kinds.items() if kind not in manage]
    counted: Counter[str] = Counter()
    for person in people:
        values = [(column, getattr(person, column)) for column in columns]
        # An empty list says something: none.
        counted.update(column for column, value in values if value or (column in LISTS and value is not None))
        # Identifiers are there to match people by.
        if "profile" in columns:
            counted.update(column for column in _PLAIN if TEXTS[column] in person.texts)
    return dict(sorted(counted.items()))


def digest_of_people(people: Iterable[Person]) -> str:
    """Digest of canonical rows, whatever their order."""
    return digest_of(sorted(person.canonical() for person in people))


def _person(
    number: int, cells: Mapping[str, Any], columns: Columns, keys: Sequence[str], problems: Problems
) -> Person | None:
    """A row's person; None where something is wrong with it, each cell of which ``problems`` then names."""
    person = Person(row=number, texts={})
    bad = False
    for name, raw in cells.items():
        try:
            _read_cell(person, name, raw, columns)
        except InvalidInput as error:
            problems.add(f"row {number}", error)
            bad = True
    named = ((key, person.value(key)) for key in keys)
    person.key = next((f"{key}:{value}" for key, value in named if value), "")
    if not bad and not person.key:
        problems.add(f"row {number}", f"row: has none of {', '.join(keys)}: nobody can be found by it")
    return person if person.key and not bad else None


def _read_cell(person: Person, name: str, raw: Any, columns: Columns) -> None:
    value = raw.strip() if isinstance(raw, str) else raw
    if isinstance(value, str):
        try:
            cell.refuse_damage(name, value, name in (*KEYS, *_DATES))
        except InvalidInput as error:
            if name not in SECRETS:
                raise
            raise InvalidInput(name, error.hint.replace(repr(value), "the value")) from None
    if value and name == "password":
        value = raw  # blanks are part of a password
    if value is None or value == "":
        if name in columns.clear_blank:
            _clear(person, name)
    else:
        _set_quietly(person, name, value, columns)


def _set_quietly(person: Person, name: str, value: Any, columns: Columns) -> None:
    """What is wrong with a cell goes into task logs, and so without what may tell about a person."""
    try:
        _set(person, name, value, columns)
    except InvalidInput as error:
        if name in (*_DATES, "suspended"):
            raise
        raise cell.without_value(error, value) from None


def _set(person: Person, name: str, value: Any, columns: Columns) -> None:
    if name in TEXTS:
        _put(person, "texts", {TEXTS[name]: FIELD[name].check(name, cell.number_text(name, value))})
    elif name in ("id", "external_id"):
        setattr(person, name, checks.identifier(name, cell.number_text(name, value)))
    elif name in _DATES:
        setattr(person, name, cell.date(name, value, columns.date_format))
    elif name == "suspended":
        person.suspended = cell.boolean(name, value)
    elif name == "organization_roles":
        person.organization_roles = cell.organization_roles(name, value, columns.list_separator)
    elif name in LISTS:
        setattr(person, name, cell.texts(name, value, columns.list_separator))
    elif name.startswith("profile.") or name == "profile":
        _put(person, "profile", cell.claims(name, value))
    elif name.startswith("custom_data.") or name == "custom_data":
        _put(person, "custom_data", cell.data(name, value))
    elif name in SECRETS and columns.secrets:
        _put(person, "secrets", {name: value})


def _clear(person: Person, name: str) -> None:
    if name in TEXTS:
        _put(person, "texts", {TEXTS[name]: None})
    elif name == "organization_roles":
        person.organization_roles = {}
    elif name in LISTS:
        setattr(person, name, ())
    elif name.startswith("profile."):
        _put(person, "profile", {name.removeprefix("profile."): None})
    elif name.startswith("custom_data."):
        _put(person, "custom_data", {name.removeprefix("custom_data."): None})


def _put(person: Person, name: str, values: Mapping[str, Any]) -> None:
    current = getattr(person, name)
    if isinstance(current, dict):
        current.update(values)
    else:
        setattr(person, name, dict(values))


def _meant(name: str) -> str:
    """The standard column that a column of another name may be."""
    plain = "".join(filter(str.isalnum, name)).lower()
    contained = (column for column in COLUMNS if len(plain) > 2 and plain in column.replace("_", ""))
    return next(contained, "custom_data.KEY")


def _check_column(where: str, name: Any, secrets: bool) -> None:
    if not isinstance(name, str) or not _is_column(name, secrets):
        raise InvalidInput(
            where, f"{name!r} is not a standard column; use {', '.join(COLUMNS)}, custom_data.KEY, profile.CLAIM"
        )


def _is_column(name: str, secrets: bool) -> bool:
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
