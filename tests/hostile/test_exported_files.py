"""Another user of this machine, and somebody who may write into the archive: what they can do to an export's files."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from upath import UPath

from airflow_provider_logto.export.audit_logs import export_audit_logs
from airflow_provider_logto.export.folder import Folder
from airflow_provider_logto.export.job import ExportJob
from airflow_provider_logto.export.local_files import replace_file, spool_file
from airflow_provider_logto.export.user_spool import UserSpool
from airflow_provider_logto.export.users import UserExport, export_users
from logto_sandbox import Sandbox
from tests.management.audit_log_tools import HOUR, START, Window, run_on

JOB = ExportJob(Window(START, START + 2 * HOUR), compression="none", max_rows_per_file=100)


@pytest.fixture
def filled(sandbox: Sandbox) -> Sandbox:
    sandbox.insert_logs(start=START, end=START + 2 * HOUR, count=450)
    return sandbox


@pytest.fixture
def umask() -> Iterator[None]:
    """Files are for their owner and group."""
    before = os.umask(0o027)
    yield
    os.umask(before)


def export(sandbox: Sandbox, folder: Folder) -> dict[str, Any]:
    return run_on(sandbox, lambda client: export_audit_logs(client, JOB, folder))


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_an_unfinished_file_is_its_owners_alone(tmp_path: Path, umask: None) -> None:
    target = tmp_path / "file"
    target.write_bytes(b"old")
    modes: list[int] = []

    def look() -> bool:
        (unfinished,) = [path for path in tmp_path.iterdir() if path != target]
        modes.append(stat.S_IMODE(unfinished.stat().st_mode))
        assert target.read_bytes() == b"old"
        return False

    with (Path(__file__)).open("rb") as source:
        replace_file(target, source, look)
    assert modes == [0o600]
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    assert target.read_bytes() == Path(__file__).read_bytes()
    assert os.umask(0o027) == 0o027


def test_unfinished_names_cannot_be_foreseen(tmp_path: Path) -> None:
    """A link that waits under a guessed name would be written through."""
    names: list[str] = []

    def look() -> bool:
        names.append(*[path.name for path in tmp_path.iterdir() if path.name != "file"])
        return False

    for _ in range(3):
        with Path(__file__).open("rb") as source:
            replace_file(tmp_path / "file", source, look)
    assert len(set(names)) == 3


def test_a_link_in_place_of_the_target_is_replaced_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    folder = tmp_path / "archive"
    folder.mkdir()
    (folder / "file").symlink_to(victim)
    Folder(UPath(folder)).write("file", b"new")
    assert victim.read_text() == "precious"
    assert not (folder / "file").is_symlink()


def test_the_write_test_follows_no_link_that_waits_for_it(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    folder = tmp_path / "archive"
    folder.mkdir()
    for name in (".export.write-test", ".export.write-test.unfinished", "export.unfinished"):
        (folder / name).symlink_to(victim)
    before = sorted(folder.iterdir())
    Folder(UPath(folder)).check("export")
    assert victim.read_text() == "precious"
    assert sorted(folder.iterdir()) == before


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="elsewhere the file has a name")
def test_a_killed_export_leaves_no_spool(tmp_path: Path) -> None:
    code = """
