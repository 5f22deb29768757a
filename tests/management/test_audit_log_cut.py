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
from airflow_provider_logto.management.audit_logs.pages import LogPage, Window
from airflow_provider_logto.management.audit_logs.rows import Row
from airflow_provider_logto.management.audit_logs.segments import (
    SEGMENT_LIMIT,
    SEGMENT_ROWS,
    Segment,
    first_pages,
)

HOUR = 3_600_000
DAY = 24 * HOUR
WHOLE = Window(5 * DAY, 19 * DAY)
CAP = 10_000


class FakePages:
    """A log in memory that answers as the server does."""

    def __init__(self, times: dict[str, list[int]]) -> None:
        self.times = times
        self.asked = 0

    async def newest(self, window: Window, query: Mapping[str, str]) -> LogPage:
        self.asked += 1
        times = self.times[query["logKey"]]
        low, high = bisect_left(times, window.low), bisect_left(times, window.high)
        rows = [Row(str(place), times[place]) for place in range(high - 1, max(low, high - 100) - 1, -1)]
        return LogPage(rows, min(high - low, CAP + 1), high - low > CAP)


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


def test_a_server_whose_beginnings_never_fit_is_not_asked_for_ever() -> None:
    class Endless(FakePages):
        async def newest(self, window: Window, query: Mapping[str, str]) -> LogPage:
            self.asked += 1
            return LogPage([Row("1", window.high - 1)], 1, capped=True)

    pages = Endless({})
    with pytest.raises(IncompleteList):
        asyncio.run(cut_all(pages, [{}]))
    assert pages.asked < 300
