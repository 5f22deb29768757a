"""Messy rows about people: nobody is adopted, overwritten or invented, and what cannot be stored is refused by name."""

from __future__ import annotations

import functools
import time
from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_logto.client.retrying import RetryOptions
from airflow_provider_logto.exceptions import AlreadyExists, Ambiguous, InvalidInput, ServerFailed
from airflow_provider_logto.management.users import OwnCreation, UserSpec, ensure_user
from airflow_provider_logto.operators.users import CreateUserOperator
from tests.conftest import Tenant, execute
from tests.real.conftest import Corner
from tests.task_states import Notes


def create(context: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    result: dict[str, Any] = execute(CreateUserOperator(task_id="create", **fields), context or {})
    return result


def run_begun(ago: timedelta = timedelta(minutes=1), notes: Notes | None = None) -> dict[str, Any]:
    began = SimpleNamespace(start_date=datetime.now(UTC) - ago)
    return {"dag_run": began, **({"task_state_store": notes} if notes else {})}


def users_of(corner: Corner) -> list[dict[str, Any]]:
    return list(corner.hook.iterate("/users", {"search": f"%{corner.word}%"}))


class Killed(BaseException):
    """The worker is killed."""


def killed_try(corner: Corner, fields: dict[str, Any], notes: Notes, *, posted: bool) -> None:
    """One try of the task that is killed right after, or right before, its POST reached the server."""

    async def go(client: Any) -> None:
        request = client.request

        async def dying(method: str, path: str, *args: Any, **kwargs: Any) -> Any:
            if (method, path) == ("POST", "/users"):
                if posted:
                    await request(method, path, *args, **kwargs)
                raise Killed
            return await request(method, path, *args, **kwargs)

        client.request = dying
        await ensure_user(client, UserSpec.checked(**fields), own=OwnCreation(notes))

    with pytest.raises(Killed):
        corner.hook.run(go)


def test_a_stranger_of_the_same_name_is_not_adopted(corner: Corner) -> None:
    """Made after the DAG run began, with the same fields: young and alike, and still not ours."""
    fields = {"username": corner.username("mika"), "name": "Mika"}
    corner.hook.request("POST", "/users", body=fields)
    with pytest.raises(AlreadyExists, match='if_exists="skip"'):
        create(run_begun(), **fields)
    with pytest.raises(AlreadyExists):
        create(run_begun(notes=Notes()), **fields)


def test_a_retry_knows_whom_a_killed_try_created(corner: Corner) -> None:
    fields: dict[str, Any] = {"username": corner.username("mika"), "custom_data": {"n": 1}}
    notes = Notes()
    killed_try(corner, fields, notes, posted=True)
    (user,) = users_of(corner)
    assert create(run_begun(notes=notes), **fields)["outcome"] == "created"
    assert create(run_begun(notes=notes), **fields)["id"] == user["id"]
    assert len(users_of(corner)) == 1
    with pytest.raises(AlreadyExists):  # another task has other notes
        create(run_begun(notes=Notes()), **fields)


def test_a_note_holds_no_personal_data(corner: Corner) -> None:
    fields = {"username": corner.username("mika"), "primary_email": corner.email("mika")}
    notes = Notes()
    killed_try(corner, fields, notes, posted=True)
    assert corner.word not in str(notes.values)


def test_a_note_proves_nothing_about_others(corner: Corner) -> None:
    """Of other fields, or made long after the noted POST can have been executed."""
    fields: dict[str, Any] = {"username": corner.username("mika"), "name": "Mika"}
    notes = Notes()
    killed_try(corner, {**fields, "name": "Another"}, notes, posted=False)
    corner.hook.request("POST", "/users", body={"username": fields["username"], "name": "Mika"})
    with pytest.raises(AlreadyExists):
        create(run_begun(notes=notes), **fields)
    for moved in (-3600, 3600):
        killed = Notes()
        other = {**fields, "username": corner.username(f"at{moved + 3600}")}
        killed_try(corner, other, killed, posted=True)
        for note in killed.values["logto_users_to_create"]:
            note["at"] += moved
        with pytest.raises(AlreadyExists):
            create(run_begun(notes=killed), **other)


@pytest.mark.parametrize(
    ("trace", "ours"),
    [
        ({}, True),
        ({"lastSignInAt": 1_800_000_000_000}, False),
        ({"applicationId": "app"}, False),
        ({"hasPassword": True}, False),
        ({"identities": {"github": {"userId": "1"}}}, False),
    ],
)
def test_whoever_signed_up_is_not_ours(corner: Corner, trace: dict[str, Any], ours: bool) -> None:
    """A sign-up leaves the application or the time of the sign-in, or at least how the person signs in."""
    fields = {"username": corner.username("mika")}
    notes = Notes()
    killed_try(corner, fields, notes, posted=True)
    (user,) = users_of(corner)
    assert (user["lastSignInAt"], user["applicationId"], user["hasPassword"]) == (None, None, False)

    async def judge(client: Any) -> bool:
        found = {**user, **trace}
        return await OwnCreation(notes).proven(client, UserSpec.checked(**fields), found, {}, lost=False)

    assert corner.hook.run(judge) is ours


def test_whoever_is_faster_between_search_and_request_is_not_ours(corner: Corner) -> None:
    """The server refuses our request: so whoever is there was made by somebody else, on a repeated run too."""
    fields = {"username": corner.username("mika")}
    notes = Notes()

    async def overtaken(client: Any) -> None:
        request = client.request

        async def slower(method: str, path: str, *args: Any, **kwargs: Any) -> Any:
            if (method, path) == ("POST", "/users"):
                await request(method, path, *args, **kwargs)
            return await request(method, path, *args, **kwargs)

        client.request = slower
        await ensure_user(client, UserSpec.checked(**fields), own=OwnCreation(notes))

    with pytest.raises(AlreadyExists):
        corner.hook.run(overtaken)
    with pytest.raises(AlreadyExists):
        create(run_begun(notes=notes), **fields)
    assert len(users_of(corner)) == 1


def test_a_sign_up_without_password_is_not_the_account_that_was_sent_with_one(corner: Corner) -> None:
    fields = {"username": corner.username("mika")}
    secret: dict[str, Any] = {"password": "a-long-Passw0rd"}
    notes = Notes()
    killed_try(corner, fields, notes, posted=False)
    corner.hook.request("POST", "/users", body=fields)
    with pytest.raises(AlreadyExists):
        create(run_begun(notes=notes), **fields, **secret)


@pytest.mark.parametrize(
    "secret",
    [
        {"password": "a-long-Passw0rd"},
        {"password_digest": "5f4dcc3b5aa765d61d8327deb882cf99", "password_algorithm": "MD5"},
    ],
)
def test_a_retry_knows_whom_it_sent_with_a_password(corner: Corner, secret: dict[str, Any]) -> None:
    fields = {"username": corner.username("mika")}
    notes = Notes()
    killed_try(corner, fields, notes, posted=False)  # the note does not hold the password
    first = create(**fields, **secret)
    result = create(run_begun(notes=notes), **fields, **secret)
    assert (result["id"], result["outcome"]) == (first["id"], "created")


def test_a_password_that_verifies_is_a_proof(corner: Corner) -> None:
    fields = {"username": corner.username("mika"), "password": "a-long-Passw0rd"}
    first = create(**fields)
    assert create(run_begun(), **fields)["outcome"] == "created"
    with pytest.raises(AlreadyExists):
        create(run_begun(), **{**fields, "password": "another-Passw0rd"})
    with pytest.raises(AlreadyExists):  # made before this run began
        create(run_begun(timedelta(minutes=-1)), **fields)
    assert len(users_of(corner)) == 1
    assert users_of(corner)[0]["id"] == first["id"]


@pytest.mark.parametrize("if_exists", ["fail", "skip", "update"])
def test_a_familys_phone_is_nobodys_name(corner: Corner, if_exists: Any) -> None:
    phone = f"+6141234{int(time.time() * 1000) % 10_000:04}"
    parent = create(username=corner.username("parent"), primary_phone=phone, name="Parent")
    child = {"username": corner.username("child"), "primary_phone": phone, "name": "Child"}
    with pytest.raises(Ambiguous, match=parent["id"]):
        create(**child, if_exists=if_exists)
    (user,) = users_of(corner)
    assert (user["name"], user["username"]) == ("Parent", corner.username("parent"))


@pytest.mark.parametrize("if_exists", ["skip", "update"])
def test_a_recycled_username_is_not_taken_for_its_former_owner(corner: Corner, if_exists: Any) -> None:
    former = create(username=corner.username("jdoe"), primary_email=corner.email("jane"), name="Jane")
    newcomer = {"username": corner.username("jdoe"), "primary_email": corner.email("john"), "name": "John"}
    with pytest.raises(AlreadyExists, match=r"another primary_email.*allow_identifier_change"):
        create(**newcomer, if_exists=if_exists)
    (user,) = users_of(corner)
    assert (user["name"], user["primaryEmail"]) == ("Jane", corner.email("jane"))
    result = create(**newcomer, if_exists=if_exists, allow_identifier_change=True)
    assert result["id"] == former["id"]
    assert result["changed"] == ([] if if_exists == "skip" else ["primary_email", "name"])


def test_another_identifier_may_say_who_it_is(corner: Corner) -> None:
    first = create(primary_email=corner.email("mika"))
    fields = {"username": corner.username("mika"), "primary_email": corner.email("mika")}
    with pytest.raises(Ambiguous, match="match_on"):
        create(**fields, if_exists="update")
    updated = create(**fields, if_exists="update", match_on="primary_email")
    assert (updated["id"], updated["changed"]) == (first["id"], ["username"])
    for wrong, message in (("email", "match_on: 'email' is unknown"), ("primary_phone", "which is not given")):
        with pytest.raises(InvalidInput, match=message):
            create(**fields, match_on=wrong)


def test_an_identifier_taken_meanwhile_is_somebody_elses(sandbox_tenant: Tenant) -> None:
    """The search compares case, the server's refusal does not."""
    assert sandbox_tenant.sandbox is not None
    sandbox_tenant.sandbox.seed({"users": [{"username": "a"}, {"username": "b", "primaryEmail": "B@example.com"}]})
    with pytest.raises(Ambiguous, match="belongs to somebody else"):
        create(username="a", primary_email="b@example.com", if_exists="update")


def test_an_email_stored_in_another_case_is_the_same_person(sandbox_tenant: Tenant) -> None:
    assert sandbox_tenant.sandbox is not None
    sandbox_tenant.sandbox.seed({"users": [{"primaryEmail": "Mika@Example.com"}]})
    user = sandbox_tenant.sandbox.state()["users"][0]
    assert create(primary_email="mika@example.com", if_exists="update")["id"] == user["id"]
    with pytest.raises(AlreadyExists):
        create(primary_email="mika@example.com")
    assert len(sandbox_tenant.sandbox.state()["users"]) == 1


REFUSED: list[tuple[dict[str, Any], str]] = [
    *(
        ({"username": text}, "username")
        for text in ("None", "nan", "NaN", "NaT", "null", "NULL", "N/A", "#N/A", "<NA>")
    ),
    ({"primary_email": "nan"}, "primary_email"),
    ({"primary_phone": "nan"}, "primary_phone"),
    ({"primary_phone": "819012345678.0"}, "primary_phone"),
    ({"primary_phone": "+819012345678.0"}, "primary_phone"),
    ({"primary_phone": 819012345678.0}, "primary_phone"),
    ({"primary_phone": "(415) 555-2672"}, "primary_phone"),
    ({"primary_phone": "4155552672"}, "primary_phone"),
    ({"primary_email": "mi\u200bka@example.com"}, "primary_email"),
    ({"primary_email": "zoe\u0308@example.com"}, "primary_email"),
    ({"primary_email": '"mika@example.com"'}, "primary_email"),
    ({"primary_email": "'mika@example.com'"}, "primary_email"),
    ({"primary_email": "mailto:mika@example.com"}, "primary_email"),
    ({"primary_email": "Mika <mika@example.com>"}, "primary_email"),
    ({"primary_email": "a@example.com, b@example.com"}, "primary_email"),
    ({"username": "mika", "name": "🎉" * 65}, "name"),
    ({"username": "mika", "name": "a\x00b"}, "name"),
    ({"username": "mika", "avatar": "https://example.com/" + "🎉" * 1020}, "avatar"),
    ({"username": "mika", "profile": {"nickname": "\x00"}}, "profile.nickname"),
    ({"username": "mika", "custom_data": {"a": {"b": ["x\x00"]}}}, "custom_data.a.b[0]"),
    ({"username": "mika", "custom_data": {"n": 2**53}}, "custom_data.n"),
    ({"username": "mika", "custom_data": {"since": date(2026, 1, 31)}}, "custom_data.since"),
    ({"username": "mika", "custom_data": {"rate": float("nan")}}, "custom_data.rate"),
    ({"username": "mika", "password_digest": "x" * 31, "password_algorithm": "MD5"}, "password_digest"),
    ({"username": "mika", "password_digest": "garbage", "password_algorithm": "Bcrypt"}, "password_digest"),
    ({"username": "mika", "password_digest": "0" * 64, "password_algorithm": "Argon2id"}, "password_digest"),
    ({"name": "Nobody"}, "username"),
]


@pytest.mark.parametrize(("fields", "field"), REFUSED)
def test_what_is_no_value_is_refused_before_any_request(
    sandbox_tenant: Tenant, fields: dict[str, Any], field: str
) -> None:
    assert sandbox_tenant.sandbox is not None
    with pytest.raises(InvalidInput) as caught:
        create(**fields)
    assert caught.value.field == field
    assert sandbox_tenant.sandbox.stats()["requests"] == 0


def test_airflows_own_email_is_named_where_an_identifier_is_missing(sandbox_tenant: Tenant) -> None:
    with pytest.raises(InvalidInput, match=r"email= is Airflow's own"):
        create(email="mika@example.com", name="Mika")


def test_names_are_normalized_and_a_second_run_changes_nothing(corner: Corner) -> None:
    fields: dict[str, Any] = {
        "username": corner.username("zoe"),
        "primary_email": f" Zoe@{corner.word}.EXAMPLE ",
        "name": "  Zoe\u0308 Nan\u3000",
        "custom_data": {"codes": ("a", "b"), "rate": 2.0, "active": True, "none": None, "at": {"x": [1.5]}},
        "profile": {"nickname": " Zoe\u0308 "},
    }
    first = create(**fields)
    user = corner.hook.request("GET", f"/users/{first['id']}")
    assert (user["name"], user["primaryEmail"]) == ("Zoë Nan", corner.email("zoe"))
    assert user["customData"] == {"codes": ["a", "b"], "rate": 2, "active": True, "none": None, "at": {"x": [1.5]}}
    assert user["profile"]["nickname"] == "Zoë"
    again = create(**fields, if_exists="update")
    assert (again["outcome"], again["changed"]) == ("unchanged", [])
    changed = create(**{**fields, "custom_data": {"active": 1}}, if_exists="update")
    assert changed["changed"] == ["custom_data"]


def test_a_name_that_just_fits_is_read_back(corner: Corner) -> None:
    create(username=corner.username("party"), name="🎉" * 64)
    assert [user["name"] for user in users_of(corner)] == ["🎉" * 64]


def test_a_hexadecimal_digest_in_upper_case_verifies(corner: Corner) -> None:
    digest = "2BB80D537B1DA3E38BD30361AA855686BDE0EACD7162FEF6A25FE97BF527A25B"  # "secret"
    result = create(username=corner.username("old"), password_digest=digest, password_algorithm="SHA256")
    path = f"/users/{result['id']}/password/verify"
    assert corner.hook.request("POST", path, body={"password": "secret"}) is None


def test_a_row_that_cannot_be_read_back_is_pointed_at(corner: Corner, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name of 65 emoji, written past the operators: every list that holds it is a 500."""
    people = corner.people(7)
    path = f"/users/{people[3]['id']}"
    monkeypatch.setattr("airflow_provider_logto.hooks.logto.RetryOptions", functools.partial(RetryOptions, attempts=1))
    try:
        with pytest.raises(ServerFailed):
            corner.hook.request("PATCH", path, body={"name": "🎉" * 65})
        with pytest.raises(ServerFailed, match=r"row 4 of this list.* too long .*PATCH /api/users") as caught:
            users_of(corner)
        assert people[2]["id"] in str(caught.value) or people[4]["id"] in str(caught.value)
    finally:
        # Its answer is read back too: shorter, it can be.
        corner.hook.request("PATCH", path, body={"name": "short"})
    assert len(users_of(corner)) == 7
