"""The schedule that everything talking to one tenant shares: when the next request may leave, and how fast.

Pure functions over one small record, so that a process, a file and a Redis script can keep the very same schedule.
All times are seconds of the store's own clock.

Pacing is GCRA: one theoretical arrival time, moved on by every request. A 429 cuts the rate and it climbs back along a
cubic curve: fast while far below the rate that was refused, slowly around it, fast again beyond.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace

#: Seconds of the window that Logto Cloud counts in.
WINDOW = 10.0
#: How much of the allowed share is used, and how many requests may leave at once: see ``docs/rate-limits.md``.
UTILISATION = 0.975
BURST = 2
#: What a 429 leaves of the rate, how fast it climbs back (per cubic second), and what it never falls below.
CUT = 0.7
CLIMB = 2.5e-5
LOWEST = 0.05
#: Seconds without any request after a 429 that names none; doubled while 429s follow each other within ``CALM`` s.
HOLD = 0.5
LONGEST_HOLD = 8.0
CALM = 10.0
#: Seconds. The longest delay that a stored schedule causes, whatever wrote it and whatever a server asked for: a time
#: further ahead is a damaged record.
HORIZON = 60.0
#: Seconds ahead that places are given out; a request that would have to wait longer asks again later.
QUEUE = 50.0
#: More than these are damage as well.
MOST_STRIKES = 16.0
MOST_EPOCHS = 2.0**52
#: Retries that may be spent without a success in between, what one success gives back, and seconds until full again.
CREDIT = 50.0
REFUND = 0.5
REFILL = 600.0

_LONG_AGO = -1e6


@dataclass(frozen=True)
class Schedule:
    """One tenant's schedule.

    :param arrival: when the next request is due (GCRA's theoretical arrival time).
    :param held_until: no request is sent before this.
    :param cut_at: when the rate was last cut.
    :param ceiling: part of the full rate that was refused then, in (0, 1].
    :param strikes: 429s in a row without calm in between.
    :param epoch: counts cuts, so that a waiting request notices that its place is no longer valid.
    :param credit: retries left.
    :param credit_at: when ``credit`` was written.
    """

    arrival: float = _LONG_AGO
    held_until: float = _LONG_AGO
    cut_at: float = _LONG_AGO
    ceiling: float = 1.0
    strikes: float = 0.0
    epoch: float = 0.0
    credit: float = CREDIT
    credit_at: float = _LONG_AGO


def interval(limit: float, share: float) -> float:
    """Seconds between requests at full rate.

    :param limit: requests per 10 s that the server allows.
    :param share: part of it that may be used, in (0, 1].
    """
    return WINDOW / (limit * share * UTILISATION)


def sane(schedule: Schedule, now: float, step: float = 0.0) -> Schedule:
    """The schedule, or a new one when a value in it cannot be: one bad write must not stall a fleet.

    :param step: seconds between requests at full rate, see :func:`interval`; 0 without a limit.
    """
    values = [getattr(schedule, field.name) for field in fields(schedule)]
    possible = (
        all(math.isfinite(value) for value in values)
        # Places of a very low rate lie further apart than the horizon.
        and schedule.arrival <= now + max(HORIZON, QUEUE + BURST * step / LOWEST)
        and schedule.held_until <= now + HORIZON
        and max(schedule.cut_at, schedule.credit_at) <= now + 1.0
        and 0 < schedule.ceiling <= 1
        and 0 <= schedule.strikes <= MOST_STRIKES
        and 0 <= schedule.epoch <= MOST_EPOCHS
        and 0 <= schedule.credit <= CREDIT
    )
    return schedule if possible else Schedule()


def factor(schedule: Schedule, now: float) -> float:
    """Part of the full rate that is in force."""
    plateau = math.cbrt(schedule.ceiling * (1 - CUT) / CLIMB)
    climbed = schedule.ceiling + CLIMB * (min(HORIZON, now - schedule.cut_at) - plateau) ** 3
    return min(1.0, max(LOWEST, climbed))


def place(schedule: Schedule, now: float, step: float, patience: float) -> tuple[Schedule | None, float]:
    """Take the next place.

    :param step: seconds between requests at full rate, see :func:`interval`.
    :param patience: seconds; when the place is further away than this, none is taken.
    :returns: the schedule with the place taken (None if none was), and the seconds until it.
    """
    step = step / factor(schedule, now)
    arrival = max(schedule.arrival, now)
    delay = max(0.0, arrival - (BURST - 1) * step - now, schedule.held_until - now)
    if delay > patience:
        return None, delay
    return replace(schedule, arrival=arrival + step), delay


def cut(schedule: Schedule, now: float, retry_after: float | None) -> Schedule:
    """Lower the rate after a 429.

    :param retry_after: seconds that the server asked for, if it did. All wait for that, but no longer than
        :data:`HORIZON`; then a few ask again, and are told again.
    """
    asked = now + min(retry_after, HORIZON) if retry_after is not None else now
    if now < schedule.held_until:
        # Sent before the others heard of the 429: the same event.
        if asked <= schedule.held_until:
            return schedule
        return replace(schedule, held_until=asked, arrival=asked, epoch=schedule.epoch + 1)
    strikes = min(MOST_STRIKES, schedule.strikes + 1) if now - schedule.held_until < CALM else 0.0
    until = max(asked, now + min(LONGEST_HOLD, HOLD * 2**strikes))
    # No place given out is valid any more: waiting requests see the new epoch and take another place, at the new rate.
    return replace(
        schedule,
        arrival=until,
        held_until=until,
        ceiling=factor(schedule, now),
        cut_at=now,
        strikes=strikes,
        epoch=schedule.epoch + 1,
    )


def withdraw(schedule: Schedule, now: float) -> tuple[Schedule | None, bool]:
    """Spend one retry.

    :returns: the schedule with the retry spent, and whether there was one.
    """
    credit = _credit(schedule, now)
    if credit < 1:
        return None, False
    return replace(schedule, credit=credit - 1, credit_at=now), True


def deposit(schedule: Schedule, now: float) -> tuple[Schedule, bool]:
    """Give a part of a retry back after a success.

    :returns: the schedule, and whether the credit is full again.
    """
    credit = min(CREDIT, _credit(schedule, now) + REFUND)
    return replace(schedule, credit=credit, credit_at=now), credit >= CREDIT


def _credit(schedule: Schedule, now: float) -> float:
    return min(CREDIT, schedule.credit + (now - schedule.credit_at) * CREDIT / REFILL)
