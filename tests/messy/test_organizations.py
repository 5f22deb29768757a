"""Messy data about organizations and their members: nobody loses more than was meant, and no duplicate stays."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from airflow_provider_logto.exceptions import InvalidInput
from airflow_provider_logto.management.members import checked_members
from airflow_provider_logto.management.organization_spec import OrganizationSpec
from airflow_provider_logto.management.organizations import ensure_organization
from airflow_provider_logto.operators.organizations import ProvisionOrganizationOperator
from tests.clients import Run
from tests.conftest import Tenant, execute
from tests.real.conftest import Corner


def provision(**arguments: Any) -> dict[str, Any]:
    result: dict[str, Any] = execute(ProvisionOrganizationOperator(task_id="provision", **arguments))
    return result


def members(corner: Corner, organization_id: str) -> dict[str, set[str]]:
    rows = corner.hook.iterate(f"/organizations/{organization_id}/users")
    return {row["username"]: {role["name"] for role in row["organizationRoles"]} for row in rows}


def test_pruning_leaves_alone_the_roles_of_which_nothing_is_said(corner: Corner) -> None:
    people = [person["username"] for person in corner.people(4)]
    employee, engineer = corner.organization_roles["employee"], corner.organization_roles["engineer"]
    first = provision(name=corner.word, members=people, member_roles=[employee, engineer])
    pruned = provision(name=corner.word, members=people[:3], prune_members=True)
    assert pruned["outcome"] == "updated"
    assert pruned["members"] == {"added": 0, "removed": 1, "unchanged": 3, "roles_added": 0, "roles_removed": 0}
    assert members(corner, first["id"]) == {name: {employee, engineer} for name in people[:3]}
    # An empty list says: none. What is said of one says nothing of the others.
    listed = [{"user": people[0], "roles": []}, {"user": people[1], "roles": [employee]}, people[2]]
    exact = provision(name=corner.word, members=listed, prune_members=True)
    assert (exact["outcome"], exact["members"]["roles_removed"]) == ("updated", 3)
    assert members(corner, first["id"]) == {people[0]: set(), people[1]: {employee}, people[2]: {employee, engineer}}
    again = provision(name=corner.word, members=listed, prune_members=True)
    assert again["outcome"] == "unchanged"


def test_what_one_run_takes_away_is_bounded(corner: Corner) -> None:
    people = [person["username"] for person in corner.people(4)]
    employee = corner.organization_roles["employee"]
    first = provision(name=corner.word, members=people, member_roles=[employee], description="before")
    wanted: dict[str, Any] = {
        "name": corner.word,
        "description": "after",
        "members": [people[0], {"user": people[1], "roles": []}],
        "prune_members": True,
    }
    with pytest.raises(InvalidInput, match="from 3 people; max_member_removals allows 2"):
        provision(**wanted, max_member_removals=2)
    # Before the first write.
    assert corner.hook.request("GET", f"/organizations/{first['id']}")["description"] == "before"
    assert len(members(corner, first["id"])) == 4
    assert provision(**wanted, max_member_removals=3)["members"]["removed"] == 2
    assert provision(**wanted, max_member_removals=0)["outcome"] == "unchanged"
    assert members(corner, first["id"]) == {people[0]: {employee}, people[1]: set()}
    for wrong in (-1, True, "3"):
        with pytest.raises(InvalidInput, match="max_member_removals"):
            provision(**wanted, max_member_removals=wrong)


def test_a_new_domain_or_member_is_an_update(corner: Corner) -> None:
    (person,) = corner.people(1)
    provision(name=corner.word)
    domain = f"{corner.word}.example"
    added = provision(name=corner.word, jit_email_domains=[domain])
    assert added["outcome"] == "updated"
    path = f"/organizations/{added['id']}/jit/email-domains"
    assert [row["emailDomain"] for row in corner.hook.iterate(path)] == [domain]
    assert provision(name=corner.word, jit_email_domains=[domain])["outcome"] == "unchanged"
    assert provision(name=corner.word, members=[person["username"]])["outcome"] == "updated"


def test_members_who_do_not_exist_are_all_named_or_skipped(corner: Corner) -> None:
    (person,) = corner.people(1)
    wanted = [person["username"], "nobody_a", corner.email("nobody_b"), {"user": "nobody_c", "roles": []}]
    with pytest.raises(InvalidInput) as caught:
        provision(name=corner.word, members=wanted)
    for part in ("members[1]", "nobody_a", "members[2]", corner.email("nobody_b"), "members[3]", "nobody_c"):
        assert part in str(caught.value)
    assert not list(corner.hook.iterate("/organizations", {"q": corner.word}))
    done = provision(name=corner.word, members=wanted, on_missing="skip")
    assert done["members"]["added"] == 1
    assert done["missing"] == ["nobody_a", corner.email("nobody_b"), "nobody_c"]


def test_pruning_by_people_who_do_not_exist_removes_nobody(corner: Corner) -> None:
    (person,) = corner.people(1)
    first = provision(name=corner.word, members=[person["username"]])
    with pytest.raises(InvalidInput, match="would remove everybody"):
        provision(name=corner.word, members=["nobody_a"], prune_members=True, on_missing="skip")
    assert len(members(corner, first["id"])) == 1


@pytest.mark.parametrize("external_id", [None, "c-1"])
def test_tasks_at_once_make_one_organization(corner: Corner, external_id: str | None) -> None:
    """Four tasks look, find nothing, and create at the same moment."""
    spec = OrganizationSpec.checked(corner.word, external_id=external_id and f"{corner.word}-{external_id}")

    async def at_once(client: Any) -> list[dict[str, Any]]:
        return await asyncio.gather(*(ensure_organization(client, spec) for _ in range(4)))

    results = corner.hook.run(at_once)
    (organization,) = list(corner.hook.iterate("/organizations", {"q": corner.word}))
    assert {result["id"] for result in results} == {organization["id"]}
    assert [result["outcome"] for result in results].count("created") == 1
    assert provision(name=spec.name, external_id=spec.external_id)["outcome"] == "unchanged"


@pytest.mark.parametrize(
    "domain",
    [
        "a.com,b.com",
        "a.com b.com",
        "*.a.com",
        "https://a.com",
        "a.com/x",
        "me@a.com",
        "a.com.",
        "nan",
        "a..com",
        ".com",
    ],
)
def test_what_is_no_domain_is_refused(sandbox_tenant: Tenant, domain: str) -> None:
    assert sandbox_tenant.sandbox is not None
    with pytest.raises(InvalidInput) as caught:
        provision(name="Acme", jit_email_domains=["ok.example", domain])
    assert caught.value.field == "jit_email_domains[1]"
    assert sandbox_tenant.sandbox.stats()["requests"] == 0


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"name": "  "}, "name"),
        ({"name": "🎉" * 65}, "name"),
        ({"name": "x", "description": "🎉" * 129}, "description"),
        ({"name": "x", "external_id": "nan"}, "external_id"),
        ({"name": "x", "external_id": "c\u200b1"}, "external_id"),
        ({"name": "x", "custom_data": {"n": [2**60]}}, "custom_data.n[0]"),
        ({"name": "x", "members": ["None"]}, "members[0]"),
        ({"name": "x", "members": [{"user": None}]}, "members[0]"),
        ({"name": "x", "on_missing": "ignore", "members": []}, "on_missing"),
    ],
)
def test_what_is_no_value_is_refused_before_any_request(
    sandbox_tenant: Tenant, arguments: dict[str, Any], field: str
) -> None:
    assert sandbox_tenant.sandbox is not None
    with pytest.raises(InvalidInput) as caught:
        provision(**arguments)
    assert caught.value.field == field
    assert sandbox_tenant.sandbox.stats()["requests"] == 0


def test_blanks_around_names_and_external_ids_do_not_make_another_organization(corner: Corner) -> None:
    first = provision(name=corner.word, external_id=f"{corner.word}-1")
    again = provision(name=f" {corner.word}\u3000", external_id=f" {corner.word}-1 ")
    assert (again["id"], again["outcome"]) == (first["id"], "unchanged")


def test_custom_data_is_compared_as_json(corner: Corner) -> None:
    data: dict[str, Any] = {"codes": ("a", "b"), "rate": 2.0, "at": {"x": [True, None]}}
    provision(name=corner.word, custom_data=data)
    assert provision(name=corner.word, custom_data=data)["outcome"] == "unchanged"
    assert provision(name=corner.word, custom_data={"at": {"x": [1, None]}})["outcome"] == "updated"


def test_removals_run_at_once(run: Run, sandbox_tenant: Tenant) -> None:
    """As many as the client has connections; one after the other they would take 8 s."""
    sandbox = sandbox_tenant.sandbox
    assert sandbox is not None
    names = [f"p{at:03}" for at in range(81)]
    sandbox.seed({"users": [{"username": name} for name in names]})
    spec = OrganizationSpec.checked("Acme")
    run(ensure_organization, spec, checked_members(names))
    sandbox.reset_stats()
    sandbox.add_fault(kind="slow", seconds=0.1, method="DELETE", times=None)
    begun = time.monotonic()
    report = run(ensure_organization, spec, checked_members(names[:1]), prune_members=True)
    assert report["members"]["removed"] == 80
    assert sandbox.stats()["writes"] == 80
    assert time.monotonic() - begun < 4


def test_whoever_is_protected_stays(corner: Corner) -> None:
    people = [person["username"] for person in corner.people(3)]
    first = provision(name=corner.word, members=people)
    with pytest.raises(InvalidInput, match=r"^members: .* is protected by username"):
        provision(name=corner.word, members=people[:1], prune_members=True, protect=[people[2]])
    assert len(members(corner, first["id"])) == 3
    pruned = provision(name=corner.word, members=people[:1], prune_members=True, protect=[people[0]])
    assert pruned["members"]["removed"] == 2
