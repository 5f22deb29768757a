"""Waiting for a place without holding up the loop, and 429s felt by all."""

from __future__ import annotations

import asyncio
import math
import time
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from airflow_provider_logto.client.sharing import pacing, schedule
from airflow_provider_logto.client.sharing.pacing import CellPacer, NoPacer, Pacer, ProcessCell, process_pacer
from airflow_provider_logto.exceptions import OutcomeUnknown, PaceExceeded, QuotaExhausted, RateLimited
from logto_sandbox import Sandbox
from tests.clients import Run, client_of


def test_an_even_pace_with_a_burst_of_two() -> None:
    async def go() -> list[float]:
        pacer, began, left = CellPacer(ProcessCell(), 400, 1.0), time.monotonic(), []
        for _ in range(20):
            await pacer.wait()
            left.append(time.monotonic() - began)
        return left

    left, step = asyncio.run(go()), schedule.interval(400, 1.0)
    assert left[1] < step / 2
    for n, moment in enumerate(left):
        assert moment >= (n - 1) * step - 0.002


def test_tenants_have_schedules_of_their_own_and_connections_of_one_share_it() -> None:
    async def go() -> None:
        one, same, other = (process_pacer(name, 10, 1.0) for name in ("pacing-a", "pacing-a", "pacing-b"))
        assert [await pacer.wait(0) for pacer in (one, same)] == [0.0, 0.0]
        assert await same.wait(0) > 0
        assert await one.wait(0) > 0
        assert await other.wait(0) == 0.0

    asyncio.run(go())


def test_places_are_given_out_fifty_seconds_ahead() -> None:
    asked: list[float] = []

    async def take(patience: float) -> tuple[float, float]:
        asked.append(patience)
        return 0.0, 0.0

    async def epoch() -> float:
        return 0.0

    async def go() -> None:
        await pacing.wait_for_place(take, epoch, math.inf)
        await pacing.wait_for_place(take, epoch, 0.0)

    asyncio.run(go())
    assert asked == [50.0, 0.0]


def test_no_limit_no_pace() -> None:
    async def go() -> float:
        began = time.monotonic()
        for pacer in (NoPacer(), CellPacer(ProcessCell(), None, 1.0)):
            for _ in range(1000):
                assert await pacer.wait(0) == 0.0
        return time.monotonic() - began

    assert asyncio.run(go()) < 1


class Watched(ProcessCell):
    """Counts its changes."""

    def __init__(self) -> None:
        super().__init__()
        self.updates = 0

    async def update(self, change: Any) -> Any:
        self.updates += 1
        return await super().update(change)


def test_successes_cost_nothing_but_after_a_retry() -> None:
    async def go() -> None:
        cell = Watched()
        pacer = CellPacer(cell, 200, 1.0)
        for _ in range(5):
            await pacer.succeeded()
        assert cell.updates == 0
        assert await pacer.may_retry()
        for _ in range(10):
            await pacer.succeeded()
        # A retry and two successes that give half of one back each; then the budget is full and nobody asks any more.
        assert cell.updates == 3

    asyncio.run(go())


def test_a_very_low_rate_is_kept_although_its_places_lie_far_apart() -> None:
    async def go() -> None:
        cell = ProcessCell()
        pacer = CellPacer(cell, 0.5, 1.0)  # one request in 20 s
        await cell.update(lambda kept, now: (replace(kept, ceiling=schedule.LOWEST, cut_at=now), None))
        assert [await pacer.wait(0) for _ in range(schedule.BURST)] == [0.0] * schedule.BURST
        for _ in range(3):
            assert await pacer.wait(0) > schedule.HORIZON

    asyncio.run(go())


def test_who_waits_hears_of_a_429() -> None:
    """A place taken before the 429 is no longer valid: the waiting request takes another one, later."""

    async def go() -> tuple[float, float]:
        cell = ProcessCell()
        first, second = CellPacer(cell, 20, 1.0), CellPacer(cell, 20, 1.0)
        for _ in range(2):
            await first.wait()
        began = time.monotonic()
        waiting = asyncio.create_task(first.wait())
        await asyncio.sleep(0.05)
        await second.throttled(1.5)
        await waiting
        took = time.monotonic() - began
        await second.wait()
        return took, await second.wait(0)

    took, following = asyncio.run(go())
    assert took >= 1.5
    assert following > schedule.interval(20, 1.0)


