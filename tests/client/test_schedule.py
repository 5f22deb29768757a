"""The shared schedule, in time of its own: never over a limit, quick to yield, quick to come back."""

from __future__ import annotations

import heapq
import math
import random
from dataclasses import astuple, dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_logto.client.sharing import schedule
from airflow_provider_logto.client.sharing.schedule import Schedule
from logto_sandbox.faults.limiters import LIMITERS, TokenBucket

TIMES = st.floats(0, 1e5)


@dataclass
class Outcome:
    passed: int = 0
    refused: int = 0


def simulate(
    limiter: object, seconds: float, *, step: float, others: float = 0.0, workers: int = 32, jitter: float = 0.2
) -> list[Outcome]:
    """Saturating workers on one schedule, and ``others`` requests a second beside them; one outcome per 60 s."""
    rng = random.Random(7)  # noqa: S311 - test data
    plan, tied = Schedule(), 0
    outcomes = [Outcome() for _ in range(math.ceil(seconds / 60))]
    events: list[tuple[float, int, str, float]] = [(0.0, n, "ask", 0.0) for n in range(workers)]
    tied = workers
    if others:
        events.append((0.0, tied, "other", 0.0))
    heapq.heapify(events)
    while events and events[0][0] < seconds:
        now, _, what, epoch = heapq.heappop(events)
        tied += 1
        if what == "other":
            limiter.allow(now)  # type: ignore[attr-defined]
            heapq.heappush(events, (now + rng.uniform(0.5, 1.5) / others, tied, "other", 0.0))
        elif what == "ask":
            taken, delay = schedule.place(plan, now, step, math.inf)
            plan = taken or plan
            heapq.heappush(events, (now + delay, tied, "leave", plan.epoch))
        elif what == "leave":
            what = "arrive" if epoch == plan.epoch else "ask"
            heapq.heappush(events, (now + (rng.uniform(0, jitter) if what == "arrive" else 0), tied, what, 0.0))
        else:
            outcome = outcomes[int(now // 60)]
            if limiter.allow(now) == 0:  # type: ignore[attr-defined]
                outcome.passed += 1
            else:
                outcome.refused += 1
                plan = schedule.cut(plan, now, None)
            heapq.heappush(events, (now + 0.01, tied, "ask", 0.0))
    return outcomes


@pytest.mark.parametrize("model", sorted(LIMITERS))
def test_no_limiter_ever_refuses_a_fleet_that_uses_it_fully(model: str) -> None:
    outcomes = simulate(LIMITERS[model](200), 600, step=schedule.interval(200, 1.0))
    assert sum(o.refused for o in outcomes) == 0
    assert all(o.passed >= 0.95 * 1200 for o in outcomes)


def test_a_neighbour_that_takes_half_is_given_way() -> None:
    outcomes = simulate(TokenBucket(200), 1800, step=schedule.interval(200, 1.0), others=10.0)
    passed, refused = sum(o.passed for o in outcomes), sum(o.refused for o in outcomes)
    assert refused / (passed + refused) <= 0.01
    assert min(o.passed for o in outcomes[1:]) >= 0.8 * 600


def test_the_rate_comes_back_when_the_neighbour_goes() -> None:
    plan = schedule.cut(Schedule(), 1000.0, None)
    assert schedule.factor(plan, 1000.0) == pytest.approx(schedule.CUT)
    for _ in range(20):
        plan = schedule.cut(plan, plan.held_until + 0.1, None)
    low = schedule.factor(plan, plan.cut_at)
    assert schedule.LOWEST <= low < 0.2
    assert schedule.factor(plan, plan.cut_at + 90) == 1.0


def test_a_share_of_the_limit_takes_longer_steps() -> None:
    assert schedule.interval(200, 0.5) == pytest.approx(2 * schedule.interval(200, 1.0))
    assert schedule.interval(100, 1.0) == pytest.approx(2 * schedule.interval(200, 1.0))


def test_many_429s_of_one_moment_are_one_cut() -> None:
    plan = schedule.cut(Schedule(), 100.0, None)
    assert [schedule.cut(plan, 100.0 + n / 100, None) for n in range(20)] == [plan] * 20


def test_holds_grow_while_429s_follow_each_other_and_shrink_after() -> None:
    plan, holds = Schedule(), []
    for _ in range(7):
        now = max(plan.held_until, 100.0) + 0.01
        plan = schedule.cut(plan, now, None)
        holds.append(round(plan.held_until - now, 3))
    assert holds == [0.5, 1, 2, 4, 8, 8, 8]
    now = plan.held_until + schedule.CALM + 1
    assert schedule.cut(plan, now, None).held_until == pytest.approx(now + schedule.HOLD)


def test_nobody_leaves_before_the_server_said() -> None:
    plan = schedule.cut(Schedule(), 100.0, 30.0)
    assert plan.held_until == 130.0
    for moment in (100.0, 110.0, 129.9):
        taken, delay = schedule.place(plan, moment, 0.05, math.inf)
        assert moment + delay >= 130.0
        assert taken is not None
    longer = schedule.cut(plan, 101.0, 45.0)
    assert longer.held_until == 146.0
    assert longer.epoch == plan.epoch + 1  # whoever waits for 130 must look again
    assert schedule.cut(plan, 101.0, 10.0) == plan


def test_no_place_is_taken_that_nobody_waits_for() -> None:
    plan = schedule.cut(Schedule(), 100.0, 30.0)
    assert schedule.place(plan, 100.0, 0.05, 10.0) == (None, pytest.approx(30.0))


@given(st.lists(st.floats(0, 0.2), max_size=80))
def test_no_window_holds_more_than_rate_and_burst(pauses: list[float]) -> None:
    plan, now, left = Schedule(), 0.0, []
    step = schedule.interval(200, 1.0)
    for pause in pauses:
        now += pause
        taken, delay = schedule.place(plan, now, step, math.inf)
        plan = taken or plan
        left.append(now + delay)
    assert left == sorted(left)
    for first, later in zip(left, left[schedule.BURST :], strict=False):
        assert later - first >= step - 1e-6


@given(
    st.builds(
        Schedule,
        *[st.floats() for _ in range(8)],
    ),
    TIMES,
)
def test_one_bad_record_stalls_nobody(plan: Schedule, now: float) -> None:
    checked = schedule.sane(plan, now, 0.05)
    _, delay = schedule.place(checked, now, 0.05, math.inf)
    assert 0 <= delay <= 60.0
    assert all(math.isfinite(value) for value in astuple(checked))
    for retry_after in (None, 1e300):
        assert schedule.cut(checked, now, retry_after).held_until <= now + 60.0


@pytest.mark.parametrize(
    ("field", "possible", "damage"),
    [
        ("arrival", 160.0, 160.1),
        ("held_until", 160.0, 160.1),
        ("cut_at", 101.0, 101.1),
        ("credit_at", 101.0, 101.1),
        ("ceiling", 1.0, 1.1),
        ("ceiling", 0.01, 0.0),
        ("strikes", 16.0, 17.0),
        ("strikes", 0.0, -1.0),
        ("epoch", 2.0**52, 2.0**53),
        ("epoch", 0.0, -1.0),
        ("credit", 50.0, 50.1),
        ("credit", 0.0, -0.1),
    ],
)
def test_what_cannot_be_is_damage(field: str, possible: float, damage: float) -> None:
    fine = replace(Schedule(), **{field: possible})
    assert schedule.sane(fine, 100.0) == fine
    assert schedule.sane(replace(Schedule(), **{field: damage}), 100.0) == Schedule()


def test_places_of_a_very_low_rate_are_no_damage() -> None:
    """One request in 10 s, at a twentieth of the rate: two places lie more than a minute apart."""
    step = schedule.interval(1, 1.0)
    plan = replace(Schedule(), ceiling=schedule.LOWEST, cut_at=100.0)
    for _ in range(schedule.BURST):
        plan = schedule.place(plan, 100.0, step, schedule.QUEUE)[0] or plan
    assert plan.arrival > 160.0
    assert schedule.sane(plan, 100.0, step) == plan


@given(st.integers(1, 400), st.integers(1, 2000))
def test_a_full_queue_is_never_taken_for_damage(limit: int, askers: int) -> None:
    plan, step = Schedule(), schedule.interval(limit, 1.0)
    for _ in range(askers):
        plan = schedule.place(plan, 100.0, step, schedule.QUEUE)[0] or plan
        assert schedule.sane(plan, 100.0, step) == plan


def test_retries_are_spent_earned_and_refilled() -> None:
    plan, spent = Schedule(), 0
    while (step := schedule.withdraw(plan, 100.0))[1] and step[0]:
        plan, spent = step[0], spent + 1
    assert spent == schedule.CREDIT
    for earned in (False, True):
        plan, full = schedule.deposit(plan, 100.0)
        assert not full
        assert schedule.withdraw(plan, 100.0)[1] is earned
    assert schedule.withdraw(plan, 100.0)[1]
    assert schedule.withdraw(plan, 100.0 + schedule.REFILL)[1]
    assert schedule.deposit(plan, 100.0 + schedule.REFILL)[1]
