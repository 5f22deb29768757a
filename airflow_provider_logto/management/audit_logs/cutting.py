"""Cutting an interval into segments of a few thousand rows, oldest first, by what the answers tell of the density."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from airflow_provider_logto.client.pagination import PAGE_SIZE
from airflow_provider_logto.exceptions import IncompleteList
from airflow_provider_logto.management.audit_logs.pages import OPERATION, LogPage, LogPages, Window
from airflow_provider_logto.management.audit_logs.segments import SEGMENT_ROWS, Query, Segment, first_pages

#: How much wider than its predecessor a segment may become.
GROWTH = 16
#: Beginnings in a row that may turn out too large. Halving a century takes 42; a server that never lets one fit is
#: not asked for ever.
REFUSALS = 200


async def cut(pages: LogPages, whole: Segment, queries: Sequence[Query]) -> AsyncIterator[Segment]:
    """Cut a window into segments that can be read as they are.

    :param whole: the window, with its first pages.
    :raises IncompleteList: where no beginning is ever small enough.
    """
    ahead = _Ahead(whole)
    while segment := ahead.next:
        if not segment.fits:
            segment = await first_pages(pages, ahead.beginning(segment), queries)
        if segment.fits:
            yield segment
            ahead.passed(segment)
        else:
            ahead.too_large(segment)


class _Ahead:
    """What is known of the time ahead.

    Windows nested into each other, all with one beginning: the whole rest, and each beginning of it that was asked for
    and turned out too large. The innermost comes next.
    """

    def __init__(self, whole: Segment) -> None:
        self._windows = [whole]
        self._width = _beginning_that_fits(whole)
        self._refusals = 0

    @property
    def next(self) -> Segment | None:
        """The innermost window; None when nothing is left."""
        return self._windows[-1] if self._windows else None

    def beginning(self, segment: Segment) -> Window:
        """How much of a segment that is too large to ask for."""
        low = segment.window.low
        if self._width < segment.span:
            return Window(low, low + self._width)  # as dense as before
        if segment.total <= SEGMENT_ROWS:
            return segment.window  # the count was capped, and so many rows have been passed since
        # All of it is known to be too much, and what came before was sparse.
        return Window(low, low + max(1, segment.span // 2, _beginning_that_fits(segment)))

    def too_large(self, segment: Segment) -> None:
        """A beginning does not fit: its own beginning comes first.

        :raises IncompleteList: after too many in a row.
        """
        self._refusals += 1
        if self._refusals > REFUSALS:
            raise IncompleteList(OPERATION, 0, segment.total)
        self._windows.append(segment)
        self._width = _beginning_that_fits(segment)

    def passed(self, segment: Segment) -> None:
        """A segment is cut off; what was known of the windows around it holds for their rests."""
        self._refusals = 0
        self._windows = [_rest(one, segment) for one in self._windows if one.window.high > segment.window.high]
        as_dense = segment.window.width * SEGMENT_ROWS // max(segment.total, 1)
        self._width = max(1, min(as_dense, segment.window.width * GROWTH))


def _beginning_that_fits(segment: Segment) -> int:
    """The width of a beginning that should fit, by what the newest pages show."""
    if not segment.capped and 2 * segment.packed < segment.span:
        # A burst after a long time with little: that comes first.
        return segment.span - 2 * segment.packed
    return max(1, segment.span * SEGMENT_ROWS // max(segment.total, 1))


def _rest(segment: Segment, taken: Segment) -> Segment:
    """What is known of a segment when its beginning has been taken away."""
    window = Window(taken.window.high, segment.window.high)
    pages = zip(segment.firsts, taken.firsts, strict=True)
    return Segment(window, tuple(_rest_of_page(page, window, beginning.total) for page, beginning in pages))


def _rest_of_page(page: LogPage, window: Window, taken: int) -> LogPage:
    rows = [row for row in page.rows if window.holds(row)]
    if len(rows) < PAGE_SIZE:
        return LogPage(rows, len(rows))  # the newest of more: so these are all
    return LogPage(rows, max(page.total - taken, len(rows)), page.capped)
