"""Audit logs of an interval: complete, each once, in ascending order.

``GET /api/logs`` is newest first, paged by offset, without a tie-break. Paging through it loses and repeats rows and
slows down with depth. The window walk asks by time instead: it cuts the interval into segments of a few thousand rows
and reads several of them at once.

Source: Logto Management API, ``GET /api/logs``.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

from airflow_provider_logto.client.client import LogtoClient
from airflow_provider_logto.exceptions import IncompleteList
from airflow_provider_logto.management.audit_logs.cutting import cut
from airflow_provider_logto.management.audit_logs.numbered_pages import read_by_pages
from airflow_provider_logto.management.audit_logs.pages import OPERATION, Bounds, LogFilter, LogPages, Window
from airflow_provider_logto.management.audit_logs.prefetch import in_order
from airflow_provider_logto.management.audit_logs.rows import Row
from airflow_provider_logto.management.audit_logs.segments import (
    SEGMENT_ROWS,
    Segment,
    first_pages,
    position,
    read_segment,
)

__all__ = ["LateRows", "LogFilter", "LogPages", "Position", "Row", "Window", "seconds_until_readable", "walk"]

#: Rows a reader that are being read or wait for their turn: enough that all are busy while the first is still slow.
HELD_ROWS = 4000
#: In which the room for them is given out.
ROOM_UNIT = 500
#: Rows counted again at once: so many the server's capped count tells exactly, and that there are more.
RECOUNT_ROWS = 10_000


class LateRows(IncompleteList):
    """Rows appeared in a stretch of time that had been read already.

    :param from_ms: epoch ms; everything before is complete.
    """

    def __init__(self, seen: int, total: int, from_ms: int) -> None:
        super().__init__(OPERATION, seen, total)
        self.args = (seen, total, from_ms)
        self.from_ms = from_ms


@dataclass(frozen=True)
class Position:
    """How far an interrupted walk came.

    :param created_at: createdAt of the last row handed on, epoch ms.
    :param row_id: its id.
    :param rows: how many rows were handed on.
    """

    created_at: int
    row_id: str
    rows: int


async def walk(
    pages: LogPages,
    window: Window,
    filters: LogFilter | None = None,
    *,
    after: Position | None = None,
) -> AsyncGenerator[list[Row], None]:
    """Every audit log of a window once, in batches, ascending by (createdAt, id).

    :param window: epoch ms, start inclusive, end exclusive; should lie a minute in the past, see
        :func:`seconds_until_readable`.
    :param after: begin behind this row.
    :raises LateRows: after the last batch, when the server meanwhile counts more rows than were handed on.
    :raises IncompleteList: when a segment does not add up to the server's count, reading after reading.
    """
    queries = (filters or LogFilter()).queries()
    rest = Window(after.created_at, window.high) if after else window
    ledger = _Ledger(window, after)
    whole = await first_pages(pages, rest, queries)
    batches = _paged if pages.bounds is Bounds.IGNORED else _segmented
    async with aclosing(batches(pages, whole, queries)) as found:
        async for part, rows in found:
            fresh = rows if after is None else [row for row in rows if position(row) > (after.created_at, after.row_id)]
            ledger.note(part, len(rows), len(rows) - len(fresh))
            if fresh:
                yield fresh
    if pages.bounds is not Bounds.IGNORED:
        await ledger.check(pages, queries)


async def seconds_until_readable(client: LogtoClient, end_ms: int, lag: float) -> float:
    """Seconds until the server's clock has passed the end of an interval by ``lag`` seconds; 0 or less: now.

    A row carries the time at which its transaction began and shows when that is committed.
    """
    return end_ms / 1000 + lag - await client.server_time()


_Batches = AsyncGenerator[tuple[Window, list[Row]], None]


async def _segmented(pages: LogPages, whole: Segment, queries: list[dict[str, str]]) -> _Batches:
    async def read(segment: Segment) -> list[Row]:
        return await read_segment(pages, segment, queries)

    results = in_order(
        cut(pages, whole, queries),
        read,
        workers=pages.concurrency,
        room=pages.concurrency * HELD_ROWS // ROOM_UNIT,
        size=lambda segment: -(-segment.total // ROOM_UNIT),
    )
    async with aclosing(results):
        async for segment, rows in results:
            yield segment.window, rows


async def _paged(pages: LogPages, whole: Segment, queries: list[dict[str, str]]) -> _Batches:
    found: dict[str, Row] = {}
    for query in queries:
        found |= await read_by_pages(pages, whole.window, query)
    rows = sorted(found.values(), key=position)
    for start in range(0, len(rows), SEGMENT_ROWS):
        yield whole.window, rows[start : start + SEGMENT_ROWS]


class _Ledger:
    """How many rows were read where, to be held against the server's count when everything has been read."""

    def __init__(self, window: Window, after: Position | None) -> None:
        self._parts: list[tuple[Window, int]] = []
        # What an earlier, interrupted walk handed on; its last millisecond is read again.
        self._kept = (Window(window.low, after.created_at), after.rows) if after else None

    def note(self, part: Window, rows: int, known: int) -> None:
        if self._kept:
            self._kept = (self._kept[0], self._kept[1] - known)
        if self._parts and self._parts[-1][1] + rows <= RECOUNT_ROWS:
            last, count = self._parts.pop()
            self._parts.append((Window(last.low, part.high), count + rows))
        else:
            self._parts.append((part, rows))

    async def check(self, pages: LogPages, queries: list[dict[str, str]]) -> None:
        """
        :raises LateRows: naming the first stretch in which there are more rows by now.
        """
        parts = [(self._kept, True)] if self._kept and self._kept[0].width > 0 else []
        parts += [(part, False) for part in self._parts]
        counts = await asyncio.gather(*(pages.count(part[0], queries, exact) for part, exact in parts))
        for ((part, rows), _), total in zip(parts, counts, strict=True):
            # Fewer is no loss: the server has deleted what is already handed on.
            if total > rows:
                raise LateRows(rows, total, part.low)
