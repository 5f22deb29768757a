"""Pages as Logto serves them: ``page`` and ``page_size``, ``Total-Number``, and Link headers that lack ``/api``."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from logto_sandbox.errors import ApiError, BareError, invalid_input

DEFAULT_SIZE, MAX_SIZE = 20, 100
_BIGINT = 2**63
Query = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Page:
    """Which rows are asked for. ``offset`` and ``limit`` may be fractions: ``page=1.5`` begins at row 10."""

    offset: float
    limit: float

    def bounds(self) -> tuple[int, int]:
        """(offset, limit) as whole rows.

        :raises ApiError: 422 ``entity.invalid_input`` for numbers the query builder does not take
        :raises BareError: for an offset the database does not take
        """
        if self.limit % 1 or self.offset % 1 or self.offset >= _BIGINT:
            raise invalid_input()
        if self.offset < 0:
            raise BareError
        return int(self.offset), int(self.limit)


@dataclass(frozen=True)
class PageOf:
    """One page cut by the handler itself (a list, or an object that holds it), with the total it counted."""

    rows: Any
    total: int
    capped: bool = False


@dataclass(frozen=True)
class Rows:
    """All rows of a list; the framework cuts the page and shows each row of it through ``view``."""

    rows: Sequence[Any]
    view: Callable[[Any], Any] | None = None

    def cut(self, page: Page | None) -> PageOf:
        """The asked page (or everything)."""
        chosen = self.rows
        if page is not None:
            offset, limit = page.bounds()
            chosen = chosen[offset : offset + limit]
        shown = [self.view(row) for row in chosen] if self.view else list(chosen)
        return PageOf(shown, len(self.rows))


def parse_page(query: Query, *, optional: bool) -> Page | None:
    """The page a query asks for; None when paging is optional and neither parameter is given.

    :raises ApiError: 400 ``guard.invalid_pagination``
    """
    numbers = [value for key, value in query if key == "page"]
    sizes = [value for key, value in query if key == "page_size"]
    if optional and not any(numbers) and not any(sizes):
        return None
    number = _positive(numbers, 1)
    size = _positive(sizes, DEFAULT_SIZE)
    if size > MAX_SIZE:
        raise _refused()
    return Page((number - 1) * size, size)


def _positive(values: Sequence[str], default: int) -> float:
    """A number as JavaScript reads it: hexadecimal and Infinity count."""
    if not any(values):
        return default
    try:
        if len(values) > 1 or "_" in values[0]:
            raise ValueError("repeated, or written in a way only Python knows")
        hexadecimal = values[0].lower().startswith("0x")
        number = float(int(values[0], 16)) if hexadecimal else float(values[0])
    except ValueError:
        raise _refused() from None
    if not number > 0:
        raise _refused()
    return number


def _refused() -> ApiError:
    return ApiError(400, "guard.invalid_pagination")


def page_headers(origin: str, path: str, query: Query, page: Page, found: PageOf) -> list[tuple[str, str]]:
    """The headers of a page.

    :param origin: scheme and host of the request
    :param path: path of the request below ``/api`` - the links lack that prefix, on the real server too
    """
    pages = math.ceil(found.total / page.limit) or 1
    number = math.floor(page.offset / page.limit) + 1
    links = [("first", 1)]
    if number > 1:
        links.append(("prev", number - 1))
    if not found.capped:
        links.append(("last", pages))
        if number < pages:
            links.append(("next", number + 1))
    headers = [("Total-Number", str(found.total))]
    if found.capped:
        headers.append(("Total-Number-Is-Capped", "true"))
    joined: dict[str, str] = {}
    for key, value in query:
        joined[key] = f"{joined[key]},{value}" if key in joined else value
    for relation, target in links:
        url = f"{origin}{path}?{urlencode(joined | {'page': str(target)})}"
        headers.append(("Link", f'<{url}>; rel="{relation}"'))
    return headers
