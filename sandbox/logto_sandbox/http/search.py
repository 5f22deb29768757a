"""The search grammar of the list endpoints: ``search``, ``search.<field>``, ``mode``, ``joint``, ``isCaseSensitive``.

And the plain ``q`` of the organization lists. Modes as PostgreSQL has them: ``like`` (``%`` and ``_`` are
wildcards, none are added), ``exact``, ``similar_to``, ``posix``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from logto_sandbox.errors import ApiError, BareError

TRUTHY = frozenset({"1", "true", "y", "yes", "yep", "yeah"})
JOINTS = ("or", "and")
MODES = ("exact", "like", "similar_to", "posix")
# ARE shorthand that Python's re has under another name.
_POSIX_WORDS = {"[:alpha:]": "a-zA-Z", "[:digit:]": "0-9", "[:alnum:]": "a-zA-Z0-9", "[:space:]": r"\s"}
_UNTIL_NEXT_CAPITAL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")

Row = dict[str, Any]


class SearchError(Exception):
    """A query the grammar refuses."""


@dataclass(frozen=True)
class Condition:
    """One ``search`` key: the columns it looks at and how a value is judged."""

    fields: tuple[str, ...]
    values: tuple[str, ...]
    mode: str
    judge: Callable[[str], bool]

    def holds(self, row: Row) -> bool:
        """Whether any of the columns matches; null matches nothing."""
        return any(row[field] is not None and self.judge(row[field]) for field in self.fields)


@dataclass(frozen=True)
class Search:
    """The conditions of one request and how they are joined."""

    conditions: tuple[Condition, ...]
    joint: str
    case_sensitive: bool

    def matches(self, row: Row) -> bool:
        """Whether a row is found; every row is when nothing is searched."""
        if not self.conditions:
            return True
        verdicts = (condition.holds(row) for condition in self.conditions)
        return any(verdicts) if self.joint == "or" else all(verdicts)

    def matches_after(self, row: Row, kept: bool) -> bool:
        """As lists other than users have it: the conditions follow the filters without parentheses, so that with
        ``or`` only the first condition is bound to the filters and every later one escapes them."""
        if not self.conditions:
            return kept
        if self.joint == "and":
            return kept and self.matches(row)
        first, *rest = self.conditions
        return (kept and first.holds(row)) or any(condition.holds(row) for condition in rest)


def parse_search(pairs: Iterable[tuple[str, str]], fields: Sequence[str]) -> Search:
    """The search in the query of a request.

    :param pairs: the query's keys and values in order
    :param fields: camelCase columns that may be searched
    :raises SearchError: with the reason
    :raises BareError: for a regular expression the database would not compile
    """
    pairs = list(pairs)
    first = dict(reversed(pairs))
    joint = first.get("joint", first.get("jointMode")) or "or"
    if joint not in JOINTS:
        raise SearchError(f"joint mode {joint} is none of {', '.join(JOINTS)}")
    case_sensitive = first.get("isCaseSensitive", "").lower() in TRUTHY
    modes, values = _collect(pairs)
    found = []
    for field, wanted in values.items():
        mode = modes.get(field, modes.get("", "like"))
        if not all(wanted):
            raise SearchError("a search value is empty")
        if mode != "exact" and len(wanted) != 1:
            raise SearchError(f"mode {mode} takes one value, only exact takes several")
        columns = (_column(field, fields),) if field else tuple(fields)
        found.append(Condition(columns, tuple(wanted), mode, _judge(mode, wanted, case_sensitive)))
    return Search(tuple(found), joint, case_sensitive)


def _collect(pairs: Iterable[tuple[str, str]]) -> tuple[dict[str, str], dict[str, list[str]]]:
    """Modes and values by field ("" for all). Whatever begins with these words counts, ``searchTerm`` too."""
    modes: dict[str, str] = {}
    values: dict[str, list[str]] = {}
    for key, value in pairs:
        if not key.startswith(("mode", "search")):
            continue
        path = key.split(".")
        if len(path) > 2:
            raise SearchError(f"{'.'.join(path[1:])} is nested, only fields of the first level can be searched")
        field = path[1] if len(path) == 2 else ""
        if key.startswith("search"):
            values.setdefault(field, []).append(value)
        elif value in MODES:
            modes[field] = value
        else:
            raise SearchError(f"mode {value} is none of {', '.join(MODES)}")
    return modes, values


def _column(field: str, fields: Sequence[str]) -> str:
    known = {_snake(name): name for name in fields}
    if _snake(field) not in known:
        raise SearchError(f"{_snake(field)} cannot be searched, only {', '.join(known)} can")
    return known[_snake(field)]


def _snake(name: str) -> str:
    return _UNTIL_NEXT_CAPITAL.sub("_", name).lower()


def _judge(mode: str, values: Sequence[str], case_sensitive: bool) -> Callable[[str], bool]:
    flags = re.DOTALL if case_sensitive else re.DOTALL | re.IGNORECASE
    if mode == "exact" and case_sensitive:
        return frozenset(values).__contains__
    if mode == "exact":
        lowered = frozenset(value.lower() for value in values)
        return lambda text: text.lower() in lowered
    if mode == "similar_to" and not case_sensitive:
        raise SearchError("similar_to needs isCaseSensitive=true")
    try:
        if mode == "posix":
            pattern = re.compile(_posix(values[0]), flags)
            return lambda text: pattern.search(text) is not None
        source = like_pattern(values[0]) if mode == "like" else _similar(values[0])
        whole = re.compile(source, flags)
    except re.error as error:
        raise BareError from error
    return lambda text: whole.fullmatch(text) is not None


def like_pattern(value: str) -> str:
    """A LIKE pattern as a regular expression."""
    return _translate(value, {"%": ".*", "_": "."})


def _similar(value: str) -> str:
    """A SIMILAR TO pattern as a regular expression; brackets, alternatives and repetition work alike."""
    wildcards = {"%": ".*", "_": "."}
    return _translate(value, wildcards | {sign: sign for sign in "|*+?{}()[]^-,0123456789"})


def _translate(value: str, signs: dict[str, str]) -> str:
    parts, escaped = [], False
    for sign in value:
        if escaped or sign != "\\":
            parts.append(re.escape(sign) if escaped else signs.get(sign) or re.escape(sign))
            escaped = False
        else:
            escaped = True
    if escaped:
        raise BareError  # LIKE pattern must not end with the escape character
    return "".join(parts)


def _posix(value: str) -> str:
    for name, signs in _POSIX_WORDS.items():
        value = value.replace(name, signs)
    return value


def refuse(error: SearchError) -> ApiError:
    """What most lists answer to a bad search: 400 ``request.invalid_input``."""
    return ApiError(400, "request.invalid_input", f"Input is invalid: {error}.", data={})


def keyword_filter(keyword: str | None, fields: Sequence[str]) -> Callable[[Row], bool]:
    """The ``q`` of a list: a substring in any of the columns, without case; ``%`` and ``_`` stay wildcards."""
    if not keyword:
        return lambda row: True
    pattern = re.compile(".*" + like_pattern(keyword) + ".*", re.DOTALL | re.IGNORECASE)
    return lambda row: any(row[field] is not None and pattern.fullmatch(row[field]) for field in fields)
