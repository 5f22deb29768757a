"""Suspending, bringing back and deleting people; taking them out of organizations."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_provider_logto.exceptions import InvalidInput, LogtoError, NotFromLogto, Refused
from airflow_provider_logto.management.marks import KEY, SUSPENDED_AT, Mark, stamp
from airflow_provider_logto.management.member_removal import remove_members
from airflow_provider_logto.management.one_time_tokens import list_one_time_tokens
from airflow_provider_logto.management.organization_removal import delete_organization
from airflow_provider_logto.management.protection import Protection
from airflow_provider_logto.management.removal import (
    days_of,
    delete_user,
    suspend_user,
    suspended_since,
)
from logto_sandbox import Sandbox
from logto_sandbox.api.router import ROUTER
from tests.clients import Restarting, Run
from tests.task_states import Notes

NOBODY = Protection({})
NOW = datetime.now(UTC)


def seed(sandbox: Sandbox, signed_in: int | None = None, **fields: Any) -> str:
    sandbox.seed({"users": [{"username": "mika", "primaryEmail": "mika@example.com", **fields}]})
    state = sandbox.state()
    if signed_in is not None:
        state["users"][0]["lastSignInAt"] = signed_in
        sandbox.reset()
        sandbox.seed(state)
    sandbox.reset_stats()
    return str(state["users"][0]["id"])


def users(sandbox: Sandbox) -> list[dict[str, Any]]:
    return list(sandbox.state()["users"])


def ago(days: float) -> str:
    return stamp(NOW - timedelta(days=days))


def ago_ms(days: float) -> int:
    return int((NOW - timedelta(days=days)).timestamp() * 1000)


def test_a_suspension_and_back(run: Run, sandbox: Sandbox) -> None:
    mika = seed(sandbox, customData={"x": 1})
    assert run(suspend_user, "mika", True, NOBODY) == {"id": mika, "outcome": "suspended"}
    (user,) = users(sandbox)
    assert user["isSuspended"]
    assert user["customData"]["x"] == 1
    since = suspended_since(user)
    assert since is not None
    assert abs(since - datetime.now(UTC)) < timedelta(minutes=1)
    sandbox.reset_stats()
    assert run(suspend_user, "mika", True, NOBODY)["outcome"] == "unchanged"
    assert sandbox.stats()["writes"] == 0
    assert run(suspend_user, "mika", False, NOBODY)["outcome"] == "reinstated"
    (user,) = users(sandbox)
    assert (user["isSuspended"], user["customData"][SUSPENDED_AT], suspended_since(user)) == (False, None, None)
    assert run(suspend_user, "mika", False, NOBODY)["outcome"] == "unchanged"


def test_a_suspension_that_failed_after_the_flag_is_sent_again(run: Run, sandbox: Sandbox) -> None:
    mika = seed(sandbox)
    body = {"name": "P", "type": "SPA", "oidcClientMetadata": {"redirectUris": [], "postLogoutRedirectUris": []}}
    sandbox.seed({"applications": [body]})
    portal = sandbox.state()["applications"][-1]["id"]
    sandbox.sign_in(mika, portal)
    sandbox.tenant.sign_out_failures = 100
    with pytest.raises(LogtoError):
        run(suspend_user, "mika", True, NOBODY)
    assert users(sandbox)[0]["isSuspended"]
    assert len(sandbox.state()["sessions"]) == 1
    sandbox.tenant.sign_out_failures = 0
    assert run(suspend_user, "mika", True, NOBODY)["outcome"] == "suspended"
    assert sandbox.state()["sessions"] == []


def test_a_suspension_of_ours_is_no_rosters(run: Run, sandbox: Sandbox) -> None:
    seed(sandbox, customData=Mark("hr", "e1").custom_data())
    run(suspend_user, "mika", True, NOBODY)
    assert Mark.of(users(sandbox)[0]) == Mark("hr", "e1")


def test_bringing_back_ends_the_dates_of_a_roster_too(run: Run, sandbox: Sandbox) -> None:
    seed(sandbox, isSuspended=True, customData=Mark("hr", "e1", ago(5), ago(4)).custom_data())
    run(suspend_user, "mika", False, NOBODY)
    assert Mark.of(users(sandbox)[0]) == Mark("hr", "e1")


def test_nobody_meant(run: Run, sandbox: Sandbox) -> None:
    for function, arguments in ((suspend_user, (True, NOBODY)), (delete_user, (NOBODY, True))):
        with pytest.raises(InvalidInput, match="no user nobody"):
            run(function, "nobody", *arguments)
        assert run(function, "nobody", *arguments, if_absent="skip") == {"id": None, "outcome": "absent"}
        with pytest.raises(InvalidInput, match=r"^if_absent"):
            run(function, "nobody", *arguments, if_absent="ignore")
    assert sandbox.stats()["writes"] == 0


@pytest.mark.parametrize("entry", ["mika@example.com", "mika", "*@example.com", {"role": "manager"}])
def test_the_protected_are_left_alone(run: Run, sandbox: Sandbox, entry: Any) -> None:
    seed(sandbox, roles=["manager"], isSuspended=True, customData={SUSPENDED_AT: ago(90)})
    protection = Protection.checked([entry])
    for function, arguments in (
        (suspend_user, (True, protection)),
        (delete_user, (protection, True)),
        (delete_user, (protection, False, 30)),
    ):
        with pytest.raises(InvalidInput, match="protected by"):
            run(function, "mika", *arguments)
    assert sandbox.stats()["writes"] == 0
    # Whoever is protected may still be brought back.
    assert run(suspend_user, "mika", False, protection)["outcome"] == "reinstated"


def test_a_deletion_is_confirmed_or_bound_to_a_condition(run: Run, sandbox: Sandbox) -> None:
    seed(sandbox)
    for confirm, days in ((False, None), (True, 30), ("yes", None), (False, -1), (False, True), (False, float("nan"))):
        with pytest.raises(InvalidInput, match=r"^(confirm|suspended_for)"):
            run(delete_user, "mika", NOBODY, confirm, days)
    assert sandbox.stats()["requests"] == 0
    assert run(delete_user, "mika", NOBODY, True)["outcome"] == "deleted"
    assert users(sandbox) == []


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"customData": {SUSPENDED_AT: ago(90)}}, "not suspended"),
        ({"isSuspended": True}, "not known since when"),
        ({"isSuspended": True, "customData": {SUSPENDED_AT: "long ago"}}, "not known since when"),
        ({"isSuspended": True, "customData": {SUSPENDED_AT: ago(29.9)}}, "29.9 days, less than 30"),
        # Brought back, signed in, and suspended by somebody else.
        ({"isSuspended": True, "customData": {SUSPENDED_AT: ago(90)}, "signed_in": ago_ms(50)}, "not known since"),
        # Of several dates the latest counts.
        ({"isSuspended": True, "customData": {SUSPENDED_AT: ago(90), KEY: {"suspendedAt": ago(3)}}}, "3.0 days"),
        ({"isSuspended": True, "customData": {KEY: {"suspendedAt": ago(90), "offboardedAt": ago(2)}}}, "2.0 days"),
    ],
)
def test_too_early(run: Run, sandbox: Sandbox, fields: Any, reason: str) -> None:
    seed(sandbox, **fields)
    with pytest.raises(Refused, match=reason):
        run(delete_user, "mika", NOBODY, suspended_for=30)
    assert len(users(sandbox)) == 1


@pytest.mark.parametrize(
    "data", [{SUSPENDED_AT: ago(30.1)}, {KEY: {"suspendedAt": ago(31)}}, {KEY: {"offboardedAt": ago(40)}}]
)
def test_due(run: Run, sandbox: Sandbox, data: Any) -> None:
    mika = seed(sandbox, isSuspended=True, customData=data, signed_in=ago_ms(45))
    assert run(delete_user, "mika", NOBODY, suspended_for=30) == {"id": mika, "outcome": "deleted"}
    assert users(sandbox) == []


def test_a_date_that_end_users_can_write_proves_nothing(run: Run, sandbox: Sandbox) -> None:
    seed(sandbox, isSuspended=True, customData={SUSPENDED_AT: ago(90)})

    async def open_it(client: Any) -> None:
        body = {"enabled": True, "fields": {"customData": "Edit"}}
        await client.request("PATCH", "/account-center", body=body)

    run(open_it)
    with pytest.raises(Refused, match="account center"):
        run(delete_user, "mika", NOBODY, suspended_for=30)


@pytest.mark.parametrize("during", ["end_users_may_edit", "do_all"])
def test_brought_back_in_the_last_moment(
    run: Run, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, during: str
) -> None:
    mika = seed(sandbox, isSuspended=True, customData={SUSPENDED_AT: ago(90)})

    async def meanwhile(client: Any, *args: Any) -> bool:
        await client.request("PATCH", f"/users/{mika}/is-suspended", body={"isSuspended": False})
        return False

    monkeypatch.setattr(f"airflow_provider_logto.management.removal.{during}", meanwhile)
    with pytest.raises(Refused, match="not suspended"):
        run(delete_user, "mika", NOBODY, suspended_for=30)
    assert len(users(sandbox)) == 1


def test_a_lost_answer_is_no_failure(run: Run, sandbox: Sandbox) -> None:
    seed(sandbox)
    sandbox.add_fault(kind="lost_answer", method="DELETE", path="/api/users/{id}")
    assert run(delete_user, "mika", NOBODY, True)["outcome"] == "deleted"


def invite(run: Run, sandbox: Sandbox, email: str = "mika@example.com") -> None:
    """A one-time token and a pending invitation are on their way."""
    sandbox.seed({"organizations": [{"name": "Guests"}]})
    guests = sandbox.state()["organizations"][-1]["id"]
    invitation = {"invitee": email, "organizationId": guests, "expiresAt": 4_000_000_000_000, "messagePayload": False}

    async def post(client: Any) -> None:
        await client.request("POST", "/one-time-tokens", body={"email": email, "expiresIn": 9999})
        await client.request("POST", "/organization-invitations", body=invitation)

    run(post)


def ways_in(sandbox: Sandbox) -> list[str]:
    """E-mail addresses that a token or an invitation still takes in."""
    state = sandbox.state()
    tokens = [row["email"] for row in state["one_time_tokens"] if row["status"] == "active"]
    return tokens + [row["invitee"] for row in state["invitations"] if row["status"] == "Pending"]


def test_nothing_takes_in_again_whoever_was_deleted(run: Run, sandbox: Sandbox) -> None:
    seed(sandbox)
    invite(run, sandbox)
    invite(run, sandbox, "other@example.com")
    assert run(delete_user, "mika", NOBODY, True)["outcome"] == "deleted"
    assert ways_in(sandbox) == ["other@example.com"] * 2


def test_somebody_without_an_address_has_no_such_way_in(run: Run, sandbox: Sandbox) -> None:
    sandbox.seed({"users": [{"username": "mika"}]})
    invite(run, sandbox, "other@example.com")
    assert run(delete_user, "mika", NOBODY, True)["outcome"] == "deleted"
    assert ways_in(sandbox) == ["other@example.com"] * 2


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/one-time-tokens"),
        ("DELETE", "/api/one-time-tokens/{id}"),
        ("GET", "/api/organization-invitations"),
        ("PUT", "/api/organization-invitations/{id}/status"),
    ],
)
def test_where_a_way_in_cannot_be_closed_nobody_is_deleted(run: Run, sandbox: Sandbox, method: str, path: str) -> None:
    mika, notes = seed(sandbox), Notes()
    invite(run, sandbox)
    sandbox.add_fault(kind="error", status=403, method=method, path=path)
    with pytest.raises(LogtoError, match=method):
        run(delete_user, "mika", NOBODY, True, state=notes)
    assert len(users(sandbox)) == 1
    assert notes.values == {}
    assert run(delete_user, "mika", NOBODY, True, state=notes) == {"id": mika, "outcome": "deleted"}
    assert ways_in(sandbox) == []


@pytest.mark.parametrize("missing", ["one-time-tokens", "organization-invitations"])
def test_what_a_server_does_not_know_cannot_be_there(
    run: Run, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    seed(sandbox)
    invite(run, sandbox)
    plain = ROUTER.find

    def find(method: str, path: str) -> Any:
        return plain(method, "/api/unknown" if missing in path else path)

    monkeypatch.setattr(ROUTER, "find", find)
    assert run(delete_user, "mika", NOBODY, True)["outcome"] == "deleted"
    assert len(ways_in(sandbox)) == 1


def test_whoever_must_not_be_deleted_yet_keeps_their_ways_in(run: Run, sandbox: Sandbox) -> None:
    seed(sandbox, isSuspended=True, customData={SUSPENDED_AT: ago(29)})
    invite(run, sandbox)
    with pytest.raises(Refused):
        run(delete_user, "mika", NOBODY, suspended_for=30)
    assert len(ways_in(sandbox)) == 2


@pytest.mark.parametrize("kind", ["users", "organizations"])
def test_a_retry_knows_what_an_earlier_try_deleted(run: Run, sandbox: Sandbox, kind: str) -> None:
    user = seed(sandbox)
    sandbox.seed({"organizations": [{"name": "Acme", "customData": {"externalId": "c-1"}}]})
    organization = sandbox.state()["organizations"][0]["id"]
    meant = user if kind == "users" else organization

    def delete(state: Notes | None) -> Any:
        if kind == "users":
            return run(delete_user, {"primaryEmail": "mika@example.com"}, NOBODY, True, state=state)
        return run(delete_organization, {"external_id": "c-1"}, NOBODY, True, state=state)

    notes = Notes()
    sandbox.add_fault(kind="lost_answer", method="DELETE", path=f"/api/{kind}/{{id}}", times=99)
    with pytest.raises(LogtoError) as caught:
        delete(notes)
    assert caught.value.transient
    sandbox.clear_faults()
    assert delete(notes) == {"id": meant, "outcome": "deleted"}
    # Without notes, and for another task, nobody is meant.
    for other in (None, Notes()):
        with pytest.raises(InvalidInput, match="if_absent"):
            delete(other)


@pytest.mark.parametrize("kind", ["users", "organizations"])
def test_a_note_alone_deletes_nothing_and_claims_nothing(run: Run, sandbox: Sandbox, kind: str) -> None:
    """The first try was ended right after its note."""
    user = seed(sandbox)
    sandbox.seed({"organizations": [{"name": "Acme"}]})
    function, name, meant = {
        "users": (delete_user, "mika", user),
        "organizations": (delete_organization, "Acme", sandbox.state()["organizations"][0]["id"]),
    }[kind]
    notes = Notes()
    sandbox.add_fault(kind="error", status=403, method="DELETE", path=f"/api/{kind}/{{id}}")
    with pytest.raises(LogtoError):
        run(function, name, NOBODY, True, state=notes)
    assert len(sandbox.state()[kind]) == 1
    assert run(function, name, NOBODY, True, state=notes) == {"id": meant, "outcome": "deleted"}
    assert sandbox.state()[kind] == []


#: Family -> what deletes one of it, a name, and a row of that name.
DELETIONS: dict[str, tuple[Any, str, dict[str, str]]] = {
    "users": (delete_user, "mika", {"username": "mika"}),
    "organizations": (delete_organization, "Acme", {"name": "Acme"}),
}


@pytest.mark.parametrize("kind", ["users", "organizations"])
@pytest.mark.parametrize("lost", [False, True])
def test_a_cleared_task_deletes_whoever_is_meant_by_now(run: Run, sandbox: Sandbox, kind: str, lost: bool) -> None:
    """Airflow keeps the note of a task that succeeded."""
    function, name, row = DELETIONS[kind]
    notes = Notes()
    sandbox.seed({kind: [row]})
    if lost:
        sandbox.add_fault(kind="lost_answer", method="DELETE", path=f"/api/{kind}/{{id}}", times=99)
        with pytest.raises(LogtoError):
            run(function, name, NOBODY, True, state=notes, order=3)
        sandbox.clear_faults()
    first = run(function, name, NOBODY, True, state=notes, order=3)
    assert first["outcome"] == "deleted"
    # Cleared while nobody is meant, it says what it did.
    assert run(function, name, NOBODY, True, state=notes, order=7) == first
    sandbox.seed({kind: [row]})
    second = run(function, name, NOBODY, True, state=notes, order=11)
    assert (second["outcome"], sandbox.state()[kind]) == ("deleted", [])
    assert second["id"] != first["id"]


@pytest.mark.parametrize("kind", ["users", "organizations"])
@pytest.mark.parametrize("lost", [False, True])
def test_a_retry_leaves_alone_who_came_after_the_deletion(run: Run, sandbox: Sandbox, kind: str, lost: bool) -> None:
    """The answer was lost, or the worker ended before Airflow was told."""
    function, name, row = DELETIONS[kind]
    notes = Notes()
    sandbox.seed({kind: [row]})
    if lost:
        sandbox.add_fault(kind="lost_answer", method="DELETE", path=f"/api/{kind}/{{id}}", times=99)
        with pytest.raises(LogtoError):
            run(function, name, NOBODY, True, state=notes, order=3)
        sandbox.clear_faults()
    else:
        run(function, name, NOBODY, True, state=notes, order=3)
    sandbox.seed({kind: [row]})
    assert run(function, name, NOBODY, True, state=notes, order=3)["outcome"] == "deleted"
    assert len(sandbox.state()[kind]) == 1


@pytest.mark.parametrize("kind", ["users", "organizations"])
def test_clearing_a_deletion_that_failed_leaves_a_newcomer_alone(run: Run, sandbox: Sandbox, kind: str) -> None:
    """It took effect, and nobody was told: the order was about somebody who is gone."""
    function, name, row = DELETIONS[kind]
    notes = Notes()
    sandbox.seed({kind: [row]})
    gone = sandbox.state()[kind][0]["id"]
    sandbox.add_fault(kind="lost_answer", method="DELETE", path=f"/api/{kind}/{{id}}", times=99)
    with pytest.raises(LogtoError):
        run(function, name, NOBODY, True, state=notes, order=0)
    sandbox.clear_faults()
    sandbox.seed({kind: [row]})
    assert run(function, name, NOBODY, True, state=notes, order=1) == {"id": gone, "outcome": "deleted"}
    assert len(sandbox.state()[kind]) == 1
    assert run(function, name, NOBODY, True, state=notes, order=2)["id"] != gone
    assert sandbox.state()[kind] == []


def test_days_as_templates_give_them() -> None:
    assert [days_of(value) for value in (None, "", "30", 30, "1.5")] == [None, None, 30, 30, 1.5]
    with pytest.raises(InvalidInput, match="suspended_for"):
        days_of("a month")


def test_members_leave_and_the_others_stay(run: Run, sandbox: Sandbox) -> None:
    names = ["u1", "u2", "u3", "u4"]
    sandbox.seed(
        {
            "users": [{"username": name} for name in names],
            "organizations": [{"name": "Acme", "members": [{"user": name, "roles": ["member"]} for name in names[:3]]}],
        }
    )
    ids = {user["username"]: user["id"] for user in users(sandbox)}
    result = run(remove_members, "Acme", ["u1", {"username": "u2"}, "u4", "nobody", "u1"], NOBODY)
    assert result["removed"] == [ids["u1"], ids["u2"]]
    assert (result["absent"], result["unknown"]) == ([ids["u4"]], ["nobody"])
    relations = sandbox.state()["relations"]
    assert [user for _, user in relations["organization_users"]] == [ids["u3"]]
    again = run(remove_members, {"id": result["id"]}, ["u1", "u2"], NOBODY)
    assert (again["removed"], len(again["absent"])) == ([], 2)
    with pytest.raises(InvalidInput, match="protected by"):
        run(remove_members, "Acme", ["u3"], Protection.checked(["u3"]))
    with pytest.raises(InvalidInput, match="organization"):
        run(remove_members, "Other", ["u3"], NOBODY)
    assert len(sandbox.state()["relations"]["organization_users"]) == 1


def test_one_failure_does_not_keep_the_others_in(run: Run, sandbox: Sandbox) -> None:
    names = [f"u{at}" for at in range(5)]
    sandbox.seed(
        {"users": [{"username": name} for name in names], "organizations": [{"name": "Acme", "members": names}]}
    )
    user = users(sandbox)[2]["id"]
    organization = sandbox.state()["organizations"][0]["id"]
    path = f"/api/organizations/{organization}/users/{user}"
    sandbox.add_fault(kind="error", status=403, method="DELETE", path=path)
    with pytest.raises(LogtoError):
        run(remove_members, "Acme", names, NOBODY)
    assert [one for _, one in sandbox.state()["relations"]["organization_users"]] == [user]
    assert run(remove_members, "Acme", names, NOBODY)["removed"] == [user]


def test_a_404_of_a_proxy_is_nobodys_absence(run: Run, sandbox: Sandbox) -> None:
    mika = seed(sandbox)
    run(suspend_user, "mika", True, NOBODY)

    async def delete_behind_a_proxy(client: Any) -> Any:
        Restarting(client, f"/api/users/{mika}")
        return await delete_user(client, {"id": mika}, NOBODY, suspended_for=1e-9)

    with pytest.raises(NotFromLogto) as caught:
        run(delete_behind_a_proxy)
    assert caught.value.transient
    assert len(users(sandbox)) == 1


def test_tokens_of_an_address_without_a_dot_are_found(run: Run, sandbox: Sandbox) -> None:
    """A connector may bring a person with such an address; Logto refuses to search its tokens."""
    for email in ("ada@intranet", "bob@x.example"):
        run(lambda client, email=email: client.request("POST", "/one-time-tokens", body={"email": email}))
    (found,) = run(list_one_time_tokens, "ada@intranet")
    emails = {row["id"]: row["email"] for row in sandbox.state()["one_time_tokens"]}
    assert emails[found["id"]] == "ada@intranet"
