"""How far back the server's audit log still reaches."""

from __future__ import annotations

from airflow_provider_logto.client.client import LogtoClient
from airflow_provider_logto.management.audit_log_pages import Bounds, LogPages, Window


async def gap_until(client: LogtoClient, window: Window) -> int | None:
    """Where a window's beginning is older than everything that the server has, the time of its oldest row.

    Whether older rows were deleted or never written cannot be told apart from outside.

    :returns: epoch ms within the window (its end when all rows are younger still); None when there is no gap, or not a
        single row.
    """
    pages = LogPages(client)
    # Two milliseconds less than all: as long as the bounds are unknown, more is asked for than is meant.
    before = Window(0, max(window.low - 2, 1))
    rows = (await pages.peek(before)).rows
    if rows and before.holds(rows[0]):
        return None
    page = await pages.newest(window, {})
    if pages.bounds is Bounds.IGNORED:
        oldest = await _last_row(pages, page.total)
        return None if oldest is None or oldest <= window.low else min(oldest, window.high)
    if not page.rows:
        anything = await pages.peek(Window(window.low, window.high + _CENTURY))
        return window.high if anything.rows else None
    oldest = await _oldest(pages, window)
    return oldest if oldest > window.low else None


_CENTURY = 100 * 365 * 86_400_000


async def _oldest(pages: LogPages, window: Window) -> int:
    """The oldest row of a window that holds some, by halving it."""
    low, high = window.low, window.high
    while True:
        page = await pages.newest(Window(low, high), {})
        if page.rows and (page.is_last or high - low == 1):
            return min(int(row["createdAt"]) for row in page.rows)
        middle = (low + high) // 2
        if page.rows and await pages.count(Window(low, middle), [{}]):
            high = middle
        else:
            low = middle


async def _last_row(pages: LogPages, total: int) -> int | None:
    page = await pages.numbered(None, {}, max(1, -(-total // 100)), 100)
    return min((int(row["createdAt"]) for row in page.rows), default=None)