def test_who_oversleeps_takes_another_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """Late senders in a bunch would trip a limiter that the schedule itself respects."""

    async def go() -> tuple[int, float]:
        taken = 0

        async def take(patience: float) -> tuple[float, float]:
            nonlocal taken
            taken += 1
            if taken == 1:
                asyncio.get_running_loop().call_later(0.01, time.sleep, 0.2)  # a machine that stands still
                return 0.05, 1.0
            return 0.0, 1.0

        async def epoch() -> float:
            return 1.0

        waited = await pacing.wait_for_place(take, epoch, 5.0)
        return taken, waited

    monkeypatch.setattr(pacing, "LATE", 0.1)
    assert asyncio.run(go()) == (2, 0.0)


def test_a_machine_that_is_always_late_goes_on_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pacing, "LATE", -1.0)

    taken: list[float] = []

    async def take(patience: float) -> tuple[float, float]:
        taken.append(patience)
        return 0.001, 1.0

    async def epoch() -> float:
        return 1.0

    assert asyncio.run(pacing.wait_for_place(take, epoch, 5.0)) == 0.0
    assert len(taken) == 6


def test_who_is_punctual_takes_one_place() -> None:
    taken: list[float] = []

    async def take(patience: float) -> tuple[float, float]:
        taken.append(patience)
        return 0.4, 1.0

    async def epoch() -> float:
        return 1.0

    assert asyncio.run(pacing.wait_for_place(take, epoch, 5.0)) == 0.0
    assert len(taken) == 1


def test_who_is_far_back_asks_again_and_takes_no_place_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    """Places are given out for less than a minute; beyond, nobody's place is kept."""
    naps: list[float] = []
    asked: list[float] = []

    async def nap(seconds: float) -> None:
        naps.append(seconds)

    async def take(patience: float) -> tuple[float, float]:
        asked.append(patience)
        return (schedule.QUEUE + 1.0 if len(asked) < 4 else 0.0), 1.0

    async def epoch() -> float:
        return 1.0

    monkeypatch.setattr(pacing.asyncio, "sleep", nap)
    assert asyncio.run(pacing.wait_for_place(take, epoch, 300.0)) == 0.0
    assert asked == [schedule.QUEUE] * 4
    assert len(naps) == 3
    assert all(1 <= seconds <= 10 for seconds in naps)
    asked.clear()
    assert asyncio.run(pacing.wait_for_place(take, epoch, 20.0)) == schedule.QUEUE + 1.0
    assert asked == [pytest.approx(20.0, abs=0.5)]


def test_a_429_slows_the_next_client_down_too(run: Run, sandbox: Sandbox) -> None:
    cell = ProcessCell()
    sandbox.add_fault(kind="rate_limited", path="/api/users", retry_after=30)
    with pytest.raises(RateLimited):
        run(lambda client: client.request("GET", "/users"), client={"pacer": CellPacer(cell, 200, 1.0)})
    sandbox.reset_stats()
    began = time.monotonic()
    with pytest.raises(PaceExceeded, match="was not sent") as caught:
        run(lambda client: client.request("GET", "/users"), client={"pacer": CellPacer(cell, 200, 0.5)})
    assert 25 < caught.value.retry_after <= 30
    assert time.monotonic() - began < 1
    assert sandbox.stats()["requests"] == 0
    with pytest.raises(PaceExceeded):  # and not OutcomeUnknown: nothing left
        run(lambda client: client.request("POST", "/users", body={}), client={"pacer": CellPacer(cell, 200, 0.5)})
    assert not issubclass(RateLimited, OutcomeUnknown)


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "token_quota", "times": None},
        {"kind": "error", "status": 500, "path": "/api/users"},
    ],
)
def test_what_is_no_rate_limit_slows_nobody_down(run: Run, sandbox: Sandbox, fault: dict[str, Any]) -> None:
    cell = ProcessCell()
    sandbox.add_fault(**fault)
    with suppress(QuotaExhausted):
        run(lambda client: client.request("GET", "/users"), client={"pacer": CellPacer(cell, 2000, 1.0)})
    assert cell._schedule.epoch == 0


def test_a_queue_in_the_client_takes_no_places_ahead() -> None:
    """Thousands of coroutines of one task must not push the other tasks' places minutes away."""
    cell = ProcessCell()

    async def go(sandbox: Sandbox) -> float:
        pacer: Pacer = CellPacer(cell, 100, 1.0)
        async with client_of(sandbox, pacer=pacer) as client:
            running = [asyncio.create_task(client.request("GET", "/roles")) for _ in range(500)]
            await asyncio.sleep(0.5)
            ahead = cell._schedule.arrival - time.monotonic()
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
            return ahead

    with Sandbox() as sandbox:
        assert asyncio.run(go(sandbox)) < 25 * schedule.interval(100, 1.0)
