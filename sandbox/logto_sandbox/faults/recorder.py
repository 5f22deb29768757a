"""What arrived at the sandbox: the counts tests assert on."""

from __future__ import annotations

import time
from collections import Counter, deque
from dataclasses import dataclass
from typing import Any

_KEPT = 50_000
_WINDOW = 10.0
READ_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(slots=True)
class Record:
    """One request; ``status`` is None until it is answered, and stays None when it never was."""

    method: str
    path: str
    query: str
    route: str
    at_ms: int
    status: int | None = None


class Recorder:
    """Counts since the start or the last reset; the control plane's own requests are not counted."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self._records: deque[Record] = deque(maxlen=_KEPT)
        self._routes: Counter[str] = Counter()
        self._rejections: Counter[str] = Counter()
        self._requests = self._writes = self._tokens = self._peak = 0
        self._recent: deque[float] = deque()

    def arrived(self, method: str, path: str, query: str, route: str) -> Record:
        """Count a request; the record is completed when its status is known."""
        now = time.monotonic()
        record = Record(method, path, query, route, int(time.time() * 1000))
        self._records.append(record)
        self._requests += 1
        self._routes[f"{method} {route}"] += 1
        self._recent.append(now)
        while self._recent[0] <= now - _WINDOW:
            self._recent.popleft()
        self._peak = max(self._peak, len(self._recent))
        return record

    def reached_app(self, record: Record) -> None:
        """Count what gets past limiter and faults."""
        if record.method not in READ_METHODS and record.path.startswith("/api/"):
            self._writes += 1

    def answered_by_app(self, record: Record, status: int) -> None:
        """Count a token that was issued."""
        if status == 200 and record.path == "/oidc/token" and record.method == "POST":
            self._tokens += 1

    def rejected(self, reason: str) -> None:
        """Count a response that a limiter or fault replaced: ``"429"``, ``"500"``... or the fault's kind."""
        self._rejections[reason] += 1

    def stats(self) -> dict[str, Any]:
        """``requests``, ``writes``, ``tokens``, ``routes``, ``rejections``, ``peak_per_10s``."""
        return {
            "requests": self._requests,
            "writes": self._writes,
            "tokens": self._tokens,
            "routes": dict(sorted(self._routes.items())),
            "rejections": dict(sorted(self._rejections.items())),
            "peak_per_10s": self._peak,
        }

    def requests(self) -> list[dict[str, Any]]:
        """The last 50,000 requests, oldest first: method, path, query, route, status, at_ms."""
        fields = ("method", "path", "query", "route", "status", "at_ms")
        return [{field: getattr(record, field) for field in fields} for record in self._records]
