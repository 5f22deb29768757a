"""Cutting an interval, for any layout of rows: nothing left out, nothing twice, and few questions asked."""

from __future__ import annotations

import asyncio
import random
from bisect import bisect_left
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_provider_logto.exceptions import IncompleteList
from airflow_provider_logto.management.audit_logs.cutting import cut
from airflow_provider_logto.management.audit_logs.pages import Bounds, LogFilter, LogPage, Window
from airflow_provider_logto.management.audit_logs.rows import Row
from airflow_provider_logto.management.audit_logs.segments import (
    SEGMENT_LIMIT,
    SEGMENT_ROWS,
    Segment,
    first_pages,
    read_segment,
)
from airflow_provider_logto.management.audit_logs.walk import LateRows, Position, _Ledger, walk

HOUR = 3_600_000
DAY = 24 * HOUR
WHOLE = Window(5 * DAY, 19 * DAY)
CAP = 10_000


class FakePages:
    """A log in memory that answers as the server does."""

    bounds = Bounds.INCLUSIVE
    concurrency = 4

    def __init__(self, times: dict[str, list[int]], miscount: int = 0) -> None:
        self.times = times
        self.miscount = miscount
        self.asked = 0
        self.sizes: list[int] = []

    async def newest(self, window: Window, query: Mapping[str, str]) -> LogPage:
        self.asked += 1
        assert window.width > 0
        await asyncio.sleep(0)
        return self._page(window, query, 1, 100)

    async def numbered(self, window: Window, query: Mapping[str, str], number: int, size: int) -> LogPage:
        self.sizes += [size] if number == 1 else []
        return self._page(window, query, number, size)

    async def count(self, window: Window, queries: list[dict[str, str]], exact: bool) -> int:
        return sum([self._page(window, query, 1, 1).total for query in queries])

    def _page(self, window: Window, query: Mapping[str, str], number: int, size: int) -> LogPage:
        times = self.times[query["logKey"]]
        low, high = bisect_left(times, window.low), bisect_left(times, window.high)
        newest = high - 1 - (number - 1) * size
        rows = [Row(str(place), times[place]) for place in range(newest, max(low, newest + 1 - size) - 1, -1)]
        return LogPage(rows, min(high - low, CAP + 1) + self.miscount, high - low > CAP)


burst = st.tuples(
    st.integers(WHOLE.low, WHOLE.high - 1), st.sampled_from([1, 50, 3_000, 600_000, DAY]), st.integers(1, 6000)
)


def times_of(bursts: list[tuple[int, int, int]], seed: int) -> list[int]:
    chance = random.Random(seed)  # noqa: S311
    times = [begin + chance.randrange(width) for begin, width, rows in bursts for _ in range(rows)]
    return sorted(min(time, WHOLE.high - 1) for time in times)


async def cut_all(pages: Any, queries: list[dict[str, str]]) -> list[Segment]:
    whole = await first_pages(pages, WHOLE, queries)
    return [segment async for segment in cut(pages, whole, queries)]


#: Bursts (beginning, width, rows) of evenly spread rows -> questions asked, and the rows of each segment.
LAYOUTS: list[tuple[list[tuple[int, int, int]], int, list[int]]] = [
    ([(5 * DAY, 14 * DAY, 9000)], 5, [1500, 1500, 1500, 1500, 3000]),
    ([(10 * DAY, 5 * DAY, 3000)], 1, [3000]),
    ([(10 * DAY, 5 * DAY, 3001)], 4, [0, 0, 502, 2499]),
    ([(18 * DAY, HOUR, 5000)], 4, [0, 49, 2475, 2476]),
    ([(5 * DAY, 10, 3001), (18 * DAY, DAY, 100)], 3, [1201, 1800, 100]),
    ([(5 * DAY, 1, 4000)], 2, [4000, 0]),
    ([(5 * DAY, 5, 4000)], 3, [800, 800, 2400]),
    ([(5 * DAY + 10, 10, 4500)], 4, [0, 1350, 1350, 1800]),
    ([(5 * DAY + 3001, 3001, 3001)], 3, [0, 1500, 1501]),
    ([(6 * DAY, 20, 10_001)], 29, [*[0] * 22, 1001, 1500, 3000, 1500, 1500, 1500]),
    (
        [(6 * DAY, HOUR, 5000), (12 * DAY, 3000, 8000), (18 * DAY, 50, 4000)],
        17,
        [0, 49, 2475, 2476, 0, 0, 0, 1432, 2515, 1499, 2554, 0, 0, 800, 1600, 1600],
    ),
    (
        [(5 * DAY, DAY, 200), (18 * DAY, DAY, 12_000)],
        15,
        [200, 0, 0, 0, 0, 30, 1522, 1522, 1501, 1499, 1501, 1499, 1501, 1425],
    ),
]


