"""Ending access: what is left afterwards, at each version, after each way to be interrupted."""

from __future__ import annotations

import json
import stat
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_logto.destinations import folder_at
from airflow_provider_logto.exceptions import InvalidInput, OffboardingIncomplete
from airflow_provider_logto.management.marks import Mark
from airflow_provider_logto.management.offboarding.offboard import checked_removals, offboard_user
from airflow_provider_logto.management.offboarding.restore import restore_user
from airflow_provider_logto.management.offboarding.steps import STEPS
from airflow_provider_logto.management.protection import Protection
from airflow_provider_logto.plans.store import Store
from logto_sandbox import Sandbox
from tests.clients import Restarting
from tests.management.leaver import World

EVERYTHING: dict[str, Any] = {"remove": frozenset({"roles", "organizations"}), "reset_credentials": True}
NAMES = ["snapshot", *(step.name for step in STEPS), "verify"]


@pytest.fixture(params=["1.39", "1.40", "1.42"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    with Sandbox(logto_version=request.param) as sandbox:
        yield World(sandbox, tmp_path / "snapshots")


@pytest.fixture
def one_world(tmp_path: Path) -> Iterator[World]:
    with Sandbox() as sandbox:
        yield World(sandbox, tmp_path / "snapshots")


class KilledError(BaseException):
    """Stands for the end of the process: nothing in the package catches it."""


def killed_after(name: str) -> Callable[[str, dict[str, Any]], None]:
    def on_step(step: str, entry: dict[str, Any]) -> None:
        if step == name:
            raise KilledError(step)

    return on_step


def test_nothing_buys_a_token_afterwards(world: World) -> None:
    assert len(world.what_buys_a_token()) == 7
    began = time.time()
    report = world.offboard()
    assert world.what_buys_a_token() == []
    left = world.left()
    assert (left["sessions"], left["grants"], left["personal_access_tokens"]) == (0, 0, 0)
    assert world.stored()["isSuspended"]

    assert (report["id"], report["outcome"], report["unsupported"]) == (world.user, "offboarded", [])
    counts = {name: entry.get("count") for name, entry in report["steps"].items()}
    # The exchange of personal access tokens above left two grants.
    assert counts == {
        "snapshot": 1,
        "suspend": 1,
        "personal_access_tokens": 2,
        "sessions": 0,
        "grants": 5,
        "one_time_tokens": 1,
        "invitations": 1,
        "mark": 1,
        "verify": None,
    }
    ends = datetime.fromisoformat(report["access_ends_at"]).timestamp()
    assert began + 3599 <= ends <= time.time() + 3602
    assert (report["bounded"], report["unbounded_by"]) == (False, ["Portal"])
    (back,) = report["ways_back"]
    assert (back["name"], back["because"]) == ("Acme", "e-mail domain acme.example")
    mark = Mark.of(world.stored())
    assert mark.offboarded_at == mark.suspended_at is not None
    # Rights stay: taking them is asked for.
    assert (left["roles"], left["organizations"], left["identities"], left["mfa_factors"]) == (2, 2, 1, 1)


def test_rights_and_credentials_go_where_asked_for(world: World) -> None:
    report = world.offboard(**EVERYTHING)
    assert set(world.left().values()) == {0}
    assert list(report["steps"]) == NAMES
    assert report["steps"]["credentials"]["count"] == 3
    # The others keep theirs.
    relations = world.sandbox.state()["relations"]
    assert len(relations["users_roles"]) == 1
    assert len(relations["organization_users"]) == 1


def test_a_second_run_changes_nothing(world: World) -> None:
    first = world.offboard(**EVERYTHING)
    world.sandbox.reset_stats()
    second = world.offboard(run="run-2", remove=EVERYTHING["remove"])
    assert second["outcome"] == "unchanged"
    assert world.sandbox.stats()["writes"] == 1  # the suspension, in case the first did not end the sessions
    assert second["snapshot"] == first["snapshot"]
    # Nothing was issued since: the first run's end holds.
    earlier, later = (datetime.fromisoformat(one["access_ends_at"]).timestamp() for one in (second, first))
    assert abs(earlier - later) <= 2
    assert len(world.snapshots()) == 1


@pytest.mark.parametrize("name", NAMES)
def test_killed_after_every_single_step_and_run_again(one_world: World, name: str) -> None:
    world = one_world
    with pytest.raises(KilledError):
        world.offboard(on_step=killed_after(name), **EVERYTHING)
    before = [path.read_bytes() for path in world.snapshots()]
    assert len(before) == 1
    report = world.offboard(run="another", **EVERYTHING)
    assert report["outcome"] in ("offboarded", "unchanged")
    assert world.what_buys_a_token() == []
    assert set(world.left().values()) == {0}
    # The snapshot of the first run is as it was, and holds everything that was taken.
    kept = [json.loads(path.read_bytes()) for path in world.snapshots()]
    assert before[0] in [path.read_bytes() for path in world.snapshots()]
    assert sorted(kept[0]["roles"].values()) == ["engineer", "manager"]
    assert json.loads(Path(report["snapshot"].removeprefix("file://")).read_bytes())["roles"] == kept[0]["roles"]
    restored = world.run(restore_user, Path(report["snapshot"].removeprefix("file://")).read_bytes())
    assert (len(restored["roles"]), len(restored["organizations"])) == (2, 2)


@pytest.mark.parametrize("at", range(3))
def test_half_way_through_the_personal_access_tokens_sessions_and_grants(one_world: World, at: int) -> None:
    world = one_world
    path = (
        "/api/users/{id}/personal-access-tokens/delete",
        "/api/users/{id}/grants/{grantId}",
        "/api/users/{id}/grants",
    )[at]
    world.sandbox.add_fault(kind="reset", path=path, after=1, times=None)
    with pytest.raises(OffboardingIncomplete) as caught:
        world.offboard(**EVERYTHING)
    assert caught.value.transient
    failed = ("personal_access_tokens", "grants", "grants")[at]
    steps = caught.value.report["steps"]
    assert steps[failed]["outcome"] == "failed"
    # What ends access was tried all the same; what takes rights was not.
    assert steps["invitations"] == {"outcome": "done", "count": 1}
    assert {steps[name]["outcome"] for name in ("credentials", "roles", "mark", "verify")} == {"not reached"}
    assert world.left()["roles"] == 2
    world.sandbox.clear_faults()
    assert world.offboard(**EVERYTHING)["outcome"] == "offboarded"
    assert world.what_buys_a_token() == []
    assert len(world.snapshots()) == 1


def test_half_way_through_the_sessions(tmp_path: Path) -> None:
    """A server whose suspension leaves sessions: one that signs in while the person is being suspended."""
    with Sandbox() as sandbox:
        world = World(sandbox, tmp_path)
        sandbox.tenant.sign_out_failures = 0
        sessions = {row["id"]: row for row in sandbox.state()["sessions"]}

        def sign_in_again(step: str, entry: dict[str, Any]) -> None:
            if step == "personal_access_tokens":
                for row in sessions.values():
                    sandbox.tenant.tables["sessions"].put(row)

        path = "/api/users/{id}/sessions/{sessionId}"
        sandbox.add_fault(kind="error", status=500, method="DELETE", path=path, after=1, times=None)
        with pytest.raises(OffboardingIncomplete):
            world.offboard(on_step=sign_in_again)
        assert 0 < world.left()["sessions"] < 3
        sandbox.clear_faults()
        report = world.offboard()
        assert report["outcome"] == "offboarded"
        assert world.left()["sessions"] == 0


def test_a_suspension_that_fails_is_repeated_until_the_server_says_so(one_world: World) -> None:
    world = one_world
    world.sandbox.tenant.sign_out_failures = 2
    report = world.offboard()
    assert report["steps"]["suspend"] == {"outcome": "done", "count": 1}
    assert world.what_buys_a_token() == []


def test_access_ends_although_the_suspension_fails_for_good(one_world: World) -> None:
    world = one_world
    world.sandbox.tenant.sign_out_failures = 1000
    with pytest.raises(OffboardingIncomplete, match="failed: suspend"):
        world.offboard(**EVERYTHING)
    # The grants are gone, and with them the refresh tokens that the suspension should have ended.
    assert world.what_buys_a_token() == []
    assert world.left()["roles"] == 2
    world.sandbox.tenant.sign_out_failures = 0
    assert world.offboard(**EVERYTHING)["outcome"] == "offboarded"


@pytest.mark.parametrize(
    "path",
    [
        "/api/users/{id}/is-suspended",
        "/api/users/{id}/personal-access-tokens/delete",
        "/api/users/{id}/sessions",
        "/api/users/{id}/grants/{grantId}",
        "/api/one-time-tokens/{id}",
        "/api/organization-invitations/{id}/status",
        "/api/users/{id}/custom-data",
        "/api/users/{id}/roles/{roleId}",
        "/api/organizations/{id}/users/{userId}",
    ],
)
def test_a_lost_answer_is_never_taken_for_success_nor_for_failure(one_world: World, path: str) -> None:
    world = one_world
    world.sandbox.add_fault(kind="lost_answer", path=path, times=1)
    assert world.offboard(**EVERYTHING)["outcome"] == "offboarded"
    assert world.what_buys_a_token() == []
    assert set(world.left().values()) == {0}


def test_a_deletion_that_never_happens_is_no_success(one_world: World) -> None:
    """The server answers 204 and deletes nothing: the look at the end finds out."""
    world = one_world
    table = world.sandbox.tenant.tables["personal_access_tokens"]
    table.remove = lambda row_id: True  # type: ignore[method-assign]
    with pytest.raises(OffboardingIncomplete, match="personal access tokens") as caught:
        world.offboard()
    assert caught.value.transient
    assert caught.value.report["outcome"] == "incomplete"


def test_before_1_38_sessions_and_grants_are_unsupported(tmp_path: Path) -> None:
    with Sandbox(logto_version="1.36") as sandbox:
        world = World(sandbox, tmp_path)
        report = world.offboard()
        assert report["unsupported"] == ["sessions", "grants"]
        assert report["outcome"] == "offboarded"
        # What this version can end has ended; grants stay, and buy nothing without tokens.
        assert world.what_buys_a_token() == []


@pytest.mark.parametrize("status", [404, 405])
def test_what_a_proxy_answers_is_not_called_unsupported(one_world: World, status: int) -> None:
    world = one_world

    async def offboard_behind_a_proxy(client: Any) -> Any:
        Restarting(client, f"/api/users/{world.user}/personal-access-tokens/delete", "POST", status)
        files = Store(folder_at(f"file://{world.folder}").path)
        return await offboard_user(client, "mika", files, run="run-1")

    with pytest.raises(OffboardingIncomplete) as caught:
        world.run(offboard_behind_a_proxy)
    assert caught.value.transient
    assert caught.value.report["unsupported"] == []
    assert "failed" in {step["outcome"] for step in caught.value.report["steps"].values()}
    assert world.offboard(run="run-1")["outcome"] == "offboarded"


def test_the_snapshot_holds_what_was_there_and_no_secret(one_world: World) -> None:
    world = one_world
    report = world.offboard()
    (path,) = world.snapshots()
    assert report["snapshot"] == f"file://{path}"
    content = path.read_text("utf-8")
    for secret in (*world.personal, *world.refresh_tokens, world.one_time):
        assert secret not in content
        assert secret not in json.dumps(report)
    snapshot = json.loads(content)
    assert sorted(snapshot["roles"].values()) == ["engineer", "manager"]
    organizations = {one["name"]: sorted(one["roles"].values()) for one in snapshot["organizations"].values()}
    assert organizations == {"Acme": ["member", "owner"], "Globex": []}
    assert snapshot["personal_access_tokens"] == ["laptop", "ci/cd"] or set(snapshot["personal_access_tokens"]) == {
        "laptop",
        "ci/cd",
    }
    assert (snapshot["was_suspended"], snapshot["mfa_factors"]) == (False, ["Totp"])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_without_a_snapshot_the_person_is_blocked_and_nothing_is_removed(one_world: World) -> None:
    world = one_world
    world.folder.parent.mkdir(exist_ok=True)
    world.folder.write_text("a file where the folder should be")
    with pytest.raises(OffboardingIncomplete, match="snapshot") as caught:
        world.offboard(**EVERYTHING)
    assert world.stored()["isSuspended"]
    left = world.left()
    assert (left["personal_access_tokens"], left["grants"], left["roles"], left["identities"]) == (2, 3, 2, 1)
    assert not caught.value.transient
    assert caught.value.report["steps"]["suspend"]["outcome"] == "done"
    world.folder.unlink()
    assert world.offboard(**EVERYTHING)["outcome"] == "offboarded"


def without_a_folder(world: World) -> None:
    """One run that can write no snapshot."""
    world.folder.parent.mkdir(exist_ok=True)
    world.folder.write_text("a file where the folder should be")
    with pytest.raises(OffboardingIncomplete, match="snapshot"):
        world.offboard()
    world.folder.unlink()


def test_a_first_run_without_a_snapshot_can_be_undone_too(one_world: World) -> None:
    world = one_world
    without_a_folder(world)
    without_a_folder(world)
    report = world.offboard()
    assert report["outcome"] == "offboarded"
    mark = Mark.of(world.stored())
    assert mark.offboarded_at == mark.suspended_at is not None  # the suspension is ours: a roster may take it back
    assert mark.ending_at is None
    world.run(restore_user, Path(report["snapshot"].removeprefix("file://")).read_bytes())
    assert not world.stored()["isSuspended"]
    assert Mark.of(world.stored()) == Mark()


def test_nobody_makes_an_administrators_suspension_look_like_that_of_an_earlier_run(one_world: World) -> None:
    world = one_world
    world.api("PATCH", "/account-center", {"enabled": True, "fields": {"customData": "Edit"}})
    forged = Mark(ending_at="2026-01-01T00:00:00Z").custom_data()
    world.api("PATCH", f"/users/{world.user}/custom-data", {"customData": forged})
    world.api("PATCH", f"/users/{world.user}/is-suspended", {"isSuspended": True})
    report = world.offboard()
    assert Mark.of(world.stored()).suspended_at is None
    world.run(restore_user, Path(report["snapshot"].removeprefix("file://")).read_bytes())
    assert world.stored()["isSuspended"]


def test_a_folder_that_cannot_be_written_for_a_while_is_worth_a_retry(
    one_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def outage(*arguments: object, **more: object) -> None:
        raise OSError("could not connect to the endpoint")

    with monkeypatch.context() as during:
        during.setattr("airflow_provider_logto.plans.store.replace_file", outage)
        with pytest.raises(OffboardingIncomplete, match="snapshot") as caught:
            one_world.offboard(**EVERYTHING)
    assert caught.value.transient
    assert one_world.offboard(**EVERYTHING)["outcome"] == "offboarded"


def test_the_undoing_gives_back_what_can_be_given_back(one_world: World) -> None:
    world = one_world
    before = world.left()
    report = world.offboard(**EVERYTHING)
    snapshot = Path(report["snapshot"].removeprefix("file://")).read_bytes()
    restored = world.run(restore_user, snapshot)
    assert restored["outcome"] == "restored"
    assert (sorted(restored["roles"]), sorted(restored["organizations"])) == (
        ["engineer", "manager"],
        ["Acme", "Globex"],
    )
    assert restored["identities"] == ["github"]
    assert set(restored["missing"]) == {
        "MFA factor Totp",
        "personal access token laptop",
        "personal access token ci/cd",
    }
    after = world.left()
    for kind in ("roles", "organizations", "identities"):
        assert after[kind] == before[kind]
    assert len(world.sandbox.state()["relations"]["organization_users_roles"]) == 2
    assert not world.stored()["isSuspended"]
    assert Mark.of(world.stored()) == Mark()
    assert world.run(restore_user, json.loads(snapshot))["outcome"] == "unchanged"
    # What bought tokens before does not do so again.
    assert world.what_buys_a_token() == []


def test_an_undoing_says_what_is_not_there_any_more(one_world: World) -> None:
    world = one_world
    report = world.offboard(**EVERYTHING)
    state = world.sandbox.state()
    world.api("DELETE", f"/roles/{next(one['id'] for one in state['roles'] if one['name'] == 'engineer')}")
    world.api("DELETE", f"/organizations/{next(o['id'] for o in state['organizations'] if o['name'] == 'Globex')}")
    other = next(one["id"] for one in state["users"] if one["username"] == "other")
    world.api("PUT", f"/users/{other}/identities/github", {"userId": "g1"})
    restored = world.run(restore_user, Path(report["snapshot"].removeprefix("file://")).read_text())
    assert (restored["roles"], restored["organizations"], restored["identities"]) == (["manager"], ["Acme"], [])
    missing = " ".join(restored["missing"])
    for what in ("role engineer", "organization Globex", "social identity github"):
        assert what in missing


@pytest.mark.parametrize("snapshot", [None, "", "{}", b"[]", {"version": 2}, 5, "no json"])
def test_what_is_no_snapshot_is_refused(one_world: World, snapshot: Any) -> None:
    with pytest.raises(InvalidInput, match=r"^snapshot"):
        one_world.run(restore_user, snapshot)


def test_one_who_was_suspended_before_stays_suspended(one_world: World) -> None:
    world = one_world
    world.api("PATCH", f"/users/{world.user}/is-suspended", {"isSuspended": True})
    report = world.offboard()
    mark = Mark.of(world.stored())
    # The suspension is somebody else's: no roster takes it back.
    assert mark.offboarded_at
    assert mark.suspended_at is None
    world.run(restore_user, Path(report["snapshot"].removeprefix("file://")).read_bytes())
    assert world.stored()["isSuspended"]


def test_a_second_employment_has_a_snapshot_of_its_own(one_world: World) -> None:
    world = one_world
    first = world.offboard(**EVERYTHING)
    world.run(restore_user, Path(first["snapshot"].removeprefix("file://")).read_bytes())
    role = next(one["id"] for one in world.sandbox.state()["roles"] if one["name"] == "manager")
    world.api("DELETE", f"/users/{world.user}/roles/{role}")
    time.sleep(1.1)
    second = world.offboard(run="run-2", **EVERYTHING)
    assert second["snapshot"] != first["snapshot"]
    kept = json.loads(Path(second["snapshot"].removeprefix("file://")).read_bytes())
    assert list(kept["roles"].values()) == ["engineer"]
    assert Mark.of(world.stored()).offboarded_at


def test_the_protected_and_the_absent(one_world: World) -> None:
    world = one_world
    with pytest.raises(InvalidInput, match="protected by the role manager"):
        world.offboard(protection=Protection.checked([{"role": "manager"}]))
    with pytest.raises(InvalidInput, match="no user nobody"):
        world.offboard("nobody")
    assert world.offboard("nobody", if_absent="skip")["outcome"] == "absent"
    assert not world.stored()["isSuspended"]
    assert world.snapshots() == []


def test_one_who_is_deleted_meanwhile_is_absent(one_world: World) -> None:
    world = one_world

    def delete(step: str, entry: dict[str, Any]) -> None:
        if step == "snapshot":
            world.sandbox._on_loop(lambda: world.sandbox.tenant.delete("users", world.user))

    assert world.offboard(on_step=delete)["outcome"] == "absent"


def test_an_invitation_that_is_deleted_meanwhile_is_not_the_person(one_world: World) -> None:
    path = "/api/organization-invitations/[^/]+/status"
    fault: dict[str, Any] = {"kind": "slow", "seconds": 1, "before_commit": True, "method": "PUT", "path": path}
    one_world.sandbox.add_fault(**fault)
    with ThreadPoolExecutor() as pool:
        offboarding = pool.submit(one_world.offboard, **EVERYTHING)
        while not one_world.stored()["isSuspended"]:
            time.sleep(0.01)
        time.sleep(0.5)
        one_world.api("DELETE", f"/organization-invitations/{one_world.invitation}")
        report = offboarding.result()
    assert report["outcome"] == "offboarded"
    assert set(one_world.left().values()) == {0}


def test_the_longest_lifetime_counts_and_exchange_is_said(tmp_path: Path) -> None:
    with Sandbox() as sandbox:
        world = World(sandbox, tmp_path, exchange=False)
        body = {"name": "API", "indicator": "https://api.example.com", "accessTokenTtl": 86_400}
        world.api("POST", "/resources", body)
        report = world.offboard()
        ends = datetime.fromisoformat(report["access_ends_at"]).timestamp()
        assert abs(ends - time.time() - 86_400) < 5
        assert (report["bounded"], report["unbounded_by"]) == (True, [])


def test_only_two_things_are_removed() -> None:
    assert checked_removals(()) == checked_removals(None) == frozenset()
    assert checked_removals(["roles", "organizations"]) == {"roles", "organizations"}
    assert checked_removals("roles") == {"roles"}
    with pytest.raises(InvalidInput, match=r"^remove\[1\]"):
        checked_removals(["roles", "password"])
