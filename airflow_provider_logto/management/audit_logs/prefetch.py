"""Work on several things at once and hand the results on in order, with bounded room for what waits its turn."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


async def in_order(
    things: AsyncIterator[T],
    work: Callable[[T], Awaitable[R]],
    *,
    workers: int,
    room: int,
    size: Callable[[T], int],
) -> AsyncGenerator[tuple[T, R], None]:
    """Each thing with the result of its work, in the order in which the things come.

    Whatever ends it (an error of ``things`` or of ``work``, or the consumer leaving), nothing is left running.

    :param workers: how many are worked on at once; the earliest first.
    :param room: units that may be taken by what is worked on or waits to be handed on.
    :param size: units that one thing takes; one that is larger than the room takes all of it.
    """
    started: asyncio.Queue[tuple[T, asyncio.Task[R]] | None] = asyncio.Queue()
    running: set[asyncio.Task[R]] = set()
    space = asyncio.Semaphore(room)
    hands = asyncio.Semaphore(workers)

    def units(thing: T) -> int:
        return min(max(1, size(thing)), room)

    async def do(thing: T) -> R:
        async with hands:
            return await work(thing)

    async def start_all() -> None:
        try:
            async for thing in things:
                for _ in range(units(thing)):
                    await space.acquire()
                task = asyncio.create_task(do(thing))
                running.add(task)
                started.put_nowait((thing, task))
        finally:
            started.put_nowait(None)

    starter = asyncio.create_task(start_all())
    try:
        while following := await started.get():
            thing, task = following
            result = await task
            running.discard(task)
            for _ in range(units(thing)):
                space.release()
            yield thing, result
        await starter
    finally:
        starter.cancel()
        for task in running:
            task.cancel()
        await asyncio.gather(starter, *running, return_exceptions=True)
