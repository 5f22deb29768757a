"""Limits, rare branches and lost answers of the functions about people, roles and organizations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from airflow_provider_logto.exceptions import (
    AlreadyExists,
    Ambiguous,
    Conflict,
    InvalidInput,
    NotFound,
    OutcomeUnknown,
)
from airflow_provider_logto.management import fields
from airflow_provider_logto.management.members import checked_members, current_roles
from airflow_provider_logto.management.organization_details import Details
from airflow_provider_logto.management.organization_roles import resolve_organization_roles
from airflow_provider_logto.management.organizations import OrganizationSpec, ensure_organization
from airflow_provider_logto.management.references import Reference, listed
from airflow_provider_logto.management.roles import assign_roles, resolve_roles
from airflow_provider_logto.management.users import UserSpec, ensure_user
from logto_sandbox import Sandbox
from tests.clients import Run

#: Every claim that Logto stores, from its request schema of ``PATCH /api/users/{id}/profile``.
CLAIMS: dict[str, Any] = {
    **dict.fromkeys(("familyName", "givenName", "middleName", "nickname", "preferredUsername", "gender"), "x"),
    "profile": "https://example.com",
    "website": "https://example.com",
    "birthdate": "2000-01-31",
    "zoneinfo": "Asia/Tokyo",
    "locale": "ja",
    "address": dict.fromkeys(("formatted", "streetAddress", "locality", "region", "postalCode", "country"), "x"),
}


def test_every_claim_reaches_the_server(run: Run, sandbox: Sandbox) -> None:
    """The server drops silently what it does not know."""
    run(ensure_user, UserSpec.checked(username="mika", profile=CLAIMS))
    assert sandbox.state()["users"][0]["profile"] == CLAIMS


@pytest.mark.parametrize(
    ("check", "fits"),
    [
        (lambda text: fields.text("x", text), 128),
        (lambda text: fields.name("x", text), 128),
        (lambda text: fields.identifier("x", text), 128),
        (lambda text: fields.avatar("x", f"https://{text[8:]}"), 2048),
        (lambda text: fields.domain("x", f"{text[5:]}.test"), 256),
        (lambda text: fields.profile("x", {"nickname": text}), 2048),
        (lambda text: OrganizationSpec.checked("x", description=text), 256),
    ],
)
def test_the_longest_text_fits_and_one_more_does_not(check: Callable[[str], Any], fits: int) -> None:
    check("x" * fits)
    with pytest.raises(InvalidInput):
        check("x" * (fits + 1))


@pytest.mark.parametrize(
    "url", ["https://", "//example.com/a.png", "mailto:a@example.com", "/a.png", "https:///a", "http://[x"]
)
def test_an_avatar_needs_scheme_and_host(url: str) -> None:
    with pytest.raises(InvalidInput, match="is not a URL"):
        fields.avatar("avatar", url)


@pytest.mark.parametrize(("phone", "good"), [("+123456", True), ("+12345", False), ("+0123456", False)])
@pytest.mark.parametrize("digits", [15])
def test_a_phone_number_has_6_to_15_digits(phone: str, good: bool, digits: int) -> None:
    assert fields.phone("x", "+" + "4" * digits) == "4" * digits
    with pytest.raises(InvalidInput):
        fields.phone("x", "+" + "4" * (digits + 1))
    if good:
        assert fields.phone("x", phone) == phone[1:]
    else:
        with pytest.raises(InvalidInput):
            fields.phone("x", phone)


class Lazy(Sequence[str]):
    """As the output of a mapped task: each item costs a request, and a slice of everything one in all."""

    def __init__(self) -> None:
        self.asked: list[Any] = []

    def __len__(self) -> int:
        return 3

    def __getitem__(self, at: Any) -> Any:
        self.asked.append(at)
        return ["a", "b", "c"][at]


def test_a_lazy_sequence_is_fetched_at_once() -> None:
    lazy = Lazy()
    assert listed("users", lazy) == ["a", "b", "c"]
    assert lazy.asked == [slice(None)]
    assert listed("users", {"username": "a"}) == [{"username": "a"}]
    assert listed("users", (name for name in "ab")) == ["a", "b"]


@pytest.mark.parametrize(
    ("text", "phone"), [("61412345678", True), ("+61 412 345 678", True), ("１２３４５６７８", False)]
)
def test_only_ascii_digits_are_a_phone_number(text: str, phone: bool) -> None:
    assert ("primaryPhone" in Reference.parse(text).wanted) is phone


@pytest.mark.parametrize(
    "identifier", [{"username": "mika"}, {"primary_email": "a@b.co"}, {"primary_phone": "+61412345678"}]
)
def test_whoever_is_faster_with_an_identifier_is_found(run: Run, sandbox: Sandbox, identifier: dict[str, str]) -> None:
    spec = UserSpec.checked(**identifier, name="Mika")

    async def race(client: Any) -> Any:
        request = client.request

        async def second(method: str, path: str, *args: Any, **kwargs: Any) -> Any:
            if method == "POST" and not sandbox.state()["users"]:
                await request(method, path, body={**spec.body(), "name": "Another"})
            return await request(method, path, *args, **kwargs)

        client.request = second
        return await ensure_user(client, spec)

    with pytest.raises(AlreadyExists):
        run(race)
    assert [user["name"] for user in sandbox.state()["users"]] == ["Another"]


@pytest.mark.parametrize(
    ("method", "code", "searches"),
    [
        ("POST", "user.invalid_phone", 1),
        # In use and not to be found, before and after.
        ("POST", "user.username_already_in_use", 2),
        ("PATCH", "user.invalid_phone", 1),
    ],
)
def test_a_conflict_about_something_else_is_the_servers_own(
    run: Run, sandbox: Sandbox, method: str, code: str, searches: int
) -> None:
    spec = UserSpec.checked(username="mika", name="Mika")
    if method == "PATCH":
        sandbox.seed({"users": [{"username": "mika"}]})
    refusals = []

    async def refused(client: Any) -> Any:
        async def no(asked: str, path: str, *args: Any, **kwargs: Any) -> Any:
            assert asked == method
            refusals.append(Conflict(f"{method} /api/users", 422, code))
            raise refusals[-1]

        client.request = no
        return await ensure_user(client, spec, if_exists="update")

    with pytest.raises(Conflict) as caught:
        run(refused)
    assert refusals == [caught.value]
    assert sandbox.stats()["routes"]["GET /api/users"] == searches


@pytest.mark.parametrize(
    ("reference", "right"),
    [
        ({"name": "employee"}, True),
        ({"id": "employee"}, False),
        ({"name": " employee "}, True),
        ({"name": ""}, False),
        ({"id": 5}, False),
        ({"key": "employee"}, False),
        ({"id": "a", "name": "employee"}, False),
        ({}, False),
        (" ", False),
        (None, False),
    ],
)
def test_explicit_references_to_roles(run: Run, sandbox: Sandbox, reference: Any, right: bool) -> None:
    if right:
        resolved = run(resolve_roles, [reference])
        assert list(resolved.values()) == ["employee"]
        assert run(resolve_roles, [{"id": next(iter(resolved))}]) == resolved
    else:
        with pytest.raises(InvalidInput, match=r"roles\[0\]"):
            run(resolve_roles, [reference])


def test_replacing_where_the_server_does_not_count_holders(run: Run, sandbox: Sandbox) -> None:
    sandbox.seed({"users": [{"username": "a"}]})
    run(assign_roles, ["a"], ["employee"])

    async def uncounted(client: Any) -> Any:
        iterate = client.iterate

        async def without(path: str, query: Any = None) -> Any:
            async for row in iterate(path, query):
                row.pop("usersCount", None)
                yield row

        client.iterate = without
        return await assign_roles(client, ["a"], ["engineer"], mode="replace")

    assert list(run(uncounted)["removed"]) == ["employee"]


@pytest.mark.parametrize(("people", "roles", "asked"), [(1, 1, "user"), (2, 1, "role"), (2, 2, "user"), (3, 2, "role")])
def test_holders_are_asked_for_the_cheaper_way(run: Run, sandbox: Sandbox, people: int, roles: int, asked: str) -> None:
    names = [f"p{at}" for at in range(people)]
    sandbox.seed({"users": [{"username": name} for name in names]})
    sandbox.reset_stats()
    run(assign_roles, names, ["employee", "engineer"][:roles])
    routes = sandbox.stats()["routes"]
    by_user, by_role = routes.get("GET /api/users/{id}/roles", 0), routes.get("GET /api/roles/{id}/users", 0)
    assert (by_user, by_role) == ((people, 0) if asked == "user" else (0, roles))


def test_a_404_of_a_proxy_is_no_removal(run: Run, sandbox: Sandbox) -> None:
    """It has no code; Logto's own for a role that is not held has one."""
    sandbox.seed({"users": [{"username": "a"}]})
    run(assign_roles, ["a"], ["employee"])

    async def remove(client: Any, code: str | None) -> Any:
        request = client.request

        async def gone(method: str, path: str, *args: Any, **kwargs: Any) -> Any:
            if method == "DELETE":
                raise NotFound(f"DELETE /api{path}", 404, code)
            return await request(method, path, *args, **kwargs)

        client.request = gone
        return await assign_roles(client, ["a"], ["employee"], mode="remove")

    with pytest.raises(NotFound):
        run(remove, None)
    assert list(run(remove, "entity.not_found")["removed"]) == ["employee"]


