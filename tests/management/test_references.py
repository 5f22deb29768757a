"""References to users, word for word: what each key means, what is shown of them, which errors they make."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_logto.exceptions import Ambiguous, InvalidInput
from airflow_provider_logto.management.invitation_spec import InvitationReference
from airflow_provider_logto.management.members import MemberChanges, MemberSpec, resolve_members
from airflow_provider_logto.management.organization_references import OrganizationReference
from airflow_provider_logto.management.references import Reference, find_user, nobody, resolve_users
from airflow_provider_logto.management.roles import assign_roles
from logto_sandbox import Sandbox
from tests.clients import Run

NUMBERS = ("14155552672", "104155552672")


@pytest.mark.parametrize(
    ("reference", "field", "values"),
    [
        ({"id": "a1"}, "id", ("a1",)),
        ({"id": 42}, "id", ("42",)),
        ({"username": "Mika"}, "username", ("Mika",)),
        ({"primary_email": "Mika@Example.com"}, "primaryEmail", ("mika@example.com",)),
        ({"primaryEmail": "mika@example.com"}, "primaryEmail", ("mika@example.com",)),
        ({"email": "mika@example.com"}, "primaryEmail", ("mika@example.com",)),
        ({"primary_phone": "+1 415 555 2672"}, "primaryPhone", NUMBERS),
        ({"primaryPhone": "14155552672"}, "primaryPhone", NUMBERS),
        ({"phone": "+14155552672"}, "primaryPhone", NUMBERS),
        ({"phone": "+7 8 916 123 45 67"}, "primaryPhone", ("79161234567", "709161234567")),
        ({"phone": "+39 0331 123456"}, "primaryPhone", ("390331123456",)),
        # As a Logto before 1.28 may show it.
        ({"primaryPhone": "789161234567"}, "primaryPhone", ("789161234567", "79161234567", "709161234567")),
    ],
)
def test_every_key_of_a_reference(reference: dict[str, Any], field: str, values: tuple[str, ...]) -> None:
    assert Reference.parse(reference).wanted == {field: values}


@pytest.mark.parametrize("key", ["outcome", "changed"])
def test_the_rest_of_a_result_is_no_part_of_a_reference(key: str) -> None:
    assert Reference.parse({"username": "mika", key: "x"}).wanted == {"username": ("mika",)}


def test_a_bare_text_may_be_each_of_the_four() -> None:
    assert Reference.parse("mika").wanted == {"username": ("mika",), "id": ("mika",)}
    assert Reference.parse("M@b.co").wanted == {"username": ("M@b.co",), "primaryEmail": ("m@b.co",)}
    assert Reference.parse("x" * 22).wanted == {"username": ("x" * 22,)}
    text = "+1 (415) 555-26.72"
    assert Reference.parse(text).wanted == {"username": (text,), "primaryPhone": NUMBERS}


def test_a_mapping_means_who_has_all_of_it() -> None:
    both = Reference.parse({"username": "mika", "email": "Mika@b.co"})
    assert both.given == "username=mika, primaryEmail=mika@b.co"
    assert both.matches({"username": "mika", "primaryEmail": "MIKA@b.co"})
    assert not both.matches({"username": "mika", "primaryEmail": None})
    assert not both.matches({"username": "Mika", "primaryEmail": "mika@b.co"})


@pytest.mark.parametrize(
    ("value", "field"),
    [
        (5, "user"),
        (None, "user"),
        ("", "user"),
        ({}, "user"),
        ({"id": ""}, "user"),
        ({"id": True}, "user.id"),
        ({"usrname": "mika"}, "user.usrname"),
        ({"phone": "++14155552672"}, "user.primaryPhone"),
    ],
)
def test_a_wrong_reference_is_named(value: Any, field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        Reference.parse(value)
    assert caught.value.field == field


@pytest.mark.parametrize(
    "value", [{"id": "abc123def456", "outcome": "created", "changed": []}, [{"id": "abc123def456"}], ["mika"]]
)
@pytest.mark.parametrize("parse", [Reference.parse, OrganizationReference.parse, InvitationReference.parse])
@pytest.mark.parametrize("rendered", [str, json.dumps, lambda value: f" {value}\n"])
def test_a_text_that_a_template_made_of_an_object_means_nobody_and_is_refused(
    value: Any, parse: Any, rendered: Any
) -> None:
    with pytest.raises(InvalidInput, match=r"must be a reference, not str; .*render_template_as_native_obj=True"):
        parse(rendered(value))


@pytest.mark.parametrize("parse", [Reference.parse, OrganizationReference.parse, InvitationReference.parse])
def test_a_text_that_a_template_made_of_nothing_is_refused(parse: Any) -> None:
    with pytest.raises(InvalidInput, match="'None' is not a value; a template wrote it"):
        parse("None")


def test_an_organization_may_have_braces_in_its_name() -> None:
    for name in ("{Acme}", "[Acme]", "{'Acme'} Ltd", "{", "{}"):
        assert OrganizationReference.parse(name).value == name
    assert OrganizationReference.parse({"name": "{'Acme'}"}).value == "{'Acme'}"


def test_twenty_more_are_named_and_the_rest_are_counted() -> None:
    everybody = [Reference.parse(f"p{at}", f"users[{at}]") for at in range(22)]
    error = nobody(everybody)
    assert error.field == "users[0]"
    assert "none for users[20] (p20) and 1 more;" in str(error)
    assert "p21" not in str(error)
    assert "more" not in str(nobody(everybody[:21]))


def test_who_is_meant_by_two_ways_is_never_chosen(run: Run, sandbox: Sandbox) -> None:
    sandbox.seed({"users": [{"username": f"p{at}"} for at in range(30)]})
    # A username never begins with a digit.
    person = next(user for user in sandbox.state()["users"] if user["id"][0].isalpha())
    sandbox.seed({"users": [{"username": person["id"]}]})
    other = next(user for user in sandbox.state()["users"] if user["username"] == person["id"])
    assert run(find_user, {"username": person["username"]})["id"] == person["id"]
    assert run(find_user, {"username": "nobody"}) is None
    both = ", ".join(sorted((person["id"], other["id"])))
    with pytest.raises(Ambiguous, match=rf"user: {person['id']} means more than one user \({both}\)"):
        run(find_user, person["id"])


def test_somebody_missing_fails_unless_they_are_to_be_skipped(run: Run, sandbox: Sandbox) -> None:
    sandbox.seed({"users": [{"username": "mika"}]})
    with pytest.raises(InvalidInput, match="nobody1"):
        run(resolve_users, ["mika", "nobody1"])
    users, missing = run(resolve_users, ["mika", "nobody1", "mika"], on_missing="skip")
    assert ([user["username"] for user in users], missing) == (["mika"], ["nobody1"])


def test_an_unknown_choice_is_refused_before_any_request(run: Run, sandbox: Sandbox) -> None:
    asked = sandbox.stats()["requests"]
    for call in (
        lambda client: resolve_users(client, ["mika"], on_missing="ignore"),  # type: ignore[arg-type]
        lambda client: assign_roles(client, ["mika"], ["employee"], "remove", "ignore"),  # type: ignore[arg-type]
        lambda client: resolve_members(client, [], "ignore"),  # type: ignore[arg-type]
    ):
        with pytest.raises(InvalidInput) as caught:
            run(call)
        assert caught.value.field == "on_missing"
    assert sandbox.stats()["requests"] == asked


def test_no_change_of_members_counts_nothing() -> None:
    nothing = MemberChanges()
    assert not nothing
    assert nothing.counts() == dict.fromkeys(("added", "removed", "unchanged", "roles_added", "roles_removed"), 0)
    some = MemberChanges(("a", "b"), ("c",), 4, {"r": ("a",), "s": ("a", "b")}, (("d", "r"), ("e", "r"), ("f", "r")))
    assert some.counts() == {"added": 2, "removed": 1, "unchanged": 4, "roles_added": 3, "roles_removed": 3}
    assert some.losing == {"c", "d", "e", "f"}


def test_one_person_named_twice_has_the_roles_of_both(run: Run, sandbox: Sandbox) -> None:
    sandbox.seed({"users": [{"username": "mika"}]})

    async def resolve(client: Any) -> Any:
        names = [role["name"] for role in await client.collect("/organization-roles")][:2]
        mika = Reference.parse("mika")
        members = [MemberSpec(mika, (names[0],)), MemberSpec(mika, (names[1],)), MemberSpec(mika)]
        return len(set(names)), (await resolve_members(client, members)).roles

    count, roles = run(resolve)
    assert [len(ids) for ids in roles.values()] == [count] == [2]
