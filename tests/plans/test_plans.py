"""Plans as files, journals, what stays how long, and the loop that applies."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import re
import stat
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from upath import UPath

from airflow_provider_logto.exceptions import (
    ApplyInterrupted,
    ApplyStopped,
    AuthFailed,
    Conflict,
    Forbidden,
    InvalidInput,
    LogtoError,
    PlanRefused,
    QuotaExhausted,
)
from airflow_provider_logto.plans.apply import Applier, Operation
from airflow_provider_logto.plans.changes import Change
from airflow_provider_logto.plans.drift import agreed
from airflow_provider_logto.plans.journal import Journal, Outcome, Run, read_journal
from airflow_provider_logto.plans.plan import Plan, make_plan, read_plan, write_plan
from airflow_provider_logto.plans.retention import begin_plan, forget, mark_applied, plan_under_way, remove_old
from airflow_provider_logto.plans.store import Store

OWNER, TENANT = "roster/hr", "https://acme.logto.app"


def change(at: int = 0, **more: Any) -> Change:
    values = {"kind": "user", "action": "update", "key": f"k{at}", "id": f"i{at}", "before": {"name": "A"}}
    return Change(**{**values, "after": {"name": "B"}, "row": at, **more})


def plan(*changes: Change, **more: Any) -> Plan:
    values = {
        "owner": OWNER,
        "tenant": TENANT,
        "source": "s",
        "settings": {"a": 1},
        "as_of": "2026-01-01T00:00:00+00:00",
    }
    return make_plan(**{**values, "changes": changes or (change(),), **more})


@pytest.fixture
def store(tmp_path: Path) -> Store:
    from airflow_provider_logto.destinations import path_at

    return Store(path_at(f"file://{tmp_path}/plans"))


def test_the_id_depends_on_the_situation_alone() -> None:
    one = plan(change(1), change(2))
    assert one.id == plan(change(2), change(1, row=77)).id
    assert one.id == plan(change(1), change(2), as_of="2027-01-01T00:00:00+00:00", base=5, info={"x": 1}).id
    others = [
        plan(change(1)),
        plan(change(1), change(2, after={"name": "C"})),
        plan(change(1), change(2, step=1)),
        plan(change(1), change(2), source="t"),
        plan(change(1), change(2), settings={"a": 2}),
        plan(change(1), change(2), tenant="https://other.logto.app"),
    ]
    assert len({one.id, *(other.id for other in others)}) == 7


def test_a_plan_is_read_by_id_and_by_address(store: Store) -> None:
    made = plan(change(1), change(2, destructive=True, action="suspend"))
    address = write_plan(store, made)
    for reference in (made.id, address):
        assert read_plan(store, reference, OWNER, TENANT).changes == made.changes
    assert any("DESTRUCTIVE" in line for line in made.table()[:3])


@pytest.mark.skipif(os.name != "posix", reason="file modes")
def test_files_are_their_owners_alone(store: Store, tmp_path: Path) -> None:
    made = plan()
    write_plan(store, made)
    journal = Journal(store, made.name)
    journal.add(change(), Outcome())
    journal.close()
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) == 2
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda lines: [lines[0], lines[1].replace(b'"B"', b'"C"'), *lines[2:]], "was edited"),
        (lambda lines: [lines[0].replace(b'"a":1', b'"a":2'), *lines[1:]], "was edited"),
        (lambda lines: lines[:2], "is cut"),
        (lambda lines: [*lines[:2], lines[2][:10]], "cannot be read"),
        (lambda lines: [b"{}"], "cannot be read"),
        (lambda lines: [], "cannot be read"),
    ],
)
def test_a_damaged_plan_is_refused_with_the_reason(store: Store, damage: Any, reason: str) -> None:
    made = plan(change(1), change(2))
    write_plan(store, made)
    name = f"{made.name}.plan.jsonl"
    content = store.read(name)
    assert content is not None
    store.write(name, b"\n".join(damage(content.split(b"\n"))))
    with pytest.raises(PlanRefused, match=reason):
        read_plan(store, made.id, OWNER, TENANT)


def test_a_plan_of_others_is_refused(store: Store) -> None:
    made = plan(tenant="https://other.logto.app")
    write_plan(store, made)
    with pytest.raises(PlanRefused, match="made for"):
        read_plan(store, made.id, OWNER, TENANT)
    with pytest.raises(PlanRefused, match="no plan"):
        read_plan(store, plan().id, OWNER, TENANT)
    with pytest.raises(PlanRefused, match="not among the plans"):
        read_plan(store, "file:///elsewhere/x.plan.jsonl", OWNER, TENANT)


def test_a_journal_outlives_its_writer_and_collects_every_try(store: Store) -> None:
    for number in (1, 2):
        journal = Journal(store, "roster/hr/abc", Run("manual__1", number))
        journal.add(change(number), Outcome(request_id="r1"))
        if number == 2:
            journal.add(change(3), Outcome("failed", "Conflict 422"))
        # No close: the process may be gone.
    lines = read_journal(store, "roster/hr/abc")
    assert [(line["row"], line["status"], line["try"], line["dag_run"]) for line in lines] == [
        (1, "success", 1, "manual__1"),
        (2, "success", 2, "manual__1"),
        (3, "failed", 2, "manual__1"),
    ]
    assert lines[0]["fields"] == ["name"]
    assert "before" not in lines[0]


def test_a_journal_on_an_object_store_is_written_in_pieces() -> None:
    store = Store(UPath("memory://journals/x"))
    journal = Journal(store, "roster/hr/mem", values=True)
    journal.add(change(1), Outcome())
    assert read_journal(store, "roster/hr/mem") == []
    asyncio.run(journal.flush(last=True))
    journal.add(change(2), Outcome())
    journal.close()
    lines = read_journal(store, "roster/hr/mem")
    assert [line["row"] for line in lines] == [1, 2]
    assert lines[0]["after"] == {"name": "B"}


@pytest.mark.parametrize("keep_days", [0, 90])
def test_plans_go_after_their_days_whether_they_were_applied_or_not(store: Store, keep_days: float) -> None:
    made = datetime.now(UTC)
    applied, waiting, tried = (plan(change(at), as_of=made.isoformat()) for at in range(3))
    for one in (applied, waiting, tried):
        write_plan(store, one)
    for one in (applied, tried):
        journal = Journal(store, one.name)
        journal.add(change(), Outcome())
        journal.close()
    begin_plan(store, OWNER, tried.id, Run("r1"))
    mark_applied(store, applied.name, {"success": 1})
    (part,) = [name for name in store.names(OWNER) if name.startswith(f"{tried.name}.journal/")]
    later = (datetime.now(UTC) + timedelta(days=2)).strftime("%Y%m%dT%H%M%S%f")
    store.write(re.sub(r"\d{8}T\d{12}", later, part), store.read(part) or b"")

    def left(days: float) -> set[str]:
        remove_old(store, OWNER, keep_days, made + timedelta(days=days))
        return {name.rpartition("/")[2] for name in store.names(OWNER) if name.endswith(".plan.jsonl")}

    files = [f"{one.name.rpartition('/')[2]}.plan.jsonl" for one in (applied, waiting, tried)]
    days = max(keep_days, 7)
    if keep_days:
        assert left(days - 1) == set(files)
    assert left(days + 1) == {files[2]}, "one that is tried again every night stays"
    assert left(days + 3) == set()
    assert store.names(OWNER) == [f"{OWNER}/begun.json"]


def test_a_folder_that_cannot_be_read_is_an_error_of_ours(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    write_plan(store, plan())

    def denied(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied")

    for name in ("cat_file", "open", "find"):
        monkeypatch.setattr(type(store._fs), name, denied)
    calls: tuple[Callable[[], Any], ...] = (
        lambda: write_plan(store, plan()),
        lambda: plan_under_way(store, OWNER, Run("r1", 2)),
        lambda: remove_old(store, OWNER, 90),
        lambda: store.first_line(f"{plan().name}.plan.jsonl"),
    )
    for call in calls:
        with pytest.raises(InvalidInput, match=r"folder: .* cannot be read"):
            call()


def test_what_cannot_be_read_stays(store: Store) -> None:
    made = plan(change(1))
    write_plan(store, made)
    store.write(f"{made.name}.plan.jsonl", b"\n")
    assert remove_old(store, OWNER, 0) == 0


def test_of_the_deleted_only_ids_and_keys_stay(store: Store) -> None:
    made = plan(change(1), change(2))
    write_plan(store, made)
    journal = Journal(store, made.name, values=True)
    for one in made.changes:
        journal.add(one, Outcome())
    journal.close()
    forget(store, OWNER, {"i1": "E1"})
    for name in store.names(OWNER):
        by_key = {}
        for line in (store.read(name) or b"").splitlines():
            entry = json.loads(line)
            by_key[entry.get("key")] = entry
        assert not {"before", "after"} & set(by_key["k1"]), name
        assert by_key["k2"]["after"] == {"name": "B"}
    with pytest.raises(PlanRefused, match="deleted since"):
        read_plan(store, made.id, OWNER, TENANT)


# -- the loop


def applier(write: Any, size: int = 1, **more: Any) -> Applier:
    operations = {("user", "update"): Operation(1, write, size), ("user", "create"): Operation(0, write, size)}
    return Applier(operations, **more)


def test_fewer_are_under_way_than_block_each_other_in_a_pool_of_eight() -> None:
    """Logto's creation takes a second connection of its pool while it holds one."""
    under_way: list[int] = [0]
    pool = asyncio.Semaphore(8)

    async def write(batch: Sequence[Change]) -> list[Outcome]:
        async with pool:
            under_way.append(8 - pool._value)
            await asyncio.sleep(0.001)
            async with asyncio.timeout(5), pool:
                return [Outcome() for _ in batch]

    report = asyncio.run(applier(write).run([change(at) for at in range(100)]))
    assert report.statuses == {"success": 100}
    assert max(under_way) > 1


