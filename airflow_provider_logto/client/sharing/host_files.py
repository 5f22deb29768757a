"""What the processes of one host share: files in a directory that only their user can read.

Locks are ``flock``: the kernel releases them when their holder dies. They are polled, so that a wait never blocks an
event loop; what is done under one takes microseconds.
"""

from __future__ import annotations

import fcntl
import os
import stat
import struct
import tempfile
import time
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import astuple
from pathlib import Path
from typing import TypeVar

from airflow_provider_logto.client.auth.token_cache import LOCK_PATIENCE, Token, poll
from airflow_provider_logto.client.sharing.encryption import Vault
from airflow_provider_logto.client.sharing.schedule import Schedule
from airflow_provider_logto.exceptions import SharedStateUnavailable

T = TypeVar("T")

#: Seconds to wait for the schedule's lock, which is held for microseconds.
PACE_PATIENCE = 2.0
_LARGEST = 65536
#: Follow no link, wait for no pipe, leave nothing open to child processes.
_CAREFULLY = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_RECORD = struct.Struct("<16s8d")


def prepare_directory(directory: Path) -> None:
    """Make a directory for secrets (mode 0700) if there is none, and check that no other user can get at it.

    :raises SharedStateUnavailable: why it may not keep secrets, and how to fix it.
    """
    if reason := _unfit(directory):
        raise SharedStateUnavailable(reason)


def _unfit(directory: Path) -> str | None:
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = directory.lstat()
    except OSError as error:
        return f"{directory} cannot be made: {error.strerror or error}"
    if not stat.S_ISDIR(status.st_mode):
        return f"{directory} is not a directory"
    if status.st_uid != os.geteuid():
        return f"{directory} belongs to another user (uid {status.st_uid}): remove it, or run as that user"
    if status.st_mode & 0o077:
        return f"{directory} is open to others (mode {stat.S_IMODE(status.st_mode):o}): chmod 700 it"
    if not os.access(directory, os.W_OK | os.X_OK):
        return f"{directory} is not writable"
    return None


class HostTokenCache:
    """Tokens of every process on this host that knows the application's secret.

    :param directory: passed :func:`prepare_directory`.
    :param vault: encrypts them.
    """

    def __init__(self, directory: Path, vault: Vault) -> None:
        self._directory = directory
        self._vault = vault

    async def get(self, key: str) -> Token | None:
        name = self._vault.name(key)
        sealed = _read_private(self._directory / name)
        return self._vault.open(name, sealed) if sealed else None

    async def put(self, key: str, token: Token) -> None:
        name = self._vault.name(key)
        with _unavailable():
            # mkstemp makes it 0600 from its first moment; the replacement is atomic.
            handle, temporary = tempfile.mkstemp(dir=self._directory, prefix=".new-")
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(self._vault.seal(name, token))
                os.replace(temporary, self._directory / name)
            except BaseException:
                os.unlink(temporary)
                raise

    async def drop(self, key: str, token: Token) -> None:
        # Under the lock, so that it cannot remove what another process puts there at this moment.
        async with self.lock(key):
            if await self.get(key) == token:
                with _unavailable():
                    (self._directory / self._vault.name(key)).unlink(missing_ok=True)

    @asynccontextmanager
    async def lock(self, key: str, patience: float = LOCK_PATIENCE) -> AsyncIterator[bool]:
        # Held for a round trip: asking often would only keep the one who fetches from doing so.
        async with _locked(self._directory / f"{self._vault.name(key)}.lock", patience, 0.02) as handle:
            yield handle is not None

    async def close(self) -> None:
        return None


def schedule_path(directory: Path, tenant: str) -> Path:
    """Where this machine's schedule for a tenant is.

    Each boot of each machine has a file of its own: where the directory is on storage that several machines share, each
    would take the others' records for those of before a restart and begin anew.
    """
    return directory / f"schedule-{tenant}-{_boot_id().hex()[:8]}"


class FileCell:
    """A schedule that the processes of this host share: one small record in a locked file.

    Its clock is the machine's monotonic one, which all processes share and nobody can set; the boot id tells a record
    of before a restart from one of now.

    :param path: the file; its directory passed :func:`prepare_directory`.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        self._boot = _boot_id()

    async def update(self, change: Callable[[Schedule, float], tuple[Schedule | None, T]]) -> T:
        """
        :raises SharedStateUnavailable: when the file cannot be opened, locked or written.
        """
        async with _locked(self._path, PACE_PATIENCE) as handle:
            if handle is None:
                raise SharedStateUnavailable(f"{self._path} stays locked")
            with _unavailable():
                now = self._clock()
                changed, result = change(self._decode(os.pread(handle, 256, 0)), now)
                if changed is not None:
                    os.pwrite(handle, self._encode(changed), 0)
                return result

    def _encode(self, schedule: Schedule) -> bytes:
        record = _RECORD.pack(self._boot, *astuple(schedule))
        return record + struct.pack("<I", zlib.crc32(record))

    def _decode(self, raw: bytes) -> Schedule:
        record, check = raw[: _RECORD.size], raw[_RECORD.size :]
        if len(record) < _RECORD.size or check != struct.pack("<I", zlib.crc32(record)):
            return Schedule()
        boot, *values = _RECORD.unpack(record)
        return Schedule(*values) if boot == self._boot else Schedule()


@asynccontextmanager
async def _locked(path: Path, patience: float, pause: float = 0.001) -> AsyncIterator[int | None]:
    """Open a private file (made if absent) and hold its lock; yields None when the lock could not be had."""
    with _unavailable():
        handle = os.open(path, os.O_RDWR | os.O_CREAT | _CAREFULLY, 0o600)
    try:
        if not _is_private(handle):
            raise SharedStateUnavailable(f"{path} is not this user's own file: remove it")
        yield handle if await poll(lambda: _try_lock(handle), patience, pause) else None
    finally:
        os.close(handle)


def _try_lock(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise SharedStateUnavailable(f"no file locks here: {error.strerror}") from error
    return True


def _read_private(path: Path) -> bytes | None:
    """A file's content, or None where there is none that this user alone can have written."""
    try:
        handle = os.open(path, os.O_RDONLY | _CAREFULLY)
    except OSError:
        return None
    try:
        return os.read(handle, _LARGEST) if _is_private(handle) else None
    finally:
        os.close(handle)


def _is_private(handle: int) -> bool:
    status = os.fstat(handle)
    # A second link may lead here from a place that others control; none at all means that it was just replaced.
    own = stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid() and status.st_nlink <= 1
    return own and not status.st_mode & 0o077


def _boot_id() -> bytes:
    try:
        text = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")
    except OSError:
        # Elsewhere a restart shows as a time too far ahead.
        return bytes(16)
    return bytes.fromhex(text.strip().replace("-", ""))


@contextmanager
def _unavailable() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SharedStateUnavailable(str(error)) from error
