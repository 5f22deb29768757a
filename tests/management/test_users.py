"""ensure_user when answers get lost, and the references to users."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from airflow_provider_logto.exceptions import (
    AlreadyExists,
    Ambiguous,
    Conflict,
    InvalidInput,
    OutcomeUnknown,
    Refused,
    UnreadableAnswer,
)
from airflow_provider_logto.management.marks import Mark
from airflow_provider_logto.management.references import Reference, find_user, find_users, resolve_users
from airflow_provider_logto.management.users import OwnCreation, UserSpec, ensure_user
from logto_sandbox import Sandbox
from tests.clients import Run

SPEC = UserSpec.checked(username="mika", primary_email="mika@example.com", name="Mika", custom_data={"n": 1})


def test_a_new_user_costs_two_requests(run: Run, sandbox: Sandbox) -> None:
    assert run(ensure_user, SPEC)["outcome"] == "created"
    assert sandbox.stats()["routes"] == {"POST /oidc/token": 1, "GET /api/users": 1, "POST /api/users": 1}
    (search,) = [request["query"] for request in sandbox.requests() if request["method"] == "GET"]
    assert "isCaseSensitive=true" in search  # which uses the server's indexes


@pytest.mark.parametrize("kind", ["lost_answer", "reset", "truncated"])
def test_a_lost_answer_is_read_back_not_sent_again(run: Run, sandbox: Sandbox, kind: str) -> None:
    more = {"after_commit": True} if kind == "reset" else {}
    sandbox.add_fault(kind=kind, method="POST", path="/api/users", **more)
    assert run(ensure_user, SPEC)["outcome"] == "created"
    assert len(sandbox.state()["users"]) == 1
    assert sandbox.stats()["routes"]["POST /api/users"] == 1


def test_a_creation_that_did_not_happen_is_sent_again(run: Run, sandbox: Sandbox) -> None:
    sandbox.add_fault(kind="error", status=500, method="POST", path="/api/users", times=2)
    assert run(ensure_user, SPEC)["outcome"] == "created"
    assert sandbox.stats()["routes"]["POST /api/users"] == 3


def test_it_gives_up_in_the_end_and_says_what_it_does_not_know(run: Run, sandbox: Sandbox) -> None:
    sandbox.add_fault(kind="error", status=502, method="POST", path="/api/users", times=None)
    with pytest.raises(OutcomeUnknown, match="may or may not"):
        run(ensure_user, SPEC)
    assert sandbox.state()["users"] == []
    assert sandbox.stats()["routes"]["POST /api/users"] == 3


def test_a_stranger_found_after_a_lost_answer_is_not_taken_for_ones_own(run: Run, sandbox: Sandbox) -> None:
    sandbox.add_fault(kind="error", status=500, method="POST", path="/api/users", times=1)
    made = threading.Event()

    async def race(client: Any) -> Any:
        request = client.request

        async def first_somebody_else(*args: Any, **kwargs: Any) -> Any:
            if not made.is_set():
                made.set()
                sandbox.seed({"users": [{"username": "mika", "name": "Another Mika"}]})
            return await request(*args, **kwargs)

        client.request = first_somebody_else
        return await ensure_user(client, SPEC)

    with pytest.raises(AlreadyExists, match="has this username already"):
        run(race)


def test_a_number_written_with_the_national_zero_is_the_same_number(run: Run, sandbox: Sandbox) -> None:
    first = run(ensure_user, UserSpec.checked(primary_phone="+61 412 345 678"))
    again = run(ensure_user, UserSpec.checked(primary_phone="+61 0412 345 678"), if_exists="update")
    assert (again["id"], again["outcome"]) == (first["id"], "unchanged")


@pytest.mark.parametrize("if_exists", ["skip", "update"])
def test_a_number_written_with_a_national_prefix_is_the_same_number(run: Run, if_exists: Any) -> None:
    first = run(ensure_user, UserSpec.checked(username="ivan", primary_phone="+7 8 916 123 45 67"))
    assert first["primaryPhone"] == "79161234567"
    for spelling in ("+7 8 916 123 45 67", "+7 916 123 45 67"):
        for name in ({"username": "ivan"}, {}):
            again = run(ensure_user, UserSpec.checked(primary_phone=spelling, **name), if_exists=if_exists)
            assert (again["id"], again["outcome"]) == (first["id"], "unchanged")


def test_an_italian_landline_is_nobodys_mobile(run: Run, sandbox: Sandbox) -> None:
    sandbox.seed({"users": [{"primaryPhone": "39331123456", "name": "Owner of the mobile"}]})
    for landline in ("+39 0331 123456", {"phone": "+39 0331 123456"}):
        assert run(find_user, landline) is None
    spec = UserSpec.checked(primary_phone="+39 0331 123456", name="Owner of the landline")
    assert run(ensure_user, spec, if_exists="update")["outcome"] == "created"
    assert run(find_user, "+39 331 123456")["name"] == "Owner of the mobile"


@pytest.mark.parametrize("if_exists", ["skip", "update"])
def test_a_second_run_sends_no_write(run: Run, sandbox: Sandbox, if_exists: Any) -> None:
    run(ensure_user, SPEC)
    writes = sandbox.stats()["writes"]
    assert run(ensure_user, SPEC, if_exists=if_exists)["outcome"] == "unchanged"
    assert sandbox.stats()["writes"] == writes


def test_identifiers_of_several_people_are_all_named(run: Run, sandbox: Sandbox) -> None:
    sandbox.seed({"users": [{"username": "a"}, {"primaryEmail": "b@example.com"}, {"primaryPhone": "61412345678"}]})
    a, b, c = (user["id"] for user in sandbox.state()["users"])
    spec = UserSpec.checked(username="a", primary_email="b@example.com", primary_phone="+61412345678")
    said = f"username is that of the user {a}, but primary_email of the user {b}, primary_phone of the user {c};"
    with pytest.raises(Ambiguous, match=said):
        run(ensure_user, spec)


@pytest.mark.parametrize("user", [None, {"id": 5}])
def test_a_created_user_without_an_id_is_an_error(run: Run, user: Any) -> None:
    async def odd(client: Any) -> Any:
        async def answer(*args: Any, **kwargs: Any) -> Any:
            return user

        client.request = answer
        return await ensure_user(client, SPEC)

    with pytest.raises(UnreadableAnswer, match="POST /api/users "):
        run(odd)


def test_an_unknown_policy_is_refused_before_any_request(run: Run, sandbox: Sandbox) -> None:
    with pytest.raises(InvalidInput, match="if_exists"):
        run(ensure_user, SPEC, if_exists="merge")
    assert sandbox.stats()["requests"] == 0


def test_many_references_take_few_searches(run: Run, sandbox: Sandbox) -> None:
    sandbox.seed({"users": [{"username": f"u{at}", "primaryEmail": f"u{at}@example.com"} for at in range(250)]})
    sandbox.reset_stats()
    mixed = [f"u{at}" if at % 2 else {"email": f"U{at}@Example.com"} for at in range(250)]
    users, missing = run(resolve_users, mixed)
    assert missing == []
    assert [user["username"] for user in users] == [f"u{at}" for at in range(250)]
    assert sandbox.stats()["routes"]["GET /api/users"] <= 10


def test_no_search_is_longer_than_a_server_takes(run: Run, sandbox: Sandbox) -> None:
    long = [f"{'名' * 100}{at}@example.com" for at in range(60)]
    assert run(find_users, [Reference.parse(one) for one in long]) == [None] * 60
    assert max(len(request["query"]) for request in sandbox.requests()) < 8000


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "must be an id"),
        ("", "must be an id"),
        (5, "must be an id"),
        ({}, "names nobody"),
        ({"username": ""}, "names nobody"),
        ({"nickname": "x"}, "is no part of a reference"),
        ({"email": "nonsense"}, "not an e-mail address"),
        ("a\x00b", "NUL"),
    ],
)
def test_what_is_no_reference_is_refused(value: Any, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        Reference.parse(value)


def test_a_reference_is_looked_up_as_all_four_at_once(run: Run, sandbox: Sandbox) -> None:
    sandbox.seed({"users": [{"username": "yuki", "primaryEmail": "yuki@example.com", "primaryPhone": "61412345678"}]})
    user = sandbox.state()["users"][0]
    for given in ("yuki", "YUKI@example.com", "+61 0412 345 678", user["id"], {"phone": "61412345678"}):
        assert run(resolve_users, [given])[0][0]["id"] == user["id"], given
    both = {"username": "yuki", "email": "other@example.com"}
    for given in ("Yuki", user["id"].upper(), both, "y%ki", "yuk_"):
        assert run(find_users, [Reference.parse(given)]) == [None], given


def test_an_ambiguous_reference_names_the_candidates(run: Run, sandbox: Sandbox) -> None:
    sandbox.seed({"users": [{"username": "first"}]})
    first = sandbox.state()["users"][0]["id"]
    while not first[0].isalpha():
        sandbox.seed({"users": [{"username": f"x{first}"}]})
        first = sandbox.state()["users"][-1]["id"]
    sandbox.seed({"users": [{"username": first}]})
    with pytest.raises(Ambiguous, match=first):
        run(resolve_users, [first])


def test_the_external_id_is_in_the_mark_from_the_beginning(run: Run, sandbox: Sandbox) -> None:
    assert run(ensure_user, SPEC, external_id="4711")["outcome"] == "created"
    assert sandbox.stats()["writes"] == 1
    (user,) = sandbox.state()["users"]
    assert user["customData"] == {"n": 1, "airflow_roster": {"externalId": "4711"}}
    assert run(ensure_user, SPEC, if_exists="update", external_id="4711")["outcome"] == "unchanged"
    assert sandbox.stats()["writes"] == 1


def test_an_update_leaves_the_rest_of_the_mark(run: Run, sandbox: Sandbox) -> None:
    mark = Mark("hr", "4711", occurred_at="2026-01-01T00:00:00Z")
    data = {"n": 0, **mark.custom_data()}
    sandbox.seed({"users": [{"username": "mika", "primaryEmail": "mika@example.com", "customData": data}]})
    result = run(ensure_user, SPEC, if_exists="update", external_id="4711")
    assert (result["outcome"], result["changed"]) == ("updated", ["name", "custom_data"])
    (user,) = sandbox.state()["users"]
    assert (user["name"], user["customData"]) == ("Mika", {"n": 1, **mark.custom_data()})


@pytest.mark.parametrize("if_exists", ["fail", "skip", "update"])
@pytest.mark.parametrize(
    ("mark", "said"),
    [
        ({}, "no external id"),
        ({"airflow_roster": {"externalId": "42"}}, "external id 42"),
        ({"airflow_roster": 7}, "no "),
    ],
)
def test_who_has_the_e_mail_and_not_the_mark_is_a_conflict(
    run: Run, sandbox: Sandbox, if_exists: Any, mark: Any, said: str
) -> None:
    data = {"n": 1, **mark}
    user = {"username": "mika", "primaryEmail": "mika@example.com", "name": "Mika", "customData": data}
    sandbox.seed({"users": [user]})
    with pytest.raises(AlreadyExists, match=f"{said}.*, not 4711.*adopt"):
        run(ensure_user, SPEC, if_exists=if_exists, external_id="4711")
    assert sandbox.stats()["writes"] == 0


def test_a_mark_that_its_owner_may_write_proves_nothing(run: Run, sandbox: Sandbox) -> None:
    run(ensure_user, SPEC, external_id="4711")
    fields = {"enabled": True, "fields": {"customData": "Edit"}}
    run(lambda client: client.request("PATCH", "/account-center", body=fields))
    with pytest.raises(Refused, match="account center"):
        run(ensure_user, SPEC, if_exists="update", external_id="4711")


@pytest.mark.parametrize("kind", ["lost_answer", "error"])
def test_an_account_with_the_mark_is_known_by_the_next_try(run: Run, sandbox: Sandbox, kind: str) -> None:
    sandbox.add_fault(kind=kind, method="POST", path="/api/users", times=1)
    assert run(ensure_user, SPEC, if_exists="update", external_id="4711")["outcome"] == "created"
    # Nothing but the mark is left of the first try.
    again = run(ensure_user, SPEC, if_exists="update", external_id="4711", own=OwnCreation())
    assert again["outcome"] == "unchanged"
    assert len(sandbox.state()["users"]) == 1


@pytest.mark.parametrize("lost", [False, True])
def test_a_stranger_who_comes_between_search_and_request_is_a_conflict(run: Run, sandbox: Sandbox, lost: bool) -> None:
    """Even where the answer is lost, so that somebody with the same fields might be ours: ours has the mark."""
    if lost:
        sandbox.add_fault(kind="error", status=500, method="POST", path="/api/users", times=1)

    async def race(client: Any) -> Any:
        request = client.request

        async def after_somebody_else(method: str, path: str, *args: Any, **kwargs: Any) -> Any:
            if method == "POST":
                client.request = request
                data = {"username": "mika", "primaryEmail": "mika@example.com", "name": "Mika"}
                sandbox.seed({"users": [{**data, "customData": {"n": 1}}]})
            return await request(method, path, *args, **kwargs)

        client.request = after_somebody_else
        return await ensure_user(client, SPEC, if_exists="update", external_id="4711")

    with pytest.raises(AlreadyExists, match="no external id"):
        run(race)


def test_the_key_of_the_mark_is_not_for_custom_data() -> None:
    with pytest.raises(InvalidInput, match=r"^custom_data.*airflow_roster"):
        UserSpec.checked(username="mika", custom_data=Mark(external_id="4711").custom_data())


# -- what a task knows of its own creation


class Store:
    """A task state store; one that is broken takes and gives nothing."""

    def __init__(self, broken: bool = False) -> None:
        self.values: dict[str, Any] = {}
        self.broken = broken

    def get(self, key: str) -> Any:
        if self.broken:
            raise OSError
        return self.values.get(key)

    def set(self, key: str, value: Any) -> None:
        if self.broken:
            raise OSError
        self.values[key] = value


KEY = "logto_users_to_create"


def test_the_latest_twenty_notes_are_kept(run: Run) -> None:
    store = Store()

    async def note(client: Any) -> list[Any]:
        return [await OwnCreation(store).note(client, SPEC) for _ in range(23)]

    made = run(note)
    assert store.values == {KEY: made[-20:]}
    assert made[0].keys() == {"at", "spec"}


def test_a_store_that_fails_fails_no_task(run: Run, sandbox: Sandbox) -> None:
    assert run(ensure_user, SPEC, own=OwnCreation(Store(broken=True)))["outcome"] == "created"
    with pytest.raises(AlreadyExists):
        run(ensure_user, SPEC, own=OwnCreation(Store(broken=True)))


@pytest.mark.parametrize(
    ("noted_before", "ours"), [(-2.25, False), (-2.0, True), (0.0, True), (1000.0, True), (1000.25, False)]
)
def test_a_note_proves_what_its_own_request_can_have_made(run: Run, noted_before: float, ours: bool) -> None:
    """Clocks differ by 2 s; three tries take 1000."""
    spec = UserSpec.checked(username="mika", custom_data={"a": 1, "b": 2})
    same = UserSpec.checked(username="mika", custom_data={"b": 2, "a": 1})
    store = Store()

    async def judge(client: Any) -> bool:
        note = await OwnCreation(store).note(client, spec)
        user = {**spec.body(), "id": "u1", "createdAt": 1_800_000_000_000}
        store.values[KEY] = [{**note, "at": 1_800_000_000.0 - noted_before}]
        return await OwnCreation(store).proven(client, same, user, {}, lost=False)

    assert run(judge) is ours


@pytest.mark.parametrize(("before_the_run", "ours"), [(2.5, False), (1.5, True), (-60.0, True)])
def test_a_password_proves_what_was_made_since_the_run_began(run: Run, before_the_run: float, ours: bool) -> None:
    """By the server's clock, which is an hour ahead here."""
    secret = {"password": "a-long-Passw0rd"}

    async def judge(client: Any) -> bool:
        made = await client.request("POST", "/users", body={"username": "mika", **secret})
        began = time.time()

        async def server_time() -> float:
            return time.time() + 3600

        client.server_time = server_time
        user = {**made, "createdAt": (began + 3600 - before_the_run) * 1000}
        own = OwnCreation(run_began=began)
        return await own.proven(client, UserSpec.checked(username="mika"), user, secret, lost=False)

    assert run(judge) is ours


@pytest.mark.parametrize(("email", "ours"), [("mika@example.com", True), ("Mika@example.com", False)])
def test_an_email_in_another_case_was_there_before(run: Run, email: str, ours: bool) -> None:
    spec = UserSpec.checked(primary_email="mika@example.com")
    user = {"id": "u1", "primaryEmail": email}
    assert run(OwnCreation().proven, spec, user, {}, lost=True) is ours


def test_a_password_that_cannot_be_verified_proves_nothing(run: Run) -> None:
    """Another refusal than "wrong password" is the server's own, such as too many attempts."""

    async def judge(client: Any) -> bool:
        async def blocked(*args: Any, **kwargs: Any) -> Any:
            raise Conflict("POST /api/users/u1/password/verify", 422, "session.verification_blocked_too_many_attempts")

        client.request = blocked
        user = {"id": "u1", "username": "mika", "createdAt": time.time() * 1000}
        spec, own = UserSpec.checked(username="mika"), OwnCreation(run_began=0.0)
        return await own.proven(client, spec, user, {"password": "x"}, lost=False)

    with pytest.raises(Conflict, match="too_many_attempts"):
        run(judge)
