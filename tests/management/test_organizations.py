"""ensure_organization: no duplicates, whatever gets lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_logto.exceptions import AlreadyExists, Ambiguous, IncompleteList, InvalidInput, UnreadableAnswer
from airflow_provider_logto.management import creating_once
from airflow_provider_logto.management.members import checked_members
from airflow_provider_logto.management.organization_details import Details
from airflow_provider_logto.management.organization_references import OrganizationReference
from airflow_provider_logto.management.organization_removal import delete_organization
from airflow_provider_logto.management.organization_spec import OrganizationSpec
from airflow_provider_logto.management.organizations import ensure_organization
from airflow_provider_logto.management.protection import Protection
from logto_sandbox import Sandbox
from tests.clients import Run

SPEC = OrganizationSpec.checked("Acme", external_id="c-1")


class Pauses(list[float]):
    """How long ``ensure_organization`` wanted to wait, which it does not; ``then`` is called instead."""

    then: Callable[[float], Any] = staticmethod(lambda seconds: None)

    async def sleep(self, seconds: float) -> None:
        self.append(seconds)
        await asyncio.to_thread(self.then, seconds)


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> Pauses:
    noted = Pauses()
    monkeypatch.setattr(creating_once, "asyncio", SimpleNamespace(sleep=noted.sleep))
    return noted


def deleting(sandbox: Sandbox, run: Run, at: int) -> Callable[[float], Any]:
    """Deletes one of the organizations, by its place in the order in which they were made."""

    def delete(seconds: float) -> None:
        organization_id = made_in_order(sandbox)[at]
        run(lambda client: client.request("DELETE", f"/organizations/{organization_id}"))

    return delete


def made_in_order(sandbox: Sandbox) -> list[str]:
    return [one["id"] for one in sorted(sandbox.state()["organizations"], key=lambda one: one["createdAt"])]


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


def test_the_second_of_two_stays_where_the_server_does_not_count_its_members(run: Run, sandbox: Sandbox) -> None:
    sandbox.add_fault(kind="link_absent", path="/api/organizations/[^/]+/users", total_number=True, times=None)

    async def race(client: Any) -> Any:
        request = client.request

        async def meddling(method: str, path: str, query: Any = None, body: Any = None) -> Any:
            if (method, path) == ("POST", "/organizations"):
                await request(method, path, body=body)
            return await request(method, path, query, body)

        client.request = meddling
        return await ensure_organization(client, SPEC)

    with pytest.raises(Ambiguous, match="may have members already"):
        run(race)
    assert len(sandbox.state()["organizations"]) == 2


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
        ([{"id": "a", "roles": ["x"]}], None, r"members\[0\]\.roles: needs user beside it"),
        ("['a', 'b']", None, "members: must be a list, not str; a template gives text"),
        ([{"user": ""}], None, r"members\[0\]"),
        (["a"], {"x": 1}, "member_roles: must be a list"),
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
        ({"branding": {"logoUrl": "https://[x"}}, r"branding\.logoUrl"),
        ({"color": {"primaryColor": "red"}}, r"color\.primaryColor"),
        ({"color": {"isDarkModeEnabled": "yes"}}, r"color\.isDarkModeEnabled"),
        ({"mfa_required": "True"}, "mfa_required: must be True or False, not str; a template gives text"),
        ({"mfa_required": 1}, "mfa_required: must be True or False, not int"),
        ({"former_external_id": "a"}, "former_external_id: only goes with external_id"),
        ({"clear_fields": ["name"]}, "clear_fields: 'name' cannot be cleared"),
        ({"clear_fields": [{}]}, "clear_fields: {} cannot be cleared"),
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


BODY: dict[str, Any] = {"name": "Acme", "customData": {"externalId": "c-1"}}


@pytest.mark.parametrize(
    ("name", "external_id", "hint"),
    [
        ("Acme", "c-1", "have the external id 'c-1' ({ids}); delete all but one"),
        ("Bare", None, "have the name 'Bare' ({ids}); give an external_id, or rename all but one"),
        ("Bare", "c-2", "have the name 'Bare' ({ids}); rename all but one, or give one of them the external id"),
    ],
)
def test_several_that_stay_are_an_error_after_three_more_looks(
    run: Run, sandbox: Sandbox, pauses: Pauses, name: str, external_id: str | None, hint: str
) -> None:
    bodies = [BODY, BODY] if name == "Acme" else [{"name": name}, {"name": name}]
    ids = ", ".join(sorted(run(posted, *bodies)))
    with pytest.raises(Ambiguous) as caught:
        run(ensure_organization, OrganizationSpec.checked(name, external_id=external_id), adopt_existing=True)
    assert str(caught.value) == f"2 organizations {hint.format(ids=ids)}"
    assert pauses == [0.3, 1.0, 2.0]


@pytest.mark.parametrize("look", [0.3, 1.0, 2.0])
def test_several_of_which_one_stays_are_that_one(run: Run, sandbox: Sandbox, pauses: Pauses, look: float) -> None:
    """Whoever made the other deletes it before one of the looks."""
    first, _ = run(posted, BODY, BODY)
    delete = deleting(sandbox, run, at=1)
    pauses.then = lambda seconds: delete(seconds) if seconds == look else None
    assert run(ensure_organization, SPEC) == {"id": first, "outcome": "unchanged"}


async def posted(client: Any, *bodies: dict[str, Any]) -> list[str]:
    made = []
    for body in bodies:
        made.append((await client.request("POST", "/organizations", body=body))["id"])
        await asyncio.sleep(0.002)  # times have milliseconds
    return made


async def created_beside(client: Any, before: bool) -> Any:
    """``ensure_organization``, while another task makes its own right before or right after."""
    request = client.request

    async def twice(method: str, path: str, query: Any = None, body: Any = None) -> Any:
        if (method, path) != ("POST", "/organizations"):
            return await request(method, path, query, body)
        answers = []
        for _ in range(2):
            answers.append(await request(method, path, body=body))
            await asyncio.sleep(0.002)
        return answers[1 if before else 0]

    client.request = twice
    return await ensure_organization(client, SPEC)


def test_the_later_one_of_two_is_deleted_by_its_maker(run: Run, sandbox: Sandbox, pauses: Pauses) -> None:
    result = run(created_beside, before=True)
    assert result["outcome"] == "unchanged"
    assert made_in_order(sandbox) == [result["id"]]
    assert pauses == [0.0, 0.3]


@pytest.mark.parametrize("look", [0.3, 1.0, 2.0, None])
def test_the_earlier_one_of_two_waits_for_the_other_to_go(
    run: Run, sandbox: Sandbox, pauses: Pauses, look: float | None
) -> None:
    delete = deleting(sandbox, run, at=1)
    pauses.then = lambda seconds: delete(seconds) if seconds == look else None
    if look is None:
        with pytest.raises(Ambiguous) as caught:
            run(created_beside, before=False)
        ids = ", ".join(sorted(made_in_order(sandbox)))
        assert str(caught.value) == f"2 organizations 'Acme' were made at once ({ids}); delete all but one"
        assert pauses == [0.0, 0.3, 1.0, 2.0]
    else:
        result = run(created_beside, before=False)
        assert (result["outcome"], made_in_order(sandbox)) == ("created", [result["id"]])


def test_one_that_somebody_deletes_at_once_is_an_error(run: Run, sandbox: Sandbox, pauses: Pauses) -> None:
    delete = deleting(sandbox, run, at=0)
    pauses.then = lambda seconds: delete(seconds) if seconds == 0 else None
    with pytest.raises(Ambiguous, match="was created but is not to be found"):
        run(ensure_organization, SPEC)


def test_after_a_lost_answer_nothing_is_adopted(run: Run, sandbox: Sandbox) -> None:
    """Somebody made a namesake between our look and our request."""
    sandbox.add_fault(kind="error", status=500, method="POST", path="/api/organizations", times=1)

    async def race(client: Any) -> Any:
        request = client.request

        async def second(method: str, path: str, query: Any = None, body: Any = None) -> Any:
            if method == "POST" and path == "/organizations":
                sandbox.seed({"organizations": [{"name": "Acme"}]})
            return await request(method, path, query, body)

        client.request = second
        return await ensure_organization(client, SPEC)

    with pytest.raises(AlreadyExists, match="adopt_existing"):
        run(race)
    assert [one["customData"] for one in sandbox.state()["organizations"]] == [{}]


def test_an_organization_among_many_takes_two_short_looks(run: Run, sandbox: Sandbox) -> None:
    sandbox.seed({"organizations": [{"name": f"o{at}"} for at in range(250)]})
    sandbox.reset_stats()
    run(ensure_organization, OrganizationSpec.checked("Acme"))
    assert sandbox.stats()["routes"]["GET /api/organizations"] == 2


def test_a_created_organization_without_an_id_is_an_error(run: Run) -> None:
    async def odd(client: Any) -> Any:
        async def answer(*args: Any, **kwargs: Any) -> Any:
            return {"id": 5}

        client.request = answer
        return await ensure_organization(client, SPEC)

    with pytest.raises(UnreadableAnswer, match="POST /api/organizations "):
        run(odd)


def test_each_detail_that_is_new_is_an_update(run: Run, sandbox: Sandbox) -> None:
    sandbox.seed(
        {
            "ssoConnectors": [{"providerName": "OIDC", "connectorName": "Okta", "domains": []}],
            "applications": [{"name": "worker", "type": "MachineToMachine"}],
        }
    )
    run(ensure_organization, SPEC)
    for details in (
        {"applications": ["worker"]},
        {"jit_email_domains": ["x.example"]},
        {"jit_roles": ["admin"]},
        {"jit_sso_connectors": ["Okta"]},
    ):
        outcomes = [run(ensure_organization, SPEC, details=Details.checked(**details))["outcome"] for _ in range(2)]
        assert outcomes == ["updated", "unchanged"], details


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ({"name": "Acme", "external_id": "c-2"}, "external_id"),
        ({"name": "Acme", "external_id": ""}, "name"),  # as a CSV gives it
        ({"id": "o1", "name": "Acme", "external_id": "c-2", "outcome": "created"}, "id"),
    ],
)
def test_what_tells_organizations_apart_best_decides(given: dict[str, Any], kind: str) -> None:
    reference = OrganizationReference.parse(given)
    assert (reference.kind, reference.value) == (kind, given[kind])


@pytest.mark.parametrize("given", [{"name": "Acme", "external_id": 2}, {"id": 5, "name": "Acme"}, {}, {"name": " "}])
def test_a_reference_of_the_wrong_type_does_not_fall_back_to_the_name(given: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match=r"^organization: must be an id or a name"):
        OrganizationReference.parse(given)


def test_of_two_organizations_the_one_with_the_external_id_is_deleted(run: Run, sandbox: Sandbox) -> None:
    names = {"Acme": "c-1", "Acme GmbH": "c-2"}
    sandbox.seed({"organizations": [{"name": name, "customData": {"externalId": key}} for name, key in names.items()]})
    run(delete_organization, {"name": "Acme", "external_id": "c-2"}, Protection({}), confirm=True)
    assert [one["name"] for one in sandbox.state()["organizations"]] == ["Acme"]


def test_a_limit_of_members_holds_where_the_server_does_not_count_them(run: Run, sandbox: Sandbox) -> None:
    sandbox.seed({"users": [{"username": "mika"}], "organizations": [{"name": "Acme", "members": ["mika"]}]})
    sandbox.add_fault(kind="link_absent", path="/api/organizations/[^/]+/users", total_number=True)
    with pytest.raises(UnreadableAnswer, match="but Total-Number is missing"):
        run(delete_organization, "Acme", Protection({}), max_members=5)
    assert len(sandbox.state()["organizations"]) == 1
    sandbox.clear_faults()
    assert run(delete_organization, "Acme", Protection({}), max_members=1)["outcome"] == "deleted"
