"""ensure_user when answers get lost, and the references to users."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from airflow_provider_logto.exceptions import AlreadyExists, Ambiguous, InvalidInput, OutcomeUnknown, Refused
from airflow_provider_logto.management.marks import Mark
from airflow_provider_logto.management.references import Reference, find_users, resolve_users
from airflow_provider_logto.management.users import OwnCreation, UserSpec, ensure_user
from logto_sandbox import Sandbox
from tests.clients import Run

SPEC = UserSpec.checked(username="mika", primary_email="mika@example.com", name="Mika", custom_data={"n": 1})


def test_a_new_user_costs_two_requests(run: Run, sandbox: Sandbox) -> None:
    assert run(ensure_user, SPEC)["outcome"] == "created"
    assert sandbox.stats()["routes"] == {"POST /oidc/token": 1, "GET /api/users": 1, "POST /api/users": 1}


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
def test_a_second_run_sends_no_write(run: Run, sandbox: Sandbox, if_exists: Any) -> None:
    run(ensure_user, SPEC)
    writes = sandbox.stats()["writes"]
    assert run(ensure_user, SPEC, if_exists=if_exists)["outcome"] == "unchanged"
    assert sandbox.stats()["writes"] == writes


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
        ({"email": "nonsense"}, "no e-mail address"),
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
    assert user["customData"] == {"n": 1, "airflowRoster": {"externalId": "4711"}}
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
        ({"airflowRoster": {"externalId": "42"}}, "external id 42"),
        ({"airflowRoster": 7}, "no "),
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


def test_a_stranger_who_comes_between_search_and_request_is_a_conflict(run: Run, sandbox: Sandbox) -> None:
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
    with pytest.raises(InvalidInput, match=r"^custom_data.*airflowRoster"):
        UserSpec.checked(username="mika", custom_data=Mark(external_id="4711").custom_data())
