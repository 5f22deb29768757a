"""Every brake: it holds before the first write, names itself, and is released by naming the plan."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from airflow_provider_logto.exceptions import BrakeHeld, InvalidInput
from airflow_provider_logto.plans.brakes import Brake, set_brakes
from airflow_provider_logto.roster.job import BRAKES, SOURCE_BRAKES, RosterJob, count_missing_rows
from tests.roster.conftest import Roster

SUSPEND = {"on_missing": "suspend"}


def rows(count: int, first: int = 0, **more: Any) -> list[dict[str, Any]]:
    return [
        {"external_id": f"E{at}", "username": f"u{at}", "primary_email": f"u{at}@example.com", **more}
        for at in range(first, first + count)
    ]


def held(roster: Roster, source: Any, brake: str, **settings: Any) -> str:
    """Applies, and expects that the brake holds before any write; returns the message."""
    roster.sandbox.reset_stats()
    failed = roster.fails(source, **settings)
    assert isinstance(failed.error, BrakeHeld)
    assert not failed.error.transient
    assert f"{brake}: " in str(failed)
    assert failed.result["plan_id"] in str(failed)
    assert roster.writes() == 0
    assert not failed.result["applied"]
    return str(failed)


def test_an_empty_source(roster: Roster) -> None:
    roster.apply(rows(20))
    message = held(roster, [], "min_source_rows", **SUSPEND)
    assert "disables: 20, allowed 1" in message


def test_half_a_source(roster: Roster) -> None:
    roster.apply(rows(40))
    held(roster, rows(20), "disables", **SUSPEND)


def test_another_companys_source(roster: Roster) -> None:
    roster.apply(rows(60))
    message = held(roster, rows(60, first=1000), "creates", **SUSPEND)
    assert "creates: 60, allowed 12" in message
    assert "disables: 60, allowed 3" in message


def test_a_renamed_key_column(roster: Roster) -> None:
    """Everybody missing and everybody new, by a column that is not read any more."""
    roster.apply(rows(60))
    renamed = [{"username": f"n{row['username']}", "primary_email": f"n{row['primary_email']}"} for row in rows(60)]
    message = held(roster, renamed, "disables", **SUSPEND)
    assert "creates: 60" in message
    # The same where the other keys stay: then everybody is known, and nobody is missing.
    result = roster.plan([{key: row[key] for key in ("username", "primary_email")} for row in rows(60)], **SUSPEND)
    assert not [name for name in result["counts"] if name.startswith("user.")]


def test_a_first_run_creates_everybody(roster: Roster) -> None:
    assert roster.apply(rows(120))["counts"]["made.user.create"] == 120


def test_disables_by_count(roster: Roster) -> None:
    roster.apply(rows(300))
    message = held(roster, rows(289), "disables", **SUSPEND)
    assert "disables: 11, allowed 10" in message
    roster.apply(rows(290), **SUSPEND)


def test_disables_by_percent_rounded_up(roster: Roster) -> None:
    roster.apply(rows(21))
    held(roster, rows(18), "disables", **SUSPEND)
    roster.apply(rows(19), **SUSPEND)


def test_who_is_suspended_already_is_no_base(roster: Roster) -> None:
    roster.apply(rows(40))
    roster.apply(rows(10), brakes={"disables": 30}, **SUSPEND)
    message = held(roster, rows(8), "disables", **SUSPEND)
    assert "disables: 2, allowed 1 (of 10)" in message


def test_last_days_of_access_are_disables_too(roster: Roster) -> None:
    roster.apply(rows(20))
    held(roster, rows(20, end_date="2020-01-01"), "disables")


def test_role_removals(roster: Roster) -> None:
    roster.sandbox.seed({"roles": [{"name": "temp", "description": "x"}]})
    settings = {"manage": ("roles",), "exact": {"roles": ["temp"]}}
    roster.apply(rows(20, roles=["temp"]), **settings)
    held(roster, rows(20, roles=[]), "role_removals", **settings)
    held(roster, [], "role_removals", on_missing="drop_access", **settings)


def test_member_removals(roster: Roster) -> None:
    roster.sandbox.seed({"organizations": [{"name": "Acme"}]})
    settings = {"manage": ("organizations",), "exact": {"organizations": ["Acme"]}}
    roster.apply(rows(20, organizations=["Acme"]), **settings)
    held(roster, rows(20, organizations=[]), "member_removals", **settings)


def test_changes_of_identifiers(roster: Roster) -> None:
    roster.apply(rows(20))
    changed = [{**row, "primary_email": f"new{at}@example.com"} for at, row in enumerate(rows(20))]
    held(roster, changed, "identifier_changes")
    roster.apply([changed[0], *rows(19, first=1)])


def test_required_rows(roster: Roster) -> None:
    roster.apply(rows(40))
    brakes = {"required_rows": ["E39", "U0@example.com"]}
    held(roster, rows(39), "required_rows", brakes=brakes, **SUSPEND)
    roster.apply(rows(40), brakes=brakes, **SUSPEND)


def test_a_limit_of_creations_by_count_holds_from_the_first_run_on(roster: Roster) -> None:
    held(roster, rows(6), "creates", brakes={"creates": 5})
    assert roster.apply(rows(5), brakes={"creates": 5})["counts"]["made.user.create"] == 5


@pytest.mark.parametrize("phone", ["+4915112345678", "4915112345678", "+49 (151) 1234-5678", "+49 0151 12345678"])
def test_a_required_row_may_be_named_by_its_phone(phone: str) -> None:
    assert count_missing_rows([phone], {"ann", "4915112345678"}) == 0
    assert count_missing_rows([phone], {"ann", "4915112345679"}) == 1


def test_min_source_rows(roster: Roster) -> None:
    held(roster, rows(9), "min_source_rows", brakes={"min_source_rows": 10})


def test_apply_safe_does_what_takes_nothing_away_and_fails_all_the_same(roster: Roster) -> None:
    roster.apply(rows(20))
    source = [{**row, "name": "New"} for row in rows(10)] + rows(2, first=100)
    failed = roster.fails(source, on_brake="apply_safe", **SUSPEND)
    assert isinstance(failed.error, BrakeHeld)
    assert failed.result["counts"]["made.user.create"] == 2
    assert failed.result["counts"]["made.user.update"] == 10
    assert failed.result["counts"]["changes.held"] == 10
    assert not [user for user in roster.users().values() if user["isSuspended"]]


def test_apply_safe_does_not_create_another_company(roster: Roster) -> None:
    roster.apply(rows(60))
    failed = roster.fails(rows(60, first=1000), on_brake="apply_safe", **SUSPEND)
    assert "made.user.create" not in failed.result["counts"]
    assert len(roster.users()) == 60


def test_only_the_named_plan_is_released(roster: Roster, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    roster.apply(rows(20))
    plan = roster.plan(rows(10), **SUSPEND)
    assert plan["counts"]["brake.disables"] == 10
    assert ("WARNING", "HELD  disables: 10, allowed 1 (of 20)") in said(caplog)
    released = {"options": {"approve_plan": plan["plan_id"]}}
    message = str(roster.fails(rows(5), **SUSPEND, **released))
    assert "names another plan" in message
    caplog.clear()
    counts = roster.apply(rows(10), **SUSPEND, **released)["counts"]
    assert (counts["made.user.suspend"], counts["released.disables"]) == (10, 10)
    assert "brake.disables" not in counts
    assert ("INFO", "released by approve_plan: disables 10, allowed 1") in said(caplog)
    assert "HELD" not in caplog.text


def said(caplog: pytest.LogCaptureFixture) -> set[tuple[str, str]]:
    return {(record.levelname, record.message) for record in caplog.records}


@pytest.mark.parametrize("mode", ["plan", "apply"])
def test_the_log_says_where_the_plan_is(roster: Roster, caplog: pytest.LogCaptureFixture, mode: str) -> None:
    caplog.set_level(logging.INFO)
    for _ in range(2):
        caplog.clear()
        result = roster.sync(rows(2), mode)
        assert ("INFO", f"plan {result['plan_id']} in {result['plan']}") in said(caplog)


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"disable": 5}, "brakes.disable"),
        ({"disables": None}, "brakes.disables"),
        ({"disables": "5"}, "brakes.disables"),
        ({"disables": "101%"}, "brakes.disables"),
        ({"disables": -1}, "brakes.disables"),
        ({"disables": True}, "brakes.disables"),
        ({"disables": (5, 6)}, "brakes.disables"),
        ({"disables": ()}, "brakes.disables"),
        ({"min_source_rows": 0}, "brakes.min_source_rows"),
        ({"required_rows": [5]}, "brakes.required_rows"),
        ([], "brakes"),
    ],
)
def test_wrong_limits_are_named(given: Any, field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        RosterJob.checked(roster="hr", brakes=given)
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("brake", "base", "limit"),
    [
        (Brake("x", 10, 5), 0, 0),
        (Brake("x", 10, 5), 1, 1),
        (Brake("x", 10, 5), 20, 1),
        (Brake("x", 10, 5), 21, 2),
        (Brake("x", 10, 5), 200, 10),
        (Brake("x", 10, 5), 10_000, 10),
        (Brake("x", None, 20, once=50), 49, None),
        (Brake("x", None, 20, once=50), 50, 10),
        (Brake("x", 5, None, once=50), 0, 5),
        (Brake("x", 5, 20, once=50), 49, 5),
        (Brake("x", 0), 1000, 0),
        (Brake("x"), 1000, None),
    ],
)
def test_the_smaller_limit_wins(brake: Brake, base: int, limit: int | None) -> None:
    assert brake.limit(base) == limit


def test_limits_are_set_over_the_defaults() -> None:
    brakes = set_brakes(BRAKES, {"disables": (50, "10%"), "deletes": "1%", "creates": 7}, SOURCE_BRAKES)
    assert (brakes["disables"].count, brakes["disables"].percent) == (50, 10)
    assert (brakes["deletes"].count, brakes["deletes"].percent) == (None, 1)
    assert (brakes["creates"].count, brakes["creates"].percent) == (7, None)
    assert brakes["role_removals"] == Brake("role_removals", 10, 5)


def test_last_months_source_brings_nobody_back(roster: Roster) -> None:
    roster.apply(rows(40))
    left = roster.plan(rows(25), **SUSPEND)
    roster.apply(rows(25), **SUSPEND, options={"approve_plan": left["plan_id"]})
    held(roster, rows(40), "reactivations", **SUSPEND)
    roster.apply(rows(26), **SUSPEND)
    assert sum(user["isSuspended"] for user in roster.users().values()) == 14
