"""The audit log: generated rows, windows, filters, caps and ties, by the versions that differ."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from logto_sandbox import Sandbox
from logto_sandbox.store.logs.rows import LogSpec
from logto_sandbox.store.logs.spec import LogSpecError, insert_logs
from logto_sandbox.store.logs.store import LogQuery, LogStore

START, END = 1_700_000_000_000, 1_700_000_600_000


def times(store: LogStore) -> list[int]:
    return [row["createdAt"] for row in store.dump()]


@pytest.mark.parametrize("pattern", ["random", "even", "bursts"])
def test_generated_rows_keep_to_their_window(pattern: str) -> None:
    store = LogStore()
    made = store.insert(LogSpec(5000, START, END, pattern=pattern, seed=4))
    rows = store.page(0, 5000)
    shown = [row["createdAt"] for row in rows]
    assert shown == sorted(shown, reverse=True)
    assert made == {"count": 5000, "first": shown[-1], "last": shown[0]}
    assert START <= shown[-1] <= shown[0] <= END
    assert len({row["id"] for row in rows}) == 5000
    assert all(row["payload"]["key"] == row["key"] and len(row["id"]) == 21 for row in rows)
    assert 100 < sum(row["payload"]["result"] == "Error" for row in rows) < 400


def test_patterns_differ_in_density() -> None:
    def seconds_used(**options: Any) -> int:
        store = LogStore()
        store.insert(LogSpec(2000, START, END, **options))
        return len({int(moment) // 1000 for moment in times(store)})

    assert seconds_used(pattern="even") >= 590
    assert seconds_used(pattern="random") > 500
    assert seconds_used(pattern="bursts", bursts=5, burst_ms=1000) <= 10


def test_the_same_seed_gives_the_same_rows() -> None:
    def rows(seed: int) -> list[tuple[Any, ...]]:
        store = LogStore()
        store.insert(LogSpec(50, START, END, seed=seed))
        return [(row["createdAt"], row["payload"]) for row in store.page(0, 50)]

    assert rows(1) == rows(1) != rows(2)


def test_every_row_is_found_by_its_id() -> None:
    store = LogStore()
    store.insert(LogSpec(200, START, END))
    appended = store.append("TriggerHook.User.Created", {"key": "TriggerHook.User.Created", "hookId": "h"}, END)
    for row in store.page(0, 200):
        assert store.get(row["id"]) == row
    assert (store.get(appended) or {})["createdAt"] == END
    assert store.get("0" * 21) is None
    assert store.get("Not-An-Id") is None


def test_rows_added_one_by_one_stand_in_their_place() -> None:
    store = LogStore()
    store.insert(LogSpec(100, START, END))
    ids = [store.append("RevokeToken", {"key": "RevokeToken"}, moment) for moment in (START + 500, END + 1, START - 1)]
    shown = store.page(0, 200)
    assert [row["createdAt"] for row in shown] == sorted((row["createdAt"] for row in shown), reverse=True)
    assert (shown[0]["id"], shown[-1]["id"]) == (ids[1], ids[2])


def test_rows_of_one_millisecond_keep_the_order_of_writing() -> None:
    store = LogStore()
    ids = [store.append("RevokeToken", {}, START) for _ in range(20)]
    assert [row["id"] for row in store.page(0, 20)] == ids[::-1]


def test_deleted_rows_are_gone() -> None:
    store = LogStore()
    store.insert(LogSpec(100, START, END, pattern="even"))
    newest, oldest = store.page(0, 1)[0], store.page(99, 1)[0]
    assert store.delete(high_ms=START + 300_000) == 50
    assert store.get(oldest["id"]) is None
    assert store.delete(limit=1) == 1
    assert store.get(newest["id"]) is None
    assert len(store) == store.count() == 49


def test_a_walk_over_ties_loses_rows_and_another_page_size_finds_them() -> None:
    store = LogStore()
    store.insert(LogSpec(500, START, START, ties=500, whole_ms=True))

    def walk(size: int) -> set[str]:
        return {row["id"] for offset in range(0, 500, size) for row in store.page(offset, size)}

    assert 450 < len(walk(100)) < 500
    assert walk(100) == walk(100)
    assert len(walk(100) | walk(99) | walk(97)) == 500
    assert len(store.page(0, 500)) == 500


def test_rows_without_ties_are_walked_completely() -> None:
    store = LogStore()
    store.insert(LogSpec(1000, START, END, pattern="even"))
    assert len({row["id"] for offset in range(0, 1000, 100) for row in store.page(offset, 100)}) == 1000


def test_filters_combine() -> None:
    store = LogStore()
    store.insert(LogSpec(3000, START, END, users=["u1", "u2"], applications=["a1", "a2"]))
    store.insert(LogSpec(40, START, END, keys=["TriggerHook.PostSignIn"], hook_id="h1"))
    everything = store.page(0, 5000)
    assert len(everything) == 3000
    key = "Interaction.SignIn.Submit"
    wanted = [
        row["id"]
        for row in everything
        if row["key"] == key and row["payload"]["userId"] == "u1" and row["payload"]["applicationId"] == "a2"
    ]
    query = LogQuery(key=key, user="u1", application="a2")
    assert 0 < len(wanted) < 1000
    assert store.count(query) == len(wanted)
    assert [row["id"] for row in store.page(0, 1000, query)] == wanted
    assert store.count(LogQuery("webhook", hook="h1")) == 40
    assert store.count(LogQuery(user="nobody")) == 0
    store.append(key, {"userId": "u1", "applicationId": "a2"}, END)
    assert store.count(query) == len(wanted) + 1


def total(api: httpx.Client, path: str = "/api/logs", **query: Any) -> int:
    answer = api.get(path, params=query)
    assert answer.status_code == 200, answer.text
    return int(answer.headers["total-number"])


ROWS = [{"key": "RevokeToken", "createdAt": START + offset} for offset in (0, 1, 2)]


@pytest.mark.parametrize(
    ("version", "window", "point"),
    [("1.36", 3, 3), ("1.39", 3, 3), ("1.40", 1, None), ("1.42", 3, 1)],
)
def test_bounds_by_version(
    version: str, window: int, point: int | None, authorize: Callable[[Sandbox], httpx.Client]
) -> None:
    with Sandbox(logto_version=version) as sandbox:
        api = authorize(sandbox)
        sandbox.insert_logs(ROWS)
        mine = {"logKey": "RevokeToken"}
        assert total(api, start_time=START, end_time=START + 2, **mine) == window
        answer = api.get("/api/logs", params={"start_time": START + 1, "end_time": START + 1, **mine})
        if point is None:
            assert (answer.status_code, answer.json()["code"]) == (400, "log.invalid_time_window")
        else:
            assert int(answer.headers["total-number"]) == point
        known = version in ("1.40", "1.42")
        for bad in ({"start_time": "noon"}, {"end_time": "Infinity"}, {"start_time": "1_000"}):
            assert api.get("/api/logs", params=bad).status_code == (400 if known else 200)
        assert api.get("/api/logs", params={"end_time": "1e300"}).status_code == (500 if known else 200)


def test_an_inclusive_end_covers_its_whole_millisecond(logto_sandbox: Sandbox, api: httpx.Client) -> None:
    logto_sandbox.tenant.logs.append("RevokeToken", {"key": "RevokeToken"}, START + 0.9)
    assert total(api, logKey="RevokeToken", end_time=START) == 1
    assert total(api, logKey="RevokeToken", start_time=START + 0.95) == 0
    assert total(api, logKey="RevokeToken", start_time="", end_time=START) == 1


@pytest.mark.parametrize(("version", "capped"), [("1.39", False), ("1.40", True), ("1.42", True)])
def test_count_cap(version: str, capped: bool, authorize: Callable[[Sandbox], httpx.Client]) -> None:
    with Sandbox(logto_version=version) as sandbox:
        api = authorize(sandbox)
        sandbox.insert_logs(count=10_500)
        plain = api.get("/api/logs", params={"page_size": 100})
        assert int(plain.headers["total-number"]) == 10_501
        answer = api.get("/api/logs", params={"page_size": 100, "page": 106, "enableCap": "yes"})
    assert len(answer.json()) == 1
    links = " ".join(answer.headers.get_list("link"))
    assert answer.headers["total-number"] == ("10001" if capped else "10501")
    assert answer.headers.get("total-number-is-capped") == ("true" if capped else None)
    assert ("last" in links) != capped


def test_webhook_rows_are_in_recent_logs_only(logto_sandbox: Sandbox, api: httpx.Client) -> None:
    now = int(time.time() * 1000)
    spec = {"keys": ["TriggerHook.User.Created"], "hook_id": "hook1", "end": now}
    logto_sandbox.insert_logs(count=30, start=now - 3_600_000, **spec)
    logto_sandbox.insert_logs(count=5, start=now - 172_900_000, **(spec | {"end": now - 172_800_000}))
    path = "/api/hooks/hook1/recent-logs"
    assert total(api) == 1
    assert total(api, path) == 30
    assert total(api, path, start_time=0) == 35
    assert total(api, "/api/hooks/other/recent-logs") == 0
    row = api.get(path).json()[0]
    assert set(row) == {"id", "key", "payload", "createdAt"}
    assert api.get(f"/api/logs/{row['id']}").json() == {"tenantId": "default", **row}


def test_deep_pages_of_many_rows_stay_fast() -> None:
    store = LogStore()
    began = time.monotonic()
    store.insert(LogSpec(100_000, START, END, pattern="bursts", ties=3))
    assert time.monotonic() - began < 10
    began = time.monotonic()
    for _ in range(20):
        assert len(store.page(90_000, 100)) == 100
        assert store.count(LogQuery(low_us=START * 1000, high_us=END * 1000 + 1)) == 100_000
    assert (time.monotonic() - began) / 20 < 0.05


@pytest.mark.parametrize(
    ("rows", "field"),
    [
        ({}, "count"),
        ({"count": -1}, "count"),
        ({"count": "many"}, "count"),
        ({"count": True}, "count"),
        ({"count": 1, "tiess": 2}, "tiess"),
        ({"count": 1, "ties": 0}, "ties"),
        ({"count": 1, "pattern": "odd"}, "pattern"),
        ({"count": 1, "start": "2026-01-01T00:00:00"}, "start"),
        ({"count": 1, "start": "yesterday"}, "start"),
        ({"count": 1, "start": 2, "end": 1}, "start"),
        ({"count": 1, "keys": []}, "keys"),
        ({"count": 1, "keys": {"RevokeToken": 0}}, "keys"),
        ({"count": 1, "users": "ada"}, "users"),
        ({"count": 1, "whole_ms": 1}, "whole_ms"),
        ({"count": 1, "error_share": 2}, "error_share"),
        ("rows", "logs"),
        ([{"key": "RevokeToken"}], r"logs\[0\].createdAt"),
        ([{"key": "", "createdAt": 1}], r"logs\[0\].key"),
        ([*ROWS, {"key": "RevokeToken", "createdAt": 1, "user": "u"}], r"logs\[3\].user"),
    ],
)
def test_a_wrong_spec_names_its_field_and_inserts_nothing(rows: Any, field: str) -> None:
    store = LogStore()
    with pytest.raises(LogSpecError, match=f"^{field}: "):
        insert_logs(store, rows)
    assert len(store) == 0


def test_a_user_filter_returns_only_rows_that_name_the_user(logto_sandbox: Sandbox, api: httpx.Client) -> None:
    logto_sandbox.insert_logs(count=300, users=["ada", "bob"])
    rows = api.get("/api/logs", params={"userId": "ada", "page_size": 100}).json()
    assert rows
    assert {row["payload"]["userId"] for row in rows} == {"ada"}
