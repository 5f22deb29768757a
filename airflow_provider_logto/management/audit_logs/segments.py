"""Cutting an interval into segments of a few thousand rows, and reading one segment completely.

A segment is read newest first: each next window ends at the oldest millisecond just read, so that pages come full and
no offset is ever needed. A millisecond with more rows than a page is read by pages until they add up to its count.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter

from airflow_provider_logto.client.pagination import PAGE_SIZE
from airflow_provider_logto.exceptions import IncompleteList
from airflow_provider_logto.management.audit_logs.found import Found
from airflow_provider_logto.management.audit_logs.pages import OPERATION, LogPage, LogPages, Window
from airflow_provider_logto.management.audit_logs.rows import Row

Query = Mapping[str, str]

#: Rows a segment aims at, and how many it may hold before it is cut again.
SEGMENT_ROWS = 1500
SEGMENT_LIMIT = 3000
#: Times that a segment is read before a disagreement with its count is an error.
READINGS = 3
#: Page sizes for a crowded millisecond: rows of equal time come in no order, and other page borders show what hid.
PAGE_SIZES = (PAGE_SIZE, 83, 97, 61, 71, 89, 53, 79)


@dataclass(frozen=True)
class Segment:
    """A window, and the newest page of each query in it."""

    window: Window
    firsts: tuple[LogPage, ...]

    @property
    def total(self) -> int:
        return sum(page.total for page in self.firsts)

    @property
    def capped(self) -> bool:
        return any(page.capped for page in self.firsts)

    @property
    def fits(self) -> bool:
        """Whether it can be read as it is."""
        return self.window.width <= 1 or not (self.capped or self.total > SEGMENT_LIMIT)

    @property
    def span(self) -> int:
        """Milliseconds from its beginning to its newest row: behind that there is nothing."""
        return max(self._times) + 1 - self.window.low

    @property
    def packed(self) -> int:
        """Milliseconds that its rows would need if all lay as close together as the newest."""
        times = self._times
        return (max(times) + 1 - min(times)) * self.total // len(times)

    @property
    def _times(self) -> list[int]:
        return [row.created_at for page in self.firsts for row in page.rows] or [self.window.low]


async def first_pages(pages: LogPages, window: Window, queries: Sequence[Query]) -> Segment:
    """The newest page of each query in a window."""
    return Segment(window, tuple(await asyncio.gather(*(pages.newest(window, query) for query in queries))))


async def read_segment(pages: LogPages, segment: Segment, queries: Sequence[Query]) -> list[Row]:
    """All rows of a segment, each once, ascending by (createdAt, id).

    :raises IncompleteList: when fewer rows were seen than the server counts, reading after reading.
    """
    found: dict[str, Row] = {}
    for query, first in zip(queries, segment.firsts, strict=True):
        found |= await _read_checked(pages, segment.window, query, first)
    return sorted(found.values(), key=position)


#: Where a row stands in the order of an export.
position: Callable[[Row], tuple[int, str]] = attrgetter("created_at", "id")


async def _read_checked(pages: LogPages, window: Window, query: Query, first: LogPage) -> dict[str, Row]:
    for reading in range(READINGS):
        page = first if reading == 0 else await pages.newest(window, query)
        rows = await _read(pages, window, query, page)
        if len(rows) >= page.total:
            return rows
    raise IncompleteList(OPERATION, len(rows), page.total)


async def _read(pages: LogPages, window: Window, query: Query, page: LogPage) -> dict[str, Row]:
    found = Found(page.total)
    found.add(page.rows)
    end = window.high
    while not page.is_last:
        oldest = min(map(attrgetter("created_at"), page.rows))
        if oldest + 1 == end:
            # The page begins and ends in one millisecond: it may hold more than the page shows.
            found.rows |= await _read_millisecond(pages, Window(oldest, end), query)
            end = oldest
        else:
            end = oldest + 1
        if end <= window.low:
            break
        page = await pages.newest(Window(window.low, end), query)
        found.add(page.rows)
        if not found.goes_on():
            raise IncompleteList(OPERATION, len(found.rows), found.total)
    return found.rows


async def _read_millisecond(pages: LogPages, window: Window, query: Query) -> dict[str, Row]:
    rows: dict[str, Row] = {}
    for size in PAGE_SIZES:
        found, number, left = Found(), 1, True
        while left:
            page = await pages.numbered(window, query, number, size)
            found.total = page.total
            found.add(page.rows)
            left = len(page.rows) == size and found.goes_on()
            number += 1
        rows |= found.rows
        if len(rows) >= page.total:
            return rows
    raise IncompleteList(OPERATION, len(rows), page.total)