def test_an_organization_is_tried_three_times(run: Run, sandbox: Sandbox) -> None:
    sandbox.add_fault(kind="error", status=500, method="POST", path="/api/organizations", times=None)
    with pytest.raises(OutcomeUnknown):
        run(ensure_organization, OrganizationSpec.checked("Acme"))
    assert sandbox.stats()["routes"]["POST /api/organizations"] == 3


def test_a_grant_is_tried_five_times(run: Run, sandbox: Sandbox) -> None:
    sandbox.seed({"users": [{"username": "a"}]})
    sandbox.add_fault(kind="error", status=500, method="POST", path="/api/roles/{id}/users", times=None)
    with pytest.raises(OutcomeUnknown):
        run(assign_roles, ["a"], ["employee"])
    assert sandbox.stats()["routes"]["POST /api/roles/{id}/users"] == 5


@pytest.mark.parametrize(("kind", "times"), [("lost_answer", 1), ("error", 1), ("error", None)])
def test_a_domain_whose_answer_was_lost_is_looked_for(run: Run, sandbox: Sandbox, kind: str, times: int | None) -> None:
    spec, details = OrganizationSpec.checked("Acme"), Details.checked(jit_email_domains=["a.example", "b.example"])
    more: dict[str, Any] = {"status": 500} if kind == "error" else {}
    path = "/api/organizations/{id}/jit/email-domains"
    sandbox.add_fault(kind=kind, method="POST", path=path, times=times, **more)
    if times is None:
        with pytest.raises(OutcomeUnknown):
            run(ensure_organization, spec, details=details)
        assert sandbox.stats()["routes"]["POST /api/organizations/{id}/jit/email-domains"] == 3
    else:
        assert run(ensure_organization, spec, details=details)["jit_email_domains"]["added"] == 2

    async def domains(client: Any) -> list[str]:
        (organization,) = await client.collect("/organizations")
        rows = await client.collect(f"/organizations/{organization['id']}/jit/email-domains")
        return sorted(row["emailDomain"] for row in rows)

    assert run(domains) == ([] if times is None else ["a.example", "b.example"])


