"""When the next request may leave: GCRA, so that requests are paced rather than counted.

Counting ("200, then wait") trips sliding and fixed windows alike; an even pace with a burst of two passes every kind of
limiter. One schedule is shared by everything that talks to the same tenant in this process.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Protocol

#: Seconds of the window that Logto Cloud counts in.
WINDOW = 10.0
#: Requests per window on Logto Cloud (docs: system limits), shared with the tenant's own sign-ins.
CLOUD_LIMIT = 200.0
#: How much of the allowed share is used, and how many requests may leave at once: see ``docs/rate-limits.md``.
UTILISATION = 0.975
BURST = 2


class Pacer(Protocol):
    """Decides when a request may leave."""

    async def wait(self) -> None:
        """Return when the next request may be sent."""

    def throttled(self, retry_after: float | None) -> None:
        """The server answered 429: slow down.

        :param retry_after: seconds the server asked for, if it said so.
        """


class NoPacer:
    """For servers without a limit (self-hosted Logto)."""

    async def wait(self) -> None:
        return None

    def throttled(self, retry_after: float | None) -> None:
        return None


class ProcessPacer:
    """GCRA over one process: a single theoretical arrival time behind a lock.

    :param limit: requests per 10 s that the server allows.
    :param share: part of the limit that this pacer may use, in (0, 1].
    """

    def __init__(self, limit: float, share: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._interval = WINDOW / (limit * share * UTILISATION)
        self._tolerance = (BURST - 1) * self._interval
        self._clock = clock
        self._next = clock()
        self._lock = threading.Lock()

    def reserve(self) -> float:
        """Take the next place in the schedule; returns the seconds to wait for it."""
        with self._lock:
            now = self._clock()
            arrival = max(self._next, now)
            self._next = arrival + self._interval
            return max(0.0, arrival - self._tolerance - now)

    async def wait(self) -> None:
        delay = self.reserve()
        if delay > 0:
            await asyncio.sleep(delay)

    def throttled(self, retry_after: float | None) -> None:
        """Nobody of this process sends before ``retry_after`` (or a second) has passed."""
        with self._lock:
            self._next = max(self._next, self._clock() + (retry_after or 1.0) + self._tolerance)


_pacers: dict[tuple[str, float, float], ProcessPacer] = {}
_pacers_lock = threading.Lock()


def process_pacer(tenant: str, limit: float | None, share: float) -> Pacer:
    """The pacer that everything in this process shares for one tenant; none where there is no limit."""
    if limit is None:
        return NoPacer()
    with _pacers_lock:
        key = (tenant, limit, share)
        if key not in _pacers:
            _pacers[key] = ProcessPacer(limit, share)
        return _pacers[key]
