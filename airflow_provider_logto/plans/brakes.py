"""Brakes: how much a plan may do without somebody approving it, by count and by percent; the smaller wins."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from airflow_provider_logto.exceptions import InvalidInput

log = logging.getLogger(__name__)

_FORMS = 'give a count (10), a percentage ("5%"), or both: (10, "5%")'


@dataclass(frozen=True)
class Brake:
    """The most that a plan may do of something.

    :param name: e.g. ``disables``.
    :param count: at most so many; None for no bound by count.
    :param percent: at most so many percent of the base, rounded up; None for no bound by percent.
    :param once: the percentage counts from this base on: a first run makes everybody.
    """

    name: str
    count: int | None = None
    percent: float | None = None
    once: int = 0

    def limit(self, base: int) -> int | None:
        """The most for a given base; None where nothing bounds it."""
        if base < self.once:
            return self.count
        limits = [] if self.count is None else [self.count]
        if self.percent is not None:
            limits.append(math.ceil(base * self.percent / 100 - 1e-9))
        return min(limits, default=None)

    def with_limit(self, value: Any) -> Brake:
        """The same brake with another limit.

        :param value: a count, ``"5%"``, or a pair of both.
        :raises InvalidInput: naming the brake and what would be right.
        """
        field = f"brakes.{self.name}"
        given = list(value) if isinstance(value, Sequence) and not isinstance(value, str) else [value]
        counts = [one for one in given if isinstance(one, int) and not isinstance(one, bool)]
        percents = [_percent(field, one) for one in given if isinstance(one, str)]
        if not given or len(counts) > 1 or len(percents) > 1 or len(counts) + len(percents) != len(given):
            raise InvalidInput(field, f"{value!r} is not a limit; {_FORMS}")
        if counts and counts[0] < 0:
            raise InvalidInput(field, f"{counts[0]} is below 0; {_FORMS}")
        return replace(self, count=next(iter(counts), None), percent=next(iter(percents), None))


@dataclass(frozen=True)
class Held:
    """A brake that holds: its name, what the plan would do, and what is allowed."""

    brake: str
    figure: int
    limit: int
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.brake}: {self.figure}, allowed {self.limit}" + (f" ({self.detail})" if self.detail else "")


def set_brakes(defaults: Iterable[Brake], given: Any, also: Iterable[str] = ()) -> dict[str, Brake]:
    """The brakes of a run: defaults, and what a DAG says instead.

    :param given: None, or name -> limit.
    :param also: names in ``given`` that somebody else reads.
    :raises InvalidInput: for an unknown name or a wrong limit.
    """
    brakes = {brake.name: brake for brake in defaults}
    if given is None:
        return brakes
    if not isinstance(given, Mapping):
        raise InvalidInput("brakes", f"must be a dict of limits, not {type(given).__name__}")
    others = set(also)
    for name, value in given.items():
        if name in brakes:
            brakes[name] = brakes[name].with_limit(value)
        elif name not in others:
            raise InvalidInput(f"brakes.{name}", f"is unknown; use {', '.join(sorted({*brakes, *others}))}")
    return brakes


def holding(brakes: Mapping[str, Brake], figures: Mapping[str, int], base: int) -> list[Held]:
    """The brakes that hold.

    :param figures: brake -> how much of it the plan would do.
    :param base: what percentages are taken of.
    """
    held = []
    for name, brake in brakes.items():
        figure, limit = figures.get(name, 0), brake.limit(base)
        if limit is not None and figure > limit:
            held.append(Held(name, figure, limit, f"of {base}"))
    return held


def tell(held: Iterable[Held], released: bool) -> dict[str, int]:
    """Log the brakes that hold, or would if the plan were not approved.

    :param released: whether ``approve_plan`` names the plan.
    :returns: what counts for them in a result: ``{"brake.disables": 3}``, ``{"released.disables": 3}``.
    """
    for one in held:
        if released:
            log.info("released by approve_plan: %s %d, allowed %d", one.brake, one.figure, one.limit)
        else:
            log.warning("HELD  %s", one)
    return {f"{'released' if released else 'brake'}.{one.brake}": one.figure for one in held}


def _percent(field: str, text: str) -> float:
    try:
        value = float(text.strip().removesuffix("%")) if text.strip().endswith("%") else math.nan
    except ValueError:
        value = math.nan
    if not 0 <= value <= 100:
        raise InvalidInput(field, f"{text!r} is not a percentage; {_FORMS}")
    return value
