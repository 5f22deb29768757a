"""When the next request may leave: GCRA, so that requests are paced rather than counted.

Counting ("200, then wait") trips sliding and fixed windows alike; an even pace with a burst of two passes every kind of
limiter. One schedule is shared by everything that talks to the same tenant: within the process here, within the host
through a file (``host_files``), between hosts through Redis (``redis_server``).
"""

from __future__ import annotations

import asyncio
import math
import random
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

from airflow_provider_logto.client.sharing import schedule
from airflow_provider_logto.client.sharing.schedule import Schedule

T = TypeVar("T")

#: Requests per 10 s on Logto Cloud (docs: system limits), shared with the tenant's own sign-ins.
CLOUD_LIMIT = 200.0
#: Seconds. A request that wakes later than this after its place takes another: a late bunch exceeds the limit.
LATE = 0.25
_TRIES = 5


class Pacer(Protocol):
    """Decides when a request may leave, and whether a failed one may be tried again."""

    async def wait(self, patience: float = math.inf) -> float:
        """Return when the next request may be sent.

        :param patience: seconds to wait at most.
        :returns: 0.0 when the request may leave; otherwise, at once, the seconds it would have to wait.
        """

    async def throttled(self, retry_after: float | None) -> None:
        """The server answered 429: slow down.

        :param retry_after: seconds the server asked for, if it said so.
        """

    async def may_retry(self) -> bool:
        """Spend one retry of the tenant's budget; False when it is used up."""

    async def succeeded(self) -> None:
        """The server works: give a part of the budget back."""

    async def close(self) -> None:
        """Release what is held for the running event loop."""


class Cell(Protocol):
    """Keeps one schedule and changes it atomically."""

    async def update(self, change: Callable[[Schedule, float], tuple[Schedule | None, T]]) -> T:
        """Run ``change(schedule, now)``; keep the schedule it returns (None: as it was) and return the rest."""


class NoPacer:
    """Neither pace nor budget."""

    async def wait(self, patience: float = math.inf) -> float:
        return 0.0

    async def throttled(self, retry_after: float | None) -> None:
        return None

    async def may_retry(self) -> bool:
        return True

    async def succeeded(self) -> None:
        return None

    async def close(self) -> None:
        return None


class ProcessCell:
    """A schedule of this process, for all of its threads and event loops."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._schedule = Schedule()

    async def update(self, change: Callable[[Schedule, float], tuple[Schedule | None, T]]) -> T:
        with self._lock:
            changed, result = change(self._schedule, self._clock())
            self._schedule = changed or self._schedule
            return result


class CellPacer:
    """Paces by the schedule in a cell.

    :param cell: where the schedule is kept.
    :param limit: requests per 10 s that the server allows; None where it has no limit (the budget remains).
    :param share: part of the limit that may be used, in (0, 1].
    """

    def __init__(self, cell: Cell, limit: float | None, share: float) -> None:
        self._cell = cell
        self._step = schedule.interval(limit, share) if limit else None
        self._spent = False

    async def wait(self, patience: float = math.inf) -> float:
        if self._step is None:
            return 0.0
        return await wait_for_place(self._take, self._epoch, patience)

    async def throttled(self, retry_after: float | None) -> None:
        await self._update(lambda kept, now: (schedule.cut(kept, now, retry_after), None))

    async def may_retry(self) -> bool:
        self._spent = True
        return await self._update(schedule.withdraw)

    async def succeeded(self) -> None:
        # Only who has spent gives back: the usual case, where nothing fails, costs nothing.
        if self._spent:
            self._spent = not await self._update(schedule.deposit)

    async def close(self) -> None:
        return None

    async def _take(self, patience: float) -> tuple[float, float]:
        def take(kept: Schedule, now: float) -> tuple[Schedule | None, tuple[float, float]]:
            changed, delay = schedule.place(kept, now, self._step or 0.0, patience)
            return changed, (delay, kept.epoch)

        return await self._update(take)

    async def _epoch(self) -> float:
        return await self._update(lambda kept, now: (None, kept.epoch))

    async def _update(self, change: Callable[[Schedule, float], tuple[Schedule | None, T]]) -> T:
        step = self._step or 0.0
        return await self._cell.update(lambda kept, now: change(schedule.sane(kept, now, step), now))


async def wait_for_place(
    take: Callable[[float], Awaitable[tuple[float, float]]], epoch: Callable[[], Awaitable[float]], patience: float
) -> float:
    """Take a place, sleep until it, and take another one if it was withdrawn or slept over.

    :param take: ``take(patience)`` returns (seconds until the place, epoch); takes none when that exceeds patience.
    :param epoch: the epoch now.
    :returns: as :meth:`Pacer.wait`.
    """
    end = time.monotonic() + patience
    late = 0
    while True:
        left = max(0.0, end - time.monotonic())
        delay, taken_in = await take(min(left, schedule.QUEUE))
        if delay > left:
            return delay
        if delay > schedule.QUEUE:
            await asyncio.sleep(random.uniform(1.0, 10.0))  # noqa: S311
            continue
        if delay <= 0:
            return 0.0
        due = time.monotonic() + delay
        await asyncio.sleep(delay)
        if await epoch() != taken_in:
            continue
        late += 1
        # A machine that is always too slow for its places goes on in the end: better than never.
        if time.monotonic() - due <= LATE or late > _TRIES:
            return 0.0


_cells: dict[str, ProcessCell] = {}
_cells_lock = threading.Lock()


def process_pacer(tenant: str, limit: float | None, share: float) -> Pacer:
    """A pacer on the schedule that everything in this process shares for one tenant."""
    with _cells_lock:
        return CellPacer(_cells.setdefault(tenant, ProcessCell()), limit, share)
