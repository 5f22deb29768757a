"""Events from HR: in order, late, twice, for a later day, for the wrong person."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_logto.exceptions import InvalidInput, Refused
from airflow_provider_logto.management.hr_events import HrEvent, judge_event, receive_event, record_event
from airflow_provider_logto.management.marks import Mark, stamp, write_mark
from airflow_provider_logto.management.protection import Protection
from airflow_provider_logto.management.removal import suspend_user
from logto_sandbox import Sandbox
from tests.clients import Run

NOW = datetime.now(UTC).replace(microsecond=0)


def event(kind: str = "change", days: float = 0, effective: float | None = None, **fields: Any) -> HrEvent:
    """An event that HR recorded ``days`` from now."""
    when = None if effective is None else stamp(NOW + timedelta(days=effective))
    values = {"external_id": "e1", "email": "mika@example.com", "effective_at": when, **fields}
    return HrEvent.checked(kind, occurred_at=stamp(NOW + timedelta(days=days)), **values)


def seed(sandbox: Sandbox, mark: Mark | None = None, **fields: Any) -> str:
    data = (mark or Mark(external_id="e1")).custom_data()
    sandbox.seed({"users": [{"username": "mika", "primaryEmail": "mika@example.com", "customData": data, **fields}]})
    sandbox.reset_stats()
    return str(sandbox.state()["users"][0]["id"])


def mark(sandbox: Sandbox) -> Mark:
    return Mark.of(sandbox.state()["users"][0])


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"kind": "promote"}, "kind"),
        ({"external_id": ""}, "external_id"),
        ({"external_id": " "}, "external_id"),
        ({"external_id": 4711}, "external_id"),
        ({"external_id": "None"}, "external_id"),
        ({"email": "nonsense"}, "email"),
        ({"email": None}, "email"),
        ({"occurred_at": "2026-01-31T08:00:00"}, "occurred_at"),
        ({"occurred_at": None}, "occurred_at"),
        ({"occurred_at": "yesterday"}, "occurred_at"),
        ({"occurred_at": "0001-01-01T00:00:00+12:00"}, "occurred_at"),
        ({"effective_at": "9999-12-31T23:59:59-12:00"}, "effective_at"),
        ({"effective_at": "2026-01-31"}, "effective_at"),
        ({"adopt": "true"}, "adopt"),
    ],
)
def test_wrong_events_are_refused_by_field(changed: Any, field: str) -> None:
    given_ = {"kind": "leave", "external_id": "e1", "email": "a@example.com", "occurred_at": "2026-01-31T08:00:00Z"}
    assert HrEvent.checked(**given_).moment == datetime(2026, 1, 31, 8, tzinfo=UTC)
    with pytest.raises(InvalidInput, match=f"^{field}"):
        HrEvent.checked(**{**given_, **changed})


@pytest.mark.parametrize("kind", ["change", "leave", "rehire"])
def test_somebody_unknown_can_only_be_hired(run: Run, sandbox: Sandbox, kind: str) -> None:
    for function in (receive_event, judge_event):
        with pytest.raises(InvalidInput, match=rf"nobody in Logto has it \(a {kind} for e1\)"):
            run(function, event(kind))
    assert run(receive_event, event("hire")) == {"id": None, "decision": "apply", "reason": None}


def test_an_address_that_has_a_new_owner_is_nobodys_event(run: Run, sandbox: Sandbox) -> None:
    seed(sandbox, Mark(external_id="e2"))
    for kind in KINDS:
        with pytest.raises(Refused, match="external id e2, not e1"):
            run(receive_event, event(kind))
    assert sandbox.stats()["writes"] == 0


@pytest.mark.parametrize(
    ("effective", "last_day"),
    [
        ("2026-04-01T08:00:00+09:00", "2026-04-01"),
        ("2026-03-31T20:00:00-08:00", "2026-04-01"),
        ("2026-03-31T18:00:00+02:00", "2026-03-31"),
    ],
)
def test_the_last_day_is_never_over_before_the_leave(effective: str, last_day: str) -> None:
    assert event("leave", effective_at=effective).last_day == last_day


KINDS = ("hire", "change", "leave", "rehire")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mark_", [Mark(), Mark("hr"), Mark(occurred_at=stamp(NOW))])
def test_who_merely_has_the_address_is_left_alone(run: Run, sandbox: Sandbox, kind: str, mark_: Mark) -> None:
    seed(sandbox, mark_)
    for function in (receive_event, judge_event):
        with pytest.raises(Refused, match=r"no external id: nothing proves that it is e1.*adopt: true"):
            run(function, event(kind))
    assert sandbox.stats()["writes"] == 0


@pytest.mark.parametrize("kind", KINDS)
def test_an_event_takes_an_account_over_on_purpose(run: Run, sandbox: Sandbox, kind: str) -> None:
    seed(sandbox, Mark("hr"))
    taking = event(kind, adopt=True)
    assert run(receive_event, taking)["decision"] == "apply"
    assert run(judge_event, taking)["decision"] == "apply"
    assert (mark(sandbox).roster, mark(sandbox).external_id) == ("hr", "e1")
    # Tried again, and by the events that follow, they are known.
    sandbox.reset_stats()
    assert run(judge_event, taking)["decision"] == "apply"
    assert run(judge_event, event("change"))["decision"] == "apply"
    assert sandbox.stats()["writes"] == 0
    with pytest.raises(Refused, match="external id e1, not e2"):
        run(judge_event, event(kind, external_id="e2", adopt=True))


def test_a_mark_that_its_owner_may_write_proves_nothing(run: Run, sandbox: Sandbox) -> None:
    seed(sandbox)
    fields = {"enabled": True, "fields": {"customData": "Edit"}}
    run(lambda client: client.request("PATCH", "/account-center", body=fields))
    for kind in KINDS:
        with pytest.raises(Refused, match="account center"):
            run(receive_event, event(kind, adopt=True))


def test_an_event_of_tomorrow_is_refused(run: Run, sandbox: Sandbox) -> None:
    """Applied, it would make every event of today an older one."""
    seed(sandbox)
    with pytest.raises(InvalidInput, match=r"^occurred_at.*in the future.*time zone"):
        run(receive_event, event("change", days=0.3), NOW)
    # Clocks may differ by minutes.
    assert run(receive_event, event("change", days=0.002), NOW)["decision"] == "wait"


def test_an_older_event_is_skipped_and_says_so(run: Run, sandbox: Sandbox) -> None:
    mika = seed(sandbox)
    run(record_event, mika, event("change", days=-1))
    assert mark(sandbox).occurred_at == stamp(NOW - timedelta(days=1))
    late = run(receive_event, event("change", days=-2))
    assert late["decision"] == "skip"
    assert late["reason"].startswith("older than the event that was applied last")
    # The same again, and a later one, are applied.
    assert run(judge_event, event("change", days=-1))["decision"] == "apply"
    assert run(judge_event, event("change", days=0))["decision"] == "apply"


def test_a_change_drops_no_leave_that_was_recorded_before_it(run: Run, sandbox: Sandbox) -> None:
    for leave in (event("leave", days=-2), event("leave", days=-3, effective=-2)):
        sandbox.reset()
        mika = seed(sandbox)
        run(record_event, mika, event("change", days=-1))
        assert run(receive_event, leave)["decision"] == "apply"
        assert run(judge_event, leave)["decision"] == "apply"
        run(record_event, mika, leave)
        applied, recorded = stamp(NOW - timedelta(days=1)), stamp(leave.occurred_at)
        kept = Mark(external_id="e1", occurred_at=applied, end_date=leave.last_day, end_recorded_at=recorded)
        assert mark(sandbox) == kept


def test_a_return_that_comes_too_late_to_be_applied_withdraws_older_leaves(run: Run, sandbox: Sandbox) -> None:
    mika = seed(sandbox)
    waiting, late = event("leave", days=-4, effective=10), event("leave", days=-3)
    run(receive_event, waiting)
    run(record_event, mika, event("change", days=-1))
    back = run(receive_event, event("rehire", days=-2))
    assert back["decision"] == "skip"
    assert back["reason"].startswith("older than the event that was applied last")
    assert (mark(sandbox).end_date, mark(sandbox).end_recorded_at) == (None, stamp(NOW - timedelta(days=2)))
    assert run(judge_event, waiting)["decision"] == "skip"
    assert run(receive_event, late)["decision"] == "skip"


def test_recording_an_older_event_changes_nothing(run: Run, sandbox: Sandbox) -> None:
    mika = seed(sandbox)
    run(record_event, mika, event("rehire", days=0))
    before = mark(sandbox)
    run(record_event, mika, event("leave", days=-1))
    assert mark(sandbox) == before
    sandbox.reset_stats()
    run(record_event, mika, event("rehire", days=0))
    assert sandbox.stats()["writes"] == 0


def test_a_leave_for_a_later_day_is_noted_at_once(run: Run, sandbox: Sandbox) -> None:
    seed(sandbox, Mark("hr", "e1"))
    leave = event("leave", days=-1, effective=10)
    assert run(receive_event, leave)["decision"] == "wait"
    day = (NOW + timedelta(days=10)).date().isoformat()
    # The roster keeps its mark, and has the day.
    assert mark(sandbox) == Mark("hr", "e1", end_date=day, end_recorded_at=stamp(NOW - timedelta(days=1)))
    # An event that is applied meanwhile does not overtake it.
    run(record_event, sandbox.state()["users"][0]["id"], event("change", days=0))
    assert run(judge_event, leave)["decision"] == "apply"


def test_a_rehire_withdraws_a_leave_that_waits(run: Run, sandbox: Sandbox) -> None:
    mika = seed(sandbox)
    leave = event("leave", days=-1, effective=10)
    run(receive_event, leave)
    run(record_event, mika, event("rehire", days=0))
    assert mark(sandbox).end_date is None
    assert run(judge_event, leave)["reason"] == f"HR has said since who leaves when ({stamp(NOW)})"
    # So it does where it is the second to arrive.
    assert run(receive_event, leave)["decision"] == "skip"
    assert mark(sandbox).end_date is None


@pytest.mark.parametrize("changed", [False, True])
def test_a_hire_delivered_again_withdraws_no_leave_recorded_with_it(run: Run, sandbox: Sandbox, changed: bool) -> None:
    """A contract with an end, recorded in one go."""
    mika = seed(sandbox)
    hire, leave = event("hire", days=-3), event("leave", days=-3, effective=10)
    run(record_event, mika, hire)
    assert run(receive_event, leave)["decision"] == "wait"
    if changed:
        run(record_event, mika, event("change", days=-1))
    if run(receive_event, hire)["decision"] == "apply":
        run(record_event, mika, hire)
    assert mark(sandbox).end_date == leave.last_day
    assert run(judge_event, leave)["decision"] == "apply"


def test_a_rehire_recorded_with_the_leave_it_undoes_withdraws_it(run: Run, sandbox: Sandbox) -> None:
    """HR systems that know days only."""
    for effective in (10, None):
        sandbox.reset()
        mika = seed(sandbox)
        leave, back = event("leave", days=-1, effective=effective), event("rehire", days=-1)
        run(receive_event, leave)
        if effective is None:
            run(record_event, mika, leave)
        assert run(receive_event, back)["decision"] == "apply"
        run(record_event, mika, back)
        assert mark(sandbox).end_date is None


def test_a_leave_that_arrives_after_its_day_is_applied(run: Run, sandbox: Sandbox) -> None:
    seed(sandbox)
    late = event("leave", days=-2, effective=-1)
    assert run(receive_event, late)["decision"] == "apply"
    assert run(judge_event, late)["decision"] == "apply"


def test_of_two_leaves_that_wait_the_one_recorded_later_counts(run: Run, sandbox: Sandbox) -> None:
    postponed, first = event("leave", days=-1, effective=20), event("leave", days=-2, effective=10)
    for order in ((first, postponed), (postponed, first)):
        sandbox.reset()
        seed(sandbox)
        for one in order:
            run(receive_event, one)
        assert mark(sandbox).end_date == postponed.last_day
        assert run(judge_event, first)["decision"] == "skip"
        assert run(judge_event, postponed)["decision"] == "apply"


def test_a_leave_withdraws_a_rehire_that_waits(run: Run, sandbox: Sandbox) -> None:
    mika = seed(sandbox)
    back = event("rehire", days=-2, effective=10)
    assert run(receive_event, back)["decision"] == "wait"
    run(record_event, mika, event("leave", days=-1))
    assert run(judge_event, back)["decision"] == "skip"


def test_who_is_to_come_back_and_to_leave_again_does_both(run: Run, sandbox: Sandbox) -> None:
    mika = seed(sandbox)
    back, leave = event("rehire", days=-2, effective=10), event("leave", days=-1, effective=20)
    assert run(receive_event, back)["decision"] == "wait"
    assert run(receive_event, leave)["decision"] == "wait"
    assert run(judge_event, back)["decision"] == "apply"
    run(record_event, mika, back)
    assert mark(sandbox).end_date == leave.last_day
    assert run(judge_event, leave)["decision"] == "apply"


def test_somebody_who_removes_the_last_day_from_the_mark_cancels_the_leave(run: Run, sandbox: Sandbox) -> None:
    mika = seed(sandbox)
    leave = event("leave", days=-1, effective=10)
    run(receive_event, leave)
    run(write_mark, mika, mark(sandbox).with_(end_date=None))
    assert run(judge_event, leave)["reason"] == "a later event has withdrawn it"


def test_other_events_for_a_later_day_only_wait(run: Run, sandbox: Sandbox) -> None:
    seed(sandbox)
    for kind in ("change", "rehire"):
        assert run(receive_event, event(kind, effective=1))["decision"] == "wait"
    assert run(receive_event, event("hire", effective=1, email="new@example.com"))["decision"] == "wait"
    assert run(receive_event, event("change", effective=-1))["decision"] == "apply"
    assert sandbox.stats()["writes"] == 0


def test_who_left_is_rehired_not_hired(run: Run, sandbox: Sandbox) -> None:
    for fields in ({"isSuspended": True}, {"mark": Mark(external_id="e1", offboarded_at=stamp(NOW))}):
        sandbox.reset()
        seed(sandbox, **fields)  # type: ignore[arg-type]
        with pytest.raises(Refused, match="send a rehire"):
            run(receive_event, event("hire"))
        assert run(receive_event, event("rehire"))["decision"] == "apply"


def test_a_rehire_ends_the_dates_of_the_first_employment(run: Run, sandbox: Sandbox) -> None:
    gone = Mark("hr", "e1", stamp(NOW), stamp(NOW), stamp(NOW), stamp(NOW - timedelta(days=9)), "2026-01-01")
    mika = seed(sandbox, gone, isSuspended=True)
    run(suspend_user, "mika", False, Protection({}))
    run(record_event, mika, event("rehire"))
    assert mark(sandbox) == Mark("hr", "e1", occurred_at=stamp(NOW), end_recorded_at=stamp(NOW))


EVENTS = st.lists(
    st.tuples(st.sampled_from(["change", "leave", "rehire"]), st.integers(-20, -1)),
    min_size=1,
    max_size=5,
    unique_by=lambda one: one[1],
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(events=EVENTS, data=st.data())
def test_in_whatever_order_they_arrive_the_latest_decides(
    run: Run, sandbox: Sandbox, events: list[tuple[str, int]], data: st.DataObject
) -> None:
    sandbox.reset()
    mika, here, arrived = seed(sandbox), True, []
    for kind, days in data.draw(st.permutations(events)):
        one = event(kind, days=days)
        if run(receive_event, one)["decision"] == "apply" and run(judge_event, one)["decision"] == "apply":
            here = kind == "rehire" if kind != "change" else here
            run(record_event, mika, one)
        arrived.append((kind, days))
    assert mark(sandbox).occurred_at == stamp(NOW + timedelta(days=max(days for _, days in events)))
    leaving = [one for one in events if one[0] != "change"]
    if not leaving:
        return
    # About leaving, a change says nothing, however late it was recorded.
    last, day = max(leaving, key=lambda one: one[1])
    left = (NOW + timedelta(days=day)).date().isoformat() if last == "leave" else None
    assert (mark(sandbox).end_date, mark(sandbox).end_recorded_at) == (left, stamp(NOW + timedelta(days=day)))
    before = arrived[: arrived.index((last, day))]
    if last == "leave":
        assert not here
    elif all(kind != "leave" for kind, _ in before) or all(kind != "change" or days < day for kind, days in before):
        # A rehire whose fields are older than those of a change that was applied brings nobody back.
        assert here
