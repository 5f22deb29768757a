"""Three models of a tenant's request limit. Which one a hosted Logto uses is not published, so a client has to
live with each of them.

``allow(now)`` takes a monotonic time in seconds and returns 0.0 when the request may pass, otherwise the seconds
until the next one may.
"""

from __future__ import annotations

from collections import deque
from typing import Protocol

WINDOW = 10.0


class Limiter(Protocol):
    """One tenant's limit."""

    def allow(self, now: float) -> float:
        """0.0 = let it pass; otherwise seconds to wait. A refused request does not count."""
        ...


class TokenBucket:
    """Full at first, refilled evenly: a burst of ``limit`` and then ``limit`` per 10 s."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._tokens = float(limit)
        self._at: float | None = None

    def allow(self, now: float) -> float:
        rate = self._limit / WINDOW
        if self._at is not None:
            self._tokens = min(self._limit, self._tokens + (now - self._at) * rate)
        self._at = now
        if self._tokens >= 1:
            self._tokens -= 1
            return 0.0
        return (1 - self._tokens) / rate


class SlidingWindow:
    """Never more than ``limit`` requests in any 10 s."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._passed: deque[float] = deque()

    def allow(self, now: float) -> float:
        while self._passed and self._passed[0] <= now - WINDOW:
            self._passed.popleft()
        if len(self._passed) < self._limit:
            self._passed.append(now)
            return 0.0
        return self._passed[0] + WINDOW - now


class FixedWindow:
    """At most ``limit`` requests from one multiple of 10 s to the next: twice ``limit`` can pass around a boundary."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._window = -1.0
        self._passed = 0

    def allow(self, now: float) -> float:
        window = now // WINDOW
        if window != self._window:
            self._window, self._passed = window, 0
        if self._passed < self._limit:
            self._passed += 1
            return 0.0
        return (window + 1) * WINDOW - now


LIMITERS: dict[str, type[TokenBucket] | type[SlidingWindow] | type[FixedWindow]] = {
    "token_bucket": TokenBucket,
    "sliding_window": SlidingWindow,
    "fixed_window": FixedWindow,
}
