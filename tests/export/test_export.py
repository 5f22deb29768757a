"""The export as a whole: manifest last, same bytes again, going on after an interruption, stopping, gaps."""

from __future__ import annotations

import json
import logging
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from upath import UPath

from airflow_provider_logto.exceptions import ExportStopped, InvalidInput, LogGap, LogtoApiError
from airflow_provider_logto.export import progress
from airflow_provider_logto.export.audit_logs import export_audit_logs, wait_until_readable
from airflow_provider_logto.export.folder import Folder
from airflow_provider_logto.export.job import ExportJob
from airflow_provider_logto.export.stop import StopSwitch
from airflow_provider_logto.management.audit_logs.walk import LateRows, Window
from airflow_provider_logto.plans.store import Store
from logto_sandbox import Sandbox
from tests.export.random_run import FileState, read_back
from tests.management.audit_log_tools import HOUR, START, log_requests, run_on, truth

WINDOW = Window(START + HOUR, START + 5 * HOUR)


@pytest.fixture
def filled(sandbox: Sandbox) -> Sandbox:
    sandbox.insert_logs(start=START, end=START + 6 * HOUR, count=3000)
    return sandbox


def export(sandbox: Sandbox, folder: Path, job: ExportJob | None = None, **more: Any) -> dict[str, Any]:
    job = job or ExportJob(WINDOW, compression="none")
    return run_on(sandbox, lambda client: export_audit_logs(client, job, Folder(UPath(folder)), **more))


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


class Recorder(Folder):
    """Notes what is written, in order; fails at a given upload."""

    def __init__(self, path: UPath, fail_at: int | None = None) -> None:
        super().__init__(path)
        self.written: list[str] = []
        self._fail_at = fail_at

    def upload(self, local: Path, name: str, stopped: Any) -> None:
        if self._fail_at == len(self.written):
            raise OSError("no space left on device")
        super().upload(local, name, stopped)
        self.written.append(name)

    def write(self, name: str, content: bytes) -> None:
        super().write(name, content)
        self.written.append(name)


@pytest.mark.parametrize("partition_by", [None, "hour"])
def test_manifest_says_everything(filled: Sandbox, tmp_path: Path, partition_by: str | None) -> None:
    job = ExportJob(WINDOW, partition_by=partition_by, max_rows_per_file=300)
    summary = export(filled, tmp_path, job)
    expected = truth(filled, WINDOW)
    assert read_back(summary, tmp_path, job) == expected
    manifest = json.loads(Path(summary["manifest"]).read_bytes())
    assert manifest["interval"] == {"start": "2025-10-09T09:00:00.000Z", "end": "2025-10-09T13:00:00.000Z"}
    assert manifest["gap"] is None
    assert (manifest["first"], manifest["last"]) == (summary["first"], summary["last"])
    assert manifest["files"][0]["first"] == list(expected[0])
    assert len(summary["files"]) == len(manifest["files"]) >= 7
    assert set(tree(tmp_path)) == {entry["path"] for entry in manifest["files"]} | {Path(summary["manifest"]).name}


def test_manifest_comes_last(filled: Sandbox, tmp_path: Path) -> None:
    folder = Recorder(UPath(tmp_path))
    job = ExportJob(WINDOW, max_rows_per_file=500)
    run_on(filled, lambda client: export_audit_logs(client, job, folder))
    assert len(folder.written) == 5
    assert [name.endswith(".manifest.json") for name in folder.written] == [False] * 4 + [True]


def test_no_rows_no_file_but_a_manifest(filled: Sandbox, tmp_path: Path) -> None:
    summary = export(filled, tmp_path, ExportJob(Window(START + 7 * HOUR, START + 8 * HOUR)))
    assert summary == {"manifest": summary["manifest"], "files": [], "count": 0, "first": None, "last": None}
    assert list(tree(tmp_path)) == [Path(summary["manifest"]).name]


def test_again_writes_nothing_and_changes_nothing(filled: Sandbox, tmp_path: Path) -> None:
    first = export(filled, tmp_path)
    before = tree(tmp_path)
    folder = Recorder(UPath(tmp_path))
    job = ExportJob(WINDOW, compression="none")
    assert run_on(filled, lambda client: export_audit_logs(client, job, folder)) == first
    assert folder.written == []
    assert tree(tmp_path) == before


