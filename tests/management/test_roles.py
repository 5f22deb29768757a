"""assign_roles: how many requests it takes, and what happens when answers get lost."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_logto.exceptions import ServerFailed
from airflow_provider_logto.management.roles import assign_roles
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


def test_nobody_is_no_work(run: Run, sandbox: Sandbox) -> None:
    assert run(assign_roles, [], ["employee"]) == {"added": {}, "removed": {}, "unchanged": {}}
    assert sandbox.stats()["writes"] == 0
