"""walk_users: whoever is there throughout is seen, or the walk fails."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from airflow_provider_logto.client.replies import Reply
from airflow_provider_logto.exceptions import IncompleteList, UnreadableAnswer
from airflow_provider_logto.management.user_walk import walk_users
from logto_sandbox import Sandbox
from tests.clients import Run


async def ids(client: Any, path: str = "/users") -> list[str]:
    return [row["id"] async for rows in walk_users(client, path, {}) for row in rows]


def people(sandbox: Sandbox) -> set[str]:
    return {user["id"] for user in sandbox.state()["users"]}


def seed(sandbox: Sandbox, count: int, created: Any = None) -> None:
    sandbox.seed({"users": [{"username": f"u{at}"} for at in range(count)]})
    if created:
        state = sandbox.state()
        for at, user in enumerate(state["users"]):
            user["createdAt"] = created(at)
        sandbox.seed(state)
    sandbox.reset_stats()


@pytest.mark.parametrize("count", [0, 1, 99, 100, 101, 230])
@pytest.mark.parametrize("same", [1, 7, 90, 150])
def test_a_quiet_tenant_takes_a_request_a_page_and_five_for_certainty(
    run: Run, sandbox: Sandbox, count: int, same: int
) -> None:
    """However many were created within a millisecond: the sandbox keeps their order, as microseconds do."""
    seed(sandbox, count, lambda at: 1_700_000_000_000 + at // same)
    found = run(ids)
    assert sorted(found) == sorted(people(sandbox))
    assert sandbox.stats()["requests"] - sandbox.stats()["tokens"] == max(1, -(-count // 100)) + 5


@pytest.mark.parametrize("kind", ["rows_deleted", "rows_inserted"])
@pytest.mark.parametrize("after", [0, 1, 3, 4])
@pytest.mark.parametrize("size", [1, 5, 120])
def test_people_who_come_and_go(run: Run, sandbox: Sandbox, kind: str, after: int, size: int) -> None:
    seed(sandbox, 450)
    before = people(sandbox)
    sandbox.add_fault(kind=kind, path="/api/users", after=after, count=size)
    found = set(run(ids))
    assert before & people(sandbox) <= found


def test_deletions_without_end_are_an_error(run: Run, sandbox: Sandbox) -> None:
    seed(sandbox, 900)
    sandbox.add_fault(kind="rows_deleted", path="/api/users", times=None)
    with pytest.raises(IncompleteList):
        run(ids)


def test_groups_of_one_moment_take_a_request_each() -> None:
    """Imported by SQL, a few at once: every border runs through ten people whose order is another each time."""
    rows = Rows([at // 10 for at in range(5, 1005)], [], 1)
    assert set(asyncio.run(ids(rows))) == rows.always
    assert rows.requests == 10 + 5 + 9


class Rows:
    """A list of people that changes between requests.

    :param changes: at which request, and how many come (or go, below 0).
    :param ordered: whether those of one moment keep their order, as those of one millisecond do.
    """

    def __init__(self, moments: list[int], changes: list[tuple[int, int]], seed: int, ordered: bool = False) -> None:
        self.rows = [{"id": f"r{at}", "createdAt": moment} for at, moment in enumerate(moments)]
        self.changes = changes
        self.ordered = ordered
        self.random = random.Random(seed)  # noqa: S311
        self.always = {row["id"] for row in self.rows}
        self.requests = 0
        self.served = 0
        self.now = max(moments, default=0)

    async def send(self, method: str, path: str, query: Any) -> Any:
        self.requests += 1
        self._change()
        if not self.ordered:
            self.random.shuffle(self.rows)
        self.rows.sort(key=lambda row: -row["createdAt"])
        start = (query["page"] - 1) * query["page_size"]
        # Count and page are two statements: either may be a change older.
        total = len(self.rows)
        if self.random.random() < 0.3:
            self._change()
            self.rows.sort(key=lambda row: -row["createdAt"])
        page = [dict(row) for row in self.rows[start : start + query["page_size"]]]
        return Reply(200, page, {"total-number": str(total)})

    async def count(self, path: str, query: Any) -> int:
        self.requests += 1
        self._change()
        return len(self.rows)

    def _change(self) -> None:
        self.served += 1
        for number in (number for at, number in self.changes if at == self.served):
            for _ in range(min(-number, len(self.rows))):
                gone = self.rows.pop(self.random.randrange(len(self.rows)))
                self.always.discard(gone["id"])
            for _ in range(number):
                self.now += 1
                self.rows.append({"id": f"n{self.now}", "createdAt": self.now})


# Late ones too, between and during the walks that follow where many people are of one moment.
CHANGES = st.lists(st.tuples(st.integers(1, 30), st.sampled_from([-60, -1, 1, 60])), max_size=12)


@settings(max_examples=200)
@example(201, 1, [(5, -1)], 0, False)  # deleted between two walks
@example(201, 1, [(5, -1), (5, 1)], 3, False)  # and another one created
@example(201, 4, [(5, -1)], 218, False)  # deleted while a group is read, so that the last page seems to be empty
@example(
    101, 4, [(4, -1), (5, 1), (7, -60)], 1477858796, True
)  # one hides a deletion, and is deleted before being read
@example(214, 67, [(5, 60), (7, -1)], 1822, False)  # somebody new is deleted before being read, after many came
@given(st.integers(0, 450), st.integers(1, 300), CHANGES, st.integers(0, 2**32), st.booleans())
def test_whoever_is_there_throughout_is_seen(
    count: int, spread: int, changes: list[tuple[int, int]], number: int, ordered: bool
) -> None:
    source = random.Random(number)  # noqa: S311
    moments = [source.randrange(spread) for _ in range(count)]
    rows = Rows(moments, changes, number, ordered)
    try:
        found = set(asyncio.run(ids(rows)))
    except IncompleteList:
        # Honest, but no way out of what can be read in one piece.
        assert changes or (not ordered and max(map(moments.count, moments)) > 40)
        return
    assert rows.always <= found


@pytest.mark.parametrize("row", [None, {}, {"id": 5}, {"id": "a"}, {"id": "a", "createdAt": "soon"}])
def test_what_is_no_user_is_an_error(row: Any) -> None:
    class Odd:
        async def send(self, *_: Any) -> Any:
            return Reply(200, [row], {"total-number": "1"})

    with pytest.raises(UnreadableAnswer, match="no user"):
        asyncio.run(ids(Odd()))
