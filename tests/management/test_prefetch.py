"""Work on several things at once, handed on in order."""

from __future__ import annotations

import asyncio
import time
import weakref
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import Any

import pytest

from airflow_provider_logto.management.audit_logs.prefetch import in_order
from airflow_provider_logto.management.concurrency import for_each


class Work:
    """Counts what runs at once; later things end earlier."""

    def __init__(self, fails_at: int | None = None) -> None:
        self.running = self.most = self.begun = self.ended = 0
        self._fails_at = fails_at

    async def __call__(self, thing: int) -> int:
        self.begun += 1
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            await asyncio.sleep(0.02 / (thing + 1))
            if thing == self._fails_at:
                raise ValueError(thing)
        finally:
            self.running -= 1
        self.ended += 1
        return thing * thing


async def numbers(count: int, fails: bool = False) -> AsyncIterator[int]:
    for number in range(count):
        yield number
    if fails:
        raise KeyError("no more")


def one(thing: int) -> int:
    return 1


async def collected(things: Any, work: Any, **bounds: Any) -> list[tuple[int, int]]:
    bounds = {"workers": 4, "room": 100, "size": one, **bounds}
    return [pair async for pair in in_order(things, work, **bounds)]


@pytest.mark.parametrize("count", [0, 1, 3, 50])
def test_in_order_with_as_many_workers_as_allowed(count: int) -> None:
    work = Work()
    assert asyncio.run(collected(numbers(count), work)) == [(at, at * at) for at in range(count)]
    assert work.most == min(4, count)


@pytest.mark.parametrize(("size", "room", "most"), [(one, 2, 2), (lambda thing: 3, 7, 2), (lambda thing: 99, 7, 1)])
def test_what_waits_its_turn_takes_room(size: Callable[[int], int], room: int, most: int) -> None:
    """A thing that is larger than the room takes all of it, and goes through all the same."""
    work = Work()
    assert len(asyncio.run(collected(numbers(20), work, room=room, size=size))) == 20
    assert work.most == most


def test_the_first_failure_comes_out_and_nothing_is_left_running() -> None:
    async def go() -> int:
        with pytest.raises(ValueError, match="3"):
            await collected(numbers(50), Work(fails_at=3))
        with pytest.raises(KeyError):
            await collected(numbers(5, fails=True), Work())
        return len(asyncio.all_tasks())

    assert asyncio.run(go()) == 1


def test_leaving_early_leaves_nothing_running() -> None:
    async def go() -> int:
        async with aclosing(in_order(numbers(50), Work(), workers=4, room=9, size=one)) as pairs:
            assert await anext(pairs) == (0, 0)
        return len(asyncio.all_tasks())

    assert asyncio.run(go()) == 1


def test_leaving_early_waits_for_nobody() -> None:
    async def work(thing: int) -> int:
        await asyncio.sleep(30 * thing)
        return thing

    async def go() -> float:
        async with aclosing(in_order(numbers(50), work, workers=4, room=9, size=one)) as pairs:
            assert await anext(pairs) == (0, 0)
            left = time.monotonic()
        assert len(asyncio.all_tasks()) == 1
        return time.monotonic() - left

    assert asyncio.run(go()) < 5


def test_what_was_handed_on_is_not_held() -> None:
    alive: weakref.WeakSet[Result] = weakref.WeakSet()

    async def work(thing: int) -> Result:
        alive.add(result := Result())
        return result

    async def go() -> None:
        async for _ in in_order(numbers(50), work, workers=4, room=4, size=one):
            assert len(alive) <= 10

    asyncio.run(go())


class Result:
    """Something that takes room."""


def test_for_each_keeps_the_order_and_ends_what_it_began() -> None:
    work = Work()
    assert asyncio.run(for_each(range(60), work)) == [at * at for at in range(60)]
    assert work.most == 20
    assert asyncio.run(for_each([], work)) == []
    failing = Work(fails_at=5)
    with pytest.raises(ValueError, match="5"):
        asyncio.run(for_each(range(200), failing))
    assert failing.running == 0
    assert failing.ended == failing.begun - 1
    assert failing.begun < 100
