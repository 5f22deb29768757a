"""What HR says about one person, one event at a time: hire, change, leave, rehire.

Events arrive late, twice and out of order. The mark in customData keeps the time of the latest one that was applied;
whatever would take effect before it is not applied, but for a leave, which sets no field back. Who leaves when is what
HR recorded last about it: the mark keeps that too. A leave for a later day writes that day to the mark on arrival, so
that a nightly roster enforces it even if its own run is lost.

The mark's external id says who a person is. An account that merely has the e-mail may be somebody else's: it is left
alone until an event takes it over on purpose.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, get_args

from airflow_provider_logto.client.client import LogtoClient, path_of
from airflow_provider_logto.exceptions import InvalidInput, Refused
from airflow_provider_logto.management import fields
from airflow_provider_logto.management.answers import IDENTIFIED, checked
from airflow_provider_logto.management.marks import Mark, moment_of, refuse_forgeable, stamp, write_mark
from airflow_provider_logto.management.references import find_user
from airflow_provider_logto.management.user_fields import User

Kind = Literal["hire", "change", "leave", "rehire"]
KINDS: tuple[Kind, ...] = get_args(Kind)
#: That clocks may disagree by. An event of tomorrow would make all of today's older than the last one applied.
_CLOCK_SLACK = timedelta(minutes=5)


@dataclass(frozen=True)
class HrEvent:
    """One event. Make one with :meth:`checked`.

    :param kind: ``hire``, ``change``, ``leave`` or ``rehire``.
    :param external_id: the person's key at HR; a mark with another one means that an address has a new owner.
    :param email: the address that the person is known by in Logto.
    :param occurred_at: when HR recorded it.
    :param effective_at: when it takes effect; ``occurred_at`` where HR does not say.
    :param adopt: take over an account that has the address and no external id in its mark.
    """

    kind: Kind
    external_id: str
    email: str
    occurred_at: datetime
    effective_at: datetime
    adopt: bool = False

    @classmethod
    def checked(
        cls, kind: Any, external_id: Any, email: Any, occurred_at: Any, effective_at: Any = None, adopt: Any = False
    ) -> HrEvent:
        """
        :raises InvalidInput: naming the field and what would be right.
        """
        if kind not in KINDS:
            raise InvalidInput("kind", f"{kind!r} is unknown; use one of {', '.join(KINDS)}")
        key = fields.identifier("external_id", external_id)
        if key is None:
            raise InvalidInput("external_id", "missing: the person's key at HR")
        address = fields.email("email", email)
        if address is None:
            raise InvalidInput("email", "missing: the address that the person is known by in Logto")
        occurred = _moment("occurred_at", occurred_at)
        effective = _moment("effective_at", effective_at) if effective_at not in (None, "") else occurred
        if not isinstance(adopt, bool):
            raise InvalidInput("adopt", f"must be true or false; got {adopt!r}")
        return cls(kind, key, address, occurred, effective, adopt)

    @property
    def moment(self) -> datetime:
        """When it takes effect, seen from when it was recorded: by this, events are put in order."""
        return max(self.occurred_at, self.effective_at)

    @property
    def last_day(self) -> str:
        """The day on which a leave takes effect: by HR's clock or in UTC, the later, lest a roster ends it early."""
        return max(self.effective_at.date(), self.effective_at.astimezone(UTC).date()).isoformat()

    def is_due(self, now: datetime) -> bool:
        """Whether it takes effect by now."""
        return self.effective_at <= now


async def receive_event(client: LogtoClient, event: HrEvent, now: datetime | None = None) -> dict[str, Any]:
    """What to do about an event that has just arrived.

    Writes to the person's mark the last day of a leave, and that a return which comes too late to be applied withdraws
    the leaves that HR recorded before it.

    :returns: ``{"decision": "apply" | "wait" | "skip", "reason", "id"}``; ``reason`` says why it is skipped.
    :raises InvalidInput: where it is about somebody unknown (anything but a hire), or was recorded in the future.
    :raises Refused: where it does not fit the person: another external id, none and no ``adopt``, a hire of somebody
        who left; and where end users may forge marks.
    """
    now = now or datetime.now(UTC)
    if event.occurred_at > now + _CLOCK_SLACK:
        raise InvalidInput("occurred_at", f"{stamp(event.occurred_at)} lies in the future; is its time zone right?")
    user, reason = await _judge(client, event, woken=False)
    if user is not None and _says_who_leaves(event, Mark.of(user), reason):
        announced = _owned(user, event).with_(**_end(event))
        if announced != Mark.of(user):
            await write_mark(client, user["id"], announced)
    decision = "skip" if reason is not None else "apply" if event.is_due(now) else "wait"
    return {"id": user["id"] if user else None, "reason": reason, "decision": decision}


async def judge_event(client: LogtoClient, event: HrEvent) -> dict[str, Any]:
    """What to do about an event whose time has come: meanwhile another one may have overtaken it.

    Writes the external id to the mark of somebody whom it takes over.

    :returns: ``{"decision": "apply" | "skip", "reason", "id"}``.
    :raises InvalidInput: see :func:`receive_event`.
    :raises Refused: see :func:`receive_event`.
    """
    user, reason = await _judge(client, event, woken=True)
    decision = "apply" if reason is None else "skip"
    if user is not None and reason is None and not Mark.of(user).external_id:
        await write_mark(client, user["id"], _owned(user, event))
    return {"id": user["id"] if user else None, "decision": decision, "reason": reason}


