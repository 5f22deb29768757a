"""One run at a time: a kernel file lock on one host, a Redis lease on many. Neither outlives its run.

On several hosts without Redis nothing keeps two runs apart; then correctness rests on the preconditions of each change.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import logging
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_logto.client.sharing.host_files import prepare_directory
from airflow_provider_logto.client.sharing.redis_server import RedisServer, RedisStore
from airflow_provider_logto.exceptions import RunInProgress, SharedStateUnavailable

if TYPE_CHECKING:
    from redis.asyncio.lock import Lock

log = logging.getLogger(__name__)

#: Where runs are kept apart: a Redis server, or directories of this host, the best place first.
Place = RedisServer | Sequence[Path]

#: Seconds after which the lease of a dead run is free.
LEASE = 30.0


@asynccontextmanager
async def only_run(place: Place, owner: str, tenant: str) -> AsyncIterator[None]:
    """Hold the lock of one owner's runs on one tenant.

    :raises RunInProgress: when another run holds it, or the lease was lost on the way.
    """
    name = hashlib.sha256(f"{tenant}\n{owner}".encode()).hexdigest()[:32]
    busy = RunInProgress(f"another run of {owner} is under way; this one may follow when it has ended")
    if isinstance(place, RedisServer):
        async with _leased(RedisStore(place), name, busy):
            yield
        return
    with _LockFile(place, name) as handle:
        if handle is not None:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise busy from None
        yield


class _LockFile:
    """The lock file in the first directory that will do; None with a warning where none does."""

    def __init__(self, directories: Sequence[Path], name: str) -> None:
        self._directories = directories
        self._name = name
        self._handle: int | None = None

    def __enter__(self) -> int | None:
        for directory in self._directories:
            with suppress(SharedStateUnavailable, OSError):
                prepare_directory(directory)
                flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
                self._handle = os.open(directory / f"run-{self._name}.lock", flags, 0o600)
                return self._handle
        log.warning("No directory for a lock: two runs at once are not kept apart")
        return None

    def __exit__(self, *_: object) -> None:
        if self._handle is not None:
            os.close(self._handle)


@asynccontextmanager
async def _leased(store: RedisStore, name: str, busy: RunInProgress) -> AsyncIterator[None]:
    """A lease that is renewed as long as the run lives. A run that has lost it, or cannot renew it, is ended."""
    lock: Lock | None = None

    async def acquire(redis: Any) -> Any:
        nonlocal lock
        lock = redis.lock(store.key("run", name), timeout=LEASE, blocking=False, thread_local=False)
        return await lock.acquire()

    try:
        if not await store.ask(acquire) or lock is None:
            raise busy
        held: Lock = lock
        runner = asyncio.current_task()
        lost: list[SharedStateUnavailable] = []

        async def renew() -> None:
            left = LEASE
            while True:
                await asyncio.sleep(LEASE / 3)
                try:
                    await store.ask(lambda _: held.reacquire())
                    left = LEASE
                except SharedStateUnavailable as error:
                    left -= LEASE / 3
                    if (_is_lost(error) or left <= LEASE / 3) and runner is not None:
                        lost.append(error)
                        runner.cancel()
                        return

        renewing = asyncio.create_task(renew())
        try:
            yield
        except asyncio.CancelledError:
            if lost:
                raise RunInProgress(f"the lease was lost ({lost[0]}); another run may have begun") from lost[0]
            raise
        finally:
            renewing.cancel()
            with suppress(SharedStateUnavailable):  # it frees itself in time
                await store.ask(lambda _: held.release())
    finally:
        await store.close()


def _is_lost(error: SharedStateUnavailable) -> bool:
    """Whether Redis has answered that the lease is another run's, or nobody's."""
    from redis.exceptions import LockNotOwnedError

    return isinstance(error.__cause__, LockNotOwnedError)