def test_different_exports_stay_apart(filled: Sandbox, tmp_path: Path) -> None:
    jobs = [
        ExportJob(WINDOW),
        ExportJob(WINDOW, redact=("ip",)),
        ExportJob(WINDOW, max_rows_per_file=100),
        ExportJob(Window(WINDOW.low, WINDOW.high + 1)),
    ]
    summaries = [export(filled, tmp_path, job) for job in jobs]
    names = [name for summary in summaries for name in (summary["manifest"], *summary["files"])]
    assert len(set(names)) == len(names) == len(tree(tmp_path))


def test_a_damaged_file_is_written_again(filled: Sandbox, tmp_path: Path) -> None:
    summary = export(filled, tmp_path)
    before = tree(tmp_path)
    Path(summary["files"][0]).write_bytes(b"half")
    export(filled, tmp_path)
    assert tree(tmp_path) == before


def test_no_manifest_while_files_change(filled: Sandbox, tmp_path: Path) -> None:
    """A reader never sees an old manifest beside new files."""
    job = ExportJob(WINDOW, compression="none", max_rows_per_file=500)
    export(filled, tmp_path, job)
    filled.insert_logs([{"key": "RevokeToken", "payload": {}, "createdAt": WINDOW.low + 5}])
    folder = Recorder(UPath(tmp_path), fail_at=1)
    with pytest.raises(OSError, match="no space left"):
        run_on(filled, lambda client: export_audit_logs(client, job, folder))
    assert not [name for name in tree(tmp_path) if name.endswith(".manifest.json")]
    assert read_back(export(filled, tmp_path, job), tmp_path, job) == truth(filled, WINDOW)


def test_goes_on_behind_finished_files(filled: Sandbox, tmp_path: Path) -> None:
    job = ExportJob(WINDOW, compression="none", max_rows_per_file=200)
    whole = tmp_path / "whole"
    export(filled, whole, job)
    state, target = FileState(tmp_path / "state.json"), tmp_path / "target"
    with pytest.raises(OSError, match="no space left"):
        run_on(filled, lambda client: export_audit_logs(client, job, Recorder(UPath(target), fail_at=6), state))
    filled.reset_stats()
    folder = Recorder(UPath(target))
    run_on(filled, lambda client: export_audit_logs(client, job, folder, state))
    assert tree(target) == tree(whole)
    assert folder.written[0].endswith("-00007.jsonl")
    assert log_requests(filled) <= 14  # not the 20 pages of all


def test_rows_that_came_late_for_finished_files(filled: Sandbox, tmp_path: Path) -> None:
    """What was written before the interruption is counted again too."""
    job = ExportJob(WINDOW, compression="none", max_rows_per_file=200)
    state = FileState(tmp_path / "state.json")
    with pytest.raises(OSError, match="no space left"):
        run_on(filled, lambda client: export_audit_logs(client, job, Recorder(UPath(tmp_path), fail_at=6), state))
    filled.insert_logs([{"key": "RevokeToken", "payload": {}, "createdAt": WINDOW.low + HOUR / 2}])
    assert read_back(export(filled, tmp_path, job, state=state), tmp_path, job) == truth(filled, WINDOW)


def test_a_finished_file_that_vanished_is_not_believed(filled: Sandbox, tmp_path: Path) -> None:
    job = ExportJob(WINDOW, compression="none", max_rows_per_file=200)
    state, target = FileState(tmp_path / "state.json"), tmp_path / "target"
    with pytest.raises(OSError, match="no space left"):
        run_on(filled, lambda client: export_audit_logs(client, job, Recorder(UPath(target), fail_at=6), state))
    next(target.glob("*-00003.jsonl")).unlink()
    assert read_back(export(filled, target, job, state=state), target, job) == truth(filled, WINDOW)