def test_phases_and_steps_run_one_after_another() -> None:
    order: list[str] = []

    async def write(batch: Sequence[Change]) -> list[Outcome]:
        await asyncio.sleep(0)
        order.extend(one.key for one in batch)
        return [Outcome() for _ in batch]

    changes = [change(1, step=1), change(2), change(3, action="create"), change(4)]
    report = asyncio.run(applier(write).run(changes))
    assert order[0] == "k3"
    assert set(order[1:3]) == {"k2", "k4"}
    assert order[3] == "k1"
    assert report.done == {"user.update": 3, "user.create": 1}


def test_a_refused_batch_is_split_until_the_bad_row_is_alone() -> None:
    sizes: list[int] = []

    async def write(batch: Sequence[Change]) -> list[Outcome]:
        sizes.append(len(batch))
        if any(one.key == "k5" for one in batch):
            raise Conflict("POST /x", 422, "entity.relation_foreign_key_not_found", "", "req1")
        return [Outcome() for _ in batch]

    report = asyncio.run(applier(write, size=100).run([change(at, target="r") for at in range(9)]))
    assert [one.key for one, _ in report.failed] == ["k5"]
    assert report.failed[0][1].request_id == "req1"
    assert report.statuses == {"success": 8, "failed": 1}
    assert sizes[0] == 9


