"""assign_roles: how many requests it takes, and what happens when answers get lost."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_logto.exceptions import InvalidInput, ServerFailed
from airflow_provider_logto.management import search
from airflow_provider_logto.management.roles import assign_roles, resolve_roles
from logto_sandbox import Sandbox
from tests.clients import Run


@pytest.fixture
def people(sandbox: Sandbox) -> list[str]:
    sandbox.seed({"users": [{"username": f"p{at:03}"} for at in range(230)]})
    sandbox.reset_stats()
    return [f"p{at:03}" for at in range(230)]


def test_many_people_take_few_writes(run: Run, sandbox: Sandbox, people: list[str]) -> None:
    report = run(assign_roles, people, ["employee", "engineer"])
    assert {name: len(ids) for name, ids in report["added"].items()} == {"employee": 230, "engineer": 230}
    assert sandbox.stats()["writes"] == 2
    sandbox.reset_stats()
    assert run(assign_roles, people, ["employee", "engineer"])["added"] == {}
    assert sandbox.stats()["writes"] == 0
    assert sandbox.stats()["requests"] <= 25


@pytest.mark.parametrize("kind", ["lost_answer", "error"])
def test_a_bulk_write_whose_answer_was_lost_is_looked_up(
    run: Run, sandbox: Sandbox, people: list[str], kind: str
) -> None:
    more: dict[str, Any] = {"status": 500} if kind == "error" else {}
    sandbox.add_fault(kind=kind, method="POST", path="/api/roles/{id}/users", **more)
    report = run(assign_roles, people, ["employee"])
    assert len(report["added"]["employee"]) == 230
    ids = {user["id"] for user in sandbox.state()["users"]}
    assert ids == set(report["added"]["employee"])


def test_somebody_who_was_faster_does_not_break_the_batch(run: Run, sandbox: Sandbox, people: list[str]) -> None:
    async def race(client: Any) -> Any:
        request = client.request

        async def first_somebody_else(method: str, path: str, *args: Any, **kwargs: Any) -> Any:
            if method == "POST" and path.endswith("/users") and not raced:
                raced.append(path)
                user = await client.request("GET", "/users", {"search.username": "p007", "mode.username": "exact"})
                await request("POST", path, body={"userIds": [user[0]["id"]]})
            return await request(method, path, *args, **kwargs)

        raced: list[str] = []
        client.request = first_somebody_else
        return await assign_roles(client, people, ["manager"])

    assert len(run(race)["added"]["manager"]) == 230


def test_a_replacement_that_fails_half_way_leaves_more_roles_not_fewer(
    run: Run, sandbox: Sandbox, people: list[str]
) -> None:
    run(assign_roles, people[:3], ["employee"])
    sandbox.add_fault(kind="error", status=500, method="DELETE", path="/api/roles/{id}/users/{userId}", times=None)
    with pytest.raises(ServerFailed):
        run(assign_roles, people[:3], ["engineer"], mode="replace")
    sandbox.clear_faults()

    async def names(client: Any, person: str) -> set[str]:
        (user,) = await client.request("GET", "/users", {"search.username": person, "mode.username": "exact"})
        return {role["name"] for role in await client.collect(f"/users/{user['id']}/roles")}

    assert [run(names, person) for person in people[:3]] == [{"employee", "engineer"}] * 3
    run(assign_roles, people[:3], ["engineer"], mode="replace")
    assert [run(names, person) for person in people[:3]] == [{"engineer"}] * 3


@pytest.mark.parametrize("mode", ["add", "replace", "remove"])
def test_nobody_is_no_work(run: Run, sandbox: Sandbox, mode: Any) -> None:
    assert run(assign_roles, [], ["employee"], mode) == {"added": {}, "removed": {}, "unchanged": {}}
    assert sandbox.stats()["routes"] == {"POST /oidc/token": 1, "GET /api/roles": 1}


def test_many_roles_take_one_search_that_compares_case(run: Run, sandbox: Sandbox) -> None:
    names = [f"role-{at:02}-{'x' * 40}" for at in range(40)]
    sandbox.seed({"roles": [{"name": name, "description": "for a test"} for name in names]})
    sandbox.reset_stats()
    assert list(run(resolve_roles, names).values()) == names
    (search,) = [request["query"] for request in sandbox.requests() if request["path"] == "/api/roles"]
    assert "isCaseSensitive=true" in search


def test_a_replacement_looks_only_into_user_roles_that_somebody_holds(run: Run, sandbox: Sandbox) -> None:
    people = ["a", "b", "c"]
    sandbox.seed({"users": [{"username": name} for name in people]})
    run(assign_roles, people, ["employee"])
    sandbox.reset_stats()
    assert list(run(assign_roles, people, ["engineer"], mode="replace")["removed"]) == ["employee"]
    assert sandbox.stats()["routes"]["GET /api/roles/{id}/users"] == 2
    assert any("type=User" in request["query"] for request in sandbox.requests() if request["path"] == "/api/roles")


@pytest.mark.parametrize(("people", "by_user"), [(3, 3), (5, 0)])
def test_a_search_for_holders_takes_so_many_people(
    run: Run, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, people: int, by_user: int
) -> None:
    """Two people in a search here: for three people and two roles that is four searches."""
    names = [f"p{at}" for at in range(people)]
    sandbox.seed({"users": [{"username": name} for name in names]})
    monkeypatch.setattr(search, "MAX_ITEMS", 2 if by_user else 5)
    sandbox.reset_stats()
    run(assign_roles, names, ["employee", "engineer"])
    assert sandbox.stats()["routes"].get("GET /api/users/{id}/roles", 0) == by_user


@pytest.mark.parametrize("wrong", [5, None])
def test_what_is_no_list_of_roles_is_refused(run: Run, wrong: Any) -> None:
    with pytest.raises(InvalidInput, match=r"^roles: must be a list"):
        run(assign_roles, ["a"], wrong)
