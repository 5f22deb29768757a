"""Suspending a person, bringing them back, deleting them: looked at again before each act, and only where allowed.

Source: Logto Management API, ``PATCH /api/users/{id}/is-suspended``, ``DELETE /api/users/{id}``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Literal

from airflow_provider_logto.client.client import LogtoClient, path_of
from airflow_provider_logto.exceptions import InvalidInput, NotFound, Refused
from airflow_provider_logto.management.answers import USER, checked
from airflow_provider_logto.management.fields import switch
from airflow_provider_logto.management.marks import (
    SUSPENDED_AT,
    Mark,
    end_users_may_edit,
    moment_of,
    stamp,
    write_mark,
)
from airflow_provider_logto.management.offboarding.steps import BY_ADDRESS, do_all
from airflow_provider_logto.management.presence import delete
from airflow_provider_logto.management.protection import Protection
from airflow_provider_logto.management.references import Reference, find_user
from airflow_provider_logto.management.task_notes import TaskNotes
from airflow_provider_logto.management.user_fields import User
from airflow_provider_logto.task_state import TaskState

IfAbsent = Literal["fail", "skip"]

#: That the clocks of workers and server may disagree by.
_CLOCK_SLACK = timedelta(minutes=5)


def check_if_absent(if_absent: Any) -> None:
    """
    :raises InvalidInput: for an unknown value.
    """
    if if_absent not in ("fail", "skip"):
        raise InvalidInput("if_absent", f"{if_absent!r} is unknown; use fail or skip")


async def find_for_removal(client: LogtoClient, user: Any, protection: Protection, if_absent: str) -> User | None:
    """The person meant; None where there is none and that is fine.

    :raises InvalidInput: where there is none and ``if_absent`` is ``fail``, or where they are protected.
    """
    check_if_absent(if_absent)
    reference = Reference.parse(user)
    found = await find_user(client, reference)
    if found is None:
        if if_absent == "fail":
            raise InvalidInput("user", f'no user {reference.given} in Logto; if_absent="skip" accepts that')
        return None
    await protection.refuse(client, [found])
    return found


async def suspend_user(
    client: LogtoClient, user: Any, suspended: bool, protection: Protection, if_absent: IfAbsent = "fail"
) -> dict[str, Any]:
    """Suspend a person, or bring them back.

    The server sets the flag before it ends sessions, so the flag alone proves nothing: the date that is written after
    its answer does. Without one, the suspension is sent again, which ends sessions again.

    :returns: ``{"id", "outcome": "suspended" | "reinstated" | "unchanged" | "absent"}``.
    """
    # An empty cell is no order to lift a suspension.
    if not isinstance(suspended, bool):
        raise InvalidInput("suspended", f"must be True or False; got {suspended!r}")
    found = await find_for_removal(client, user, protection if suspended else Protection({}), if_absent)
    if found is None:
        return {"id": None, "outcome": "absent"}
    if found["isSuspended"] == suspended and (is_by_task(found) or not suspended):
        return {"id": found["id"], "outcome": "unchanged"}
    path = path_of("/users/{}", found["id"])
    if suspended:
        await client.request("PATCH", f"{path}/is-suspended", body={"isSuspended": True})
        await _write_date(client, found, stamp(datetime.now(UTC)))
        return {"id": found["id"], "outcome": "suspended"}
    mark = Mark.of(found)
    ended = mark.back(datetime.now(UTC))
    if ended != mark:
        await write_mark(client, found["id"], ended)
    await _write_date(client, found, None)
    await client.request("PATCH", f"{path}/is-suspended", body={"isSuspended": False})
    return {"id": found["id"], "outcome": "reinstated"}


def is_by_task(user: Mapping[str, Any]) -> bool:
    """Whether :func:`suspend_user` suspended a person, be it one whom a roster had suspended before.

    A date older than that of the roster's suspension is of an earlier one.
    """
    own = (user.get("customData") or {}).get(SUSPENDED_AT)
    since = moment_of(own) if isinstance(own, str) else None
    before = moment_of(Mark.of(user).suspended_at)
    return bool(user["isSuspended"]) and since is not None and (before is None or since >= before)


def suspended_since(user: User) -> datetime | None:
    """Since when a suspended person is suspended, as this package wrote it down; None where it did not.

    Of several dates the latest counts. One before the last sign-in is of an earlier suspension: Logto does not say when
    the one of now began.

    :param user: as Logto returns it, with ``isSuspended``, ``lastSignInAt`` and ``customData``.
    """
    if not user["isSuspended"]:
        return None
    mark = Mark.of(user)
    own = (user.get("customData") or {}).get(SUSPENDED_AT)
    texts = (mark.suspended_at, mark.offboarded_at, own if isinstance(own, str) else None)
    since = max((moment for text in texts if (moment := moment_of(text)) is not None), default=None)
    signed_in = datetime.fromtimestamp((user.get("lastSignInAt") or 0) / 1000, UTC)
    return since if since is None or signed_in < since + _CLOCK_SLACK else None


async def delete_user(
    client: LogtoClient,
    user: Any,
    protection: Protection,
    confirm: bool = False,
    suspended_for: float | None = None,
    if_absent: IfAbsent = "fail",
    state: TaskState | None = None,
    order: int | None = None,
) -> dict[str, Any]:
    """Delete a person with everything that hangs on them. This cannot be undone.

    What hangs on their address goes first, since afterwards nobody knows it: where that fails, nobody is deleted, and
    a retry begins anew.

    :param confirm: True deletes whoever is meant.
    :param suspended_for: days; deletes only who is suspended for that long, as this package wrote it down.
    :param state: tells a retry whom an earlier try of the task was about to delete.
    :param order: what the tries of one order have in common; clearing the task is another order.
    :returns: ``{"id", "outcome": "deleted" | "absent"}``.
    :raises InvalidInput: before any request where neither is given; where nobody is meant, or they are protected.
    :raises Refused: where the condition does not hold.
    """
    check_deletion(confirm, suspended_for)
    reference = Reference.parse(user)
    notes = TaskNotes(state, "deletion")
    earlier = await deleted_before(notes, ("user", reference.given), order, reference, partial(find_user, client))
    if earlier is not None:
        return {"id": earlier, "outcome": "deleted"}
    found = await find_for_removal(client, reference, protection, if_absent)
    if found is None:
        return {"id": None, "outcome": "absent"}
    path = path_of("/users/{}", found["id"])
    if suspended_for is not None:
        if await end_users_may_edit(client):
            raise Refused(
                "end users may edit customData, so the date of a suspension proves nothing; forbid it in the account "
                "center, or delete with confirm=True"
            )
        _refuse_early(found, suspended_for)
    await do_all(client, found, BY_ADDRESS)
    if suspended_for is not None:
        try:
            # Read again: meanwhile somebody may have brought them back.
            found = checked(f"GET /api{path}", await client.request("GET", path), USER)
        except NotFound:
            return {"id": found["id"], "outcome": "absent"}
        _refuse_early(found, suspended_for)
    await notes.set({"id": found["id"], "order": order}, "user", reference.given)
    there = await delete(client, path)
    await notes.set({"id": found["id"], "order": order, "answered": True}, "user", reference.given)
    return {"id": found["id"], "outcome": "deleted" if there else "absent"}


async def deleted_before(
    notes: TaskNotes,
    subject: tuple[str, ...],
    order: int | None,
    reference: Any,
    find: Callable[[Any], Awaitable[Any]],
) -> str | None:
    """The id of what an earlier try of the task deleted; None where there is something to delete.

    Airflow keeps a note when the task succeeds and is cleared. A retry believes it, and so does whoever clears a task
    that failed: somebody who has the address since is not meant. After a deletion that was answered, a new order means
    whoever has the address by now.

    :param find: looks a reference up.
    """
    note = await notes.get(*subject)
    noted: str | None = note.get("id")
    by_id = note.get("order") == order or not note.get("answered")
    if not noted or await find({"id": noted} if by_id else reference) is not None:
        return None
    await notes.set({"id": noted, "order": order, "answered": True}, *subject)
    return noted


def days_of(suspended_for: Any) -> Any:
    """A number of days, which a template gives as text; None and "" mean that it is not given."""
    if suspended_for == "":
        return None
    try:
        return float(suspended_for) if isinstance(suspended_for, str) else suspended_for
    except ValueError:
        raise InvalidInput("suspended_for", f"must be a number of days; got {suspended_for!r}") from None


def check_deletion(confirm: Any, suspended_for: Any) -> None:
    """
    :raises InvalidInput: where a deletion is neither confirmed nor bound to a condition.
    """
    switch("confirm", confirm)
    if suspended_for is None:
        if not confirm:
            raise InvalidInput("confirm", "deleting cannot be undone: set confirm=True, or suspended_for=30 (days)")
    elif isinstance(suspended_for, bool) or not isinstance(suspended_for, int | float) or not suspended_for >= 0:
        raise InvalidInput("suspended_for", f"must be a number of days; got {suspended_for!r}")
    elif confirm:
        raise InvalidInput("confirm", "give either confirm=True or suspended_for; one of them has no effect")


def _refuse_early(user: User, days: float) -> None:
    if not user["isSuspended"]:
        raise Refused(f"the user {user['id']} is not suspended; nothing was deleted")
    since = suspended_since(user)
    if since is None:
        raise Refused(
            f"the user {user['id']} is suspended, but not by this package, so it is not known since when; delete with "
            "confirm=True"
        )
    gone = (datetime.now(UTC) - since).total_seconds() / 86400
    if gone < days:
        raise Refused(
            f"the user {user['id']} is suspended for {gone:.1f} days, less than {days:g}; nothing was deleted"
        )


async def _write_date(client: LogtoClient, user: User, date: str | None) -> None:
    # The server merges, and cannot remove a key: null stands for none.
    if date is not None or (user.get("customData") or {}).get(SUSPENDED_AT) is not None:
        body = {"customData": {SUSPENDED_AT: date}}
        await client.request("PATCH", path_of("/users/{}/custom-data", user["id"]), body=body)
