"""Telling, every few seconds, how far an export has come."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from airflow_provider_logto.export.records import iso
from airflow_provider_logto.management.audit_logs.walk import Window

log = logging.getLogger(__name__)

#: Seconds between two lines.
INTERVAL = 5.0


class Progress:
    """Counts rows and knows the position in the interval.

    :param window: the interval, epoch ms.
    """

    def __init__(self, window: Window) -> None:
        self.rows = 0
        self.position = window.low
        self._low = window.low
        self._high = window.high
        self._began = time.monotonic()
        self._rows_before = 0
        self._start = window.low

    def resume(self, rows: int, position: int) -> None:
        """Begin behind rows that an earlier run wrote."""
        self.rows = self._rows_before = rows
        self.position = self._start = position
        self._began = time.monotonic()

    def nothing_before(self, moment: int) -> None:
        """The server has no row before a moment: only what comes after it is a way to go."""
        self._low = max(self._low, moment)
        self.position = max(self.position, moment)

    def advance(self, rows: int, position: int) -> None:
        self.rows += rows
        self.position = position

    def __str__(self) -> str:
        elapsed = max(time.monotonic() - self._began, 1e-3)
        rate = (self.rows - self._rows_before) / elapsed
        start = max(self._start, self._low)
        done, span = self.position - start, self._high - start
        left = f", about {elapsed * (span - done) / done:.0f} s left" if 0 < done < span else ""
        share = 100 * max(self.position - self._low, 0) / max(self._high - self._low, 1)
        return f"{self.rows} rows, {rate:.0f} rows/s, at {iso(self.position)} ({share:.0f} % of the time{left})"

    @asynccontextmanager
    async def told(self) -> AsyncIterator[None]:
        """Log a line every :data:`INTERVAL` seconds while the block runs."""
        task = asyncio.create_task(self._tell())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait((task,))

    async def _tell(self) -> None:
        while True:
            await asyncio.sleep(INTERVAL)
            log.info("Export: %s", self)