def test_what_follows_a_failed_change_of_a_row_is_skipped() -> None:
    async def write(batch: Sequence[Change]) -> list[Outcome]:
        if batch[0].action == "create":
            raise Conflict("POST /x", 422)
        return [Outcome() for _ in batch]

    changes = [change(1, action="create"), change(1), change(2)]
    report = asyncio.run(applier(write).run(changes))
    assert report.statuses == {"failed": 1, "skipped": 1, "success": 1}


@pytest.mark.parametrize(("bad", "stops"), [(49, False), (50, True)])
def test_it_stops_after_fifty_errors(bad: int, stops: bool) -> None:
    async def write(batch: Sequence[Change]) -> list[Outcome]:
        if batch[0].row is not None and batch[0].row >= 1000 - bad:
            raise Conflict("PATCH /x", 422)
        return [Outcome()]

    loop = applier(write, concurrency=1)
    changes = [change(at) for at in range(1000)]
    if stops:
        with pytest.raises(ApplyStopped, match="50 of 1000"):
            asyncio.run(loop.run(changes))
    else:
        asyncio.run(loop.run(changes))
    assert len(loop.report.failed) == bad


def test_it_stops_when_a_large_share_fails() -> None:
    async def write(batch: Sequence[Change]) -> list[Outcome]:
        if (batch[0].row or 0) % 2:
            raise Conflict("PATCH /x", 422)
        return [Outcome()]

    loop = applier(write, concurrency=1)
    with pytest.raises(ApplyStopped, match="25 of 50"):
        asyncio.run(loop.run([change(at) for at in range(1000)]))
    assert sum(loop.report.statuses.values()) == 50


