"""One page of ``GET /api/logs``, asked for by an exact window of time.

The list's time bounds mean something else from version to version: inclusive since Logto 1.42, exclusive in 1.40 and
1.41, ignored before. Which it is shows in the answers; after the first rows, a window ``[low, high)`` is asked for so
that exactly its rows come back and the server's count is their count.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from airflow_provider_logto.client.client import LogtoClient
from airflow_provider_logto.client.pagination import PAGE_SIZE
from airflow_provider_logto.client.replies import Reply, unreadable
from airflow_provider_logto.exceptions import LogtoApiError, UnreadableAnswer
from airflow_provider_logto.management.audit_logs.rows import Row, decode_rows

PATH = "/logs"
OPERATION = "GET /api/logs"


class Bounds(Enum):
    """How the server reads ``start_time`` and ``end_time``."""

    UNKNOWN = "unknown"
    INCLUSIVE = "inclusive"
    EXCLUSIVE = "exclusive"
    IGNORED = "ignored"


@dataclass(frozen=True)
class Window:
    """Epoch milliseconds, ``low`` inclusive, ``high`` exclusive."""

    low: int
    high: int

    @property
    def width(self) -> int:
        return self.high - self.low

    @property
    def wider(self) -> Window:
        return Window(self.low - 1, self.high + 1)

    def holds(self, row: Row) -> bool:
        return self.low <= row.created_at < self.high


@dataclass(frozen=True)
class LogFilter:
    """Which audit logs are meant; filters combine with AND, log keys among themselves with OR.

    :param log_keys: exact keys, e.g. ``Interaction.SignIn.Submit``; empty means all.
    :param user_id: ``payload.userId``.
    :param application_id: ``payload.applicationId``.
    """

    log_keys: tuple[str, ...] = ()
    user_id: str | None = None
    application_id: str | None = None

    def queries(self) -> list[dict[str, str]]:
        """One query a key: the server takes a single exact key."""
        rest = {"userId": self.user_id, "applicationId": self.application_id}
        shared = {name: value for name, value in rest.items() if value}
        keys = dict.fromkeys(self.log_keys)
        return [{"logKey": key, **shared} for key in keys] or [shared]


@dataclass(frozen=True)
class LogPage:
    """Rows of one answer, newest first, and how many the window holds.

    :param total: the server's count; when ``capped``, only a lower bound.
    """

    rows: list[Row]
    total: int
    capped: bool = False

    @property
    def is_last(self) -> bool:
        """A short page holds everything that was left; a full one may have met a row that came after the count."""
        return len(self.rows) < PAGE_SIZE


class LogPages:
    """Asks for pages, at most ``concurrency`` at a time, and finds out how the server reads time bounds.

    :param client: the tenant's client.
    :param concurrency: requests in flight.
    """

    def __init__(self, client: LogtoClient, concurrency: int = 4) -> None:
        self._client = client
        self.concurrency = concurrency
        self._gate = asyncio.Semaphore(concurrency)
        self._learning = asyncio.Lock()
        self.bounds = Bounds.UNKNOWN

    async def newest(self, window: Window, query: Mapping[str, str]) -> LogPage:
        """The newest 100 rows of a window and its count, capped at 10,000.

        While the bounds are unknown, they are taken for inclusive; the first answer with rows in it settles them. On a
        server that ignores bounds the page is the newest of all rows.
        """
        if self.bounds is not Bounds.UNKNOWN:
            return await self._ask(window, query)
        async with self._learning:
            if self.bounds is Bounds.UNKNOWN:
                page = await self._try(window, query)
                if page is not None:
                    return page
        return await self._ask(window, query)

    async def _try(self, window: Window, query: Mapping[str, str]) -> LogPage | None:
        """Ask while the bounds are unknown; None when the window has to be asked for again, now that they are known."""
        # Exclusive bounds refuse a single millisecond, and hide the rows of the first and of the last one.
        for asked in (window, window.wider) if window.width > 1 else (window.wider,):
            page = await self._ask(asked, query)
            if page.rows:
                await self._learn(page.rows, asked, query)
                return page if asked is window and self.bounds is not Bounds.EXCLUSIVE else None
        return page

    async def numbered(self, window: Window | None, query: Mapping[str, str], number: int, size: int) -> LogPage:
        """Page ``number`` of a window (or, without one, of everything) with an exact count."""
        return await self._ask(window, query, page=number, page_size=size, enableCap=None)

    async def peek(self, window: Window) -> LogPage:
        """The newest row of a window, whatever its kind."""
        return await self._ask(window, {}, page_size=1)

    async def count(self, window: Window, queries: Sequence[Mapping[str, str]], exact: bool = False) -> int:
        """How many rows of a window match any of the queries; 10,001 a query stands for more, unless ``exact``.

        While the bounds are unknown, those of the neighbouring milliseconds count too.
        """
        if self.bounds is Bounds.UNKNOWN:
            window = window.wider
        cap = None if exact else "true"
        pages = [await self._ask(window, query, page_size=1, enableCap=cap) for query in queries]
        return sum(page.total for page in pages)

    async def _ask(self, window: Window | None, query: Mapping[str, str], **paging: Any) -> LogPage:
        times = self._times(window) if window else {}
        defaults = {"page": 1, "page_size": PAGE_SIZE, "enableCap": "true"}
        async with self._gate:
            page = await self._read({**query, **times, **defaults, **paging})
        known = self.bounds in (Bounds.INCLUSIVE, Bounds.EXCLUSIVE)
        if window and known and not all(window.wider.holds(row) for row in page.rows):
            raise UnreadableAnswer(OPERATION, 200, None, "it shows rows outside the time that was asked for")
        return page

    async def _read(self, query: Mapping[str, Any]) -> LogPage:
        return read(await self._client.send("GET", PATH, query, decode=decode_rows))

    def _times(self, window: Window) -> dict[str, str]:
        if self.bounds is Bounds.EXCLUSIVE:
            # A microsecond, the resolution of the server's clock, before the first row that is meant.
            return {"start_time": f"{window.low - 1}.999", "end_time": str(window.high)}
        return {"start_time": str(window.low), "end_time": str(window.high - 1)}

    async def _learn(self, rows: list[Row], asked: Window, query: Mapping[str, str]) -> None:
        if all(asked.holds(row) for row in rows):
            self.bounds = await self._probe(rows[0].created_at, query)
        else:
            self.bounds = Bounds.IGNORED

    async def _probe(self, moment: int, query: Mapping[str, str]) -> Bounds:
        """Ask for the one millisecond in which a row is known to lie."""
        try:
            page = await self._read({**query, "start_time": str(moment), "end_time": str(moment)})
        except LogtoApiError as error:
            if error.status == 400:  # exclusive bounds leave nothing between a moment and itself
                return Bounds.EXCLUSIVE
            raise
        if any(row.created_at != moment for row in page.rows):
            return Bounds.IGNORED
        return Bounds.INCLUSIVE if page.rows else Bounds.EXCLUSIVE


def read(reply: Reply) -> LogPage:
    """Judge one answer of the log list.

    :raises UnreadableAnswer: when it is not a list of logs.
    """
    rows = reply.data
    if not isinstance(rows, list) or not {Row}.issuperset(map(type, rows)):
        raise unreadable(OPERATION, reply, "the answer is no list of audit logs")
    count = len(rows) if reply.total is None else reply.total
    return LogPage(rows, count, "total-number-is-capped" in reply.headers)
