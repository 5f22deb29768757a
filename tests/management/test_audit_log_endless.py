"""A server whose pages never end: every way of reading the log gives up, saying that the list does not add up."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Mapping
from itertools import count
from typing import Any

import pytest

from airflow_provider_logto.exceptions import IncompleteList
from airflow_provider_logto.management.audit_logs.numbered_pages import read_by_pages
from airflow_provider_logto.management.audit_logs.pages import Bounds, LogPage, Window
from airflow_provider_logto.management.audit_logs.retention import gap_until
from airflow_provider_logto.management.audit_logs.rows import Row
from airflow_provider_logto.management.audit_logs.segments import Segment, read_segment

WINDOW = Window(0, 10_000_000)


class Endless:
    """Answers every question with a full page.

    :param fresh: rows that were never shown, instead of the same ones again.
    :param total: what it says it holds.
    :param crowded: all rows lie in one millisecond.
    """

    bounds = Bounds.INCLUSIVE

    def __init__(self, fresh: bool, total: int, crowded: bool = False) -> None:
        self.asked = 0
        self._ids = count() if fresh else None
        self._total = total
        self._crowded = crowded

    def _page(self, window: Window, size: int) -> LogPage:
        self.asked += 1
        assert self.asked < 2000, "asked for ever"
        names = [str(next(self._ids)) if self._ids else str(at) for at in range(size)]
        rows = [
            Row(name, window.high - 1 - (0 if self._crowded else at // (size - 1))) for at, name in enumerate(names)
        ]
        return LogPage(rows, self._total)

    async def newest(self, window: Window, query: Mapping[str, str]) -> LogPage:
        return self._page(window, 100)

    async def peek(self, window: Window) -> LogPage:
        return LogPage([], 0)

    async def numbered(self, window: Window | None, query: Mapping[str, str], number: int, size: int) -> LogPage:
        return self._page(window or WINDOW, size)


def by_time(pages: Any) -> Coroutine[Any, Any, Any]:
    return read_segment(pages, Segment(WINDOW, (pages._page(WINDOW, 100),)), [{}])


def by_number(pages: Any) -> Coroutine[Any, Any, Any]:
    return read_by_pages(pages, WINDOW, {})


def backwards(pages: Any) -> Coroutine[Any, Any, Any]:
    return gap_until(pages, WINDOW)


@pytest.mark.parametrize("crowded", [False, True])
@pytest.mark.parametrize("total", [0, 5, 1000])
@pytest.mark.parametrize("fresh", [True, False])
@pytest.mark.parametrize("read", [by_time, by_number])
def test_pages_that_never_end(read: Callable[[Any], Any], fresh: bool, total: int, crowded: bool) -> None:
    pages = Endless(fresh, total, crowded)
    if read is by_number and not fresh:
        # Nothing new, walk after walk: these rows are all there is.
        assert len(asyncio.run(read(pages))) == 100
    else:
        with pytest.raises(IncompleteList):
            asyncio.run(read(pages))
    # The same rows again are soon enough; for new ones, what the count explains and twenty pages are waited.
    assert pages.asked <= (42 if fresh else 33 if crowded else 8)


def test_the_oldest_row_is_not_looked_for_for_ever() -> None:
    for total in (0, 1, 1000):
        pages = Endless(False, total)
        with contextlib.suppress(IncompleteList):
            asyncio.run(backwards(pages))
        assert pages.asked < 300