@pytest.mark.parametrize("code", ["system_limit.limit_exceeded", "subscription.limit_exceeded"])
def test_what_passes_one_limit_fails_and_the_rest_goes_on(code: str) -> None:
    members: list[str] = []
    sizes: list[int] = []

    async def write(batch: Sequence[Change]) -> list[Outcome]:
        if batch[0].target == "full":
            sizes.append(len(batch))
            # As libraries/quota.ts: a batch is refused whole.
            if len(members) + len(batch) > 3:
                raise QuotaExhausted("POST /x", 403, code, "", "req1")
            members.extend(one.key for one in batch)
        return [Outcome() for _ in batch]

    adds = [change(at, target="full") for at in range(500)]
    others = [change(at, target="other", step=1) for at in range(500, 1000)]
    report = asyncio.run(applier(write, size=100).run(adds + others))
    assert len(members) == 3
    assert report.statuses == {"success": 503, "failed": 497}
    assert {outcome.reason for _, outcome in report.failed} == {f"QuotaExhausted 403 {code}"}
    # Once one alone does not fit, the others are not sent.
    assert len(sizes) <= 6 * 10


def test_a_limit_without_a_target_fails_each_change_alone() -> None:
    async def write(batch: Sequence[Change]) -> list[Outcome]:
        if batch[0].row == 1:
            raise QuotaExhausted("POST /x", 403, "subscription.limit_exceeded")
        return [Outcome()]

    report = asyncio.run(applier(write).run([change(at) for at in range(4)]))
    assert report.statuses == {"success": 3, "failed": 1}


@pytest.mark.parametrize(
    "error",
    [
        AuthFailed("PATCH /x", 401),
        Forbidden("PATCH /x", 403),
        QuotaExhausted("POST /oidc/token", 403, "auth.exceed_token_limit"),
    ],
    ids=["401", "403", "token quota"],
)
def test_it_stops_at_once_when_nothing_can_succeed(error: LogtoError) -> None:
    async def write(batch: Sequence[Change]) -> list[Outcome]:
        raise error

    loop = applier(write, concurrency=1)
    with pytest.raises(ApplyStopped, match="refuses everything"):
        asyncio.run(loop.run([change(at) for at in range(10)]))
    assert sum(loop.report.statuses.values()) == 1


def test_it_ends_between_two_requests_when_told_to() -> None:
    made: list[str] = []

    async def write(batch: Sequence[Change]) -> list[Outcome]:
        made.append(batch[0].key)
        return [Outcome()]

    loop = applier(write, concurrency=1, stopped=lambda: len(made) >= 3)
    with pytest.raises(ApplyInterrupted, match="told to stop"):
        asyncio.run(loop.run([change(at) for at in range(10)]))
    assert len(made) == 3


class Slow(Store):
    """An object store that refuses the first files of a journal."""

    refusals = 1

    @property
    def is_local(self) -> bool:
        return False

    def write(self, name: str, content: bytes) -> None:
        if self.refusals:
            self.refusals -= 1
            raise InvalidInput("folder", "cannot be written (SlowDown)")
        path = Path(self._at(name))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


async def made(batch: Sequence[Change]) -> list[Outcome]:
    await asyncio.sleep(0)
    return [Outcome() for _ in batch]


@pytest.mark.parametrize("refusals", [1, 100])
def test_it_ends_where_the_journal_cannot_be_written_and_no_line_is_lost(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, refusals: int
) -> None:
    monkeypatch.setattr("airflow_provider_logto.plans.journal._EVERY", 0.0)
    monkeypatch.setattr(Slow, "refusals", refusals)
    slow = Slow(store.path)
    journal = Journal(slow, "roster/hr/slow")
    loop = applier(made, journal=journal)
    with pytest.raises(ApplyInterrupted, match="SlowDown"):
        asyncio.run(loop.run([change(at) for at in range(60)]))
    journal.close()
    done = loop.report.statuses["success"]
    assert 0 < done < 60
    lines = read_journal(slow, "roster/hr/slow")
    assert len(lines) == (done if refusals == 1 else 0)
    assert ("lost" in caplog.text) == (refusals == 100)


