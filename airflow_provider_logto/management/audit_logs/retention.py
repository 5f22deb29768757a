"""How far back the server's audit log still reaches."""

from __future__ import annotations

from airflow_provider_logto.client.pagination import PAGE_SIZE
from airflow_provider_logto.exceptions import IncompleteList
from airflow_provider_logto.management.audit_logs.pages import OPERATION, Bounds, LogPage, LogPages, Window


async def gap_until(pages: LogPages, window: Window) -> int | None:
    """Where a window's beginning is older than everything that the server has, the time of its oldest row.

    Whether older rows were deleted or never written cannot be told apart from outside.

    :returns: epoch ms within the window (its end when all rows are younger still); None when there is no gap, or not a
        single row.
    """
    before = Window(window.low - _CENTURY, window.low)
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
    oldest = await _oldest(pages, window, page)
    return oldest if oldest > window.low else None


_CENTURY = 100 * 365 * 86_400_000
#: Looks for the oldest row: a server whose counts make sense needs some twenty.
_LOOKS = 200


async def _oldest(pages: LogPages, window: Window, page: LogPage) -> int:
    """The time of the oldest row of a window that holds some.

    :param page: its newest page.
    :raises IncompleteList: when it is not found.
    """
    step = 1
    for _ in range(_LOOKS):
        if page.is_last or window.width <= 1:
            return min(row.created_at for row in page.rows)
        # A beginning that should hold half a page; when it is empty, the next one is twice as wide.
        width = max(1, window.width * step * PAGE_SIZE // (2 * max(page.total, 1)))
        middle = min(window.low + width, window.high - 1)
        beginning = await pages.newest(Window(window.low, middle), {})
        if beginning.rows:
            window, page, step = Window(window.low, middle), beginning, 1
        else:
            window, step = Window(middle, window.high), step * 2
    raise IncompleteList(OPERATION, len(page.rows), page.total)


async def _last_row(pages: LogPages, total: int) -> int | None:
    page = await pages.numbered(None, {}, max(1, -(-total // 100)), 100)
    return min((row.created_at for row in page.rows), default=None)
