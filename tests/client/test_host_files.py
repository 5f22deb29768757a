"""What the processes of one host share, and what they refuse to trust."""

from __future__ import annotations

import asyncio
import fcntl
import multiprocessing
import os
import stat
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_logto.client.auth.token_cache import Token
from airflow_provider_logto.client.sharing import host_files, schedule
from airflow_provider_logto.client.sharing.encryption import Vault
from airflow_provider_logto.client.sharing.host_files import FileCell, HostTokenCache, prepare_directory, schedule_path
from airflow_provider_logto.client.sharing.pacing import CellPacer
from airflow_provider_logto.client.sharing.schedule import Schedule
from airflow_provider_logto.exceptions import SharedStateUnavailable
from logto_sandbox import Sandbox
from tests.clients import client_of

TOKEN = Token("eyJ.the.token", 1000.0, 4600.0, 0.5)
SECRET = "a secret"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A directory that passed the check."""
    prepare_directory(tmp_path / "state")
    return tmp_path / "state"


# -- the vault


def test_what_is_sealed_comes_back_to_who_has_the_secret() -> None:
    vault = Vault(SECRET)
    name = vault.name("https://acme|app|resource")
    sealed = vault.seal(name, TOKEN)
    assert Vault(SECRET).open(name, sealed) == TOKEN
    assert Vault(SECRET).name("https://acme|app|resource") == name
    assert vault.seal(name, TOKEN) != sealed
    assert b"the.token" not in sealed


def test_neither_another_secret_nor_another_name_opens_it() -> None:
    vault, other = Vault(SECRET), Vault("another secret")
    name = vault.name("k")
    sealed = vault.seal(name, TOKEN)
    assert other.name("k") != name
    assert other.open(name, sealed) is None
    assert vault.open(vault.name("l"), sealed) is None
    for damaged in (b"", sealed[:5], sealed[:-1], sealed + b"x", bytes(200), sealed[:20] + b"!" + sealed[21:]):
        assert vault.open(name, damaged) is None


# -- tokens


def test_files_are_private_and_tell_nothing(directory: Path) -> None:
    cache = HostTokenCache(directory, Vault(SECRET))

    async def use() -> None:
        async with cache.lock("https://acme.logto.app|my-app") as held:
            assert held
            await cache.put("https://acme.logto.app|my-app", TOKEN)

    asyncio.run(use())
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    files = list(directory.iterdir())
    assert len(files) == 2
    for file in files:
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert "acme" not in file.name
        assert b"acme" not in file.read_bytes()
        assert b"the.token" not in file.read_bytes()


def test_a_wrong_secret_reads_and_evicts_nothing(directory: Path) -> None:
    right, wrong = HostTokenCache(directory, Vault(SECRET)), HostTokenCache(directory, Vault("wrong"))

    async def use() -> None:
        await right.put("k", TOKEN)
        assert await wrong.get("k") is None
        await wrong.drop("k", TOKEN)
        await wrong.put("k", replace(TOKEN, value="other"))
        assert await right.get("k") == TOKEN

    asyncio.run(use())


def test_only_the_very_token_is_dropped(directory: Path) -> None:
    cache = HostTokenCache(directory, Vault(SECRET))

    async def use() -> None:
        await cache.put("k", TOKEN)
        await cache.drop("k", replace(TOKEN, value="older"))
        assert await cache.get("k") == TOKEN
        await cache.drop("k", TOKEN)
        assert await cache.get("k") is None

    asyncio.run(use())


@pytest.mark.parametrize("damage", ["corrupt", "readable", "symlink", "directory", "pipe", "empty"])
def test_what_is_not_ours_is_ignored_and_written_anew(directory: Path, tmp_path: Path, damage: str) -> None:
    cache = HostTokenCache(directory, Vault(SECRET))
    path = directory / Vault(SECRET).name("k")

    async def use() -> None:
        await cache.put("k", TOKEN)
        if damage == "readable":
            path.chmod(0o644)
        else:
            content = path.read_bytes()
            path.unlink()
            if damage == "symlink":
                (tmp_path / "elsewhere").write_bytes(content)
                path.symlink_to(tmp_path / "elsewhere")
            elif damage == "directory":
                path.mkdir()
            elif damage == "pipe":
                os.mkfifo(path, 0o600)
            else:
                path.write_bytes(b"" if damage == "empty" else content[::-1])
                path.chmod(0o600)
        assert await cache.get("k") is None
        if damage == "directory":
            with pytest.raises(SharedStateUnavailable):
                await cache.put("k", TOKEN)
            return
        await cache.put("k", TOKEN)
        assert await cache.get("k") == TOKEN
        assert stat.S_IMODE(path.lstat().st_mode) == 0o600

    asyncio.run(use())
    assert [file.name for file in directory.iterdir() if file.name.startswith(".new")] == []


def test_a_lock_that_another_holds_is_waited_for_without_blocking(directory: Path) -> None:
    cache = HostTokenCache(directory, Vault(SECRET))
    path = directory / f"{Vault(SECRET).name('k')}.lock"
    path.touch(mode=0o600)

    async def use() -> float:
        longest, last = 0.0, time.monotonic()

        async def tick() -> None:
            nonlocal longest, last
            while True:
                await asyncio.sleep(0.005)
                longest, last = max(longest, time.monotonic() - last), time.monotonic()

        ticking = asyncio.create_task(tick())
        async with cache.lock("k", patience=0.3) as held:
            assert not held
        ticking.cancel()
        return longest

    with path.open("wb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        assert asyncio.run(use()) < 0.15


@pytest.mark.parametrize("mode", [0o755, 0o750, 0o701])
def test_an_open_directory_is_refused_and_left_as_it_is(tmp_path: Path, mode: int) -> None:
    tmp_path.chmod(mode)
    with pytest.raises(SharedStateUnavailable, match="chmod 700"):
        prepare_directory(tmp_path)
    assert stat.S_IMODE(tmp_path.stat().st_mode) == mode


def test_other_places_that_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "target").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(tmp_path / "target")
    with pytest.raises(SharedStateUnavailable, match="cannot be made"):
        prepare_directory(tmp_path / "file")
    with pytest.raises(SharedStateUnavailable, match="cannot be made"):
        prepare_directory(tmp_path / "file" / "below")
    with pytest.raises(SharedStateUnavailable, match="is not a directory"):
        prepare_directory(tmp_path / "link")
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with pytest.raises(SharedStateUnavailable, match="another user"):
        prepare_directory(tmp_path / "target")


def test_a_directory_that_its_user_may_not_write_into(tmp_path: Path) -> None:
    """As an ordinary user, since root may write everywhere."""
    place = tmp_path / "state"
    place.mkdir(mode=0o500)
    user = os.geteuid() or 65534
    os.chown(place, user, -1)
    outside = [tmp_path, *list(tmp_path.parents)[:-1]]
    modes = {path: path.stat().st_mode for path in outside if path.owner() == "root" and path.stat().st_mode & 1 == 0}
    for path, mode in modes.items():
        path.chmod(mode | 0o011)
    try:
        child = os.fork()
        if child == 0:
            if os.geteuid() == 0:
                os.setuid(user)
            try:
                prepare_directory(place)
            except SharedStateUnavailable as error:
                os._exit(7 if "is not writable" in str(error) else 8)
            os._exit(9)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    finally:
        for path, mode in modes.items():
            path.chmod(mode)


def test_a_file_with_a_second_link_is_not_used(directory: Path) -> None:
    """Another user could keep a link to it, or have made it lead here."""
    token = Token("t", time.time(), time.time() + 3600)

    async def use() -> None:
        cache = HostTokenCache(directory, Vault("s"))
        await cache.put("k", token)
        assert await cache.get("k") == token
        os.link(directory / Vault("s").name("k"), directory / "second")
        assert await cache.get("k") is None
        (directory / "second").unlink()
        assert await cache.get("k") == token
        cell = FileCell(directory / "s")
        await cell.update(lambda kept, now: (Schedule(), None))
        os.link(directory / "s", directory / "third")
        with pytest.raises(SharedStateUnavailable, match="not this user's own file"):
            await cell.update(lambda kept, now: (Schedule(), None))

    asyncio.run(use())


# -- many processes


def _fetch(url: str, app: str, secret: str, directory: str, start: Any, done: Any) -> None:
    class Tenant:
        pass

    tenant = Tenant()
    tenant.url, tenant.app_id, tenant.app_secret = url, app, secret  # type: ignore[attr-defined]

    async def once() -> None:
        cache = HostTokenCache(Path(directory), Vault(secret))
        async with client_of(tenant, token_cache=cache) as client:  # type: ignore[arg-type]
            await client.request("GET", "/users")

    start.wait()
    asyncio.run(once())
    done.put(1)


@pytest.fixture
def processes() -> Iterator[Any]:
    """Makes processes by fork, and ends them."""
    context = multiprocessing.get_context("fork")
    started: list[Any] = []

    def run(count: int, target: Any, *arguments: Any) -> float:
        """Start all at once; returns the seconds that they took."""
        start, done = context.Event(), context.Queue()
        mine = [context.Process(target=target, args=(*arguments, start, done)) for _ in range(count)]
        started.extend(mine)
        for process in mine:
            process.start()
        began = time.monotonic()
        start.set()
        for _ in mine:
            done.get(timeout=30)
        return time.monotonic() - began

    yield run
    for process in started:
        process.kill()
        process.join()


def test_many_processes_on_a_cold_cache_fetch_one_token(sandbox: Sandbox, directory: Path, processes: Any) -> None:
    sandbox.add_fault(kind="slow", seconds=0.3, path="/oidc/token", before_commit=True)
    arguments = (sandbox.url, sandbox.app_id, sandbox.app_secret, str(directory))
    processes(24, _fetch, *arguments)
    assert sandbox.stats()["tokens"] == 1
    assert sandbox.stats()["routes"]["GET /api/users"] == 24
    sandbox.reset_stats()
    processes(4, _fetch, *arguments)  # later processes: no round trip for a token at all
    assert sandbox.stats()["tokens"] == 0
    sandbox.add_fault(kind="signing_key_rotated")
    processes(12, _fetch, *arguments)
    assert sandbox.stats()["tokens"] == 1


def _pace(path: str, count: int, start: Any, done: Any) -> None:
    async def go() -> None:
        pacer = CellPacer(FileCell(Path(path)), 2000, 1.0)
        for _ in range(count):
            await pacer.wait()

    start.wait()
    asyncio.run(go())
    done.put(1)


def test_processes_share_one_pace(directory: Path, processes: Any) -> None:
    took = processes(4, _pace, str(directory / "schedule"), 75)
    assert took >= (300 - schedule.BURST) * schedule.interval(2000, 1.0)
    assert took < 4


# -- the schedule's file


def test_a_record_outlives_its_process(directory: Path) -> None:
    async def use() -> None:
        await FileCell(directory / "s").update(lambda kept, now: (schedule.cut(kept, now, 30.0), None))
        delay = await CellPacer(FileCell(directory / "s"), 200, 1.0).wait(patience=1.0)
        assert 25 < delay <= 30

    asyncio.run(use())
    assert stat.S_IMODE((directory / "s").stat().st_mode) == 0o600


@pytest.mark.parametrize("damage", [b"", b"x", bytes(84), bytes(range(84)), b"\xff" * 300], ids=len)
def test_a_damaged_record_stalls_nobody(directory: Path, damage: bytes) -> None:
    (directory / "s").write_bytes(damage)
    (directory / "s").chmod(0o600)

    async def use() -> None:
        assert await CellPacer(FileCell(directory / "s"), 200, 1.0).wait(patience=1.0) == 0.0

    asyncio.run(use())


def test_machines_that_share_the_directory_keep_each_its_own_pace(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cell(machine: int) -> FileCell:
        monkeypatch.setattr(host_files, "_boot_id", lambda: bytes([machine] * 16))
        return FileCell(schedule_path(directory, "acme"))

    async def use() -> None:
        await cell(1).update(lambda kept, now: (schedule.cut(kept, now, 30.0), None))
        assert await CellPacer(cell(2), 200, 1.0).wait(patience=1.0) == 0.0
        assert 25 < await CellPacer(cell(1), 200, 1.0).wait(patience=1.0) <= 30

    asyncio.run(use())


def test_neither_a_restart_nor_a_clock_that_jumped_stalls_the_fleet(directory: Path) -> None:
    def cell(now: float, boot: int) -> FileCell:
        made = FileCell(directory / "s", clock=lambda: now)
        made._boot = bytes([boot] * 16)
        return made

    async def seen(now: float, boot: int) -> float:
        return await cell(now, boot).update(lambda kept, now: (None, schedule.sane(kept, now).held_until))

    async def use() -> None:
        await cell(50_000.0, 1).update(lambda kept, now: (schedule.cut(kept, now, 55.0), None))
        assert await seen(50_050.0, 1) == 50_055.0
        assert await seen(50_050.0, 2) == Schedule().held_until  # after a restart
        assert await seen(20.0, 1) == Schedule().held_until  # where no boot id tells of it

    asyncio.run(use())


@pytest.mark.parametrize("damage", ["readable", "symlink", "locked", "directory"])
def test_a_file_that_cannot_be_trusted_or_had_is_unavailable(
    directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    monkeypatch.setattr("airflow_provider_logto.client.sharing.host_files.PACE_PATIENCE", 0.05)
    path = directory / "s"
    if damage == "symlink":
        path.symlink_to(tmp_path / "elsewhere")
    elif damage == "directory":
        path.mkdir()
    else:
        path.touch(mode=0o644 if damage == "readable" else 0o600)
    with (path if path.is_file() else tmp_path / "other").open("ab") as other:
        if damage == "locked":
            fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(SharedStateUnavailable):
            asyncio.run(FileCell(path).update(lambda kept, now: (kept, None)))