import sys, time
from pathlib import Path
from airflow_provider_logto.export.local_files import spool_file
file, path = spool_file(Path(sys.argv[1]))
file.write(b"somebody's sign-ins")
file.flush()
assert path.read_bytes() == b"somebody's sign-ins"
print("ready", flush=True)
time.sleep(60)
"""
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGKILL)
    process.wait(10)
    process.stdout.close()
    assert list(tmp_path.iterdir()) == []


def test_where_spool_files_have_names_they_are_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "is_dir", lambda _: False)
    file, path = spool_file(tmp_path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    file.close()
    assert not path.exists()


def test_a_re_run_replaces_what_was_changed(filled: Sandbox, tmp_path: Path) -> None:
    """Same size, other bytes."""
    result = export(filled, Folder(UPath(tmp_path)))
    before = content(tmp_path)
    changed = Path(result["files"][2])
    forged = changed.read_bytes().replace(b'"result":"Success"', b'"result":"Failure"').replace(b"a", b"b", 1)
    changed.write_bytes(forged)
    assert len(forged) == len(before[changed.name])
    assert export(filled, Folder(UPath(tmp_path))) == result
    assert content(tmp_path) == before


def test_a_manifest_that_names_other_files_is_not_believed(
    filled: Sandbox, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    archive = tmp_path / "archive"
    result = export(filled, Folder(UPath(archive)))
    before = content(archive)
    outside = tmp_path / "outside.jsonl"
    manifest = Path(result["manifest"])
    body = json.loads(manifest.read_text())
    entry = body["files"][0]
    outside.write_bytes(Path(result["files"][0]).read_bytes())
    for path in ("../outside.jsonl", str(outside), f"x/{entry['path']}", entry["path"].replace("-00001", "-00002")):
        manifest.write_text(json.dumps({**body, "files": [{**entry, "path": path}, *body["files"][1:]]}))
        caplog.clear()
        assert export(filled, Folder(UPath(archive))) == result
        assert "is not believed" in caplog.text
        assert content(archive) == before
    assert outside.read_bytes() == before[Path(result["files"][0]).name]


class Store:
    """An object store in memory that gives ETags."""

    def __init__(self) -> None:
        from fsspec.implementations.memory import MemoryFileSystem

        class Tagging(MemoryFileSystem):  # type: ignore[misc]
            protocol = "tagging"
            cachable = False
            store: dict[str, Any] = {}  # noqa: RUF012
            pseudo_dirs = [""]  # noqa: RUF012
            puts: list[str] = []  # noqa: RUF012

            def info(self, path: str, **kwargs: Any) -> dict[str, Any]:
                found: dict[str, Any] = super().info(path, **kwargs)
                if found["type"] == "file":
                    found["ETag"] = hashlib.sha256(self.cat_file(path)).hexdigest()
                return found

            def put_file(self, lpath: str, rpath: str, *args: Any, **kwargs: Any) -> None:
                self.puts.append(rpath)
                super().put_file(lpath, rpath, *args, **kwargs)

        self.fs = Tagging()
        self.path = "/archive"

    def __truediv__(self, name: str) -> Any:
        place = Store.__new__(Store)
        place.fs, place.path = self.fs, f"{self.path}/{name}"
        return place

    def __str__(self) -> str:
        return f"tagging:/{self.path}"


def test_a_re_run_into_an_object_store_goes_by_the_etag(filled: Sandbox) -> None:
    store = Store()
    result = export(filled, Folder(store))
    manifest = json.loads(store.fs.cat_file(result["manifest"].removeprefix("tagging:/")))
    assert all(len(entry["etag"]) == 64 for entry in manifest["files"])
    store.fs.puts.clear()
    assert export(filled, Folder(store)) == result
    assert store.fs.puts == []
    name = result["files"][1].removeprefix("tagging:/")
    honest = store.fs.cat_file(name)
    store.fs.pipe_file(name, honest[:-2] + b"x\n")
    assert export(filled, Folder(store)) == result
    assert name in store.fs.puts
    assert store.fs.cat_file(name) == honest


def test_people_exported_again_into_an_object_store_go_by_the_etag(sandbox: Sandbox) -> None:
    sandbox.seed({"users": [{"username": f"u{at}"} for at in range(5)]})
    store = Store()
    job = UserExport.checked(max_rows_per_file=2, compression="none")

    def export_people() -> dict[str, Any]:
        return run_on(sandbox, lambda client: export_users(client, job, Folder(store)))

    result = export_people()
    manifest = json.loads(store.fs.cat_file(result["manifest"].removeprefix("tagging:/")))
    assert [len(entry["etag"]) for entry in manifest["files"]] == [64, 64, 64]
    store.fs.puts.clear()
    assert export_people() == result
    assert store.fs.puts == []
    name = result["files"][1].removeprefix("tagging:/")
    honest = store.fs.cat_file(name)
    store.fs.pipe_file(name, honest[:-2] + b"x\n")  # of the same size
    assert export_people() == result
    assert store.fs.puts == [name]
    assert store.fs.cat_file(name) == honest


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="looks at the open files as Linux shows them")
def test_people_are_spooled_into_a_file_without_a_name() -> None:
    def open_files() -> list[str]:
        found = (Path("/proc/self/fd") / name for name in os.listdir("/proc/self/fd"))
        return [os.readlink(path) for path in found if os.path.lexists(path)]

    before = set(open_files())
    with UserSpool() as spool:
        spool.add_people({"id": f"id{at}", "createdAt": at, "name": "x" * 10_000} for at in range(4_000))
        opened = [name for name in set(open_files()) - before if name.startswith("/") and "etilqs" in name]
        assert opened
        assert all(name.endswith(" (deleted)") for name in opened)
        assert spool.count() == 4_000
