"""A roster's life: who joins, changes, leaves and comes back."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_logto.exceptions import BrakeHeld, ConfigurationError, InvalidSource
from airflow_provider_logto.management.marks import KEY, stamp
from airflow_provider_logto.roster.dump import dump_roster
from airflow_provider_logto.roster.importing import ImportJob, import_users
from airflow_provider_logto.roster.job import RosterJob
from airflow_provider_logto.roster.sync import Options
from tests.roster.conftest import Roster, people_of

ANN = {"external_id": "E1", "username": "ann", "primary_email": "Ann@Example.com", "name": "Ann"}
BOB = {"external_id": "E2", "username": "bob", "primary_email": "bob@example.com", "name": "Bob"}
CAT = {"external_id": "E3", "username": "cat", "primary_email": "cat@example.com", "name": "Cat"}
LOOSE = {"disables": 100, "role_removals": 100, "member_removals": 100, "deletes": 100, "identifier_changes": "100%"}


def test_joiners_are_created_with_their_mark_and_a_second_run_is_empty(roster: Roster) -> None:
    result = roster.apply([ANN, BOB])
    assert result["applied"]
    assert result["counts"]["made.user.create"] == 2
    users = roster.users()
    assert users["ann"]["primaryEmail"] == "ann@example.com"
    assert users["ann"]["customData"] == {KEY: {"roster": "hr", "externalId": "E1"}}
    roster.sandbox.reset_stats()
    again = roster.apply([ANN, BOB])
    assert roster.writes() == 0
    assert not [name for name in again["counts"] if name.startswith("user.")]
    assert roster.sync([ANN, BOB], "check")["plan_id"] == again["plan_id"]


def test_a_plan_writes_nothing_and_has_the_same_id_every_time(roster: Roster) -> None:
    roster.sandbox.reset_stats()
    first = roster.plan([ANN, BOB])
    second = roster.plan([BOB, ANN])
    assert roster.writes() == 0
    assert first["plan_id"] == second["plan_id"]
    assert first["plan_id"] != roster.plan([ANN])["plan_id"]
    assert first["counts"]["user.create"] == 2
    assert not first["applied"]


def test_changes_are_made_and_blanks_leave_alone(roster: Roster) -> None:
    roster.apply([ANN, BOB])
    changed = {**ANN, "name": "Anne", "primary_email": "", "profile.givenName": "Anne"}
    result = roster.apply([changed, BOB])
    assert result["counts"]["made.user.update"] == 1
    user = roster.users()["ann"]
    assert (user["name"], user["primaryEmail"], user["profile"]) == ("Anne", "ann@example.com", {"givenName": "Anne"})
    assert user["customData"][KEY]["externalId"] == "E1"


def test_roles_organizations_and_organization_roles(roster: Roster) -> None:
    roster.sandbox.seed({"organizations": [{"name": "Acme"}], "roles": [{"name": "temp", "description": "x"}]})
    manage = ("profile", "roles", "organizations", "organization_roles")
    seed = roster.sandbox.state()
    organization_role = seed["organization_roles"][0]["name"]
    rows = [
        {**ANN, "roles": ["temp"], "organizations": ["Acme"], "organization_roles": {"Acme": [organization_role]}},
        {**BOB, "roles": ["temp"], "organizations": ["Acme"]},
    ]
    exact = {"roles": ["temp"], "organizations": ["Acme"]}
    roster.apply(rows, manage=manage, exact=exact)
    relations = roster.sandbox.state()["relations"]
    assert len(relations["users_roles"]) == 2
    assert len(relations["organization_users"]) == 2
    assert len(relations["organization_users_roles"]) == 1
    roster.sandbox.reset_stats()
    roster.apply(rows, manage=manage, exact=exact)
    assert roster.writes() == 0

    less = [
        {**ANN, "roles": [], "organizations": ["Acme"], "organization_roles": {}},
        {**BOB, "roles": ["temp"], "organizations": []},
    ]
    result = roster.apply(less, manage=manage, exact=exact, brakes=LOOSE)
    assert result["counts"]["made.role.remove"] == 1
    relations = roster.sandbox.state()["relations"]
    assert (len(relations["users_roles"]), len(relations["organization_users"])) == (1, 1)
    assert relations["organization_users_roles"] == []


def test_unknown_names_are_named_together_before_any_write(roster: Roster) -> None:
    rows = [{**ANN, "roles": ["nope", "neither"], "organizations": ["Nowhere"]}]
    with pytest.raises(InvalidSource) as caught:
        roster.apply(rows, manage=("roles", "organizations"))
    for name in ("nope", "neither", "Nowhere"):
        assert name in str(caught.value)
    assert roster.writes() == 0


def test_people_without_mark_are_a_conflict_unless_adopted(roster: Roster) -> None:
    roster.sandbox.seed({"users": [{"username": "ann", "name": "Old", "customData": {"a": 1}}]})
    result = roster.apply([{**ANN, "primary_email": ""}])
    assert result["held"] == [1]
    assert roster.users()["ann"]["name"] == "Old"
    roster.apply([{**ANN, "primary_email": ""}], adopt="matched")
    user = roster.users()["ann"]
    assert user["name"] == "Ann"
    assert user["customData"] == {"a": 1, KEY: {"roster": "hr", "externalId": "E1"}}


def test_an_adopted_person_loses_nothing_in_the_same_run(roster: Roster) -> None:
    roster.sandbox.seed({"roles": [{"name": "temp", "description": "x"}]})
    roster.sandbox.seed({"users": [{"username": "ann", "roles": ["temp"]}]})
    row = {**ANN, "roles": [], "suspended": True}
    settings: dict[str, Any] = {
        "adopt": "matched",
        "manage": ("profile", "roles", "suspension"),
        "exact": {"roles": ["temp"]},
        "brakes": LOOSE,
    }
    roster.apply([row], **settings)
    assert len(roster.sandbox.state()["relations"]["users_roles"]) == 1
    assert not roster.users()["ann"]["isSuspended"]
    roster.apply([row], **settings)
    assert roster.sandbox.state()["relations"]["users_roles"] == []
    assert roster.users()["ann"]["isSuspended"]


def test_marks_of_others_are_conflicts(roster: Roster) -> None:
    marked = [
        {"username": "ann", "customData": {KEY: {"roster": "contractors", "externalId": "E1"}}},
        {"username": "bob", "customData": {KEY: {"roster": "hr", "externalId": "E9"}}},
    ]
    roster.sandbox.seed({"users": marked})
    result = roster.apply([ANN, BOB], adopt="matched")
    assert sorted(result["held"]) == [1, 2]
    assert roster.writes() == 0


def test_who_is_missing_is_suspended_and_comes_back(roster: Roster) -> None:
    roster.apply([ANN, BOB, CAT])
    result = roster.apply([ANN, CAT], on_missing="suspend", brakes=LOOSE)
    assert result["counts"]["made.user.suspend"] == 1
    bob = roster.users()["bob"]
    assert bob["isSuspended"]
    assert bob["customData"][KEY]["suspendedAt"]
    roster.sandbox.reset_stats()
    roster.apply([ANN, CAT], on_missing="suspend", brakes=LOOSE)
    assert roster.writes() == 0
    roster.apply([ANN, BOB, CAT], on_missing="suspend", brakes=LOOSE)
    bob = roster.users()["bob"]
    assert not bob["isSuspended"]
    assert bob["customData"][KEY] == {"roster": "hr", "externalId": "E2"}


SUSPENSION: dict[str, Any] = {"manage": ("profile", "suspension"), "brakes": LOOSE}


@pytest.mark.parametrize("missing", [False, True], ids=["at once", "after they were missing"])
def test_whom_the_source_suspended_comes_back_by_false_alone(roster: Roster, missing: bool) -> None:
    roster.apply([ANN, BOB])
    if missing:
        roster.apply([ANN], on_missing="suspend", **SUSPENSION)
    roster.apply([ANN, {**BOB, "suspended": "true"}], **SUSPENSION)
    assert roster.users()["bob"]["isSuspended"]
    roster.sandbox.reset_stats()
    for cells, settings in (
        ({"suspended": "true"}, SUSPENSION),
        ({"suspended": ""}, SUSPENSION),
        ({}, SUSPENSION),
        ({}, {"on_missing": "suspend", "brakes": LOOSE}),
        ({"suspended": "false"}, {"brakes": LOOSE}),  # not managed
    ):
        roster.apply([ANN, {**BOB, **cells}], **settings)
    assert roster.writes() == 0
    roster.apply([ANN, {**BOB, "suspended": "false"}], **SUSPENSION)
    assert not roster.users()["bob"]["isSuspended"]
    assert roster.users()["bob"]["customData"][KEY] == {"roster": "hr", "externalId": "E2"}


def test_whom_the_source_suspended_and_who_was_offboarded_comes_back_by_a_later_start(roster: Roster) -> None:
    roster.apply([ANN, BOB])
    roster.apply([ANN, {**BOB, "suspended": "true"}], **SUSPENSION)
    roster.apply([ANN], on_missing="offboard", **SUSPENSION)
    later = (datetime.now(UTC) + timedelta(days=1)).date().isoformat()
    roster.apply([ANN, {**BOB, "start_date": later}], lead_days=2, **SUSPENSION)
    assert not roster.users()["bob"]["isSuspended"]
    assert roster.users()["bob"]["customData"][KEY] == {"roster": "hr", "externalId": "E2"}


def test_a_mark_without_whose_suspension_it_is_is_the_rosters(roster: Roster) -> None:
    roster.apply([ANN, BOB])
    bob = roster.users()["bob"]
    _mark(roster, bob["id"], externalId="E2", suspendedAt=stamp(datetime.now(UTC)))
    path = f"/users/{bob['id']}/is-suspended"
    roster._run(lambda client: client.request("PATCH", path, body={"isSuspended": True}))
    roster.apply([ANN, BOB], **SUSPENSION)
    assert not roster.users()["bob"]["isSuspended"]


def test_a_suspension_by_somebody_else_stands(roster: Roster) -> None:
    roster.apply([ANN])
    user_id = roster.users()["ann"]["id"]
    roster.sandbox.seed({})
    _suspend(roster, user_id)
    result = roster.apply([{**ANN, "name": "Anne"}], on_missing="suspend")
    assert result["held"] == [1]
    assert roster.users()["ann"]["name"] == "Ann"
    assert roster.users()["ann"]["isSuspended"]


def _suspend(roster: Roster, user_id: str) -> None:
    path = f"/users/{user_id}/is-suspended"
    roster._run(lambda client: client.request("PATCH", path, body={"isSuspended": True}))


def _mark(roster: Roster, user_id: str, **mark: str) -> None:
    body = {"customData": {KEY: {"roster": "hr", **mark}}}
    roster._run(lambda client: client.request("PATCH", f"/users/{user_id}/custom-data", body=body))


def test_the_ladder_to_deletion_skips_no_step(roster: Roster) -> None:
    roster.apply([ANN, BOB])
    settings = {"on_missing": "delete", "brakes": LOOSE}
    roster.apply([ANN], **settings)
    bob = roster.users()["bob"]
    assert bob["isSuspended"]
    roster.apply([ANN], **settings)
    assert "bob" in roster.users()
    long_ago = stamp(datetime.now(UTC) - timedelta(days=31))
    _mark(roster, bob["id"], externalId="E2", suspendedAt=long_ago)
    roster.apply([ANN], **settings)
    assert "bob" not in roster.users()


def test_deletion_needs_a_released_brake(roster: Roster) -> None:
    roster.apply([ANN, BOB])
    roster.apply([ANN], on_missing="suspend", brakes=LOOSE)
    bob = roster.users()["bob"]
    _mark(roster, bob["id"], externalId="E2", suspendedAt=stamp(datetime.now(UTC) - timedelta(days=31)))
    failed = roster.fails([ANN], on_missing="delete")
    assert isinstance(failed.error, BrakeHeld)
    assert "deletes: 1, allowed 0" in str(failed)
    assert "bob" in roster.users()
    roster.apply([ANN], on_missing="delete", options={"approve_plan": failed.result["plan_id"]})
    assert "bob" not in roster.users()


def test_an_offboarded_person_stays_out_until_a_later_start(roster: Roster) -> None:
    roster.apply([ANN, BOB])
    settings = {"on_missing": "offboard", "brakes": LOOSE}
    roster.apply([ANN], **settings)
    bob = roster.users()["bob"]
    assert bob["isSuspended"]
    assert bob["customData"][KEY]["offboardedAt"]
    result = roster.apply([ANN, BOB], **settings)
    assert result["held"] == [2]
    assert roster.users()["bob"]["isSuspended"]
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).date().isoformat()
    roster.apply([ANN, {**BOB, "start_date": tomorrow}], lead_days=2, **settings)
    assert not roster.users()["bob"]["isSuspended"]


def test_a_stale_file_does_not_undo_an_offboarding_by_an_event(roster: Roster) -> None:
    roster.apply([ANN, BOB])
    bob = roster.users()["bob"]
    today = stamp(datetime.now(UTC))
    _mark(roster, bob["id"], externalId="E2", suspendedAt=today, offboardedAt=today)
    _suspend(roster, bob["id"])
    later = (datetime.now(UTC) + timedelta(days=1)).date().isoformat()
    for row in (BOB, {**BOB, "start_date": later}):
        result = roster.apply([ANN, row], on_missing="suspend", lead_days=5)
        assert result["held"] == [2], "the source has not shown them gone yet"
    roster.apply([ANN], on_missing="suspend", brakes=LOOSE)
    assert roster.users()["bob"]["customData"][KEY]["goneAt"]
    roster.apply([ANN, {**BOB, "start_date": later}], on_missing="suspend", lead_days=5)
    assert not roster.users()["bob"]["isSuspended"]


def test_first_and_last_day(roster: Roster) -> None:
    today = datetime.now(UTC).date()
    soon, yesterday = (today + timedelta(days=3)).isoformat(), (today - timedelta(days=1)).isoformat()
    roster.apply([ANN, {**BOB, "start_date": soon}, {**CAT, "end_date": yesterday}])
    assert sorted(roster.users()) == ["ann"]
    roster.apply([ANN, {**BOB, "start_date": soon}], lead_days=3)
    assert sorted(roster.users()) == ["ann", "bob"]
    roster.apply([{**ANN, "end_date": today.isoformat()}, BOB])
    assert not roster.users()["ann"]["isSuspended"]
    roster.apply([{**ANN, "end_date": yesterday}, BOB], brakes=LOOSE)
    assert roster.users()["ann"]["isSuspended"]


def test_protected_people_are_not_touched(roster: Roster) -> None:
    roster.apply([ANN, BOB])
    options = roster.protecting("bob")
    result = roster.apply([ANN], on_missing="suspend", brakes=LOOSE, options=options)
    assert not roster.users()["bob"]["isSuspended"]
    assert result["held"] == [roster.users()["bob"]["id"]]
    result = roster.apply([ANN, {**BOB, "name": "Robert"}], options=options)
    assert result["held"] == [2]
    assert roster.users()["bob"]["name"] == "Bob"


def test_identifiers_change_hands_in_a_circle(roster: Roster) -> None:
    roster.apply([ANN, BOB, CAT])
    emails = [row["primary_email"] for row in (ANN, BOB, CAT)]
    rows = [
        {**row, "primary_email": email} for row, email in zip((ANN, BOB, CAT), [*emails[1:], emails[0]], strict=True)
    ]
    result = roster.apply(rows, brakes=LOOSE)
    assert result["counts"]["made.user.release"] == 1
    assert [roster.users()[name]["primaryEmail"] for name in ("ann", "bob", "cat")] == [
        row["primary_email"].lower() for row in rows
    ]
    assert roster.sync(rows, "check")["counts"]["rows"] == 3


def test_identifiers_change_hands_in_a_chain_without_a_gap(roster: Roster) -> None:
    roster.apply([ANN, BOB, CAT])
    rows = [
        {**ANN, "primary_email": "bob@example.com"},
        {**BOB, "primary_email": "cat@example.com"},
        {**CAT, "primary_email": "new@example.com"},
    ]
    result = roster.apply(rows, brakes=LOOSE)
    assert "made.user.release" not in result["counts"]
    assert roster.users()["ann"]["primaryEmail"] == "bob@example.com"


def test_where_end_users_edit_custom_data_marks_prove_nothing(roster: Roster) -> None:
    center = {"enabled": True, "fields": {"customData": "Edit"}}
    roster._run(lambda client: client.request("PATCH", "/account-center", body=center))
    roster.sandbox.reset_stats()
    with pytest.raises(ConfigurationError, match="account centre"):
        roster.apply([ANN])
    assert roster.writes() == 0
    roster.apply([{**ANN, "external_id": ""}], adopt="matched", match_on=("username",))
    assert "ann" in roster.users()


def test_a_population_is_given_and_kept(roster: Roster) -> None:
    roster.sandbox.seed({"roles": [{"name": "Employees", "description": "x"}]})
    roster.sandbox.seed({"users": [{"username": f"customer{at}"} for at in range(250)]})
    settings = {"population": {"role": "Employees"}, "on_missing": "suspend", "brakes": LOOSE}
    roster.apply([ANN, BOB], **settings)
    assert len(roster.sandbox.state()["relations"]["users_roles"]) == 2
    roster.apply([ANN], **settings)
    assert roster.users()["bob"]["isSuspended"]
    assert len(roster.sandbox.state()["relations"]["users_roles"]) == 2
    roster.sandbox.reset_stats()
    roster.apply([ANN], **settings)
    assert roster.sandbox.stats()["requests"] <= 8


@pytest.mark.parametrize("kind", ["role", "organization"])
def test_the_population_is_kept_where_exact_gives_its_id(roster: Roster, kind: str) -> None:
    roster.sandbox.seed({f"{kind}s": [{"name": "Employees", "description": "x"}]})
    (own,) = [one["id"] for one in roster.sandbox.state()[f"{kind}s"] if one["name"] == "Employees"]
    settings = {"population": {kind: "Employees"}, "manage": (f"{kind}s",), "exact": {f"{kind}s": [own]}}
    roster.apply([ANN, BOB], **settings)
    result = roster.apply([ANN], on_missing="drop_access", brakes=LOOSE, **settings)
    assert not [name for name in result["counts"] if name.endswith(".remove")]


@pytest.mark.parametrize("by", ["name", "id"])
def test_organization_roles_in_the_population_may_be_exact(roster: Roster, by: str) -> None:
    roster.sandbox.seed({"organizations": [{"name": "Acme"}]})
    own = roster.sandbox.state()["organizations"][0]["id"]
    settings = {
        "population": {"organization": "Acme"},
        "manage": ("organizations", "organization_roles"),
        "exact": {"organizations": ["Acme" if by == "name" else own]},
    }
    admin = {"organization_roles": {"Acme": ["admin"]}}
    roster.apply([ANN | admin, BOB | admin], **settings)
    less = [ANN | {"organizations": [], "organization_roles": {}}, BOB | admin]
    counts = roster.apply(less, brakes=LOOSE, **settings)["counts"]
    assert counts["made.organization_role.remove"] == 1
    counts = roster.apply(less[:1], on_missing="drop_access", brakes=LOOSE, **settings)["counts"]
    assert counts["made.organization_role.remove"] == 1
    relations = roster.sandbox.state()["relations"]
    assert (len(relations["organization_users"]), relations["organization_users_roles"]) == (2, [])
    roster.sandbox.reset_stats()
    roster.apply(less[:1], on_missing="drop_access", brakes=LOOSE, **settings)
    assert roster.writes() == 0


def test_what_dump_writes_can_be_read_back(roster: Roster, run: Any) -> None:
    row = {"username": "bob", "primary_phone": "+4915112345678"}
    imported = ImportJob.checked(("username",), "skip", None, 50)
    people = people_of([row], keys=("username",), secrets=True)
    run(import_users, imported, people, Options(roster.store, place=[roster.folder]))
    suspended = {"airflow_suspended_at": "2026-01-01T00:00:00Z", "level": 3}
    roster.sandbox.seed({"users": [{"username": "ann", "isSuspended": True, "customData": suspended}]})
    settings = {"roster": "hr", "manage": ("profile", "custom_data"), "adopt": "matched"}
    dumped = run(dump_roster, RosterJob.checked(**settings, mode="dump"), roster.store)
    rows = [json.loads(line) for line in Path(dumped["plan"].removeprefix("file://")).read_text("utf-8").splitlines()]
    assert {one["username"]: one.get("custom_data") for one in rows} == {"ann": {"level": 3}, "bob": None}
    counts = roster.plan(rows, **settings)["counts"]
    assert {name for name in counts if name.startswith("user.")} == {"user.adopt"}
