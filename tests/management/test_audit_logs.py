"""The window walk against the sandbox: complete, once, in order, with few requests, on every version."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_logto.client.client import LogtoClient
from airflow_provider_logto.client.replies import Reply
from airflow_provider_logto.exceptions import IncompleteList, UnreadableAnswer
from airflow_provider_logto.management.audit_logs.pages import Bounds, read
from airflow_provider_logto.management.audit_logs.retention import gap_until
from airflow_provider_logto.management.audit_logs.rows import Row, decode_rows
from airflow_provider_logto.management.audit_logs.walk import (
    LateRows,
    LogFilter,
    LogPages,
    Position,
    Window,
    seconds_until_readable,
    walk,
)
from logto_sandbox import Sandbox
from tests.management.audit_log_tools import HOUR, START, collect, log_requests, make_client, positions, run_on, truth

WHOLE = Window(START, START + 100 * HOUR)
INNER = Window(START + 10 * HOUR, START + 90 * HOUR)

SHAPES: dict[str, dict[str, Any]] = {
    "random": {"count": 9000, "pattern": "random"},
    "bursts": {"count": 14000, "pattern": "bursts", "bursts": 4, "burst_ms": 3000},
    "one crowded second": {"count": 12000, "pattern": "bursts", "bursts": 1, "burst_ms": 1000},
    "ties": {"count": 1500, "pattern": "random", "ties": 500, "whole_ms": True},
    "a few": {"count": 60, "pattern": "even"},
    "a little more than a page": {"count": 130, "pattern": "even"},
    "nothing": {"count": 0},
}


@pytest.fixture(scope="module", params=["1.42", "1.40", "1.39"])
def versioned(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    """Bounds inclusive, exclusive, ignored."""
    with Sandbox(logto_version=request.param) as sandbox:
        yield sandbox


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("window", [WHOLE, INNER], ids=["all", "a part"])
def test_complete_once_and_in_order(versioned: Sandbox, shape: str, window: Window) -> None:
    versioned.reset()
    versioned.insert_logs(start=WHOLE.low, end=WHOLE.high - 1, **SHAPES[shape])
    assert positions(run_on(versioned, lambda client: collect(client, window))) == truth(versioned, window)


def test_rows_at_the_bounds(versioned: Sandbox) -> None:
    """The start belongs to the interval, the end does not, to the microsecond."""
    versioned.reset()
    moments = [INNER.low - 0.001, INNER.low, INNER.low + 0.999, INNER.high - 0.001, INNER.high, INNER.high + 0.5]
    ids = [versioned.tenant.logs.append_row({"key": "RevokeToken", "payload": {}, "createdAt": at}) for at in moments]
    assert [row.id for row in run_on(versioned, lambda client: collect(client, INNER))] == [
        *sorted(ids[1:3]),
        ids[3],
    ]


def test_filters(versioned: Sandbox) -> None:
    versioned.reset()
    keys = ["Interaction.End", "Interaction.Create", "RevokeToken"]
    versioned.insert_logs(start=WHOLE.low, end=WHOLE.high, count=4000, users=20, applications=["one", "two"], keys=keys)
    for filters in (
        LogFilter(("RevokeToken",)),
        LogFilter(("Interaction.End", "Interaction.Create", "RevokeToken", "No.Such.Key")),
        LogFilter(user_id="sandboxu0003"),
        LogFilter(("Interaction.End",), "sandboxu0003", "two"),
    ):
        expected = truth(versioned, INNER, filters)
        assert positions(run_on(versioned, lambda client, f=filters: collect(client, INNER, f))) == expected  # type: ignore[misc]
    assert expected


def test_goes_on_behind_a_row(versioned: Sandbox) -> None:
    versioned.reset()
    versioned.insert_logs(start=WHOLE.low, end=WHOLE.high, count=3000, ties=7, whole_ms=True)
    expected = truth(versioned, WHOLE)
    for rows in (1, 3, 1234, 2999):
        after = Position(*expected[rows - 1], rows)
        found = run_on(versioned, lambda client, a=after: collect(client, WHOLE, after=a))  # type: ignore[misc]
        assert positions(found) == expected[rows:]


@pytest.mark.parametrize(("shape", "most"), [("random", 1.1), ("bursts", 1.1), ("one crowded second", 1.2)])
def test_requests(sandbox: Sandbox, shape: str, most: float) -> None:
    """Pages come full, counting and cutting cost little; to find a second in 100 hours costs a few more."""
    sandbox.insert_logs(start=WHOLE.low, end=WHOLE.high - 1, **SHAPES[shape])
    run_on(sandbox, lambda client: collect(client, WHOLE))
    assert log_requests(sandbox) <= most * SHAPES[shape]["count"] / 100 + 20


def test_empty_years_cost_three_requests(sandbox: Sandbox) -> None:
    """The second asks a little wider, since exclusive bounds might hide something; the third counts at the end."""
    assert run_on(sandbox, lambda client: collect(client, Window(START - 50_000 * HOUR, START))) == []
    assert log_requests(sandbox) == 3


def test_a_server_that_ignores_bounds_is_known_by_its_first_answer() -> None:
    """Rows of the window and others: no second question is needed."""
    asked: list[Any] = []

    async def send(method: str, path: str, query: Any, **more: Any) -> Reply:
        asked.append(query)
        return Reply(200, [Row("b", INNER.high), Row("a", INNER.low)], {"total-number": "2"})

    async def go() -> Bounds:
        client: Any = SimpleNamespace(send=send)
        pages = LogPages(client)
        await pages._try(INNER, {})
        return pages.bounds

    assert asyncio.run(go()) is Bounds.IGNORED
    assert len(asked) == 1


def test_an_interval_is_readable_when_the_servers_clock_has_passed_it() -> None:
    async def server_time() -> float:
        return 1_000.0

    client: Any = SimpleNamespace(server_time=server_time)
    assert asyncio.run(seconds_until_readable(client, 995_500, 60.0)) == 55.5


def test_never_deep_and_never_a_full_count(sandbox: Sandbox) -> None:
    """No offset and no uncapped count: both grow with the table."""
    sandbox.insert_logs(start=WHOLE.low, end=WHOLE.high, count=12_000)
    run_on(sandbox, lambda client: collect(client, WHOLE))
    asked = [request["query"] for request in sandbox.requests() if request["path"] == "/api/logs"]
    asked = [query for query in asked if "page" in query]  # all but the probe for the kind of bounds
    assert len(asked) > 120
    assert all({"page=1", "enableCap=true"} <= set(query.split("&")) for query in asked)


class Meddler(LogtoClient):
    """Calls ``meddle(number)`` before each page that is not a count."""

    meddle: Any
    pages = 0

    async def send(self, method: str, path: str, query: Any = None, body: Any = None, **more: Any) -> Reply:
        if path == "/logs" and query.get("page_size") == 100:
            self.pages += 1
            await asyncio.to_thread(self.meddle, self.pages)
        return await super().send(method, path, query, body, **more)


def test_rows_that_come_late_are_noticed(sandbox: Sandbox) -> None:
    """A row that appears in a stretch already read is named; everything before that stretch is complete."""
    sandbox.insert_logs(start=WHOLE.low, end=WHOLE.high, count=24_000)
    late = START + 60 * HOUR

    def meddle(page: int) -> None:
        if page == 200:
            sandbox.insert_logs([{"key": "RevokeToken", "payload": {}, "createdAt": late}])

    async def go() -> tuple[list[Any], LateRows | None]:
        found: list[Any] = []
        async with make_client(sandbox, Meddler) as client:
            client.meddle = meddle  # type: ignore[attr-defined]
            try:
                async for batch in walk(LogPages(client, 1), WHOLE):
                    found += batch
            except LateRows as error:
                return found, error
        return found, None

    found, error = asyncio.run(go())
    assert error is not None
    assert START < error.from_ms <= late
    before = Window(START, error.from_ms)
    assert [row for row in positions(found) if row[0] < error.from_ms] == truth(sandbox, before)
    assert error.transient


def test_a_late_row_in_an_empty_interval_is_noticed(sandbox: Sandbox) -> None:
    """The first key has been asked for in vain when its row appears."""

    def meddle(page: int) -> None:
        if page == 4:
            sandbox.insert_logs([{"key": "RevokeToken", "payload": {}, "createdAt": START + HOUR}])

    async def go() -> list[Any]:
        async with make_client(sandbox, Meddler) as client:
            client.meddle = meddle  # type: ignore[attr-defined]
            return await collect(client, WHOLE, LogFilter(("RevokeToken", "Interaction.End")), concurrency=1)

    with pytest.raises(LateRows) as caught:
        asyncio.run(go())
    assert caught.value.from_ms == START


def test_rows_that_are_deleted_meanwhile_are_no_error(sandbox: Sandbox) -> None:
    sandbox.insert_logs(start=WHOLE.low, end=WHOLE.high, count=9_000)

    def meddle(page: int) -> None:
        if page == 40:
            sandbox._on_loop(lambda: sandbox.tenant.logs.delete(WHOLE.low, START + 20 * HOUR))

    async def go() -> list[Any]:
        async with make_client(sandbox, Meddler) as client:
            client.meddle = meddle  # type: ignore[attr-defined]
            return await collect(client, WHOLE, concurrency=2)

    found = positions(asyncio.run(go()))
    assert len(found) == len(set(found))
    assert set(found) >= set(truth(sandbox, WHOLE))


class Overcounter(LogtoClient):
    """A server whose counts never fit its rows."""

    async def send(self, method: str, path: str, query: Any = None, body: Any = None, **more: Any) -> Reply:
        reply = await super().send(method, path, query, body, **more)
        if path != "/logs":
            return reply
        total = int(reply.headers["total-number"]) + 1
        return Reply(reply.status, reply.data, {**reply.headers, "total-number": str(total)})


def test_a_count_that_never_fits_is_an_error(sandbox: Sandbox) -> None:
    sandbox.insert_logs(start=WHOLE.low, end=WHOLE.high, count=500)

    async def go() -> None:
        async with make_client(sandbox, Overcounter) as client:
            await collect(client, WHOLE)

    with pytest.raises(IncompleteList, match="500 distinct items but the server counts 501"):
        asyncio.run(go())


def test_leaving_early_leaves_nothing_running(sandbox: Sandbox) -> None:
    sandbox.insert_logs(start=WHOLE.low, end=WHOLE.high, count=20_000)

    async def go() -> set[Any]:
        async with make_client(sandbox) as client:
            batches = walk(LogPages(client), WHOLE)
            await anext(batches)
            await batches.aclose()
            return asyncio.all_tasks() - {asyncio.current_task()}

    assert asyncio.run(go()) == set()


@pytest.mark.parametrize(
    ("rows_from", "window", "expected"),
    [
        (START, Window(START + HOUR, START + 2 * HOUR), None),
        (START, Window(START - 99 * HOUR, START + HOUR), START),
        (START, Window(START - 99 * HOUR, START - 98 * HOUR), START - 98 * HOUR),
        # The token request for this very question is in the log.
        (None, Window(START - 99 * HOUR, START), START),
    ],
    ids=["older rows exist", "begins too early", "ends too early", "nothing but today"],
)
def test_gap(versioned: Sandbox, rows_from: int | None, window: Window, expected: int | None) -> None:
    versioned.reset()
    if rows_from is not None:
        versioned.insert_logs(start=rows_from, end=rows_from + 50 * HOUR, count=2500, pattern="even")
    assert run_on(versioned, lambda client: gap_until(LogPages(client), window)) == expected


@pytest.mark.parametrize("count", ["\u00b2", "9" * 5000, "-1", "many", ""])
def test_a_count_that_is_no_number_is_not_believed(count: str) -> None:
    assert read(Reply(200, [Row("a", 1)], {"total-number": count})).total == 1


def test_a_time_beyond_all_numbers_is_no_audit_log() -> None:
    rows = decode_rows(b'[{"id":"a","createdAt":1e999,"key":"k","payload":{}}]')
    with pytest.raises(UnreadableAnswer, match="no list of audit logs"):
        read(Reply(200, rows, {}))


@pytest.mark.parametrize("moment", [9 * 10**15, -(10**15), INNER.high + 1])
def test_rows_from_another_time_are_an_error_once_the_bounds_are_known(moment: int) -> None:
    async def send(method: str, path: str, query: Any, **more: Any) -> Reply:
        return Reply(200, [Row("a", moment)], {"total-number": "1"})

    async def go() -> None:
        client: Any = SimpleNamespace(send=send)
        pages = LogPages(client)
        pages.bounds = Bounds.INCLUSIVE
        await pages.newest(INNER, {})

    with pytest.raises(UnreadableAnswer, match="rows outside the time that was asked for"):
        asyncio.run(go())
