"""Ending a running export from outside: a signal handler, another thread."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


class StopSwitch:
    """Cancels the task that carries it as soon as somebody calls :meth:`stop`."""

    def __init__(self) -> None:
        self._asked = threading.Event()
        self._leaving = threading.Event()
        self._running: tuple[asyncio.AbstractEventLoop, asyncio.Task[object]] | None = None

    def __call__(self) -> bool:
        """Whether work in a thread is to break off."""
        return self._asked.is_set() or self._leaving.is_set()

    @property
    def asked(self) -> bool:
        """Whether somebody called :meth:`stop`."""
        return self._asked.is_set()

    def carry(self) -> None:
        """Called by the task that is to be stopped."""
        task = asyncio.current_task()
        if task is not None:
            self._running = asyncio.get_running_loop(), task
            if self.asked:
                task.cancel()

    def release(self) -> None:
        """Called by the same task when there is nothing left to stop."""
        self._running = None

    def stop(self) -> None:
        """Safe in signal handlers and threads; harmless when nothing runs."""
        self._asked.set()
        if self._running is not None:
            loop, task = self._running
            loop.call_soon_threadsafe(task.cancel)

    async def to_the_end(self, function: Callable[..., T], *arguments: Any) -> T:
        """Run a function in a thread. When left by an exception (a cancellation, ``execution_timeout``), tell it to
        break off and wait until it has ended: nobody may take its files away before."""
        call = contextvars.copy_context().run
        # A future and no task: the end of ``asyncio.run`` cancels every task, and the thread would run on.
        thread = asyncio.get_running_loop().run_in_executor(None, call, function, *arguments)
        left_by: BaseException | None = None
        while not thread.done():
            try:
                await asyncio.wait((thread,))
            except BaseException as error:
                left_by = error
                self._leaving.set()
        if left_by is not None:
            thread.exception()  # looked at, so that the event loop does not complain
            raise left_by
        return thread.result()