async def record_event(client: LogtoClient, user_id: str, event: HrEvent) -> None:
    """Note on a person that an event was applied; one that was overtaken meanwhile changes nothing.

    A hire and a rehire end the dates of an earlier employment.
    """
    path = path_of("/users/{}", user_id)
    user = checked(f"GET /api{path}", await client.request("GET", path), IDENTIFIED)
    mark = Mark.of(user)
    applied = moment_of(mark.occurred_at)
    late = applied is not None and applied > event.moment
    if late and (event.kind != "leave" or _is_outdated(mark, event)):
        return
    noted = _owned(user, event).with_(occurred_at=mark.occurred_at if late else stamp(event.moment))
    if event.kind in ("hire", "rehire"):
        noted = noted.with_(suspended_at=None, offboarded_at=None, gone_at=None, ending_at=None, by_source=None)
    # Delivered again after a leave that HR recorded in the same moment: to come, and to leave later.
    again = applied == event.moment and moment_of(mark.end_recorded_at) == event.occurred_at
    if event.kind != "change" and not _is_outdated(mark, event) and not (again and _ends_after(mark, event)):
        noted = noted.with_(**_end(event))
    if noted != mark:
        await write_mark(client, user_id, noted)


async def _judge(client: LogtoClient, event: HrEvent, woken: bool) -> tuple[User | None, str | None]:
    """The person meant, and why the event is not applied to them; None where it is."""
    await refuse_forgeable(client)
    user = await find_user(client, {"email": event.email}, "email")
    if user is None:
        if event.kind == "hire":
            return None, None
        raise InvalidInput(
            "email",
            f"nobody in Logto has it (a {event.kind} for {event.external_id}); correct it, or hire them first",
        )
    mark = Mark.of(user)
    if mark.external_id and mark.external_id != event.external_id:
        raise Refused(
            f"{user['id']} has this address and the external id {mark.external_id}, not {event.external_id}: was the "
            "address given to somebody else? Correct one of the two"
        )
    if not mark.external_id and not event.adopt:
        raise Refused(
            f"{user['id']} has this address and no external id: nothing proves that it is {event.external_id}. If it "
            "is the same person, send the event again with adopt: true, under another run id"
        )
    applied = moment_of(mark.occurred_at)
    # A leave sets no field back, and is judged by what HR recorded about leaving alone.
    if applied is not None and event.moment < applied and event.kind != "leave":
        return user, f"older than the event that was applied last ({mark.occurred_at})"
    if _is_outdated(mark, event) and not _ends_after(mark, event):
        return user, f"HR has said since who leaves when ({mark.end_recorded_at})"
    if event.kind == "hire" and (mark.offboarded_at or user["isSuspended"]) and applied != event.moment:
        raise Refused(f"{user['id']} was here before and left: send a rehire")
    # Whoever cancels a leave removes its day from the mark.
    withdrawn = woken and event.kind == "leave" and mark.end_date != event.last_day
    if withdrawn and event.effective_at > event.occurred_at:
        return user, "a later event has withdrawn it"
    return user, None


def _says_who_leaves(event: HrEvent, mark: Mark, reason: str | None) -> bool:
    """Whether the mark is to keep on arrival what an event says about the last day."""
    if event.kind == "leave":
        return reason is None
    # Older than a change that was applied: its fields must not be set back, but what it says of leaving counts, unless
    # it is delivered again after a leave that HR recorded in the same moment.
    told = moment_of(mark.end_recorded_at)
    return event.kind in ("hire", "rehire") and reason is not None and (told is None or told < event.occurred_at)


def _owned(user: Mapping[str, Any], event: HrEvent) -> Mark:
    return Mark.of(user).with_(external_id=event.external_id)


def _end(event: HrEvent) -> dict[str, str | None]:
    """What a mark says about the last day after an event that is no change."""
    return {
        "end_date": event.last_day if event.kind == "leave" else None,
        "end_recorded_at": stamp(event.occurred_at),
    }


def _is_outdated(mark: Mark, event: HrEvent) -> bool:
    """Whether HR recorded another last day, or that there is none, after it recorded this event."""
    recorded = moment_of(mark.end_recorded_at)
    return event.kind != "change" and recorded is not None and event.occurred_at < recorded


def _ends_after(mark: Mark, event: HrEvent) -> bool:
    """Whether somebody is to come (back) and only then to leave: the two events do not contradict each other."""
    return event.kind != "leave" and mark.end_date is not None and mark.end_date > event.moment.date().isoformat()


def _moment(field: str, value: Any) -> datetime:
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else value
        if isinstance(moment, datetime) and moment.tzinfo is not None and moment.astimezone(UTC):
            # A mark keeps whole seconds; what differs by less must not count as older.
            return moment.replace(microsecond=0)
    except (ValueError, OverflowError):
        pass
    raise InvalidInput(field, f"{value!r} is not a time with a zone; write 2026-01-31T08:00:00+00:00")
