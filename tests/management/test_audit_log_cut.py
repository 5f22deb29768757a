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

DAY = 86_400_000
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


@example([(DAY, DAY, 4940), (19 * DAY - 1, 50, 5262), (6 * DAY, 3000, 2048), (18 * DAY, 3000, 405)], [], 0)
@given(st.lists(burst, max_size=5), st.lists(burst, max_size=2), st.integers(0, 9))
def test_any_layout_is_cut_into_segments_that_fit(one: list[Any], other: list[Any], seed: int) -> None:
    pages = FakePages({"one": times_of(one, seed), "other": times_of(other, seed + 1)})
    queries = [{"logKey": "one"}, {"logKey": "other"}]

    async def go() -> list[Segment]:
        whole = await first_pages(pages, WHOLE, queries)  # type: ignore[arg-type]
        return [segment async for segment in cut(pages, whole, queries)]  # type: ignore[arg-type]

    segments = asyncio.run(go())
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

    async def go() -> None:
        whole = await first_pages(pages, WHOLE, [{}])  # type: ignore[arg-type]
        async for _ in cut(pages, whole, [{}]):  # type: ignore[arg-type]
            pass

    with pytest.raises(IncompleteList):
        asyncio.run(go())
    assert pages.asked < 300
