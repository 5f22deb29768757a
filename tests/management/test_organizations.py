"""ensure_organization: no duplicates, whatever gets lost."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from airflow_provider_logto.exceptions import Ambiguous, IncompleteList, InvalidInput
from airflow_provider_logto.management.members import checked_members
from airflow_provider_logto.management.organization_details import Details
from airflow_provider_logto.management.organization_spec import OrganizationSpec
from airflow_provider_logto.management.organizations import ensure_organization
from logto_sandbox import Sandbox
from tests.clients import Run

SPEC = OrganizationSpec.checked("Acme", external_id="c-1")


@pytest.mark.parametrize("spec", [SPEC, OrganizationSpec.checked("Acme")])
@pytest.mark.parametrize("kind", ["lost_answer", "reset", "error"])
def test_a_lost_answer_makes_no_duplicate(run: Run, sandbox: Sandbox, spec: OrganizationSpec, kind: str) -> None:
    more: dict[str, Any] = {"status": 500} if kind == "error" else {}
    if kind == "reset":
        more["after_commit"] = True
    sandbox.add_fault(kind=kind, method="POST", path="/api/organizations", **more)
    assert run(ensure_organization, spec)["outcome"] == "created"
    assert len(sandbox.state()["organizations"]) == 1


@pytest.mark.parametrize("spec", [SPEC, OrganizationSpec.checked("Acme")])
def test_tasks_at_once_end_with_one_organization(run: Run, sandbox: Sandbox, spec: OrganizationSpec) -> None:
    async def at_once(client: Any) -> list[Any]:
        slow = {"kind": "slow", "seconds": 0.3, "before_commit": True, "times": 4}
        sandbox.add_fault(**slow, method="POST", path="/api/organizations")
        return await asyncio.gather(*(ensure_organization(client, spec) for _ in range(4)))

    results = run(at_once)
    assert [one["id"] for one in sandbox.state()["organizations"]] == [results[0]["id"]]
    assert {result["id"] for result in results} == {results[0]["id"]}
    assert sorted(result["outcome"] for result in results) == ["created", "unchanged", "unchanged", "unchanged"]


def test_a_duplicate_that_is_used_already_is_not_deleted(run: Run, sandbox: Sandbox) -> None:
    """Somebody found it while it was the only one, and has put people into it."""
    sandbox.seed({"users": [{"username": "mika"}]})

    async def race(client: Any) -> Any:
        request = client.request

        async def meddling(method: str, path: str, query: Any = None, body: Any = None) -> Any:
            if (method, path) == ("POST", "/organizations"):
                await request(method, path, body=body)
                made = await request(method, path, body=body)
                user = sandbox.state()["users"][0]["id"]
                await request("POST", f"/organizations/{made['id']}/users", body={"userIds": [user]})
                return made
            return await request(method, path, query, body)

        client.request = meddling
        return await ensure_organization(client, SPEC)

    with pytest.raises(Ambiguous, match="has members already") as caught:
        run(race)
    ids = [one["id"] for one in sandbox.state()["organizations"]]
    assert len(ids) == 2
    assert all(one in str(caught.value) for one in ids)


def test_an_incomplete_list_creates_nothing(run: Run, sandbox: Sandbox) -> None:
    sandbox.seed({"organizations": [{"name": f"o{at}"} for at in range(3)]})
    sandbox.reset_stats()

    async def with_rows_missing(client: Any) -> Any:
        send = client.send

        async def fewer(method: str, path: str, query: Any = None, body: Any = None) -> Any:
            reply = await send(method, path, query, body)
            if path == "/organizations" and "q" not in (query or {}):
                reply.data[:1] = []
            return reply

        client.send = fewer
        return await ensure_organization(client, SPEC)

    with pytest.raises(IncompleteList, match="2 distinct items but the server counts 3"):
        run(with_rows_missing)
    assert sandbox.stats()["writes"] == 0


def test_a_renamed_organization_is_found_among_many(run: Run, sandbox: Sandbox) -> None:
    others = [{"name": f"o{at}"} for at in range(250)]
    sandbox.seed({"organizations": [*others, {"name": "Before", "customData": {"externalId": "c-1"}}]})
    result = run(ensure_organization, SPEC)
    assert result["outcome"] == "updated"
    assert len(sandbox.state()["organizations"]) == 251


def test_few_people_in_a_large_organization_do_not_walk_it(run: Run, sandbox: Sandbox) -> None:
    sandbox.seed({"users": [{"username": f"p{at:03}"} for at in range(301)]})
    everybody = checked_members([f"p{at:03}" for at in range(300)])
    run(ensure_organization, SPEC, everybody)
    sandbox.reset_stats()
    report = run(ensure_organization, SPEC, checked_members(["p300", {"user": "p001", "roles": ["admin"]}]))
    assert report["members"] == {"added": 1, "removed": 0, "unchanged": 1, "roles_added": 1, "roles_removed": 0}
    assert sandbox.stats()["routes"]["GET /api/organizations/{id}/users"] == 1  # the count
    sandbox.reset_stats()
    assert run(ensure_organization, SPEC, everybody)["members"]["added"] == 0
    assert sandbox.stats()["writes"] == 0


@pytest.mark.parametrize(
    ("members", "roles", "message"),
    [
        ([{"user": "a", "role": "x"}], None, r"members\[0\]\.role: is unknown"),
        ([{"user": "a", "roles": [""]}], None, r"members\[0\]\.roles"),
        ([{"user": ""}], None, r"members\[0\]"),
        (["a"], {"x": 1}, "member_roles"),
        (5, None, "members: must be a list"),
    ],
)
def test_wrong_members_are_refused_by_name(members: Any, roles: Any, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        checked_members(members, roles)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": ""}, "name: missing"),
        ({"name": "x" * 129}, "name: has 129"),
        ({"name": "x", "description": "d" * 257}, "description"),
        ({"name": "x", "custom_data": {"externalId": "1"}}, "external_id"),
    ],
)
def test_a_wrong_organization_is_refused_by_name(arguments: Any, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        OrganizationSpec.checked(**arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"branding": {"logo": "https://x.example"}}, r"branding\.logo: is unknown"),
        ({"branding": {"logoUrl": "logo.png"}}, r"branding\.logoUrl"),
        ({"color": {"primaryColor": "red"}}, r"color\.primaryColor"),
        ({"color": {"isDarkModeEnabled": "yes"}}, r"color\.isDarkModeEnabled"),
        ({"mfa_required": "yes"}, "mfa_required"),
        ({"former_external_id": "a"}, "former_external_id: only goes with external_id"),
        ({"clear_fields": ["name"]}, "clear_fields: 'name' cannot be cleared"),
        ({"clear_fields": ["description"], "description": "a"}, "clear_fields: description is given too"),
    ],
)
def test_wrong_settings_are_refused_by_name(arguments: Any, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        OrganizationSpec.checked("Acme", **arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"applications": [{"application": "a", "role": "b"}]}, r"applications\[0\]\.role: is unknown"),
        ({"applications": [5]}, r"applications\[0\]: must be a reference"),
        ({"prune_applications": True}, "applications: is empty"),
        ({"jit_roles": [], "exact_jit": True}, "jit_roles: is empty"),
        ({"jit_roles": [5]}, "jit_roles: must be a list"),
        ({"jit_email_domains": ["a@x.example"]}, r"jit_email_domains\[0\]"),
    ],
)
def test_wrong_details_are_refused_by_name(arguments: Any, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        Details.checked(**arguments)


@pytest.mark.parametrize("kind", ["lost_answer", "error"])
def test_a_lost_answer_of_a_domain(run: Run, sandbox: Sandbox, kind: str) -> None:
    more: dict[str, Any] = {"status": 500} if kind == "error" else {}
    sandbox.add_fault(kind=kind, method="POST", path="/api/organizations/{id}/jit/email-domains", **more)
    details = Details.checked(jit_email_domains=["x.example"])
    assert run(ensure_organization, SPEC, details=details)["jit_email_domains"]["added"] == 1
    assert run(ensure_organization, SPEC, details=details)["outcome"] == "unchanged"
    assert len(sandbox.state()["organizations"]) == 1


def test_who_joins_by_sso(run: Run, sandbox: Sandbox) -> None:
    connectors = [{"providerName": "OIDC", "connectorName": name, "domains": []} for name in ("Okta", "Entra")]
    sandbox.seed({"ssoConnectors": connectors})

    def ensure(exact: bool, *names: str) -> Any:
        return run(ensure_organization, SPEC, details=Details.checked(jit_sso_connectors=names, exact_jit=exact))

    assert ensure(False, "Okta")["jit_sso_connectors"] == {"added": 1, "removed": 0, "unchanged": 0}
    assert ensure(False, "Okta")["outcome"] == "unchanged"
    assert ensure(True, "Entra")["jit_sso_connectors"] == {"added": 1, "removed": 1, "unchanged": 0}
    organization_id = ensure(True, "Entra")["id"]
    (held,) = run(lambda client: client.collect(f"/organizations/{organization_id}/jit/sso-connectors"))
    assert held["connectorName"] == "Entra"
    with pytest.raises(InvalidInput, match=r"jit_sso_connectors\[1\]: there is no SSO connector 'Ping'"):
        ensure(False, "Okta", "Ping")
