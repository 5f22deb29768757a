"""Changing a person: what is sent, what stays, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_logto.exceptions import Ambiguous, Conflict, Forbidden, InvalidInput
from airflow_provider_logto.management.marks import IMPORT_KEY, KEY, OWN_KEYS, SUSPENDED_AT
from airflow_provider_logto.management.user_changes import UserChanges, change_user, deep_merged
from airflow_provider_logto.management.user_fields import UserSpec
from logto_sandbox import Sandbox
from tests.clients import Run

MARK = {KEY: {"roster": "hr"}, SUSPENDED_AT: "2026-01-31T12:00:00Z", IMPORT_KEY: {"key": "username:mika"}}
MIKA = {
    "username": "mika",
    "primaryEmail": "mika@example.com",
    "name": "Mika",
    "avatar": "https://example.com/a.png",
    "customData": {"a": {"b": 1, "c": 2}, "d": 3, **MARK},
    "profile": {"nickname": "m", "address": {"country": "JP", "locality": "Kyoto"}},
}


@pytest.fixture
def mika(sandbox: Sandbox) -> str:
    sandbox.seed({"users": [MIKA, {"username": "other", "primaryEmail": "other@example.com"}]})
    sandbox.reset_stats()
    return str(sandbox.state()["users"][0]["id"])


def change(run: Run, user: Any, clear: Any = (), modes: tuple[str, str] = ("merge", "merge"), **fields: Any) -> Any:
    spec = UserSpec.checked(identified=False, **fields)
    return run(change_user, user, UserChanges.checked(spec, *modes, clear))


def stored(sandbox: Sandbox) -> dict[str, Any]:
    found: dict[str, Any] = sandbox.state()["users"][0]
    return found


def test_fields_are_changed_and_the_rest_stays(run: Run, sandbox: Sandbox, mika: str) -> None:
    result = change(run, {"username": "mika"}, name="Mika Ito", primary_email="New@Example.com", username="")
    assert result == {
        "id": mika,
        "outcome": "updated",
        "changed": ["primary_email", "name"],
        "username": "mika",
        "primaryEmail": "new@example.com",
        "primaryPhone": None,
    }
    assert stored(sandbox)["avatar"] == MIKA["avatar"]
    assert sandbox.stats()["writes"] == 1


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"name": "Mika", "primary_email": "MIKA@example.com", "avatar": "", "primary_phone": None},
        {"custom_data": {"a": {"b": 1, "c": 2}}, "profile": {"address": {"country": "JP"}}},
    ],
)
def test_nothing_is_sent_where_nothing_differs(run: Run, sandbox: Sandbox, mika: str, fields: Any) -> None:
    result = change(run, mika, **fields)
    assert (result["outcome"], result["changed"]) == ("unchanged", [])
    assert sandbox.stats()["writes"] == 0


@pytest.mark.parametrize(
    ("mode", "given", "expected"),
    [
        ("merge", {"a": {"b": 9}}, {"a": {"b": 9}, "d": 3}),
        ("deep_merge", {"a": {"b": 9}, "e": [1]}, {"a": {"b": 9, "c": 2}, "d": 3, "e": [1]}),
        ("replace", {"e": 5}, {"e": 5}),
    ],
)
def test_custom_data(run: Run, sandbox: Sandbox, mika: str, mode: str, given: Any, expected: Any) -> None:
    assert change(run, mika, modes=(mode, "merge"), custom_data=given)["changed"] == ["custom_data"]
    # The package's own keys stay, whatever is replaced.
    assert stored(sandbox)["customData"] == {**expected, **MARK}
    assert change(run, mika, modes=(mode, "merge"), custom_data=given)["outcome"] == "unchanged"


def test_merging_leaves_what_somebody_else_writes_meanwhile(run: Run, sandbox: Sandbox, mika: str) -> None:
    change(run, mika, custom_data={"d": 4, "a": {"b": 1, "c": 2}})
    (request,) = [one for one in sandbox.requests() if one["method"] == "PATCH"]
    assert request["path"].endswith("/custom-data")


@pytest.mark.parametrize(
    ("mode", "given", "expected"),
    [
        (
            "merge",
            {"address": {"locality": "Nara"}},
            {"nickname": "m", "address": {"country": "JP", "locality": "Nara"}},
        ),
        (
            "deep_merge",
            {"address": {"locality": "Nara"}},
            {"nickname": "m", "address": {"country": "JP", "locality": "Nara"}},
        ),
        ("replace", {"givenName": "Mika"}, {"givenName": "Mika"}),
    ],
)
def test_profile(run: Run, sandbox: Sandbox, mika: str, mode: str, given: Any, expected: Any) -> None:
    assert change(run, mika, modes=("merge", mode), profile=given)["changed"] == ["profile"]
    assert stored(sandbox)["profile"] == expected


def test_clearing_is_said_explicitly(run: Run, sandbox: Sandbox, mika: str) -> None:
    names = ["avatar", "name", "primary_email", "custom_data.d", "custom_data.absent", "profile.nickname"]
    result = change(run, mika, names)
    assert result["changed"] == ["primary_email", "name", "avatar", "custom_data", "profile"]
    user = stored(sandbox)
    assert (user["avatar"], user["name"], user["primaryEmail"], user["username"]) == (None, None, None, "mika")
    assert user["customData"] == {"a": {"b": 1, "c": 2}, **MARK}
    assert user["profile"] == {"address": {"country": "JP", "locality": "Kyoto"}}
    assert sandbox.stats()["writes"] == 1
    change(run, mika, ["custom_data", "profile"])
    assert (stored(sandbox)["customData"], stored(sandbox)["profile"]) == (MARK, {})
    assert change(run, mika, [*names, "custom_data", "profile"])["outcome"] == "unchanged"


def test_somebody_must_stay_findable(run: Run, sandbox: Sandbox, mika: str) -> None:
    with pytest.raises(InvalidInput, match="without username, e-mail and phone"):
        change(run, mika, ["username", "primary_email"])
    change(run, mika, ["username", "primary_email"], primary_phone="+819012345678")
    assert stored(sandbox)["primaryPhone"] == "819012345678"


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"modes": ("append", "merge")}, "custom_data_mode"),
        ({"modes": ("merge", None)}, "profile_mode"),
        ({"clear": ["shoe_size"]}, r"clear_fields\[0\]"),
        ({"clear": ["name.first"]}, r"clear_fields\[0\]"),
        ({"clear": ["name", "custom_data."]}, r"clear_fields\[1\]"),
        ({"clear": [5]}, r"clear_fields\[0\]"),
        ({"clear": ["profile.nickName"]}, r"clear_fields\[0\]: 'nickName' is not a claim .* nickname"),
        ({"clear": ["profile.address.country"]}, r"clear_fields\[0\]"),
        ({"clear": ["name"], "name": "x"}, r"clear_fields\[0\]"),
        ({"clear": ["custom_data.a"], "custom_data": {"a": 1}}, r"clear_fields\[0\]"),
        *(({"custom_data": {key: "x"}}, f"custom_data: the key {key}") for key in OWN_KEYS),
        *(({"clear": [f"custom_data.{key}"]}, f"clear_fields: the key {key}") for key in OWN_KEYS),
        ({"username": "a b"}, "username"),
    ],
)
def test_bad_input_is_refused_before_any_request(
    run: Run, sandbox: Sandbox, mika: str, arguments: Any, field: str
) -> None:
    with pytest.raises(InvalidInput, match=f"^{field}"):
        change(run, mika, **arguments)
    assert sandbox.stats()["requests"] == 0


def test_a_retry_finds_the_person_by_the_address_that_was_to_change(run: Run, sandbox: Sandbox, mika: str) -> None:
    fields = {"primary_email": "new@example.com", "custom_data": {"d": 4}, "profile": {"nickname": "mi"}}
    sandbox.add_fault(kind="error", status=403, method="PATCH", path="/api/users/{id}/profile")
    with pytest.raises(Forbidden):
        change(run, "mika@example.com", **fields)
    assert change(run, "mika@example.com", **fields)["changed"] == ["primary_email", "profile"]
    user = stored(sandbox)
    assert (user["primaryEmail"], user["customData"]["d"], user["profile"]["nickname"]) == ("new@example.com", 4, "mi")


def test_true_is_not_one(run: Run, sandbox: Sandbox, mika: str) -> None:
    change(run, mika, custom_data={"d": 1, "a": {"b": True, "c": 2}})
    assert change(run, mika, custom_data={"d": True})["changed"] == ["custom_data"]
    assert stored(sandbox)["customData"] == {"d": True, "a": {"b": True, "c": 2}, **MARK}


def test_the_identifiers_are_returned_as_they_are_stored(run: Run, sandbox: Sandbox, mika: str) -> None:
    result = change(run, mika, primary_phone="+8109012345678")
    assert result["primaryPhone"] == stored(sandbox)["primaryPhone"] == "819012345678"


def test_nobody_and_somebody_elses_address(run: Run, sandbox: Sandbox, mika: str) -> None:
    with pytest.raises(InvalidInput, match=r"^user: no user nobody"):
        change(run, "nobody", name="x")
    with pytest.raises(Conflict, match="email_already_in_use"):
        change(run, mika, primary_email="other@example.com", name="x")
    assert stored(sandbox)["name"] == "Mika"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("username", "other"),
        ("primary_email", "Other@example.com"),
        ("primary_phone", "+81 90 1234 5678"),
    ],
)
def test_an_identifier_of_somebody_else_leaves_no_half_done(
    run: Run, sandbox: Sandbox, mika: str, field: str, value: str
) -> None:
    other = sandbox.state()["users"][1]["id"]
    change(run, other, primary_phone="+819012345678")
    sandbox.reset_stats()
    with pytest.raises(Ambiguous, match=f"the {field} is that of another user, {other}"):
        change(run, "mika", custom_data={"d": 4}, profile={"nickname": "mi"}, **{field: value})
    assert sandbox.stats()["writes"] == 0


JSON = st.recursive(
    st.integers(-5, 5) | st.text(alphabet="xyz", max_size=3) | st.booleans(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=6,
)
OBJECTS = st.dictionaries(st.sampled_from("abcd"), JSON, max_size=4)


@given(OBJECTS, OBJECTS)
def test_a_deep_merge_holds_what_was_given_and_keeps_the_rest(current: dict[str, Any], given_: dict[str, Any]) -> None:
    merged = deep_merged(current, given_)
    assert set(merged) == set(current) | set(given_)
    assert deep_merged(merged, given_) == merged
    for key in set(current) - set(given_):
        assert merged[key] == current[key]


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    current=OBJECTS,
    wanted=OBJECTS,
    mode=st.sampled_from(["merge", "deep_merge", "replace"]),
    clear=st.sets(st.sampled_from("abcd")),
)
def test_the_server_ends_with_what_was_computed(
    run: Run, sandbox: Sandbox, current: Any, wanted: Any, mode: str, clear: set[str]
) -> None:
    sandbox.reset()
    sandbox.seed({"users": [{"username": "mika", "customData": {**current, **MARK}}]})
    names = [f"custom_data.{key}" for key in sorted(clear - set(wanted))]
    expected: dict[str, Any] = {
        "merge": {**current, **wanted},
        "deep_merge": deep_merged(current, wanted),
        "replace": wanted or current,  # an empty object is no value: clearing is said with clear_fields
    }[mode]
    expected = {key: value for key, value in expected.items() if key not in clear - set(wanted)}
    change(run, {"username": "mika"}, names, (mode, "merge"), custom_data=wanted)
    assert stored(sandbox)["customData"] == {**expected, **MARK}
    assert change(run, {"username": "mika"}, names, (mode, "merge"), custom_data=wanted)["outcome"] == "unchanged"
