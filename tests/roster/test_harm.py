"""What a roster must never do to somebody: each case was once possible."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from airflow_provider_logto.exceptions import (
    BrakeHeld,
    ChangesFailed,
    ConfigurationError,
    InvalidSource,
    PlanRefused,
    QuotaExhausted,
)
from airflow_provider_logto.management.marks import KEY, Mark, stamp
from airflow_provider_logto.management.offboarding.offboard import offboard_user
from airflow_provider_logto.management.offboarding.restore import restore_user
from airflow_provider_logto.management.protection import Protection
from airflow_provider_logto.management.removal import suspend_user
from airflow_provider_logto.roster import writer
from tests.roster.conftest import Roster

ANN = {"external_id": "E1", "username": "ann", "primary_email": "ann@example.com", "name": "Ann"}
BOB = {"external_id": "E2", "username": "bob", "primary_email": "bob@example.com", "name": "Bob"}
LOOSE = {"disables": 100, "role_removals": 100, "member_removals": 100, "deletes": 100, "identifier_changes": "100%"}
SUSPEND: dict[str, Any] = {"on_missing": "suspend", "brakes": LOOSE}
YESTERDAY = (datetime.now(UTC).date() - timedelta(days=1)).isoformat()


def suspend(roster: Roster, who: str, suspended: bool = True) -> None:
    roster._run(suspend_user, {"username": who}, suspended, Protection({}))


def patch(roster: Roster, path: str, body: dict[str, Any]) -> None:
    roster._run(lambda client: client.request("PATCH", path, body=body))


def test_a_held_circle_takes_nobodys_address(roster: Roster) -> None:
    roster.apply([ANN, BOB])
    swapped = [{**ANN, "primary_email": BOB["primary_email"]}, {**BOB, "primary_email": ANN["primary_email"]}]
    failed = roster.fails(swapped, brakes={"identifier_changes": 0}, on_brake="apply_safe")
    assert "made.user.release" not in failed.result["counts"]
    assert {user["primaryEmail"] for user in roster.users().values()} == {"ann@example.com", "bob@example.com"}


def test_an_administrators_suspension_of_somebody_suspended_already_stands(roster: Roster) -> None:
    roster.apply([ANN, BOB])
    roster.apply([ANN], **SUSPEND)
    suspend(roster, "bob")
    result = roster.apply([ANN, BOB], **SUSPEND)
    assert result["held"] == [2]
    assert roster.users()["bob"]["isSuspended"]
    suspend(roster, "bob", False)
    assert roster.apply([ANN, BOB], **SUSPEND)["held"] == []
    assert not roster.users()["bob"]["isSuspended"]


def test_who_is_offboarded_while_a_run_is_under_way_is_not_brought_back(
    roster: Roster, monkeypatch: pytest.MonkeyPatch
) -> None:
    roster.apply([ANN, BOB])
    roster.apply([ANN], **SUSPEND)
    bob = roster.users()["bob"]["id"]
    now = stamp(datetime.now(UTC))
    plain = writer.RosterWriter._update

    async def update(self: Any, change: Any) -> Any:
        # Ann's update comes before Bob is brought back.
        data = Mark("hr", "E2", suspended_at=now, offboarded_at=now, occurred_at=now).custom_data()
        await self._client.request("PATCH", f"/users/{bob}/custom-data", body={"customData": data})
        return await plain(self, change)

    monkeypatch.setattr(writer.RosterWriter, "_update", update)
    roster.apply([{**ANN, "name": "Anne"}, BOB], **SUSPEND)
    user = roster.users()["bob"]
    assert user["isSuspended"]
    assert Mark.of(user).offboarded_at == now


def test_a_mark_is_changed_as_it_is_now(roster: Roster, monkeypatch: pytest.MonkeyPatch) -> None:
    roster.apply([{**ANN, "external_id": ""}], match_on=("username",))
    ann = roster.users()["ann"]["id"]
    plain = writer.RosterWriter._own

    async def own(self: Any, change: Any) -> Any:
        data = Mark("hr", end_date="2030-01-01", occurred_at="2026-01-01T00:00:00Z").custom_data()
        await self._client.request("PATCH", f"/users/{ann}/custom-data", body={"customData": data})
        return await plain(self, change)

    monkeypatch.setattr(writer.RosterWriter, "_own", own)
    roster.apply([ANN], match_on=("external_id", "username"))
    assert Mark.of(roster.users()["ann"]) == Mark("hr", "E1", end_date="2030-01-01", occurred_at="2026-01-01T00:00:00Z")


def test_a_claim_that_a_person_changes_meanwhile_stays(roster: Roster, monkeypatch: pytest.MonkeyPatch) -> None:
    roster.apply([{**ANN, "profile.nickname": "A", "profile.address.country": "JP"}])
    ann = roster.users()["ann"]["id"]
    plain = writer.read_user

    async def read_user(client: Any, user_id: str) -> Any:
        user = await plain(client, user_id)
        await client.request("PATCH", f"/users/{ann}/profile", body={"profile": {"nickname": "Annie"}})
        return user

    monkeypatch.setattr(writer, "read_user", read_user)
    roster.apply([{**ANN, "profile.address.country": "JP", "profile.address.locality": "Nara"}])
    profile = {"nickname": "Annie", "address": {"country": "JP", "locality": "Nara"}}
    assert roster.users()["ann"]["profile"] == profile


def test_a_full_organization_keeps_nobody_from_losing_access(roster: Roster, monkeypatch: pytest.MonkeyPatch) -> None:
    roster.sandbox.seed(
        {"organizations": [{"name": "Acme"}, {"name": "Full"}], "roles": [{"name": "temp", "description": "x"}]}
    )
    manage = ("profile", "roles", "organizations")
    settings: dict[str, Any] = {"manage": manage, "exact": {"roles": ["temp"], "organizations": ["Acme", "Full"]}}
    bob = {**BOB, "roles": ["temp"], "organizations": ["Acme"]}
    roster.apply([ANN, bob], brakes=LOOSE, **settings)
    full = next(one["id"] for one in roster.sandbox.state()["organizations"] if one["name"] == "Full")
    plain = writer.access.add_members

    async def add_members(client: Any, organization_id: str, user_ids: Any) -> None:
        if organization_id == full:
            # As Logto Cloud answers, libraries/quota.ts; the sandbox has no limits, as any other Logto.
            raise QuotaExhausted(f"POST /api/organizations/{full}/users", 403, "system_limit.limit_exceeded")
        await plain(client, organization_id, user_ids)

    monkeypatch.setattr(writer.access, "add_members", add_members)
    failed = roster.fails(
        [{**ANN, "organizations": ["Full"]}, {**BOB, "roles": [], "organizations": []}], brakes=LOOSE, **settings
    )
    assert isinstance(failed.error, ChangesFailed)
    assert failed.result["failed"] == [1]
    relations = roster.sandbox.state()["relations"]
    assert (relations["users_roles"], relations["organization_users"]) == ([], [])


@pytest.mark.parametrize("theirs", [Mark("contractors", "C7"), Mark(external_id="E9")], ids=["roster", "HR event"])
def test_whom_somebody_else_marked_meanwhile_is_not_taken_over(
    roster: Roster, monkeypatch: pytest.MonkeyPatch, theirs: Mark
) -> None:
    roster.sandbox.seed({"users": [{"username": "ann", "name": "Old"}]})
    ann = roster.users()["ann"]["id"]
    plain = writer.RosterWriter._own

    async def own(self: Any, change: Any) -> Any:
        await self._client.request("PATCH", f"/users/{ann}/custom-data", body={"customData": theirs.custom_data()})
        return await plain(self, change)

    monkeypatch.setattr(writer.RosterWriter, "_own", own)
    result = roster.apply([ANN], adopt="matched")
    assert result["counts"]["changes.conflict"] == 1
    assert Mark.of(roster.users()["ann"]) == theirs
    assert roster.users()["ann"]["name"] == "Old"


def test_who_is_brought_back_leaves_on_the_day_that_was_announced_meanwhile(roster: Roster) -> None:
    roster.apply([ANN, BOB])
    roster.apply([ANN], **SUSPEND)
    bob = roster.users()["bob"]
    last_day = (datetime.now(UTC) + timedelta(days=30)).date().isoformat()
    announced = Mark.of(bob).with_(end_date=last_day, end_recorded_at=stamp(datetime.now(UTC)))
    patch(roster, f"/users/{bob['id']}/custom-data", {"customData": announced.custom_data()})
    roster.apply([ANN, BOB], **SUSPEND)
    assert not roster.users()["bob"]["isSuspended"]
    assert Mark.of(roster.users()["bob"]).end_date == last_day
    later = {"now": datetime.now(UTC) + timedelta(days=32)}
    assert roster.plan([ANN, BOB], options=later)["counts"]["user.suspend"] == 1


def test_who_was_suspended_by_somebody_else_and_leaves_loses_tokens_all_the_same(roster: Roster) -> None:
    roster.apply([ANN, BOB])
    bob = roster.users()["bob"]["id"]
    roster._run(lambda client: client.request("POST", f"/users/{bob}/personal-access-tokens", body={"name": "ci"}))
    patch(roster, f"/users/{bob}/is-suspended", {"isSuspended": True})
    settings: dict[str, Any] = {"on_missing": "offboard", "brakes": LOOSE}
    roster.apply([ANN], **settings)
    tokens = roster._run(lambda client: client.request("GET", f"/users/{bob}/personal-access-tokens"))
    assert tokens == []
    roster.sync([ANN], "check", **settings)
    # The suspension stays somebody else's: a rehire does not lift it.
    later = (datetime.now(UTC) + timedelta(days=1)).date().isoformat()
    assert roster.apply([ANN, {**BOB, "start_date": later}], lead_days=2, **settings)["held"] == [2]
    assert roster.users()["bob"]["isSuspended"]


def test_a_last_day_suspends_where_only_access_is_dropped(roster: Roster) -> None:
    roster.sandbox.seed({"roles": [{"name": "temp", "description": "x"}]})
    settings: dict[str, Any] = {
        "manage": ("profile", "roles"),
        "exact": {"roles": ["temp"]},
        "on_missing": "drop_access",
        "brakes": LOOSE,
    }
    roster.apply([{**ANN, "roles": ["temp"]}], **settings)
    roster.apply([{**ANN, "roles": ["temp"], "end_date": YESTERDAY}], **settings)
    assert roster.users()["ann"]["isSuspended"]
    assert roster.sandbox.state()["relations"]["users_roles"] == []
    # A longer contract brings them back.
    roster.apply([{**ANN, "roles": ["temp"], "end_date": "2999-01-01"}], **settings)
    assert not roster.users()["ann"]["isSuspended"]


def test_a_longer_contract_brings_back_whatever_is_done_about_who_is_missing(roster: Roster) -> None:
    roster.apply([ANN], brakes=LOOSE)
    roster.apply([{**ANN, "end_date": YESTERDAY}], brakes=LOOSE)
    assert roster.users()["ann"]["isSuspended"]
    roster.apply([{**ANN, "end_date": "2999-01-01"}], brakes=LOOSE)
    assert not roster.users()["ann"]["isSuspended"]


def test_who_is_adopted_after_their_last_day_gets_nothing(roster: Roster) -> None:
    roster.sandbox.seed({"users": [{"username": "ann"}], "roles": [{"name": "staff", "description": "x"}]})
    row = {**ANN, "roles": ["staff"], "end_date": YESTERDAY}
    settings: dict[str, Any] = {"adopt": "matched", "manage": ("profile", "roles"), "brakes": LOOSE}
    roster.apply([row], **settings)
    user = roster.users()["ann"]
    assert user["customData"][KEY]["roster"] == "hr"
    assert roster.sandbox.state()["relations"]["users_roles"] == []
    roster.apply([row], **settings)
    assert roster.users()["ann"]["isSuspended"]


def test_a_suspension_whose_sign_out_failed_is_sent_again(roster: Roster) -> None:
    roster.apply([ANN, BOB])
    bob = roster.users()["bob"]["id"]
    body = {"name": "P", "type": "SPA", "oidcClientMetadata": {"redirectUris": [], "postLogoutRedirectUris": []}}
    roster.sandbox.seed({"applications": [body]})
    roster.sandbox.sign_in(bob, roster.sandbox.state()["applications"][-1]["id"])
    roster.sandbox.tenant.sign_out_failures = 100
    assert isinstance(roster.fails([ANN], **SUSPEND).error, ChangesFailed)
    assert roster.users()["bob"]["isSuspended"]
    assert len(roster.sandbox.state()["sessions"]) == 1
    roster.sandbox.tenant.sign_out_failures = 0
    roster.apply([ANN], **SUSPEND)
    assert roster.sandbox.state()["sessions"] == []


@pytest.mark.parametrize("step", ["personal-access-tokens.*", "grants.*", "is-suspended"])
def test_an_offboarding_that_failed_half_way_is_repeated(roster: Roster, step: str) -> None:
    roster.apply([ANN, BOB])
    bob = roster.users()["bob"]["id"]
    path = f"/users/{bob}/personal-access-tokens"
    roster._run(lambda client: client.request("POST", path, body={"name": "ci"}))
    settings: dict[str, Any] = {"on_missing": "offboard", "brakes": LOOSE}
    roster.sandbox.add_fault(kind="error", status=500, path=f"/api/users/[^/]+/{step}", times=None)
    assert isinstance(roster.fails([ANN], **settings).error, ChangesFailed)
    roster.sandbox.clear_faults()
    # Tonight's stale file does not stop it either.
    assert roster.apply([ANN, BOB], **settings)["held"] == [2]
    assert roster._run(lambda client: client.request("GET", path)) == []
    assert Mark.of(roster.users()["bob"]).ending_at is None
    roster.sync([ANN], "check", **settings)


def test_a_family_phone_makes_nobody_somebody_else(roster: Roster) -> None:
    keys = ("username", "primary_email", "primary_phone")
    row = {"username": "ann", "primary_email": "ann@example.com", "primary_phone": "+41445550101"}
    roster.apply([row], match_on=keys)
    new = {"username": "zoe", "primary_email": "zoe@example.com", "primary_phone": "+41445550101"}
    result = roster.apply([new], match_on=keys, brakes=LOOSE)
    assert list(roster.users()) == ["ann"]
    assert roster.users()["ann"]["primaryEmail"] == "ann@example.com"
    assert result["held"] == [1]
    # What identifies a row is the first key that it has: the others may change.
    roster.apply([{**row, "primary_email": "new@example.com"}], match_on=keys, brakes=LOOSE)
    assert roster.users()["ann"]["primaryEmail"] == "new@example.com"


@pytest.mark.parametrize("on_missing", ["suspend", "offboard"])
def test_who_got_a_leavers_address_does_not_keep_the_leaver_in(roster: Roster, on_missing: str) -> None:
    settings: dict[str, Any] = {"on_missing": on_missing, "brakes": LOOSE}
    newcomer = {"external_id": "E9", "primary_email": "Ann@example.com", "name": "Anna"}
    roster.apply([ANN, BOB], **settings)
    result = roster.apply([BOB, newcomer], **settings)
    assert result["held"] == [2]
    ann = roster.users()["ann"]
    assert (ann["isSuspended"], ann["name"], Mark.of(ann).external_id) == (True, "Ann", "E1")
    assert roster.sync([BOB, newcomer], "check", **settings)["held"] == [2]
    # Bob's row wants Ann's address: a conflict as well, and Ann has left all the same.
    suspend(roster, "ann", False)
    assert roster.apply([{**BOB, "primary_email": "ann@example.com"}], **settings)["held"] == [1]
    assert roster.users()["ann"]["isSuspended"]
    assert not roster.users()["bob"]["isSuspended"]


@pytest.mark.parametrize(
    "rows",
    [
        [{**ANN, "external_id": "e1"}, BOB],
        [{**ANN, "external_id": ""}, BOB],
        [{**ANN, "external_id": "E9", "id": "ANN"}, BOB],
        # Her row is there, with another address; somebody new has hers already.
        [{**ANN, "primary_email": ""}, BOB, {"external_id": "E9", "primary_email": "ann@example.com"}],
        [{**ANN, "external_id": "E2"}, BOB],
    ],
)
def test_whom_a_row_may_still_mean_is_not_missing(roster: Roster, rows: list[dict[str, Any]]) -> None:
    roster.apply([ANN, BOB], **SUSPEND)
    ann = roster.users()["ann"]["id"]
    rows = [{**row, "id": ann if row.get("id") else ""} for row in rows]
    roster.apply(rows, **SUSPEND)
    assert not roster.users()["ann"]["isSuspended"]


def test_an_external_id_that_lost_its_zeros_suspends_nobody(roster: Roster) -> None:
    roster.apply([{**ANN, "external_id": "007"}], **SUSPEND)
    assert roster.apply([{**ANN, "external_id": "7"}], **SUSPEND)["held"] == [1]
    assert not roster.users()["ann"]["isSuspended"]


def at(day: int) -> dict[str, Any]:
    return {"now": datetime(2030, 6, day, 12, tzinfo=UTC)}


def test_a_stored_plan_brings_nobody_in_whose_last_day_is_over_by_now(roster: Roster) -> None:
    roster.apply([BOB], options=at(1), **SUSPEND)
    roster.apply([ANN], options=at(2), **SUSPEND)
    assert roster.users()["bob"]["isSuspended"]
    rows = [ANN, {**BOB, "end_date": "2030-06-10"}, {"external_id": "E3", "username": "cid", "end_date": "2030-06-10"}]
    plan = roster.plan(rows, options=at(10), **SUSPEND)
    assert {"user.create", "user.reactivate"} <= set(plan["counts"])
    result = roster.apply(rows, options={"plan": plan["plan_id"], **at(11)}, **SUSPEND)
    assert result["counts"]["changes.skipped"] == 2
    assert roster.users()["bob"]["isSuspended"]
    assert "cid" not in roster.users()


def test_what_became_due_after_a_plan_was_made_is_left_to_the_next(roster: Roster) -> None:
    roster.apply([ANN, BOB], options=at(1), **SUSPEND)
    rows = [{**ANN, "name": "Anne", "end_date": "2030-06-10"}, {**BOB, "name": "Rob"}]
    plan = roster.plan(rows, options=at(10), **SUSPEND)
    roster.apply(rows, options={"plan": plan["plan_id"], **at(11)}, **SUSPEND)
    users = roster.users()
    assert (users["ann"]["name"], users["ann"]["isSuspended"], users["bob"]["name"]) == ("Ann", False, "Rob")
    roster.apply(rows, options=at(11), **SUSPEND)
    assert roster.users()["ann"]["isSuspended"]


def test_a_plan_that_waited_longer_than_keep_days_is_refused_and_gone(roster: Roster) -> None:
    plan = roster.plan([ANN], options=at(1))
    options = {"plan": plan["plan_id"], "approve_plan": plan["plan_id"], "keep_days": 10}
    roster.plan([BOB], options={"keep_days": 10, **at(10)})
    with pytest.raises(PlanRefused, match="there is no plan"):
        roster.apply([ANN], options={**options, **at(12)})
    assert roster.users() == {}
    assert not [name for name in roster.store.names("roster/hr") if plan["plan_id"][7:20] in name]


def test_columns_that_manage_does_not_cover_are_in_the_plans_table(
    roster: Roster, caplog: pytest.LogCaptureFixture
) -> None:
    rows = [{**ANN, "roles": ["no such role"], "custom_data.level": 3}, {**BOB, "roles": [], "suspended": False}]
    plan = roster.plan(rows)
    assert {name: n for name, n in plan["counts"].items() if "ignored" in name} == {
        "ignored.custom_data": 1,
        "ignored.roles": 2,
    }
    assert "2  rows have values of roles, IGNORED: manage does not cover it" in caplog.text
    caplog.clear()
    # Where nothing else is to be done, and in the try that applies.
    roster.apply(rows, options={"plan": plan["plan_id"]})
    assert "ignored.roles" in roster.plan(rows)["counts"]
    assert caplog.text.count("rows have values of roles, IGNORED") == 2
    covered = roster.plan([{**ANN, "custom_data.level": 3}], manage=("profile", "custom_data"))
    assert not any("ignored" in name for name in covered["counts"])
    row = {**ANN, "avatar": "https://x.example/a.png", "profile.nickname": "A", "custom_data.level": 3}
    others = roster.plan([row], manage=("custom_data",))["counts"]
    assert {name for name in others if "ignored" in name} == {"ignored.name", "ignored.avatar", "ignored.profile"}


def test_the_log_says_why_rows_are_left_alone(roster: Roster, caplog: pytest.LogCaptureFixture) -> None:
    roster.sandbox.seed({"users": [{"username": f"u{at:02}"} for at in range(22)]})
    roster.plan([{"external_id": f"E{at}", "username": f"u{at:02}"} for at in range(22)])
    assert caplog.text.count('has no mark of a roster; adopt="matched" takes over') == 20
    assert "row 1 is a conflict" in caplog.text
    assert "and 2 more; see left_alone in " in caplog.text
    assert not re.search(r"\bu\d\d\b", caplog.text)


@pytest.mark.parametrize("last_day", [YESTERDAY, datetime.now(UTC).date().isoformat(), "2999-01-01"])
@pytest.mark.parametrize("undo", ["restore", "suspend_user"])
def test_who_was_offboarded_by_mistake_and_is_restored_stays_in(roster: Roster, undo: str, last_day: str) -> None:
    roster.apply([ANN], **SUSPEND)
    user = roster.users()["ann"]
    data = Mark.of(user).with_(end_date=last_day).custom_data()
    patch(roster, f"/users/{user['id']}/custom-data", {"customData": data})
    report = roster._run(offboard_user, {"username": "ann"}, roster.store, run="r1")
    if undo == "restore":
        roster._run(restore_user, Path(report["snapshot"].removeprefix("file://")).read_bytes())
    else:
        suspend(roster, "ann", False)
    # The last day of a leave that is still to come stays.
    expected = Mark("hr", "E1", end_date=last_day if last_day == "2999-01-01" else None)
    assert Mark.of(roster.users()["ann"]) == expected
    # Wherever the day is a later one already.
    settings: dict[str, Any] = {**SUSPEND, "manage": ("profile", "suspension"), "timezone": "Pacific/Kiritimati"}
    roster.sync([ANN], "check", **settings)
    assert not roster.users()["ann"]["isSuspended"]


@pytest.mark.parametrize("as_of", ["soon", "", 5, None])
def test_a_plan_whose_header_was_edited_is_refused(roster: Roster, as_of: Any) -> None:
    import json

    plan = roster.plan([ANN])
    (name,) = [one for one in roster.store.names("roster/hr") if one.endswith(".plan.jsonl")]
    head, *lines = (roster.store.read(name) or b"").split(b"\n")
    header = {**json.loads(head), "as_of": as_of}
    roster.store.write(name, b"\n".join([json.dumps(header).encode(), *lines]))
    with pytest.raises(PlanRefused):
        roster.apply([ANN], options={"plan": plan["plan_id"]})


def test_an_edited_base_releases_no_brake(roster: Roster) -> None:
    import json

    rows = [{"external_id": f"E{at}", "username": f"u{at}"} for at in range(40)]
    roster.apply(rows)
    settings = {"on_missing": "suspend", "brakes": {"disables": "5%"}}
    plan = roster.plan(rows[:30], **settings)
    (name,) = [one for one in roster.store.names("roster/hr") if plan["plan_id"][7:20] in one]
    head, *lines = (roster.store.read(name) or b"").split(b"\n")
    header = {**json.loads(head), "base": 100_000}
    roster.store.write(name, b"\n".join([json.dumps(header).encode(), *lines]))
    failed = roster.fails(rows[:30], options={"plan": plan["plan_id"]}, **settings)
    assert isinstance(failed.error, BrakeHeld)
    assert not any(user["isSuspended"] for user in roster.users().values())


def test_a_deletion_whose_answer_is_lost_is_made_once_and_is_no_failure(roster: Roster) -> None:
    roster.apply([ANN, BOB])
    roster.apply([ANN], **SUSPEND)
    bob = roster.users()["bob"]["id"]
    long_ago = stamp(datetime.now(UTC) - timedelta(days=31))
    patch(roster, f"/users/{bob}/custom-data", {"customData": Mark("hr", "E2", suspended_at=long_ago).custom_data()})
    roster.sandbox.add_fault(kind="lost_answer", method="DELETE", path="/api/users/{userId}", times=1)
    result = roster.apply([ANN], on_missing="delete", brakes=LOOSE)
    assert result["counts"]["made.user.delete"] == 1
    assert list(roster.users()) == ["ann"]


@pytest.mark.parametrize("path", ["/api/one-time-tokens/{id}", "/api/organization-invitations/{id}/status"])
def test_nothing_takes_in_again_whoever_a_roster_deleted(roster: Roster, path: str) -> None:
    roster.sandbox.seed({"organizations": [{"name": "Guests"}]})
    roster.apply([ANN, BOB])
    roster.apply([ANN], **SUSPEND)
    bob = roster.users()["bob"]["id"]
    long_ago = stamp(datetime.now(UTC) - timedelta(days=31))
    patch(roster, f"/users/{bob}/custom-data", {"customData": Mark("hr", "E2", suspended_at=long_ago).custom_data()})
    guests = roster.sandbox.state()["organizations"][0]["id"]
    invitation = {"invitee": BOB["primary_email"], "organizationId": guests, "expiresAt": 4_000_000_000_000}
    token = {"email": BOB["primary_email"], "expiresIn": 9999}
    for where, body in (("/one-time-tokens", token), ("/organization-invitations", invitation)):
        roster._run(lambda client, where=where, body=body: client.request("POST", where, body=body))

    roster.sandbox.add_fault(kind="error", status=403, path=path)
    failed = roster.fails([ANN], on_missing="delete", brakes=LOOSE)
    assert failed.result["counts"].get("made.user.delete", 0) == 0
    assert "bob" in roster.users()
    assert roster.apply([ANN], on_missing="delete", brakes=LOOSE)["counts"]["made.user.delete"] == 1
    state = roster.sandbox.state()
    assert list(roster.users()) == ["ann"]
    assert not any(row["status"] == "active" for row in state["one_time_tokens"])
    assert [row["status"] for row in state["invitations"]] == ["Revoked"]


def test_nothing_is_kept_of_somebody_deleted(roster: Roster) -> None:
    roster.apply([{**ANN, "name": "Ann Secret"}, {**BOB, "name": "Bob Secret"}], options={"journal_values": True})
    roster.apply([{**ANN, "name": "Ann Secret"}], **SUSPEND)
    bob = roster.users()["bob"]["id"]
    long_ago = stamp(datetime.now(UTC) - timedelta(days=31))
    patch(roster, f"/users/{bob}/custom-data", {"customData": Mark("hr", "E2", suspended_at=long_ago).custom_data()})
    roster.apply([{**ANN, "name": "Ann Secret"}], on_missing="delete", brakes=LOOSE)
    kept = b"".join(roster.store.read(name) or b"" for name in roster.store.names("roster/hr"))
    assert b"Ann Secret" in kept
    assert b"Bob Secret" not in kept
    assert b"bob@example.com" not in kept


def test_a_mark_that_an_end_user_forged_gets_them_nothing(roster: Roster) -> None:
    """Where the account centre lets people edit customData, ``PATCH /api/my-account`` replaces the mark too."""
    roster.apply([ANN, BOB])
    roster.sandbox.seed({"accountCenter": {"enabled": True, "fields": {"customData": "Edit"}}})
    body = {"name": "Portal", "type": "Traditional", "customClientMetadata": {"allowTokenExchange": True}}
    body["oidcClientMetadata"] = {"redirectUris": [], "postLogoutRedirectUris": []}
    app = roster._run(lambda client: client.request("POST", "/applications", body=body))["id"]
    secrets = roster._run(lambda client: client.request("GET", f"/applications/{app}/secrets"))
    user_id = roster.users()["bob"]["id"]
    subject = roster._run(lambda client: client.request("POST", "/subject-tokens", body={"userId": user_id}))
    forged = {KEY: {"roster": "hr", "externalId": "E1"}}
    with httpx.Client(base_url=roster.sandbox.url, trust_env=False) as browser:
        form = {
            "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
            "subject_token": subject["subjectToken"],
            "subject_token_type": "urn:ietf:params:oauth:token-type:access_token",
            "scope": "openid profile custom_data",
        }
        token = browser.post("/oidc/token", data=form, auth=(app, secrets[0]["value"])).raise_for_status().json()
        headers = {"Authorization": f"Bearer {token['access_token']}"}
        browser.patch("/api/my-account", json={"customData": forged}, headers=headers).raise_for_status()
    assert roster.users()["bob"]["customData"] == forged

    before = roster.users()
    roster.sandbox.reset_stats()
    for settings in ({}, {"on_missing": "suspend"}, {"adopt": "matched"}):
        with pytest.raises(ConfigurationError, match="could rewrite the mark"):
            roster.apply([ANN], **settings)
    assert roster.writes() == 0
    # Closing the account centre does not make a forged mark true: two people now claim one external id.
    roster.sandbox.seed({"accountCenter": {"enabled": False}})
    roster.sync([{**ANN, "name": "Other"}, BOB], "apply", brakes=LOOSE, on_missing="suspend")
    assert roster.users() == before


@pytest.mark.parametrize(
    "forged",
    [
        Mark(suspended_at="2020-01-01T00:00:00Z"),
        Mark(suspended_at="2020-01-01T00:00:00Z", offboarded_at="2020-01-01T00:00:00Z", gone_at="2020-01-02T00:00:00Z"),
    ],
    ids=["suspended", "offboarded"],
)
def test_a_forged_mark_lifts_no_suspension(roster: Roster, forged: Mark) -> None:
    roster.sandbox.seed({"accountCenter": {"enabled": True, "fields": {"customData": "Edit"}}})
    row = {"username": "ann", "start_date": "2025-01-01"}
    settings: dict[str, Any] = {"adopt": "matched", "match_on": ("username",)}
    roster.apply([row], **settings)
    ann = roster.users()["ann"]["id"]
    patch(roster, f"/users/{ann}/custom-data", {"customData": forged.with_(roster="hr").custom_data()})
    assert "user.reactivate" not in roster.plan([row], **settings)["counts"]
    patch(roster, f"/users/{ann}/is-suspended", {"isSuspended": True})
    assert roster.apply([row], **settings)["held"] == [1]
    assert roster.users()["ann"]["isSuspended"]
    # Where the mark cannot be forged, it says whose suspension it is.
    roster.sandbox.seed({"accountCenter": {"enabled": False}})
    roster.apply([row], **settings)
    assert not roster.users()["ann"]["isSuspended"]


def test_a_file_that_is_older_than_an_hr_event_suspends_nobody_hired_or_rehired_since(roster: Roster) -> None:
    roster.apply([ANN, BOB])
    bob = roster.users()["bob"]["id"]

    def told(days: float, **dates: Any) -> None:
        event = stamp(datetime.now(UTC) - timedelta(days=days))
        patch(
            roster,
            f"/users/{bob}/custom-data",
            {"customData": Mark("hr", "E2", occurred_at=event, **dates).custom_data()},
        )

    told(0.1)
    roster.apply([ANN], **SUSPEND)
    assert not roster.users()["bob"]["isSuspended"]
    # A last day that has come counts all the same.
    told(0.1, end_date=YESTERDAY)
    roster.apply([ANN], brakes=LOOSE)
    assert roster.users()["bob"]["isSuspended"]
    patch(roster, f"/users/{bob}/is-suspended", {"isSuspended": False})
    # A day later the file knows better.
    told(1.1)
    roster.apply([ANN], **SUSPEND)
    assert roster.users()["bob"]["isSuspended"]


def test_whom_an_hr_event_marked_is_taken_over_by_the_row_with_this_external_id(roster: Roster) -> None:
    roster.sandbox.seed(
        {
            "users": [
                {"username": "ann", "name": "Ann", "customData": Mark(external_id="E1").custom_data()},
                {"username": "bob", "customData": Mark(external_id="E3").custom_data()},
            ]
        }
    )
    result = roster.apply([ANN, BOB])
    assert Mark.of(roster.users()["ann"]) == Mark("hr", "E1")
    assert Mark.of(roster.users()["bob"]) == Mark(external_id="E3")
    assert result["counts"]["conflict"] == 1


def test_a_name_that_does_not_exist_is_told_with_its_row(roster: Roster) -> None:
    rows = [ANN, {**BOB, "roles": ["nope"], "organizations": ["Nowhere"]}]
    manage = ("profile", "roles", "organizations")
    with pytest.raises(InvalidSource) as caught:
        roster.plan(rows, manage=manage, population={"role": "Staff"})
    assert [problem.partition(";")[0] for problem in caught.value.problems] == [
        "population: there is no role 'Staff'",
        "row 2: there is no role 'nope'",
        "row 2: there is no organization 'Nowhere'",
    ]
