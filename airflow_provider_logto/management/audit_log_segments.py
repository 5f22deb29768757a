"""Cutting an interval into segments of a few thousand rows, and reading one segment completely.

A segment is read newest first: each next window ends at the oldest millisecond just read, so that pages come full and
no offset is ever needed. A millisecond with more rows than a page is read by pages until they add up to its count.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter

from airflow_provider_logto.client.pagination import PAGE_SIZE
from airflow_provider_logto.exceptions import IncompleteList
from airflow_provider_logto.management.audit_log_pages import OPERATION, LogPage, LogPages, Window
from airflow_provider_logto.management.audit_log_rows import Row

Query = Mapping[str, str]

#: Rows a segment aims at, and how many it may hold before it is cut again.
SEGMENT_ROWS = 2000
SEGMENT_LIMIT = 4000
#: How much wider than its predecessor a window may become.
GROWTH = 16
#: Times that a segment is read before a disagreement with its count is an error.
READINGS = 3
#: Page sizes for a crowded millisecond: rows of equal time come in no order, and other page borders show what hid.
PAGE_SIZES = (PAGE_SIZE, 83, 97, 61, 71, 89, 53, 79)


@dataclass(frozen=True)
class Segment:
    """A window with few enough rows, and the first page of each of its queries."""

    window: Window
    firsts: tuple[LogPage, ...]

    @property
    def total(self) -> int:
        return sum(page.total for page in self.firsts)

    def taken_from(self, crowd: _Crowd) -> _Crowd:
        """What a crowd still holds behind this segment."""
        return _Crowd(crowd.end, crowd.rows - self.total)


@dataclass(frozen=True)
class _Crowd:
    """At least ``rows`` rows lie between here and ``end``: too many for one segment."""

    end: int
    rows: int


async def cut(pages: LogPages, whole: Segment, queries: Sequence[Query]) -> AsyncIterator[Segment]:
    """Cut a window into segments, oldest first, by what the answers tell of the density.

    :param whole: the window, with its first pages.
    """
    cursor, width = whole.window.low, whole.window.width
    crowds: list[_Crowd] = []
    while cursor < whole.window.high:
        end = min(cursor + width, crowds[-1].end if crowds else whole.window.high)
        window = Window(cursor, end)
        segment = whole if window == whole.window else await first_pages(pages, window, queries)
        if _too_many(segment) and window.width > 1:
            crowds.append(_Crowd(end, segment.total))
            width = _narrower(segment)
            continue
        yield segment
        cursor = end
        crowds = [
            crowd for crowd in map(segment.taken_from, crowds) if crowd.end > cursor and crowd.rows > SEGMENT_ROWS
        ]
        width = _next_width(segment)
        if crowds and cursor + width >= crowds[-1].end:
            # All of the rest is known to be too much.
            width = max(1, (crowds[-1].end - cursor) // 2)


async def first_pages(pages: LogPages, window: Window, queries: Sequence[Query]) -> Segment:
    """The newest page of each query in a window."""
    return Segment(window, tuple([await pages.newest(window, query) for query in queries]))


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
    rows = {row.id: row for row in page.rows}
    end = window.high
    while not page.is_last:
        oldest = min(map(attrgetter("created_at"), page.rows))
        if oldest + 1 == end:
            # The page begins and ends in one millisecond: it may hold more than the page shows.
            crowd = await _read_millisecond(pages, Window(oldest, end), query)
            rows |= crowd
            end = oldest
        else:
            end = oldest + 1
        if end <= window.low:
            break
        page = await pages.newest(Window(window.low, end), query)
        rows |= {row.id: row for row in page.rows}
    return rows


async def _read_millisecond(pages: LogPages, window: Window, query: Query) -> dict[str, Row]:
    rows: dict[str, Row] = {}
    total = 0
    for size in PAGE_SIZES:
        number, left = 1, True
        while left:
            page = await pages.numbered(window, query, number, size)
            rows |= {row.id: row for row in page.rows}
            total = page.total
            left = len(page.rows) == size
            number += 1
        if len(rows) >= total:
            return rows
    raise IncompleteList(OPERATION, len(rows), total)


def _too_many(segment: Segment) -> bool:
    return segment.total > SEGMENT_LIMIT or any(page.capped for page in segment.firsts)


def _narrower(segment: Segment) -> int:
    if any(page.capped for page in segment.firsts):
        return max(1, segment.window.width // (GROWTH // 2))
    return max(1, segment.window.width * SEGMENT_ROWS // segment.total)


def _next_width(segment: Segment) -> int:
    fitting = segment.window.width * SEGMENT_ROWS // max(segment.total, 1)
    return max(1, min(fitting, segment.window.width * GROWTH))
