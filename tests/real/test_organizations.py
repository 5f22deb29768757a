"""ProvisionOrganizationOperator on any Logto."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_logto.exceptions import AlreadyExists, Ambiguous, InvalidInput, Refused
from airflow_provider_logto.operators.organizations import DeleteOrganizationOperator, ProvisionOrganizationOperator
from tests.conftest import execute
from tests.real.conftest import Corner


def provision(**arguments: Any) -> dict[str, Any]:
    return execute(ProvisionOrganizationOperator(task_id="provision", **arguments))


def members(corner: Corner, organization_id: str) -> dict[str, set[str]]:
    rows = corner.hook.iterate(f"/organizations/{organization_id}/users")
    return {row["id"]: {role["name"] for role in row["organizationRoles"]} for row in rows}


def test_it_is_made_once_and_kept_as_it_should_be(corner: Corner) -> None:
    people = corner.people(3)
    employee, engineer = corner.organization_roles["employee"], corner.organization_roles["engineer"]
    wanted: dict[str, Any] = {
        "name": f"{corner.word} 50%_of \\ it",
        "external_id": f"{corner.word}-1",
        "description": "Customer",
        "custom_data": {"plan": "a"},
        "members": [people[0]["username"], {"user": people[1]["username"], "roles": [engineer]}],
        "member_roles": [employee],
        "jit_email_domains": [f"{corner.word}.Example"],
    }
    first = provision(**wanted)
    assert first["outcome"] == "created"
    assert first["members"] == {"added": 2, "removed": 0, "unchanged": 0, "roles_added": 3, "roles_removed": 0}
    assert first["jit_email_domains"] == {"added": 1, "removed": 0, "unchanged": 0}
    organization = corner.hook.request("GET", f"/organizations/{first['id']}")
    assert organization["customData"] == {"plan": "a", "externalId": f"{corner.word}-1"}
    assert members(corner, first["id"]) == {people[0]["id"]: {employee}, people[1]["id"]: {employee, engineer}}

    second = provision(**wanted)
    assert (second["id"], second["outcome"]) == (first["id"], "unchanged")
    assert second["members"] == {"added": 0, "removed": 0, "unchanged": 2, "roles_added": 0, "roles_removed": 0}

    renamed = provision(**{**wanted, "name": f"{corner.word} renamed", "custom_data": {"tier": 1}})
    assert (renamed["id"], renamed["outcome"]) == (first["id"], "updated")
    organization = corner.hook.request("GET", f"/organizations/{first['id']}")
    assert organization["customData"] == {"plan": "a", "tier": 1, "externalId": f"{corner.word}-1"}


def test_pruning_makes_members_and_roles_exact(corner: Corner) -> None:
    people = corner.people(3)
    employee, engineer = corner.organization_roles["employee"], corner.organization_roles["engineer"]
    everybody = [{"user": person["username"], "roles": [employee, engineer]} for person in people]
    first = provision(name=corner.word, members=everybody)
    kept = [{"user": people[0]["username"], "roles": [employee]}, {"user": people[1]["username"], "roles": [engineer]}]
    additive = provision(name=corner.word, members=kept)
    assert additive["members"]["unchanged"] == 2
    assert len(members(corner, first["id"])) == 3
    pruned = provision(name=corner.word, members=kept, prune_members=True)
    assert pruned["members"] == {"added": 0, "removed": 1, "unchanged": 2, "roles_added": 0, "roles_removed": 2}
    assert members(corner, first["id"]) == {people[0]["id"]: {employee}, people[1]["id"]: {engineer}}
    with pytest.raises(InvalidInput, match="members: is empty"):
        provision(name=corner.word, members=[], prune_members=True)


def test_a_namesake_is_never_taken_over_silently(corner: Corner) -> None:
    by_hand = corner.hook.request("POST", "/organizations", body={"name": corner.word})
    with pytest.raises(AlreadyExists, match="adopt_existing"):
        provision(name=corner.word, external_id="1")
    adopted = provision(name=corner.word, external_id="1", adopt_existing=True)
    assert (adopted["id"], adopted["outcome"]) == (by_hand["id"], "updated")
    another = provision(name=corner.word, external_id="2")
    assert another["outcome"] == "created"
    assert provision(name=corner.word, external_id="1")["id"] == by_hand["id"]
    with pytest.raises(Ambiguous, match="2 organizations have the name"):
        provision(name=corner.word)


def test_a_duplicate_is_reported_with_both_ids(corner: Corner) -> None:
    body = {"name": corner.word, "customData": {"externalId": "1"}}
    ids = [corner.hook.request("POST", "/organizations", body=body)["id"] for _ in range(2)]
    with pytest.raises(Ambiguous) as caught:
        provision(name=corner.word, external_id="1")
    assert all(one in str(caught.value) for one in ids)


def test_unknown_people_and_roles_are_refused_before_the_first_write(corner: Corner) -> None:
    (person,) = corner.people(1)
    body = {"name": f"{corner.word}-machine", "type": "MachineToMachine"}
    machine = corner.hook.request("POST", "/organization-roles", body=body)["name"]
    for arguments, message in (
        ({"members": ["nobody_at_all"]}, r"members\[0\]: no user"),
        ({"members": [{"user": person["username"], "roles": ["no such role"]}]}, "no organization role 'no such role'"),
        ({"members": [person["username"]], "member_roles": [machine]}, "machine-to-machine"),
        ({"jit_email_domains": ["a@example.com"]}, r"jit_email_domains\[0\]"),
    ):
        with pytest.raises(InvalidInput, match=message):
            provision(name=corner.word, **arguments)
    assert not list(corner.hook.iterate("/organizations", {"q": corner.word}))


def test_applications_and_just_in_time_rules(corner: Corner) -> None:
    word, hook = corner.word, corner.hook
    body = {"name": f"{word}-worker", "type": "MachineToMachine"}
    worker = hook.request("POST", "/organization-roles", body=body)["name"]
    machines = [
        hook.request("POST", "/applications", body={"name": f"{word} m{at}", "type": "MachineToMachine"})["id"]
        for at in range(2)
    ]
    try:
        employee, engineer = corner.organization_roles["employee"], corner.organization_roles["engineer"]
        wanted: dict[str, Any] = {
            "name": word,
            "applications": [{"application": machines[0], "roles": [worker]}, f"{word} m1"],
            "jit_email_domains": [f"{word}.example", f"{word}.test"],
            "jit_roles": [employee, engineer],
        }
        first = provision(**wanted)
        assert first["applications"]["added"] == 2
        assert first["applications"]["roles_added"] == 1
        assert provision(**wanted)["outcome"] == "unchanged"
        exact = provision(
            name=word,
            applications=[machines[0]],
            prune_applications=True,
            jit_email_domains=[f"{word}.test"],
            jit_roles=[engineer],
            exact_jit=True,
        )
        assert exact["outcome"] == "updated"
        assert exact["applications"] == {
            "added": 0,
            "removed": 1,
            "unchanged": 1,
            "roles_added": 0,
            "roles_removed": 1,
        }
        assert exact["jit_email_domains"] == {"added": 0, "removed": 1, "unchanged": 1}
        assert exact["jit_roles"] == {"added": 0, "removed": 1, "unchanged": 1}
        path = f"/organizations/{first['id']}"
        assert [one["id"] for one in hook.iterate(f"{path}/applications")] == machines[:1]
        assert [one["name"] for one in hook.iterate(f"{path}/jit/roles")] == [engineer]
        with pytest.raises(InvalidInput, match="is for members; applications hold"):
            provision(name=word, applications=[{"application": machines[0], "roles": [employee]}])
    finally:
        for machine in machines:
            hook.request("DELETE", f"/applications/{machine}")


def test_settings_are_merged_and_cleared(corner: Corner) -> None:
    wanted: dict[str, Any] = {
        "name": corner.word,
        "external_id": "old",
        "description": "Customer",
        "custom_data": {"plan": "a"},
        "branding": {"logoUrl": "https://x.example/logo.png"},
        "color": {"primaryColor": "#abc"},
        "custom_css": "a{}",
        "mfa_required": True,
    }
    first = provision(**wanted)
    assert provision(**wanted)["outcome"] == "unchanged"
    more = {"branding": {"favicon": "https://x.example/f.png"}, "color": {"isDarkModeEnabled": True}}
    assert provision(name=corner.word, external_id="new", former_external_id="old", **more)["id"] == first["id"]
    row = corner.hook.request("GET", f"/organizations/{first['id']}")
    assert row["customData"] == {"plan": "a", "externalId": "new"}
    assert set(row["branding"]) == {"logoUrl", "favicon"}
    assert row["color"] == {"primaryColor": "#abc", "isDarkModeEnabled": True}
    assert row["isMfaRequired"] is True
    clear = ["description", "custom_data", "branding", "color", "custom_css"]
    assert (
        provision(name=corner.word, external_id="new", clear_fields=clear, mfa_required=False)["outcome"] == "updated"
    )
    row = corner.hook.request("GET", f"/organizations/{first['id']}")
    assert row["customData"] == {"externalId": "new"}
    assert (row["description"], row["customCss"], row["branding"], row["color"]) == (None, None, {}, {})
    assert (
        provision(name=corner.word, external_id="new", clear_fields=clear, mfa_required=False)["outcome"] == "unchanged"
    )
    # The former id is of no use any more, and harms nothing.
    again = provision(name=corner.word, external_id="new", former_external_id="old")
    assert (again["id"], again["outcome"]) == (first["id"], "unchanged")


def test_deleting_one(corner: Corner) -> None:
    (person,) = corner.people(1)
    made = provision(name=corner.word, members=[person["username"]])

    def remove(**arguments: Any) -> dict[str, Any]:
        return execute(DeleteOrganizationOperator(task_id="delete", **{"organization": corner.word, **arguments}))

    with pytest.raises(Refused, match="has 1 members, more than 0"):
        remove(max_members=0)
    with pytest.raises(InvalidInput, match="confirm: deleting cannot be undone"):
        remove()
    with pytest.raises(InvalidInput, match=person["id"]):
        remove(confirm=True, protect=[person["username"]])
    assert remove(confirm=True, organization=made) == {"id": made["id"], "outcome": "deleted"}
    assert remove(confirm=True, if_absent="skip") == {"id": None, "outcome": "absent"}
    with pytest.raises(InvalidInput, match="there is no organization"):
        remove(confirm=True)