def test_a_full_disk_ends_it_and_what_fits_later_is_written(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    room = [700]
    write = os.write

    def full(handle: int, content: bytes) -> int:
        if not room[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = write(handle, content[: room[0]])
        room[0] -= written
        return written

    journal = Journal(store, "roster/hr/full")
    loop = applier(made, journal=journal)
    with monkeypatch.context() as disk:
        disk.setattr(os, "write", full)
        with pytest.raises(ApplyInterrupted, match="No space left"):
            asyncio.run(loop.run([change(at, target="r") for at in range(60)]))
    journal.close()
    lines = read_journal(store, "roster/hr/full")
    assert 0 < len(lines) == loop.report.statuses["success"] < 60


# -- drift


def test_what_is_as_planned_is_due() -> None:
    planned, now = [change(1), change(2)], [change(1), change(2), change(3)]
    due, done, drifted = agreed(planned, now)
    assert [one.key for one in due] == ["k1", "k2"]
    assert (done, drifted) == ([], [])


def test_what_was_made_already_is_done() -> None:
    due, done, drifted = agreed([change(1), change(2)], [change(2)])
    assert ([one.key for one in due], [one.key for one in done], drifted) == (["k2"], ["k1"], [])


def test_a_drifted_field_stops_its_whole_row() -> None:
    role = change(1, kind="role", action="add", target="r", before={"held": False}, after={"held": True})
    now = [change(1, before={"name": "Z"}), role, change(2)]
    due, _, drifted = agreed([change(1), role, change(2)], now)
    assert [one.key for one in due] == ["k2"]
    assert len(drifted) == 2


def test_what_was_planned_for_one_is_not_done_to_another_of_the_same_key() -> None:
    role = change(1, kind="role", action="add", target="r")
    due, done, drifted = agreed([change(1), role, change(2)], [change(1, id="other"), change(2)])
    assert ([one.key for one in due], done, [one.key for one in drifted]) == (["k2"], [], ["k1", "k1"])


def test_two_of_one_key_are_each_done_as_planned() -> None:
    one, two = change(1, id="one"), change(1, id="two")
    due, done, drifted = agreed([one, two], [one, two])
    assert ([each.id for each in due], done, drifted) == (["one", "two"], [], [])
    due, done, drifted = agreed([one, two], [two])
    assert ([each.id for each in due], [each.id for each in done], drifted) == (["two"], ["one"], [])


def test_what_was_planned_for_somebody_new_is_done_once_they_are_created() -> None:
    create = change(1, action="create", id=None)
    role = change(1, kind="role", action="add", target="r", id=None)
    due, done, drifted = agreed([create, role], [change(1, kind="role", action="add", target="r")])
    assert ([one.id for one in due], done, drifted) == (["i1"], [create], [])


def test_what_was_planned_for_somebody_new_is_not_done_to_somebody_else_who_is_there_by_now() -> None:
    create = change(1, action="create", id=None)
    role = change(1, kind="role", action="add", target="r", id=None)
    now = [change(1, action="adopt"), change(1, kind="role", action="add", target="r"), change(2)]
    due, done, drifted = agreed([create, role, change(2)], now)
    assert ([one.key for one in due], done, [one.name for one in drifted]) == (["k2"], [], ["role.add", "user.create"])


def test_half_of_an_update_may_be_done() -> None:
    both = change(1, before={"name": "A", "avatar": None}, after={"name": "B", "avatar": "x"})
    half = change(1, before={"avatar": None}, after={"avatar": "x"})
    due, _, drifted = agreed([both], [half])
    assert drifted == []
    assert due[0].after == {"avatar": "x"}
    more = change(1, before={"name": "A", "username": "u"}, after={"name": "B", "username": "v"})
    due, _, _ = agreed([change(1)], [more])
    assert due[0].after == {"name": "B"}, "what was not planned is not done"


def test_an_identifier_on_its_way_is_no_drift() -> None:
    update = change(1, before={"primaryEmail": "a"}, after={"primaryEmail": "b"})
    release = change(1, action="release", before={"primaryEmail": "a"}, after={"primaryEmail": None})
    now = [change(1, before={"primaryEmail": None}, after={"primaryEmail": "b"})]
    due, done, drifted = agreed([release, update], now)
    assert ([one.action for one in due], [one.action for one in done], drifted) == (["update"], ["release"], [])


def test_rows_that_are_left_alone_now_are_not_touched() -> None:
    due, done, drifted = agreed([change(1), change(2)], [change(1)], {"k1", "k2"})
    assert (due, done, len(drifted)) == ([], [], 2)
