"""Ending a running export from outside: a signal handler, another thread."""

from __future__ import annotations

import asyncio
import threading

from airflow_provider_logto.exceptions import LogtoError


class ExportStopped(LogtoError):
    """The export was told to stop before it was finished. The message says how far it came."""

    transient = True


class StopSwitch:
    """Cancels the task that carries it as soon as somebody calls :meth:`stop`."""

    def __init__(self) -> None:
        self._asked = threading.Event()
        self._running: tuple[asyncio.AbstractEventLoop, asyncio.Task[object]] | None = None

    def __call__(self) -> bool:
        """Whether to stop."""
        return self._asked.is_set()

    def carry(self) -> None:
        """Called by the task that is to be stopped."""
        task = asyncio.current_task()
        if task is not None:
            self._running = asyncio.get_running_loop(), task

    def release(self) -> None:
        """Called by the same task when there is nothing left to stop."""
        self._running = None

    def stop(self) -> None:
        """Safe in signal handlers and threads; harmless when nothing runs."""
        self._asked.set()
        if self._running is not None:
            loop, task = self._running
            loop.call_soon_threadsafe(task.cancel)
