"""Pages -> items, each once, whatever the server does between two pages."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_logto.client.pagination import Page, iterate
from airflow_provider_logto.client.replies import Reply
from airflow_provider_logto.exceptions import IncompleteList, InvalidInput, ServerFailed, UnreadableAnswer
from logto_sandbox import Sandbox
from tests.clients import Run

Rows = list[dict[str, Any]]


class Table:
    """A list operation: rows, and how it pages and counts them.

    :param change: called with the rows before each page is cut.
    :param order: how the rows lie when a page is cut.
    """

    def __init__(
        self,
        count: int,
        *,
        paged: bool = True,
        counted: bool = True,
        capped_at: int | None = None,
        miscount: int = 0,
        change: Callable[[Rows], None] = lambda rows: None,
        order: Callable[[Rows], Rows] = lambda rows: rows,
    ) -> None:
        self.rows: Rows = [{"id": f"r{n}"} for n in range(count)]
        self.paged, self.counted, self.capped_at, self.miscount = paged, counted, capped_at, miscount
        self.change, self.order = change, order
        self.calls: list[tuple[int, int]] = []

    async def send(self, method: str, path: str, query: Mapping[str, Any]) -> Reply:
        page, size = query["page"], query["page_size"]
        self.calls.append((page, size))
        if len(self.calls) > 1:
            self.change(self.rows)
        rows = self.order(self.rows)
        shown = rows[(page - 1) * size : page * size] if self.paged else rows
        headers = {"link": '<http://evil.example/users?page=2>; rel="next"'}
        if self.counted:
            total = len(rows) + self.miscount
            headers["total-number"] = str(total)
            if self.capped_at is not None and total > self.capped_at:
                headers |= {"total-number": str(self.capped_at + 1), "total-number-is-capped": "true"}
        return Reply(200, shown, headers)

    def walk(self, path: str = "/users") -> list[str]:
        async def collect() -> list[str]:
            return [item["id"] async for item in iterate(self.send, path, {})]

        return asyncio.run(collect())


SIZES = st.one_of(st.integers(0, 450), st.sampled_from([99, 100, 101, 200, 300]))


@given(SIZES, st.booleans(), st.booleans())
def test_still_rows(count: int, paged: bool, counted: bool) -> None:
    table = Table(count, paged=paged, counted=counted)
    found = table.walk()
    assert sorted(found) == sorted(row["id"] for row in table.rows)
    assert len(table.calls) <= count // 100 + 2
    if paged and counted:
        assert len(table.calls) == max(1, -(-count // 100))


@given(SIZES, st.integers(0, 400))
def test_capped_counts_do_not_end_a_walk(count: int, cap: int) -> None:
    table = Table(count, capped_at=cap)
    assert len(table.walk()) == count


@settings(max_examples=60)
@given(st.integers(0, 450), st.integers(0, 30))
def test_rows_that_come_during_the_walk(count: int, speed: int) -> None:
    """Newest first: rows that come push others over the page border, where they are seen twice."""
    pages_with_news = [3]

    def grow(rows: Rows) -> None:
        if pages_with_news[0]:
            pages_with_news[0] -= 1
            rows[:0] = [{"id": f"new{len(rows) + n}"} for n in range(speed)]

    table = Table(count, change=grow)
    found = table.walk()
    assert len(found) == len(set(found))
    assert set(found) == {row["id"] for row in table.rows}


def test_a_list_that_doubles_during_the_walk_is_read_to_its_end() -> None:
    """Oldest first: rows that come lie behind the end that was counted first."""

    def grow(rows: Rows) -> None:
        if len(rows) == 101:
            rows.extend({"id": f"new{n}"} for n in range(200))

    assert len(Table(101, change=grow).walk()) == 301


@settings(max_examples=60)
@given(st.integers(101, 450), st.integers(1, 30), st.randoms(use_true_random=False))
def test_rows_that_go_during_the_walk_take_none_that_stay_with_them(count: int, gone: int, rng: random.Random) -> None:
    left = [2]

    def shrink(rows: Rows) -> None:
        if left[0]:
            left[0] -= 1
            for _ in range(min(gone, len(rows))):
                rows.pop(rng.randrange(len(rows)))

    table = Table(count, change=shrink)
    found = table.walk()
    assert len(found) == len(set(found))
    assert set(found) >= {row["id"] for row in table.rows}


@settings(max_examples=40)
@given(st.integers(0, 450), st.integers(0, 2**32))
def test_ties_that_lie_otherwise_on_each_page(count: int, seed: int) -> None:
    """Equal timestamps have no order of their own: a page border falls elsewhere each time."""
    rng = random.Random(seed)  # noqa: S311 - test data

    def shuffled_in_groups(rows: Rows) -> Rows:
        groups = [rows[n : n + 7] for n in range(0, len(rows), 7)]
        return [row for group in groups for row in rng.sample(group, len(group))]

    table = Table(count, order=shuffled_in_groups)
    # Each walk has other borders, so that what one hid the next shows: five that hide the same are improbable.
    assert sorted(table.walk()) == sorted(row["id"] for row in table.rows)


@pytest.mark.parametrize("miscount", [1, 50, 1000])
def test_a_list_that_never_adds_up_is_said_to(miscount: int) -> None:
    table = Table(250, miscount=miscount)
    with pytest.raises(IncompleteList, match=f"250 distinct items but the server counts {250 + miscount}"):
        table.walk()
    assert len(table.calls) < 60
    sizes = [size for page, size in table.calls if page == 1]
    assert sizes == [100, 83, 97, 61, 71]


@pytest.mark.parametrize(("repeated", "last"), [(2, 8), (3, 4)])
def test_a_walk_ends_after_three_pages_in_a_row_that_bring_nothing_new(repeated: int, last: int) -> None:
    def stuck(rows: Rows) -> Rows:
        return [*rows[:100] * (1 + repeated), *rows[100 * (1 + repeated) :]]

    table = Table(800, order=stuck)
    with pytest.raises(IncompleteList):
        table.walk()
    assert [page for page, size in table.calls if size == 100] == list(range(1, last + 1))


@pytest.mark.parametrize("path", ["/sso-connectors", "/one-time-tokens"])
def test_counts_known_to_be_unreliable_are_not_held_against_the_list(path: str) -> None:
    assert len(Table(250, miscount=40).walk(path)) == 250


def test_a_count_below_the_truth_stops_nothing_before_the_counted_end() -> None:
    assert len(Table(250, miscount=-50).walk()) >= 200


def test_rows_that_keep_going_away_are_read_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    table = Table(900, change=lambda rows: rows.pop(0) and None)
    found = table.walk()
    assert set(found) >= {row["id"] for row in table.rows}
    assert len(table.calls) < 60


def test_items_without_an_id_are_told_apart_by_what_they_hold() -> None:
    async def send(method: str, path: str, query: Mapping[str, Any]) -> Reply:
        return Reply(200, [{"name": "a"}, {"name": "b"}, {"name": "a"}, "x", "x"], {})

    async def collect() -> list[Any]:
        return [item async for item in iterate(send, "/x", None)]

    assert asyncio.run(collect()) == [{"name": "a"}, {"name": "b"}, "x"]


@pytest.mark.parametrize(("data", "items"), [({"organizations": [1]}, [1]), ({"sessions": []}, [])])
def test_wrapped_lists(data: Any, items: list[Any]) -> None:
    async def send(method: str, path: str, query: Mapping[str, Any]) -> Reply:
        return Reply(200, data, {})

    async def collect() -> list[Any]:
        return [item async for item in iterate(send, "/x", None)]

    assert asyncio.run(collect()) == items


@pytest.mark.parametrize("data", [{"id": "a"}, "OK", None, 7, {"a": [], "b": []}])
def test_no_list_at_all(data: Any) -> None:
    async def send(method: str, path: str, query: Mapping[str, Any]) -> Reply:
        return Reply(200, data, {})

    async def collect() -> list[Any]:
        return [item async for item in iterate(send, "/x", None)]

    with pytest.raises(UnreadableAnswer, match="holds no list"):
        asyncio.run(collect())


@pytest.mark.parametrize(("count", "total"), [("9" * 15, 10**15 - 1), (" 7 ", 7), ("", None), ("0", 0)])
def test_the_servers_count(count: str, total: int | None) -> None:
    assert Page.of("/x", Reply(200, [], {"total-number": count})).total == total
    assert Page.of("/x", Reply(200, [], {"total-number": count, "total-number-is-capped": "true"})).total is None


@pytest.mark.parametrize("count", ["9" * 16, "1.0", "-1", "\u00b2", "\u0663", "many"])
def test_a_count_that_is_no_number(count: str) -> None:
    with pytest.raises(UnreadableAnswer, match="GET /api/x answered 200, but Total-Number is not a number"):
        Page.of("/x", Reply(200, [], {"total-number": count}))


# -- over the wire


@pytest.fixture
def people(sandbox: Sandbox) -> set[str]:
    sandbox.seed({"users": [{"username": f"u{n}"} for n in range(250)]})
    return {user["id"] for user in sandbox.state()["users"]}


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "link_absent"},
        {"kind": "link_absent", "total_number": False},
        {"kind": "link_mangled", "mode": "garbage"},
        {"kind": "link_mangled", "mode": "foreign_host"},
        {"kind": "link_mangled", "mode": "no_next"},
        {"kind": "link_mangled", "mode": "always_next"},
        {"kind": "error", "status": 503, "path": "/api/users", "after": 1},
        {"kind": "truncated", "path": "/api/users", "after": 2},
    ],
)
def test_links_and_lost_pages(run: Run, sandbox: Sandbox, people: set[str], fault: dict[str, Any]) -> None:
    sandbox.add_fault(**fault)
    found = [user["id"] for user in run(lambda client: client.collect("/users"))]
    assert len(found) == len(people)
    assert set(found) == people
    assert sandbox.stats()["routes"]["GET /api/users"] <= 4


def test_a_page_that_keeps_failing_ends_the_walk(run: Run, sandbox: Sandbox, people: set[str]) -> None:
    sandbox.add_fault(kind="error", status=503, path="/api/users", query="page=2", times=None)
    with pytest.raises(ServerFailed):
        run(lambda client: client.collect("/users"))


@pytest.mark.parametrize("kind", ["rows_inserted", "rows_deleted"])
def test_rows_that_move_between_two_pages(run: Run, sandbox: Sandbox, people: set[str], kind: str) -> None:
    sandbox.add_fault(kind=kind, path="/api/users", query="page=2", count=20)
    found = [user["id"] for user in run(lambda client: client.collect("/users"))]
    assert len(found) == len(set(found))
    assert set(found) >= {user["id"] for user in sandbox.state()["users"]}


def test_capped_logs(run: Run, sandbox: Sandbox) -> None:
    sandbox.insert_logs(count=10_250)
    found = run(lambda client: client.collect("/logs", {"enableCap": True}))
    assert len({row["id"] for row in found}) >= 10_250


@pytest.mark.parametrize("name", ["page", "page_size"])
def test_paging_belongs_to_the_walk(run: Run, name: str) -> None:
    with pytest.raises(InvalidInput, match=r"query\.page"):
        run(lambda client: client.collect("/users", {name: 2}))


def test_counting(run: Run, people: set[str]) -> None:
    assert run(lambda client: client.count("/users")) == 250
    assert run(lambda client: client.count("/organization-invitations")) is None
