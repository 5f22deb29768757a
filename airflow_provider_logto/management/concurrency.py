"""The same call for many things at once; the client's pace and connections bound how fast."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

from airflow_provider_logto.client.client import CONNECTIONS

T = TypeVar("T")
R = TypeVar("R")


async def for_each(things: Iterable[T], do: Callable[[T], Awaitable[R]]) -> list[R]:
    """Call a function for each thing.

    After a failure nothing further is begun; what is under way is finished first, so that no answer of a write gets
    lost.

    :returns: the results, in the order of the things.
    :raises Exception: the first failure, as it is.
    """
    waiting = list(things)
    results: dict[int, R] = {}
    failures: list[Exception] = []
    following = iter(enumerate(waiting))

    async def work() -> None:
        for at, thing in following:
            try:
                results[at] = await do(thing)
            except Exception as error:
                failures.append(error)
            if failures:
                return

    await asyncio.gather(*(work() for _ in range(min(CONNECTIONS, len(waiting)))))
    if failures:
        raise failures[0]
    return [results[at] for at in range(len(waiting))]
