"""Rows -> people as they should be, checked and in canonical form.

A blank cell leaves a field alone, unless its column is one of ``clear_blank``; an empty JSON list means none. What a
spreadsheet has damaged is named, not repaired.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import msgspec

from airflow_provider_logto.exceptions import InvalidInput
from airflow_provider_logto.management import fields as checks
from airflow_provider_logto.management.user_fields import FIELD
from airflow_provider_logto.plans.changes import digest_of, encoded
from airflow_provider_logto.roster import cells as cell
from airflow_provider_logto.roster.columns import (
    DATES,
    KEYS,
    LISTS,
    SECRETS,
    TEXTS,
    Columns,
    is_column,
    offered,
    unknown_column,
)
from airflow_provider_logto.roster.sources import Problems, Row

_PLAIN = tuple(name for name in TEXTS if name not in KEYS)

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
            unknown.update(name for name in cells if name not in seen and not is_column(name, columns.secrets))
            seen.update(given if columns.mapping else cells)
        except InvalidInput as error:
            problems.add(f"row {row.number}", error)
            continue
        person = _person(row.number, cells, columns, keys, problems)
        if person is not None:
            people.append(person)
    for at, name in enumerate(sorted(unknown), 1):
        advice = unknown_column(name, columns.secrets)
        if at == len(unknown):
            advice += f". What is not needed, leave out in transform. Standard columns: {offered(columns.secrets)}"
        problems.add("columns", advice)
    for name, column in columns.mapping.items() if people or seen else ():
        if column not in seen and column.partition(".")[0] not in seen:
            problems.add("mapping", f"{name}: there is no column {column!r}; there are {', '.join(sorted(seen))}")
    return people


def ignored_columns(people: Iterable[Person], manage: Collection[str], dates: bool = True) -> dict[str, int]:
    """Columns that ``manage`` does not cover, so that nothing comes of them -> how many rows have something there.

    :param dates: whether first and last days are observed.
    """
    kinds = {
        "profile": "profile",
        "custom_data": "custom_data",
        **dict(zip(LISTS, LISTS, strict=True)),
        "suspension": "suspended",
    }
    columns = [column for kind, column in kinds.items() if kind not in manage] + ([] if dates else list(DATES))
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
            cell.refuse_damage(name, value, name in (*KEYS, *DATES))
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
        if name in (*DATES, "suspended"):
            raise
        raise cell.without_value(error, value) from None


def _set(person: Person, name: str, value: Any, columns: Columns) -> None:
    if name in TEXTS:
        _put(person, "texts", {TEXTS[name]: FIELD[name].check(name, cell.number_text(name, value))})
    elif name in ("id", "external_id"):
        setattr(person, name, checks.identifier(name, cell.number_text(name, value)))
    elif name in DATES:
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