@pytest.mark.parametrize(
    ("domain", "code", "added"),
    [
        ("a.example", "entity.unique_integrity_violation", True),  # somebody was faster with the same one
        ("b.example", "entity.unique_integrity_violation", False),
        ("a.example", "request.invalid_input", False),
    ],
)
def test_a_domain_that_is_refused_may_be_there(run: Run, sandbox: Sandbox, domain: str, code: str, added: bool) -> None:
    path = "jit/email-domains"

    async def refused(client: Any) -> Any:
        request = client.request

        async def faster(method: str, where: str, query: Any = None, body: Any = None) -> Any:
            if not (method == "POST" and where.endswith(path)):
                return await request(method, where, query, body)
            if not refusals:
                await request("POST", where, body={"emailDomain": domain})
            refusals.append(Conflict(f"POST /api{where}", 422, code))
            raise refusals[-1]

        refusals: list[Conflict] = []
        client.request = faster
        details = Details.checked(jit_email_domains=["a.example"])
        return await ensure_organization(client, OrganizationSpec.checked("Acme"), details=details)

    if added:
        assert run(refused)["jit_email_domains"]["added"] == 1
    else:
        with pytest.raises(Conflict, match=code):
            run(refused)


def test_an_organization_role_named_like_anothers_id_is_ambiguous(run: Run, sandbox: Sandbox) -> None:
    async def ids(client: Any) -> Any:
        first = (await client.collect("/organization-roles"))[0]
        await client.request("POST", "/organization-roles", body={"name": first["id"]})
        with pytest.raises(Ambiguous):
            await resolve_organization_roles(client, [first["id"]])
        with pytest.raises(Ambiguous):
            await resolve_roles(client, [await twice(client)])

    async def twice(client: Any) -> str:
        (first, *_) = await client.collect("/roles", {"type": "User"})
        await client.request("POST", "/roles", body={"name": first["id"], "description": "x"})
        return str(first["id"])

    run(ids)


@pytest.mark.parametrize(
    ("members", "wanted", "walked"), [(100, 1, True), (101, 1, False), (201, 2, False), (200, 2, True)]
)
def test_few_members_of_many_are_asked_one_by_one(
    run: Run, sandbox: Sandbox, members: int, wanted: int, walked: bool
) -> None:
    names = [f"p{at:03}" for at in range(members)]
    sandbox.seed({"users": [{"username": name} for name in names]})
    report = run(ensure_organization, OrganizationSpec.checked("Acme"), checked_members(names))
    ids = [user["id"] for user in sandbox.state()["users"]][:wanted]
    sandbox.reset_stats()
    current = run(current_roles, report["id"], ids)
    assert set(ids) <= set(current)
    assert sandbox.stats()["routes"].get("GET /api/users/{id}/organizations", 0) == (0 if walked else wanted)
