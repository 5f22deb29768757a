"""What has to change so that people are as their rows want them: a generator of changes, with what is left alone.

Nothing here asks Logto. People come from a state that was read, the moment is the plan's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

import msgspec

from airflow_provider_logto.management.marks import Mark, date_of, moment_of
from airflow_provider_logto.plans.changes import Change
from airflow_provider_logto.roster.field_changes import creation, field_changes
from airflow_provider_logto.roster.job import SUSPENDING, RosterJob
from airflow_provider_logto.roster.matching import Matches, Notice
from airflow_provider_logto.roster.people import Person
from airflow_provider_logto.roster.relation_changes import RelationChanges
from airflow_provider_logto.roster.state import Directory, Known, State

#: How long an HR event may be newer than a source that is made once a day.
_NEWS = timedelta(days=1)
_NO_MARK = 'has no mark of a roster; adopt="matched" takes over people whom a row matches'


@dataclass
class Differences:
    """Compares rows with what is there.

    :param directory: names of roles and organizations -> ids.
    :param protected: ids of people who must not be touched -> why.
    :param as_of: the moment that dates are compared with.
    :param forgeable: whether end users can write marks: none of them gives access back then.
    """

    job: RosterJob
    directory: Directory
    state: State
    protected: Mapping[str, str]
    as_of: datetime
    forgeable: bool = False
    notices: list[Notice] = field(default_factory=list)
    _today: date = field(init=False)
    _relations: RelationChanges = field(init=False)

    def __post_init__(self) -> None:
        self._today = self.job.today(self.as_of)
        self._relations = RelationChanges(self.job, self.directory, self.state)

    def managed(self) -> list[Known]:
        """Everybody who belongs to the roster by their mark."""
        return [user for user in self.state.users.values() if user.mark.roster == self.job.roster]

    def changes(self, matches: Matches) -> Iterator[Change]:
        """Every change, in no particular order; :attr:`notices` tells about who is left alone."""
        self.notices.extend(matches.conflicts)
        for person in matches.new:
            yield from self._joiner(person)
        for person, user in matches.found:
            yield from self._present(person, user)
        for user in self.managed():
            if user.id not in matches.touched:
                yield from self._missing(user)

    # -- rows

    def _joiner(self, person: Person) -> Iterator[Change]:
        if self._is_over(person, None) or self._is_early(person) or person.suspended:
            return
        identifiers = [name for name in ("username", "primaryEmail", "primaryPhone") if person.texts.get(name)]
        if not identifiers:
            self._leave_alone(person, None, "conflict", "nobody fits, and a new user needs a username, e-mail or phone")
            return
        yield Change(
            kind="user",
            action="create",
            key=person.key,
            after={**creation(person, self.job.manage), "mark": Mark(self.job.roster, person.external_id).json()},
            reason="new in the source",
            row=person.row,
        )
        yield from self._relations.of(person, None)

    def _present(self, person: Person, user: Known) -> Iterator[Change]:
        mark = user.mark
        if reason := self._not_ours(person, user):
            self._leave_alone(person, user, "conflict", reason)
        elif user.id in self.protected:
            self._leave_alone(person, user, "held", self.protected[user.id])
        elif mark.roster == self.job.roster and self._is_over(person, mark):
            yield from self._leaver(user, person.key, person.row, "the last day of access is over", ended=True)
        elif reason := self._stays_out(person, user):
            self._leave_alone(person, user, "held", reason)
            if mark.roster == self.job.roster and mark.offboarded_at and mark.ending_at:
                yield self._suspend(user, person.key, person.row, "its offboarding did not come to its end", "offboard")
        elif user.suspended and self._is_early(person):
            return
        elif self._is_over(person, mark):  # somebody adopted in this run: theirs to end from the next one on
            yield from self._ownership(person, user)
        else:
            yield from self._ownership(person, user)
            yield from self._suspension(person, user)
            yield from self._fields(person, user)
            yield from self._relations.of(person, user)

    def _not_ours(self, person: Person, user: Known) -> str | None:
        mark = user.mark
        if mark.roster and mark.roster != self.job.roster:
            return f"{user.id} belongs to another roster"
        if mark.external_id and person.external_id and mark.external_id != person.external_id:
            return f"{user.id} is marked with another external id: a recycled address, or a wrong row"
        # An HR event has written the external id.
        known = mark.external_id and mark.external_id == person.external_id
        if not mark.roster and not known and self.job.adopt == "none":
            return f"{user.id} {_NO_MARK}"
        return None

    def _stays_out(self, person: Person, user: Known) -> str | None:
        """Why somebody whom the source shows is not brought back."""
        mark = user.mark
        if mark.offboarded_at:
            offboarded = date_of(mark.offboarded_at)
            start = date_of(person.start_date)
            back = bool(mark.gone_at and start and offboarded and start > offboarded)
            if not back:
                return "was offboarded; a rehire event, or a later start_date after being gone, brings back"
        if self.forgeable and user.suspended and (mark.suspended_at or mark.offboarded_at):
            return "end users can write the mark here, so it does not prove who suspended them"
        ours = bool(mark.suspended_at) and not user.by_task
        if user.suspended and not ours and (self.job.manages_suspension or mark.suspended_at or mark.offboarded_at):
            return "was suspended by somebody else"
        return None

    def _ownership(self, person: Person, user: Known) -> Iterator[Change]:
        """The mark comes before anything else, and before any right to take something away."""
        mark = user.mark
        wanted = mark.with_(roster=self.job.roster, external_id=person.external_id or mark.external_id)
        if wanted != mark:
            adopt = mark.roster is None
            yield Change(
                kind="user",
                action="adopt" if adopt else "mark",
                key=person.key,
                id=user.id,
                before={"mark": _owner(mark)},
                after={"mark": _owner(wanted)},
                reason="matched by a row" if adopt else "its external id is known now",
                row=person.row,
            )

    def _suspension(self, person: Person, user: Known) -> Iterator[Change]:
        mark = user.mark
        said = person.suspended if "suspension" in self.job.manage else None
        if said and mark.roster == self.job.roster:
            yield from self._suspended_by_source(person, user)
        elif not said and (mark.suspended_at or mark.offboarded_at) and not self.forgeable:
            # An empty cell changes nothing; an offboarding has ended what was before it.
            if mark.by_source and user.suspended and said is None and not mark.offboarded_at:
                return
            yield Change(
                kind="user",
                action="reactivate",
                key=person.key,
                id=user.id,
                before={"suspended": user.suspended, "offboarded": bool(mark.offboarded_at)},
                after={"suspended": False, "offboarded": False},
                reason="is in the source again",
                row=person.row,
            )

    def _suspended_by_source(self, person: Person, user: Known) -> Iterator[Change]:
        mark = user.mark
        if mark.ending_at or not user.suspended:
            change = self._suspend(user, person.key, person.row, "the source says so")
            yield msgspec.structs.replace(change, after={**change.after, "bySource": True})
        elif mark.suspended_at and not mark.by_source:
            yield Change(
                kind="user",
                action="note",
                key=person.key,
                id=user.id,
                before={"bySource": False},
                after={"bySource": True},
                reason="suspended before, and now the source says so",
                row=person.row,
            )

    def _fields(self, person: Person, user: Known) -> Iterator[Change]:
        before, after = field_changes(person, user, self.job.manage)
        if after:
            yield Change(
                kind="user",
                action="update",
                key=person.key,
                id=user.id,
                before=before,
                after=after,
                reason="differs from the source",
                row=person.row,
            )

    # -- who leaves

    def _missing(self, user: Known) -> Iterator[Change]:
        key = f"external_id:{user.mark.external_id}" if user.mark.external_id else f"id:{user.id}"
        if self.job.on_missing != "ignore":
            self.notices.append(Notice(key, "report", "is missing from the source", None, user.id))
        if user.id in self.protected:
            if self.job.on_missing not in ("ignore", "report"):
                self.notices.append(Notice(key, "held", self.protected[user.id], None, user.id))
            return
        last_day = date_of(user.mark.end_date)
        ended = last_day is not None and last_day < self._today
        if not ended and self._is_told_of(user):
            if self.job.on_missing not in ("ignore", "report"):
                self.notices.append(Notice(key, "held", "an HR event may be newer than the source", None, user.id))
            return
        reason = "the last day of access is over" if ended else "is missing from the source"
        yield from self._leaver(user, key, None, reason, ended)

    def _is_told_of(self, user: Known) -> bool:
        """Whether an HR event lately said that somebody is here: tonight's file may have been made before it."""
        event = moment_of(user.mark.occurred_at)
        ended = user.suspended or user.mark.offboarded_at or user.mark.ending_at
        return event is not None and not ended and self.as_of - event < _NEWS

    def _leaver(self, user: Known, key: str, row: int | None, reason: str, ended: bool) -> Iterator[Change]:
        """The ladder: nobody is deleted who was not suspended by this roster long enough ago."""
        level = self.job.on_missing
        mark = user.mark
        if level == "drop_access":
            yield from self._relations.dropped(user, key, row, reason)
        if ended and level not in SUSPENDING:
            level = "suspend"
        unfinished = mark.ending_at is not None
        if (level == "offboard" and not mark.offboarded_at) or (unfinished and mark.offboarded_at):
            yield self._suspend(user, key, row, reason, action="offboard")
        elif level in SUSPENDING and (unfinished or not user.suspended):
            yield self._suspend(user, key, row, reason)
        elif level == "delete" and self._is_due(mark):
            yield Change(
                kind="user",
                action="delete",
                key=key,
                id=user.id,
                before={"suspended": True},
                reason=f"{reason}, suspended for {self.job.delete_after_days:g} days",
                destructive=True,
                row=row,
            )
        if mark.offboarded_at and not mark.gone_at:
            yield Change(
                kind="user",
                action="mark",
                key=key,
                id=user.id,
                before={"gone": False},
                after={"gone": True},
                reason=reason,
                row=row,
            )

    def _suspend(self, user: Known, key: str, row: int | None, reason: str, action: str = "suspend") -> Change:
        return Change(
            kind="user",
            action=action,
            key=key,
            id=user.id,
            # One that the server has not confirmed is none yet.
            before={"suspended": user.suspended and user.mark.ending_at is None},
            after={"suspended": True},
            reason=reason,
            destructive=True,
            row=row,
        )

    def _is_due(self, mark: Mark) -> bool:
        days = mark.suspended_days(self.as_of)
        return days is not None and days >= self.job.delete_after_days

    def _is_over(self, person: Person, mark: Mark | None) -> bool:
        start = date_of(person.start_date)
        ends = (date_of(person.end_date), date_of(mark.end_date) if mark else None)
        # An end before the first day belongs to an earlier employment.
        return any(end is not None and end < self._today and (start is None or start <= end) for end in ends)

    def _is_early(self, person: Person) -> bool:
        start = date_of(person.start_date)
        return start is not None and start - timedelta(days=self.job.lead_days) > self._today

    def _leave_alone(self, person: Person, user: Known | None, status: str, reason: str) -> None:
        self.notices.append(Notice(person.key, status, reason, person.row, user.id if user else None))


def _owner(mark: Mark) -> dict[str, str]:
    """What of a mark says whose somebody is: dates are written when they happen."""
    return Mark(mark.roster, mark.external_id).json()
