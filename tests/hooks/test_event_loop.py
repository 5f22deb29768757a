"""event_loop.run: no signal that ends a task is lost in the loop."""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from airflow_provider_logto.hooks import event_loop
from logto_sandbox import Sandbox
from tests.airflow_names import AirflowTaskTimeout, timeout
from tests.clients import Connect

SIGNALS = (signal.SIGALRM, signal.SIGTERM)


class Struck(Exception):
    """What the handler raises: `except Exception` catches it."""


@pytest.fixture(autouse=True)
def handled() -> Iterator[list[int]]:
    """Handlers that raise, as Airflow's do -> the signals that came."""
    came: list[int] = []

    def handle(number: int, _: Any) -> None:
        came.append(number)
        raise Struck

    former = {number: signal.signal(number, handle) for number in SIGNALS}
    yield came
    for number, handler in former.items():
        signal.signal(number, handler)
    signal.setitimer(signal.ITIMER_REAL, 0)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_inside_a_callback_of_the_loop_is_not_lost(number: signal.Signals, handled: list[int]) -> None:
    ended = []

    async def work() -> None:
        # asyncio only logs what a callback raises.
        asyncio.get_running_loop().call_soon(signal.raise_signal, number)
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0)
            ended.append(True)

    before = [signal.getsignal(one) for one in SIGNALS]
    began = time.monotonic()
    with pytest.raises(Struck):
        event_loop.run(work())
    assert time.monotonic() - began < 30
    assert ended == [True]
    assert handled == [number]
    assert [signal.getsignal(one) for one in SIGNALS] == before


def test_code_that_goes_on_after_any_exception_ends() -> None:
    """As a step of an offboarding, after which the others are still tried."""
    steps = []

    async def work() -> None:
        for step in range(3):
            try:
                steps.append(step)
                signal.raise_signal(signal.SIGALRM)
                await asyncio.sleep(60)
            except Exception as error:
                print(error)

    with pytest.raises(Struck):
        event_loop.run(work())
    assert steps == [0]


def test_a_result_that_came_too_late_is_not_returned() -> None:
    async def work() -> int:
        signal.raise_signal(signal.SIGALRM)
        return 1

    with pytest.raises(Struck):
        event_loop.run(work())


def test_blocking_code_is_struck_after_its_grace(monkeypatch: pytest.MonkeyPatch, handled: list[int]) -> None:
    monkeypatch.setattr(event_loop, "_GRACE", 0.2)

    async def work() -> None:
        signal.raise_signal(signal.SIGALRM)
        threading.Event().wait(30)  # not the loop's way of waiting

    began = time.monotonic()
    with pytest.raises(Struck):
        event_loop.run(work())
    assert time.monotonic() - began < 15
    assert handled == [signal.SIGALRM, signal.SIGALRM]


def test_a_handler_that_raises_nothing_ends_nothing() -> None:
    came = []
    signal.signal(signal.SIGALRM, lambda *_: came.append(True))

    async def work() -> int:
        signal.raise_signal(signal.SIGALRM)
        await asyncio.sleep(0.01)
        return 1

    assert event_loop.run(work()) == 1
    assert came == [True]


def test_an_exception_of_its_own_is_seen_beside_the_handlers() -> None:
    async def work() -> None:
        signal.raise_signal(signal.SIGALRM)
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            raise ValueError("how far it came") from None

    with pytest.raises(Struck) as caught:
        event_loop.run(work())
    assert str(caught.value.__context__) == "how far it came"


def test_another_thread_needs_no_signals() -> None:
    async def work() -> int:
        return 1

    results: list[int] = []
    thread = threading.Thread(target=lambda: results.append(event_loop.run(work())))
    thread.start()
    thread.join()
    assert results == [1]


def test_default_handlers_stay_as_they_are() -> None:
    for number in SIGNALS:
        signal.signal(number, signal.SIG_DFL)

    async def work() -> list[Any]:
        return [signal.getsignal(number) for number in SIGNALS]

    assert event_loop.run(work()) == [signal.SIG_DFL, signal.SIG_DFL]


def test_iterate_is_ended_too(connect: Connect, sandbox: Sandbox) -> None:
    sandbox.add_fault(kind="slow", seconds=20, method="GET", path="/api/users", times=None)
    began = time.monotonic()
    with pytest.raises(AirflowTaskTimeout), timeout(1):
        list(connect().iterate("/users"))
    assert time.monotonic() - began < 15
