"""The one loop that makes changes, dry and real alike.

What a change means is told by a table of operations: kind and action -> phase, and the function that writes. Phases run
one after another, steps within a phase too; what is in one step runs concurrently. The caller puts what takes access
away behind what gives it, so that nobody is without it in between.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from airflow_provider_logto.exceptions import (
    ApplyInterrupted,
    ApplyStopped,
    AuthFailed,
    ConfigurationError,
    Conflict,
    Forbidden,
    InvalidInput,
    LogtoApiError,
    LogtoError,
    NotFound,
    NotKept,
    QuotaExhausted,
)
from airflow_provider_logto.plans.changes import Change
from airflow_provider_logto.plans.journal import Journal, Outcome

#: Writes a batch of changes of one operation and target; one outcome a change.
Write = Callable[[Sequence[Change]], Awaitable[Sequence[Outcome]]]

#: Batches under way at once. Logto takes two connections of its pool (20 by default) for each `POST /api/users`, the
#: second while it holds the first: as many at once as the pool has block each other until they time out with 500.
CONCURRENCY = 6
#: After these nothing can succeed any more; but see :attr:`QuotaExhausted.is_one_limit`.
_HOPELESS = (AuthFailed, Forbidden, QuotaExhausted, ConfigurationError)
#: A batch that is refused with these is split until the bad row is alone.
_REFUSED = (Conflict, NotFound, InvalidInput)


@dataclass(frozen=True)
class Operation:
    """How one kind of change is made.

    :param phase: when, relative to other operations.
    :param write: makes a batch.
    :param size: changes of one target that one request can make.
    """

    phase: int
    write: Write
    size: int = 1


@dataclass(frozen=True)
class Limits:
    """When to stop.

    :param errors: after so many failed changes.
    :param share: after so large a share of at least ``sample`` changes.
    """

    errors: int = 50
    share: float = 0.4
    sample: int = 50


@dataclass
class Report:
    """What came of the changes: statuses counted, the changes that failed, and who was deleted (id -> key).

    :param not_kept: those of the failed ones of which Logto left out a part; a retry does not help them.
    """

    statuses: Counter[str] = field(default_factory=Counter)
    done: Counter[str] = field(default_factory=Counter)
    failed: list[tuple[Change, Outcome]] = field(default_factory=list)
    not_kept: list[tuple[Change, Outcome]] = field(default_factory=list)
    ids: dict[str, str] = field(default_factory=dict)
    deleted: dict[str, str] = field(default_factory=dict)

    def add(self, change: Change, outcome: Outcome) -> None:
        self.statuses[outcome.status] += 1
        if outcome.status == "success":
            self.done[change.name] += 1
            if outcome.id:
                self.ids[change.key] = outcome.id
            if change.action == "delete" and change.id:
                self.deleted[change.id] = change.key
        elif outcome.status == "failed":
            self.failed.append((change, outcome))


class Applier:
    """Makes changes.

    :param operations: ``(kind, action)`` -> how.
    :param journal: where each is reported; None in a dry run.
    :param concurrency: batches under way at once.
    :param stopped: asked between batches; True ends the apply.
    :param row: what changes belong together by: when one fails, the later ones of its row are not made.
    """

    def __init__(
        self,
        operations: Mapping[tuple[str, str], Operation],
        journal: Journal | None = None,
        limits: Limits | None = None,
        concurrency: int = CONCURRENCY,
        stopped: Callable[[], bool] = lambda: False,
        row: Callable[[Change], Hashable] = lambda change: change.key,
    ) -> None:
        self.report = Report()
        self._row = row
        self._operations = operations
        self._journal = journal
        self._limits = limits or Limits()
        self._concurrency = concurrency
        self._stopped = stopped
        self._broken: set[Hashable] = set()
        # Kind, action and target -> the refusal of a single change, for its limit: no other one fits either.
        self._full: dict[tuple[str, str, str], LogtoError] = {}
        self._unsent = 0
        self._halt: LogtoError | None = None

    async def run(self, changes: Sequence[Change]) -> Report:
        """Make all changes.

        :returns: what came of them; failed ones are in it.
        :raises ApplyStopped: when it stopped before the end; :attr:`report` says how far it came.
        """
        try:
            for group in self._groups(changes):
                await self._together(group)
                if self._halt is not None:
                    raise self._halt
        finally:
            await self._flush(last=True)
        return self.report

    async def _flush(self, last: bool = False) -> None:
        """Nothing is changed any more once the journal cannot tell of it."""
        if self._journal is None:
            return
        try:
            await self._journal.flush(last)
        except LogtoError as error:
            raise ApplyInterrupted(f"the journal cannot be written: {error}; a retry goes on") from error

    def settle(self, changes: Sequence[Change], outcome: Outcome) -> None:
        """Report changes that are not made."""
        for change in changes:
            self._note(change, outcome)

    def _groups(self, changes: Sequence[Change]) -> Iterator[list[list[Change]]]:
        """Batches that may run at the same time, group after group."""

        def moment(change: Change) -> tuple[int, int]:
            return self._operations[change.kind, change.action].phase, change.step

        def batch(change: Change) -> tuple[str, str, str]:
            return change.kind, change.action, change.target or ""

        for _, together in groupby(sorted(changes, key=moment), key=moment):
            batches = []
            for (kind, action, _), members in groupby(sorted(together, key=batch), key=batch):
                of_one, size = list(members), self._operations[kind, action].size
                batches += [of_one[at : at + size] for at in range(0, len(of_one), size)]
            yield batches

    async def _together(self, batches: list[list[Change]]) -> None:
        waiting = iter(batches)

        async def work() -> None:
            for batch in waiting:
                if self._halt is None and self._stopped():
                    self._halt = ApplyInterrupted("the task was told to stop; a retry goes on where this try stopped")
                if self._halt is not None:
                    return
                await self._batch(batch)
                try:
                    await self._flush()
                except ApplyInterrupted as error:  # what is under way comes to its end
                    self._halt = self._halt or error

        async with asyncio.TaskGroup() as group:
            for _ in range(min(self._concurrency, len(batches))):
                group.create_task(work())

    async def _batch(self, batch: Sequence[Change]) -> None:
        broken = [change for change in batch if self._row(change) in self._broken]
        self.settle(broken, Outcome("skipped", "an earlier change of this row failed"))
        batch = [change for change in batch if self._row(change) not in self._broken]
        if not batch:
            return
        first = batch[0]
        place = first.kind, first.action, first.target or ""
        if place in self._full:
            # They count for no limit of errors: a full organization must not keep others from losing their access.
            self._unsent += len(batch)
            self._fail(batch, self._full[place])
            return
        try:
            outcomes = await self._operations[first.kind, first.action].write(batch)
        except LogtoError as error:
            if len(batch) > 1 and (isinstance(error, _REFUSED) or _is_one_limit(error)):
                middle = len(batch) // 2
                await self._batch(batch[:middle])
                if self._halt is None:
                    await self._batch(batch[middle:])
                return
            if first.target and _is_one_limit(error):
                self._full[place] = error
            self._fail(batch, error)
        else:
            for change, outcome in zip(batch, outcomes, strict=True):
                self._note(change, outcome)

    def _fail(self, batch: Sequence[Change], error: LogtoError) -> None:
        request_id = error.request_id if isinstance(error, LogtoApiError) else None
        outcome = Outcome("failed", reason_of(error), request_id=request_id)
        if isinstance(error, NotKept):
            self.report.not_kept += [(change, outcome) for change in batch]
        for change in batch:
            self._note(change, outcome)
        if isinstance(error, _HOPELESS) and not _is_one_limit(error):
            self._stop(f"Logto refuses everything: {error}")

    def _note(self, change: Change, outcome: Outcome) -> None:
        if outcome.status in ("failed", "conflict"):
            self._broken.add(self._row(change))
        self.report.add(change, outcome)
        if self._journal is not None:
            self._journal.add(change, outcome)
        failed = len(self.report.failed) - self._unsent
        tried = sum(self.report.statuses.values()) - self._unsent
        limits = self._limits
        if failed >= limits.errors or (tried >= limits.sample and failed >= limits.share * tried):
            self._stop(f"{failed} of {tried} changes failed")

    def _stop(self, why: str) -> None:
        if self._halt is None:
            last = self.report.failed[-1][1].reason if self.report.failed else ""
            self._halt = ApplyStopped(f"{why}; the rest was not tried. The last failure: {last}")


def _is_one_limit(error: LogtoError) -> bool:
    return isinstance(error, QuotaExhausted) and error.is_one_limit


def dry(operations: Mapping[tuple[str, str], Operation]) -> dict[tuple[str, str], Operation]:
    """The same operations, writing nothing."""

    async def nothing(batch: Sequence[Change]) -> Sequence[Outcome]:
        return [Outcome() for _ in batch]

    return {name: Operation(one.phase, nothing, one.size) for name, one in operations.items()}


def reason_of(error: LogtoError) -> str:
    """An error in words without personal data: what a server says may repeat what it was sent."""
    if isinstance(error, LogtoApiError):
        return " ".join(filter(None, (type(error).__name__, str(error.status), error.code)))
    if isinstance(error, InvalidInput):
        return f"{error.field}: {error.hint}"
    if isinstance(error, NotKept):
        return error.reason
    return f"{type(error).__name__}"
