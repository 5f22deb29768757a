"""Running async code to its end in a task that a signal may end at any moment."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, TypeVar

T = TypeVar("T")

#: ``execution_timeout`` comes as SIGALRM, the end of a worker as SIGTERM; Airflow's handlers may raise.
_SIGNALS = (signal.SIGALRM, signal.SIGTERM)
#: Seconds that cancelled code has to end. Blocking code notices no cancellation.
_GRACE = 10.0


def run(coroutine: Coroutine[Any, Any, T], runner: asyncio.Runner | None = None) -> T:
    """``asyncio.run``, or ``runner.run``, that loses no exception raised by the handler of a signal.

    Inside a callback of asyncio's, such as a write to a socket, it would only be logged, and ``execution_timeout`` with
    it. So the coroutine is cancelled, and the exception raised when it has ended: as asyncio does it for SIGINT.

    :returns: what the coroutine returns.
    :raises BaseException: the coroutine's own, or the handler's.

    .. seealso:: Python docs, "Handling Keyboard Interruption".
    """
    with _held_back() as held:
        if runner is not None:
            return runner.run(held.carry(coroutine))
        with asyncio.Runner() as own:
            return own.run(held.carry(coroutine))


class _HeldBack:
    """The exception of a handler, until the coroutine has ended."""

    def __init__(self) -> None:
        self.error: BaseException | None = None
        self.over = False
        self._running: tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]] | None = None

    async def carry(self, coroutine: Coroutine[Any, Any, T]) -> T:
        if task := asyncio.current_task():
            self._running = asyncio.get_running_loop(), task
            if self.error is not None:
                task.cancel()
        return await coroutine

    def hold(self, error: BaseException) -> None:
        if self.over or self.error is not None:  # the coroutine had its time
            raise error
        self.error = error
        if self._running is not None:
            loop, task = self._running
            if not loop.is_closed():
                loop.call_soon_threadsafe(task.cancel)


@contextmanager
def _held_back() -> Iterator[_HeldBack]:
    held = _HeldBack()
    former: dict[int, Any] = {}

    def handle(number: int, frame: FrameType | None) -> None:
        try:
            former[number](number, frame)
        except BaseException as error:
            if number == signal.SIGALRM:
                signal.setitimer(signal.ITIMER_REAL, _GRACE)
            held.hold(error)

    if threading.current_thread() is threading.main_thread():
        former = {number: handler for number in _SIGNALS if callable(handler := signal.getsignal(number))}
    for number in former:
        signal.signal(number, handle)
    try:
        yield held
    finally:
        held.over = True
        for number, handler in former.items():
            signal.signal(number, handler)
        if held.error is not None:
            raise held.error