def test_endless_late_rows_are_an_error(filled: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow_provider_logto.management.audit_logs.pages import LogPages

    async def count(self: LogPages, *arguments: Any) -> int:
        return 10**6

    monkeypatch.setattr(LogPages, "count", count)
    with pytest.raises(LateRows):
        export(filled, tmp_path)
    assert tree(tmp_path).keys() == {Path(name).name for name in tree(tmp_path) if name.endswith("-00001.jsonl")}


def test_gap_is_told(filled: Sandbox, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    job = ExportJob(Window(START - 48 * HOUR, START + HOUR))
    with caplog.at_level(logging.WARNING):
        summary = export(filled, tmp_path, job)
    oldest = truth(filled, Window(START, START + HOUR))[0][0]
    gap = json.loads(Path(summary["manifest"]).read_bytes())["gap"]
    assert gap == {"from": "2025-10-07T08:00:00.000Z", "until": summary["first"]}
    assert json.loads(Path(summary["manifest"]).read_bytes())["gapUntil"] == oldest
    assert "the server's oldest audit log is from" in caplog.text


def test_gap_may_fail(filled: Sandbox, tmp_path: Path) -> None:
    job = ExportJob(Window(START - 48 * HOUR, START + HOUR), on_gap="fail")
    with pytest.raises(LogGap, match=r"begins at 2025-10-07T08:00:00\.000Z"):
        export(filled, tmp_path, job)
    assert tree(tmp_path) == {}


def test_a_fuller_archive_is_never_replaced(filled: Sandbox, tmp_path: Path) -> None:
    """Run again after the server has deleted rows, the export keeps what it once wrote."""
    summary = export(filled, tmp_path)
    before = tree(tmp_path)
    filled._on_loop(lambda: filled.tenant.logs.delete(None, WINDOW.low + HOUR))
    assert export(filled, tmp_path) == summary
    assert tree(tmp_path) == before
    filled._on_loop(lambda: filled.tenant.logs.delete(None, WINDOW.high + 1000 * HOUR))
    assert export(filled, tmp_path) == summary
    assert tree(tmp_path) == before


def test_a_failing_server_leaves_no_manifest_and_no_litter(
    filled: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = tmp_path / "spool"
    spool.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(spool))
    filled.add_fault(kind="error", status=403, method="GET", path="/api/logs", after=12, times=None)
    with pytest.raises(LogtoApiError):
        export(filled, tmp_path / "target", ExportJob(WINDOW, max_rows_per_file=100))
    assert list(spool.iterdir()) == []
    assert not list((tmp_path / "target").rglob("*.manifest.json"))


@pytest.fixture
def slow(filled: Sandbox) -> Sandbox:
    filled.add_fault(kind="slow", seconds=0.3, method="GET", path="/api/logs", times=None)
    return filled


def test_stops_within_a_second_and_says_how_far_it_came(slow: Sandbox, tmp_path: Path) -> None:
    stop, asked_at = StopSwitch(), [0.0]

    def ask() -> None:
        asked_at[0] = time.monotonic()
        stop.stop()

    threading.Timer(2.0, ask).start()
    with pytest.raises(ExportStopped, match=r"the export had come to \d+ rows, .* at 2025-10-09T") as caught:
        export(slow, tmp_path, stop=stop)
    assert time.monotonic() - asked_at[0] < 1.0
    assert caught.value.transient


def test_stops_where_it_was_told_before_it_began(filled: Sandbox, tmp_path: Path) -> None:
    stop = StopSwitch()
    stop.stop()
    with pytest.raises(ExportStopped):
        export(filled, tmp_path, stop=stop)
    assert not list(tmp_path.iterdir())
    with pytest.raises(ExportStopped):
        run_on(filled, lambda client: wait_until_readable(client, int(time.time() * 1000) + 60_000, 0, stop))


def test_stops_while_it_uploads(filled: Sandbox, tmp_path: Path) -> None:
    stop = StopSwitch()

    class Endless(Folder):
        def upload(self, local: Path, name: str, stopped: Any) -> None:
            stop.stop()
            while not stopped():
                time.sleep(0.01)
            raise InterruptedError

    job = ExportJob(WINDOW)
    with pytest.raises(ExportStopped):
        run_on(filled, lambda client: export_audit_logs(client, job, Endless(UPath(tmp_path)), stop=stop))


def test_upload_breaks_off_between_blocks(tmp_path: Path) -> None:
    """On a store that is no local disk, the file must not be published half."""
    from fsspec.implementations.memory import MemoryFileSystem

    local = tmp_path / "big"
    local.write_bytes(b"x" * 30_000_000)
    folder = Folder(UPath("memory://archive"))
    with pytest.raises(InterruptedError):
        folder.upload(local, "big", lambda: True)
    assert not MemoryFileSystem().exists("/archive/big")
    folder.upload(local, "big", lambda: False)
    assert MemoryFileSystem().info("/archive/big")["size"] == 30_000_000


def test_local_upload_is_all_or_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    local = tmp_path / "local"
    local.write_bytes(b"new")
    folder = Folder(UPath(tmp_path / "target"))
    folder.write("file", b"old")
    monkeypatch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(OSError("gone")))
    with pytest.raises(OSError, match="gone"):
        folder.upload(local, "file", lambda: False)
    assert tree(tmp_path / "target") == {"file": b"old"}


def test_progress_is_told(slow: Sandbox, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: Any) -> None:
    monkeypatch.setattr(progress, "INTERVAL", 0.2)
    with caplog.at_level(logging.INFO):
        export(slow, tmp_path)
    lines = [line for line in caplog.messages if "rows/s" in line]
    assert len(lines) >= 3
    assert "% of the time" in lines[-1]


def test_waiting_ends_by_the_servers_clock(sandbox: Sandbox) -> None:
    sandbox.add_fault(kind="clock_skew", offset_ms=3_600_000)
    began = time.monotonic()
    end = int((time.time() + 3600) * 1000)
    run_on(sandbox, lambda client: wait_until_readable(client, end, 1.0, StopSwitch()))
    assert 0.3 < time.monotonic() - began < 3.5


def test_waiting_can_be_stopped(sandbox: Sandbox) -> None:
    stop = StopSwitch()
    threading.Timer(0.5, stop.stop).start()
    end = int((time.time() + 600) * 1000)
    with pytest.raises(ExportStopped):
        run_on(sandbox, lambda client: wait_until_readable(client, end, 60, stop))


def test_stop_when_nothing_runs() -> None:
    stop = StopSwitch()
    stop.stop()
    assert stop()


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"start": "2026-01-01T00:00:00"}, "start"),
        ({"start": "yesterday"}, "start"),
        ({"start": 5}, "start"),
        ({"end": "2026-01-01T00:00:00+00:00"}, "end"),
        ({"end": "2025-01-01T00:00:00Z"}, "end"),
        ({"file_format": "csv"}, "file_format"),
        ({"compression": "rar"}, "compression"),
        ({"partition_by": "week"}, "partition_by"),
        ({"on_gap": "shrug"}, "on_gap"),
        ({"redact": ["ip", "shoe_size"]}, "redact"),
        ({"redact": 7}, "redact"),
        ({"log_keys": [1]}, "log_keys"),
        ({"user_id": 1}, "user_id"),
        ({"max_rows_per_file": 0}, "max_rows_per_file"),
        ({"concurrency": "4"}, "concurrency"),
    ],
)
def test_bad_input_names_the_field(arguments: dict[str, Any], field: str) -> None:
    good = {"start": "2026-01-01T00:00:00Z", "end": "2026-01-02T00:00:00Z"}
    with pytest.raises(InvalidInput) as caught:
        ExportJob.checked(**{**good, **arguments})
    assert caught.value.field == field


