"""CreateUserOperator and UserSensor on any Logto."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from airflow_provider_logto.exceptions import AlreadyExists, Ambiguous
from airflow_provider_logto.management.conditions import check_user
from airflow_provider_logto.operators.users import CreateUserOperator
from airflow_provider_logto.sensors.users import UserSensor
from tests.conftest import execute
from tests.real.conftest import Corner


def create(context: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    return execute(CreateUserOperator(task_id="create", **fields), context)


def test_everything_given_is_stored(corner: Corner) -> None:
    result = create(
        username=corner.username("mika"),
        primary_email=f"Mika.Mori+HR@{corner.word.upper()}.Example",
        primary_phone="+61 0412 345 678",
        name="森 美嘉",
        avatar="https://example.com/mika.png",
        password="a-long-Passw0rd",
        custom_data={"employeeId": 7, "department": "研究"},
        profile={"givenName": "美嘉", "nickname": "", "address": {"country": "JP"}},
    )
    user = corner.hook.request("GET", f"/users/{result['id']}")
    assert result == {
        "id": user["id"],
        "outcome": "created",
        "changed": [],
        "username": corner.username("mika"),
        "primaryEmail": f"mika.mori+hr@{corner.word}.example",
        "primaryPhone": user["primaryPhone"],
    }
    assert user["name"] == "森 美嘉"
    assert user["customData"] == {"employeeId": 7, "department": "研究"}
    assert user["profile"] == {"givenName": "美嘉", "address": {"country": "JP"}}
    assert user["avatar"] == "https://example.com/mika.png"
    path = f"/users/{user['id']}/password/verify"
    assert corner.hook.request("POST", path, body={"password": "a-long-Passw0rd"}) is None


def test_a_digest_is_imported(corner: Corner) -> None:
    digest = hashlib.sha256(b"secret-of-old").hexdigest()
    result = create(username=corner.username("old"), password_digest=digest, password_algorithm="SHA256")
    path = f"/users/{result['id']}/password/verify"
    assert corner.hook.request("POST", path, body={"password": "secret-of-old"}) is None


def test_update_changes_only_what_differs_and_then_nothing(corner: Corner) -> None:
    fields: dict[str, Any] = {
        "username": corner.username("kai"),
        "primary_phone": "+61 0412 345 679",
        "name": "Kai",
        "custom_data": {"team": "a", "level": 1},
        "profile": {"givenName": "Kai", "address": {"country": "JP", "locality": "Kyoto"}},
    }
    created = create(**fields)
    corner.hook.request("PATCH", f"/users/{created['id']}/custom-data", body={"customData": {"kept": True}})
    changes = {"name": "", "custom_data": {"team": "b"}, "profile": {"address": {"locality": "Nara"}}}
    updated = create(**{**fields, **changes}, if_exists="update")
    assert (updated["outcome"], updated["changed"]) == ("updated", ["custom_data", "profile"])
    user = corner.hook.request("GET", f"/users/{created['id']}")
    assert user["name"] == "Kai"
    assert user["customData"] == {"team": "b", "level": 1, "kept": True}
    assert user["profile"] == {"givenName": "Kai", "address": {"country": "JP", "locality": "Nara"}}
    again = create(**{**fields, **changes}, if_exists="update")
    assert (again["outcome"], again["changed"]) == ("unchanged", [])


def test_skip_leaves_alone_and_fail_fails(corner: Corner) -> None:
    first = create(username=corner.username("noa"), name="Noa")
    skipped = create(username=corner.username("noa"), name="Another", if_exists="skip")
    assert (skipped["id"], skipped["outcome"]) == (first["id"], "unchanged")
    with pytest.raises(AlreadyExists, match="username already"):
        create(username=corner.username("noa"), name="Another")
    assert corner.hook.request("GET", f"/users/{first['id']}")["name"] == "Noa"


def test_two_identifiers_of_two_people_are_refused(corner: Corner) -> None:
    create(username=corner.username("a"))
    create(primary_email=corner.email("b"))
    with pytest.raises(Ambiguous, match=r"username is that of the user .*, but primary_email of the user"):
        create(username=corner.username("a"), primary_email=corner.email("b"), if_exists="update")


def test_usernames_that_differ_in_case_or_look_like_patterns_are_different_people(corner: Corner) -> None:
    names = [corner.username("x_y"), corner.username("xay"), corner.username("X_Y")]
    ids = {create(username=name)["id"] for name in names}
    assert len(ids) == 3


def test_the_sensor_sees_every_condition(corner: Corner) -> None:
    def holds(condition: str, **more: Any) -> bool:
        return UserSensor(task_id="wait", user=corner.email("s"), condition=condition, **more).poke({})  # type: ignore[arg-type]

    assert holds("absent")
    assert not holds("exists")
    assert not holds("not_suspended")
    user = create(primary_email=corner.email("S"))
    assert holds("exists")
    assert not holds("absent")
    assert holds("not_suspended")
    assert not holds("signed_in")
    assert not holds("signed_in", since="2026-01-01T00:00:00+00:00")
    corner.hook.request("PATCH", f"/users/{user['id']}/is-suspended", body={"isSuspended": True})
    assert holds("suspended")
    assert not holds("not_suspended")


def test_a_reference_that_means_two_people_is_refused(corner: Corner) -> None:
    someone = create(username=corner.username("one"))
    while not someone["id"][0].isalpha():  # a username does not start with a digit
        someone = create(username=corner.username(f"one{someone['id']}"))
    # An end user may choose another person's id as a username.
    other = corner.hook.request("POST", "/users", body={"username": someone["id"]})
    try:
        with pytest.raises(Ambiguous, match="more than one user"):
            corner.hook.run(check_user, someone["id"], "exists")
        assert UserSensor(task_id="wait", user={"username": someone["id"]}).poke({})
    finally:
        corner.hook.request("DELETE", f"/users/{other['id']}")