@pytest.mark.parametrize(("bursts", "asked", "rows"), LAYOUTS)
def test_what_a_layout_costs(bursts: list[tuple[int, int, int]], asked: int, rows: list[int]) -> None:
    """Where it is cut follows from the answers alone; who changes a rule sees here what that costs or saves."""
    times = sorted(begin + at * width // count for begin, width, count in bursts for at in range(count))
    pages = FakePages({"one": times})
    segments = asyncio.run(cut_all(pages, [{"logKey": "one"}]))
    assert [segment.total for segment in segments] == rows
    assert pages.asked == asked


@example([(DAY, DAY, 4940), (19 * DAY - 1, 50, 5262), (6 * DAY, 3000, 2048), (18 * DAY, 3000, 405)], [], 0)
@given(st.lists(burst, max_size=5), st.lists(burst, max_size=2), st.integers(0, 9))
def test_any_layout_is_cut_into_segments_that_fit(one: list[Any], other: list[Any], seed: int) -> None:
    pages = FakePages({"one": times_of(one, seed), "other": times_of(other, seed + 1)})
    queries = [{"logKey": "one"}, {"logKey": "other"}]

    segments = asyncio.run(cut_all(pages, queries))
    asked = pages.asked // 2
    borders = [WHOLE.low, *(segment.window.high for segment in segments)]
    assert [(segment.window.low, segment.window.high) for segment in segments] == [*pairwise(borders)]
    assert borders[-1] == WHOLE.high
    for segment in segments:
        assert segment.total <= SEGMENT_LIMIT or segment.window.width == 1
        # What was concluded from another answer is what the server would have said; of a capped count, a lower bound.
        said = asyncio.run(first_pages(pages, segment.window, queries))  # type: ignore[arg-type]
        if segment.window.width == 1 and segment.capped:
            assert segment.total <= said.total
        else:
            assert segment == said
    rows = sum(map(len, pages.times.values()))
    assert asked <= 3 * rows / SEGMENT_ROWS + 30 * (len(one) + len(other)) + 1


@pytest.mark.parametrize("fitting", [0, 1])
def test_a_server_whose_beginnings_never_fit_is_not_asked_for_ever(fitting: int) -> None:
    class Endless(FakePages):
        async def newest(self, window: Window, query: Mapping[str, str]) -> LogPage:
            self.asked += 1
            assert self.asked < 1000, "asked for ever"
            rows = [Row(str(at), window.high - 1) for at in range(100)]
            return LogPage(rows, 2000 if self.asked == 1 else 100, capped=not 1 < self.asked <= 1 + fitting)

    pages = Endless({})
    with pytest.raises(IncompleteList, match="0 distinct items but the server counts 100"):
        asyncio.run(cut_all(pages, [{}]))
    # The whole, what fits, and two hundred beginnings and one.
    assert pages.asked == 1 + fitting + 201


ONE = [{"logKey": "one"}]


def read(pages: Any, window: Window) -> list[Row]:
    async def go() -> list[Row]:
        segment = await first_pages(pages, window, ONE)
        pages.asked = 0
        return await read_segment(pages, segment, ONE)

    return asyncio.run(go())


def test_what_is_known_of_a_segment() -> None:
    def segment(width: int, *pages: LogPage) -> Segment:
        return Segment(Window(100, 100 + width), pages)

    rows = [Row("b", 150), Row("a", 141)]
    some = segment(100, LogPage(rows, 20), LogPage([], 0))
    # To the newest row, that one included; twenty rows as close together as the two.
    assert (some.total, some.span, some.packed) == (20, 51, 100)
    assert (segment(9, LogPage([], 0)).span, segment(9, LogPage([], 0)).packed) == (1, 0)
    assert segment(2, LogPage(rows, 3000)).fits
    assert not segment(2, LogPage(rows, 3001)).fits
    assert not segment(2, LogPage(rows, 5, capped=True), LogPage([], 0)).fits
    assert segment(1, LogPage(rows, 10_001, capped=True)).fits


def test_what_adds_up_is_read_once_and_what_does_not_three_times() -> None:
    times = [5 * DAY + at for at in range(60)]
    pages = FakePages({"one": times})
    assert len(read(pages, WHOLE)) == 60
    assert pages.asked == 0
    pages.miscount = 1
    with pytest.raises(IncompleteList, match="60 distinct items but the server counts 61"):
        read(pages, WHOLE)
    assert pages.asked == 2


def test_a_crowded_millisecond_is_read_by_numbered_pages_alone() -> None:
    pages = FakePages({"one": [5 * DAY] * 250})
    assert len(read(pages, Window(5 * DAY, 5 * DAY + 1))) == 250
    assert (pages.asked, pages.sizes) == (0, [100])
    # Rows of other milliseconds beside it.
    pages = FakePages({"one": [6 * DAY - 1] * 3 + [6 * DAY] * 250 + [6 * DAY + 1] * 3})
    assert len(read(pages, WHOLE)) == 256
    assert (pages.asked, pages.sizes) == (2, [100])


def test_one_that_never_adds_up_is_read_by_pages_of_every_size() -> None:
    pages = FakePages({"one": [5 * DAY] * 250}, miscount=1)
    with pytest.raises(IncompleteList):
        read(pages, Window(5 * DAY, 5 * DAY + 1))
    assert pages.sizes == [100, 83, 97, 61, 71, 89, 53, 79]


def test_so_much_is_read_ahead_and_no_more() -> None:
    """4000 rows for each of four readers, while whoever writes them is slow."""
    times = [WHOLE.low + at * 10_000 for at in range(60_000)]

    class Noting(FakePages):
        rows = 0

        def _page(self, window: Window, query: Mapping[str, str], number: int, size: int) -> LogPage:
            page = super()._page(window, query, number, size)
            self.rows += len(page.rows)
            return page

    pages = Noting({"one": times})

    async def go() -> None:
        batches = walk(pages, WHOLE, LogFilter(("one",)))  # type: ignore[arg-type]
        await anext(batches)
        for _ in range(2000):
            await asyncio.sleep(0)
        await batches.aclose()

    asyncio.run(go())
    assert 15_000 <= pages.rows <= 20_000


@pytest.mark.parametrize(
    ("low", "after", "counted"),
    [
        (0, None, [(Window(0, 20), False), (Window(20, 30), False)]),
        (0, Position(5, "x", 7), [(Window(0, 5), True), (Window(0, 20), False), (Window(20, 30), False)]),
        (4, Position(5, "x", 7), [(Window(4, 5), True), (Window(0, 20), False), (Window(20, 30), False)]),
        (5, Position(5, "x", 7), [(Window(0, 20), False), (Window(20, 30), False)]),
    ],
)
def test_what_is_counted_again_in_the_end(low: int, after: Position | None, counted: list[Any]) -> None:
    """Stretches of ten thousand rows at most, so that a capped count tells; and what an earlier walk read, uncapped."""
    asked: list[Any] = []
    said: dict[Window, int] = {}

    class Pages:
        async def count(self, window: Window, queries: Any, exact: bool) -> int:
            asked.append((window, exact))
            return said.get(window, 0)

    async def check(**more: int) -> None:
        asked.clear()
        ledger = _Ledger(Window(low, 30), after)
        # Two of the first rows belong to the earlier walk; of the others none.
        ledger.note(Window(0, 10), 9_998, 2 if after else 0)
        ledger.note(Window(10, 20), 2, 0)
        ledger.note(Window(20, 30), 1, 0)
        await ledger.check(Pages(), [{}])  # type: ignore[arg-type]

    said = {window: 5 if exact else 10_000 if window.high == 20 else 1 for window, exact in counted}
    asyncio.run(check())
    assert asked == counted
    for window, _ in counted:
        said[window] += 1
        with pytest.raises(LateRows, match="distinct items but the server counts") as caught:
            asyncio.run(check())
        assert caught.value.from_ms == window.low
        said[window] -= 1