def test_job_from_templated_texts() -> None:
    job = ExportJob.checked(
        start="2026-01-01 00:00:00.0005+09:00", end="2026-01-02T00:00:00Z", log_keys="", user_id="", redact="ip"
    )
    assert job.window == Window(1_767_193_200_001, 1_767_312_000_000)
    assert job.filters.queries() == [{}]
    assert job.redact == ("ip",)


def test_a_destination_that_cannot_be_written(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.touch()
    with pytest.raises(InvalidInput, match="cannot be written") as caught:
        Folder(UPath(blocked / "sub")).check("x")
    assert caught.value.field == "destination"


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        (TimeoutError("read timed out"), True),
        (OSError(28, "No space left on device"), True),
        (RuntimeError("SlowDown"), True),
        (PermissionError("no"), False),
        (FileNotFoundError("no such bucket"), False),
        (NotImplementedError(), False),
    ],
)
def test_a_store_that_fails_for_a_moment_is_worth_a_retry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, passes: bool
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr("fsspec.implementations.memory.MemoryFileSystem.pipe_file", fail)
    for write in (
        lambda: Folder(UPath("memory://archive")).check("x"),
        lambda: Store(UPath("memory://plans")).write("x", b""),
    ):
        with pytest.raises(InvalidInput, match="cannot be written") as caught:
            write()
        assert caught.value.transient is passes
