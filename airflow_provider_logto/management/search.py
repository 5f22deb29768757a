"""Logto's advanced user search as a small builder.

Source: Logto docs, "Advanced user search"; ``GET /api/users`` and every list that takes ``search.*`` parameters.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, get_args
from urllib.parse import urlencode

from airflow_provider_logto.exceptions import InvalidInput

T = TypeVar("T")
Mode = Literal["like", "exact", "similar_to", "posix"]

USER_FIELDS = ("id", "primaryEmail", "primaryPhone", "username", "name")
#: Characters of the search parameters in one URL: Node takes 16 kB of headers in all, proxies often 8.
MAX_QUERY = 6000
#: Items in one search: a page holds 100.
MAX_ITEMS = 100
_MODES: tuple[Mode, ...] = get_args(Mode)


@dataclass(frozen=True)
class Term:
    """One field and what it must match.

    :param field: a searchable field, e.g. ``primaryEmail``.
    :param values: one value; several only in mode ``exact``, where any of them matches.
    :param mode: ``exact``; ``like`` (``%`` and ``_`` are wildcards, see :func:`literal`); ``similar_to`` and ``posix``
        are PostgreSQL's regular expressions.
    """

    field: str
    values: tuple[str, ...]
    mode: Mode = "exact"


def term(field: str, *values: str, mode: Mode = "exact") -> Term:
    """Make a :class:`Term`.

    :raises InvalidInput: for what the server would refuse or silently read otherwise.
    """
    if not re.fullmatch(r"[A-Za-z]+", field):
        raise InvalidInput("search.field", f"{field!r} is not a field name; users have {', '.join(USER_FIELDS)}")
    if mode not in _MODES:
        raise InvalidInput("search.mode", f"{mode!r} is unknown; use one of {', '.join(_MODES)}")
    if not values or not all(values):
        raise InvalidInput(f"search.{field}", "give at least one value, none of them empty")
    if len(values) > 1 and mode != "exact":
        raise InvalidInput(f"search.{field}", f"mode {mode} takes one value; only exact takes several")
    return Term(field, values, mode)


def query(terms: Iterable[Term], joint: Literal["or", "and"] = "or", case_sensitive: bool = False) -> dict[str, Any]:
    """The query parameters of a search.

    :param joint: whether one term suffices (``or``) or all must match (``and``).
    :param case_sensitive: ``similar_to`` only works with True.
    :raises InvalidInput: where a field is named twice, or ``similar_to`` ignores case.
    """
    parameters: dict[str, Any] = {"joint": joint}
    for one in terms:
        if f"search.{one.field}" in parameters:
            raise InvalidInput(f"search.{one.field}", "named twice; give all its values in one term")
        if one.mode == "similar_to" and not case_sensitive:
            raise InvalidInput(f"search.{one.field}", "mode similar_to needs case_sensitive=True")
        parameters[f"search.{one.field}"] = list(one.values)
        parameters[f"mode.{one.field}"] = one.mode
    if len(parameters) == 1:
        raise InvalidInput("search", "give at least one term")
    if case_sensitive:
        parameters["isCaseSensitive"] = "true"
    return parameters


def batches(items: Sequence[T], terms_of: Callable[[T], Mapping[str, Iterable[str]]]) -> Iterator[Sequence[T]]:
    """Cut what is searched for into pieces whose parameters fit into one URL and whose matches fit on few pages.

    :param terms_of: field -> values that one item adds to the search.
    """
    start, size = 0, 0
    for at, item in enumerate(items):
        pairs = [(f"search.{field}", value) for field, values in terms_of(item).items() for value in values]
        length = len(urlencode(pairs)) + 1
        if at > start and (size + length > MAX_QUERY or at - start >= MAX_ITEMS):
            yield items[start:at]
            start, size = at, 0
        size += length
    if start < len(items):
        yield items[start:]


def literal(text: str) -> str:
    """Escape ``%``, ``_`` and ``\\`` so that mode ``like`` takes them as they are."""
    return re.sub(r"([\\%_])", r"\\\1", text)
