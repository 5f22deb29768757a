"""A stored plan: applied as approved, refused as a whole, or skipped where somebody has drifted."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_logto.exceptions import ChangesFailed, PlanRefused
from airflow_provider_logto.management.marks import KEY
from airflow_provider_logto.plans.journal import Run, read_journal
from airflow_provider_logto.plans.plan import file_name
from tests.roster.conftest import Roster

BEFORE = [{"external_id": f"E{at}", "username": f"u{at}", "name": "Old"} for at in range(6)]
AFTER = [{**row, "name": "New"} for row in BEFORE]


def patch(roster: Roster, who: str, **body: Any) -> None:
    user_id = roster.users()[who]["id"]
    roster._run(lambda client: client.request("PATCH", f"/users/{user_id}", body=body))


def apply_plan(on: Roster, plan: dict[str, Any], rows: Any = None, **settings: Any) -> dict[str, Any]:
    return on.apply(AFTER if rows is None else rows, options={"plan": plan["plan_id"]}, **settings)


def test_exactly_the_plan_is_applied(roster: Roster) -> None:
    roster.apply(BEFORE)
    plan = roster.plan(AFTER)
    result = apply_plan(roster, plan)
    assert result["plan_id"] == plan["plan_id"]
    assert result["counts"]["made.user.update"] == 6
    assert roster.apply(AFTER, options={"plan": plan["plan"]})["counts"]["changes.skipped"] == 6


def test_it_is_refused_as_a_whole_where_rows_or_settings_differ(roster: Roster) -> None:
    roster.apply(BEFORE)
    plan = roster.plan(AFTER)
    roster.sandbox.reset_stats()
    with pytest.raises(PlanRefused, match="other rows"):
        apply_plan(roster, plan, AFTER[:5])
    with pytest.raises(PlanRefused, match=r"other settings \(on_missing\)"):
        apply_plan(roster, plan, on_missing="suspend")
    with pytest.raises(PlanRefused, match="no plan"):
        roster.apply(AFTER, options={"plan": "sha256:" + "0" * 64})
    with pytest.raises(PlanRefused, match="no plan"):
        apply_plan(roster, plan, roster="others")
    assert roster.writes() == 0


def test_who_has_drifted_is_skipped_and_the_others_are_done(roster: Roster) -> None:
    roster.apply(BEFORE)
    plan = roster.plan(AFTER)
    patch(roster, "u0", name="Somebody else's")
    patch(roster, "u1", name="New")
    patch(roster, "u2", avatar="https://example.com/u2.png")
    result = apply_plan(roster, plan)
    users = roster.users()
    assert users["u0"]["name"] == "Somebody else's"
    assert all(users[f"u{at}"]["name"] == "New" for at in range(1, 6))
    lines = {line["key"]: line for line in read_journal(roster.store, file_name("roster/hr", plan["plan_id"]))}
    assert "drifted" in lines["external_id:E0"]["reason"]
    assert "as planned already" in lines["external_id:E1"]["reason"]
    assert lines["external_id:E2"]["status"] == "success", "a field that is not planned is no drift"
    assert result["counts"]["changes.skipped"] == 2


def test_what_became_due_since_is_not_done(roster: Roster) -> None:
    roster.apply(BEFORE)
    plan = roster.plan(AFTER)
    patch(roster, "u0", username="renamed")
    apply_plan(roster, plan)
    assert roster.users()["renamed"]["name"] == "New"


def test_who_signs_up_after_the_plan_gets_nothing_that_was_approved_for_somebody_new(roster: Roster) -> None:
    roster.sandbox.seed({"roles": [{"name": "admin", "description": "x"}]})
    settings = {"manage": ("profile", "roles"), "match_on": ("primary_email",), "adopt": "matched"}
    rows = [{"primary_email": f"{name}@example.com", "roles": ["admin"]} for name in ("bob", "eve")]
    plan = roster.plan(rows, **settings)
    assert plan["counts"]["user.create"] == 2
    roster.sandbox.seed({"users": [{"primaryEmail": "bob@example.com"}]})
    assert apply_plan(roster, plan, rows, **settings)["counts"]["changes.skipped"] == 2
    users = roster.users()
    assert [user for user, _ in roster.sandbox.state()["relations"]["users_roles"]] == [users["eve@example.com"]["id"]]
    assert KEY not in users["bob@example.com"]["customData"]


def test_who_was_suspended_meanwhile_is_left_alone(roster: Roster) -> None:
    roster.apply(BEFORE)
    settings = {"manage": ("profile", "suspension")}
    plan = roster.plan(AFTER, **settings)
    user_id = roster.users()["u0"]["id"]
    path = f"/users/{user_id}/is-suspended"
    roster._run(lambda client: client.request("PATCH", path, body={"isSuspended": True}))
    apply_plan(roster, plan, **settings)
    assert roster.users()["u0"]["name"] == "Old"
    assert roster.users()["u1"]["name"] == "New"


def test_a_retry_goes_on_with_the_plan_of_the_first_try(roster: Roster) -> None:
    roster.apply(BEFORE)
    roster.sandbox.add_fault(kind="error", status=400, method="PATCH", path="/api/users/{userId}", times=2)
    failed = roster.fails(AFTER, options={"run": Run("r1", 1)})
    assert isinstance(failed.error, ChangesFailed)
    result = roster.apply(AFTER, options={"run": Run("r1", 2)})
    assert result["plan_id"] == failed.result["plan_id"]
    assert result["counts"]["made.user.update"] == 2
    lines = read_journal(roster.store, file_name("roster/hr", result["plan_id"]))
    assert sorted({(line["status"], line["try"]) for line in lines}) == [
        ("failed", 1),
        ("skipped", 2),
        ("success", 1),
        ("success", 2),
    ]
    # Another run plans anew.
    assert roster.apply(AFTER, options={"run": Run("r2", 2)})["plan_id"] != result["plan_id"]


def test_an_approved_plan_that_was_cut_short_needs_no_second_approval(roster: Roster) -> None:
    roster.apply(BEFORE)
    settings: dict[str, Any] = {"on_missing": "suspend"}
    plan = roster.plan(BEFORE[:2], **settings)
    approved = {"approve_plan": plan["plan_id"]}
    roster.sandbox.add_fault(kind="error", status=400, method="PATCH", path="/api/users/{userId}/is-suspended", times=2)
    roster.fails(BEFORE[:2], options=approved, **settings)
    result = roster.apply(BEFORE[:2], options=approved, **settings)
    assert result["counts"]["made.user.suspend"] == 2
    assert sum(user["isSuspended"] for user in roster.users().values()) == 4
    # And nothing more is released by it.
    assert roster.apply(BEFORE[:2], options=approved, **settings)["plan_id"] != plan["plan_id"]


@pytest.mark.parametrize("named", [True, False])
def test_a_plan_that_deleted_somebody_is_gone_on_with(roster: Roster, named: bool) -> None:
    roster.apply(BEFORE)
    mark = {"roster": "hr", "externalId": "X1", "suspendedAt": "2026-01-01T00:00:00Z"}
    # An offboarding's mark is a change of its own.
    mark |= {"offboardedAt": "2026-01-01T00:00:00Z"}
    roster.sandbox.seed({"users": [{"username": "gone", "isSuspended": True, "customData": {KEY: mark}}]})
    settings = {"on_missing": "delete"}
    plan = roster.plan(AFTER, **settings)
    assert (plan["counts"]["user.delete"], plan["counts"]["user.mark"]) == (1, 1)
    options = {"approve_plan": plan["plan_id"], **({"plan": plan["plan_id"]} if named else {})}
    roster.sandbox.add_fault(kind="error", status=400, method="PATCH", path="/api/users/{userId}", times=1)
    failed = roster.fails(AFTER, options={**options, "run": Run("r1", 1)}, **settings)
    assert (failed.result["counts"]["made.user.delete"], len(failed.result["failed"])) == (1, 1)
    result = roster.apply(AFTER, options={**options, "run": Run("r1", 2)}, **settings)
    assert (result["plan_id"], result["applied"]) == (plan["plan_id"], True)
    assert result["counts"]["made.user.update"] == 1


def test_values_are_in_the_journal_only_where_asked_for(roster: Roster) -> None:
    roster.apply(BEFORE)
    plain = roster.apply(AFTER)
    valued = roster.apply(BEFORE, options={"journal_values": True})
    line = read_journal(roster.store, file_name("roster/hr", plain["plan_id"]))[0]
    assert line["fields"] == ["name"]
    assert "after" not in line
    line = read_journal(roster.store, file_name("roster/hr", valued["plan_id"]))[0]
    assert (line["before"], line["after"]) == ({"name": "New"}, {"name": "Old"})
