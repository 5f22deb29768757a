"""What the hosts of a fleet share through Redis: the encrypted token, its lock, and the schedule.

The schedule is changed by one script, atomically and by the server's clock, so that neither a race nor a host's wrong
clock matters. It computes what ``schedule`` computes; a test holds the two together.
"""

from __future__ import annotations

import asyncio
import importlib
import math
import time
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_logto.client.auth.token_cache import LOCK_PATIENCE, Token
from airflow_provider_logto.client.sharing import schedule
from airflow_provider_logto.client.sharing.encryption import Vault
from airflow_provider_logto.client.sharing.pacing import wait_for_place
from airflow_provider_logto.exceptions import SharedStateUnavailable

if TYPE_CHECKING:
    from redis.asyncio import Redis

#: Begins the name of every key.
PREFIX = "airflow-provider-logto:"
#: Seconds to wait for Redis, which answers in less than a millisecond when it is well.
TIMEOUT = 2.0
#: Seconds after which a lock is free although its holder never said so.
LOCK_LIFE = 60.0
#: Milliseconds an unused schedule is kept: longer than anything in it matters.
_SCHEDULE_LIFE = int(1.5 * schedule.REFILL * 1000)
#: What ``schedule.lua`` is given of :mod:`~airflow_provider_logto.client.sharing.schedule`, in its order.
CONSTANTS = (
    schedule.CREDIT,
    schedule.REFUND,
    schedule.REFILL,
    schedule.CUT,
    schedule.CLIMB,
    schedule.LOWEST,
    schedule.BURST,
    schedule.HOLD,
    schedule.LONGEST_HOLD,
    schedule.CALM,
    schedule.HORIZON,
    schedule.QUEUE,
    schedule.MOST_STRIKES,
    schedule.MOST_EPOCHS,
    _SCHEDULE_LIFE,
)


@dataclass(frozen=True)
class RedisServer:
    """Where Redis is; what an Airflow Redis connection says.

    :param options: further arguments of ``redis.asyncio.Redis``, e.g. ``ssl=True``.
    """

    host: str
    port: int = 6379
    db: int = 0
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    options: dict[str, Any] = field(default_factory=dict, repr=False)

    @property
    def address(self) -> str:
        """For messages: no credentials in it."""
        return f"redis {self.host}:{self.port}/{self.db}"


class RedisStore:
    """One Redis client for each event loop.

    :param server: where it is.
    :param prefix: begins every key.
    """

    def __init__(self, server: RedisServer, prefix: str = PREFIX) -> None:
        self._server = server
        self._prefix = prefix
        self._clients: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Redis] = weakref.WeakKeyDictionary()

    def key(self, *parts: str) -> str:
        return self._prefix + ":".join(parts)

    async def ask(self, command: Callable[[Redis], Awaitable[Any]]) -> Any:
        """Run one command.

        :raises SharedStateUnavailable: when Redis does not answer, or answers with an error.
        """
        loop = asyncio.get_running_loop()
        if loop not in self._clients:
            try:
                # In a thread: the first import takes a quarter of a second, which would hold up a triggerer.
                await asyncio.to_thread(importlib.import_module, "redis.asyncio")
            except ImportError as error:
                raise SharedStateUnavailable("redis is not installed: install airflow-provider-logto[redis]") from error
            self._clients.setdefault(loop, self._connect())
        from redis.exceptions import RedisError

        try:
            return await command(self._clients[loop])
        except (RedisError, OSError) as error:
            raise SharedStateUnavailable(f"{self._server.address}: {error}") from error

    async def close(self) -> None:
        """Close the running event loop's connections."""
        client = self._clients.pop(asyncio.get_running_loop(), None)
        if client is not None:
            await client.aclose()

    def _connect(self) -> Redis:
        from redis.asyncio import Redis
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff

        defaults: dict[str, Any] = {
            "socket_timeout": TIMEOUT,
            "socket_connect_timeout": TIMEOUT,
            "retry": Retry(NoBackoff(), 1),
        }
        return Redis(
            host=self._server.host,
            port=self._server.port,
            db=self._server.db,
            username=self._server.username,
            password=self._server.password,
            **{**defaults, **self._server.options},
        )


class RedisTokenCache:
    """Tokens of every host that knows the application's secret; Redis itself sees ciphertext only."""

    def __init__(self, store: RedisStore, vault: Vault) -> None:
        self._store = store
        self._vault = vault

    async def get(self, key: str) -> Token | None:
        name = self._vault.name(key)
        sealed = await self._store.ask(lambda redis: redis.get(self._store.key("token", name)))
        return self._vault.open(name, sealed) if isinstance(sealed, bytes) else None

    async def put(self, key: str, token: Token) -> None:
        name = self._vault.name(key)
        left = int((token.expires_at - token.skew - time.time()) * 1000)
        if left > 0:
            place, sealed = self._store.key("token", name), self._vault.seal(name, token)
            await self._store.ask(lambda redis: redis.set(place, sealed, px=left))

    async def drop(self, key: str, token: Token) -> None:
        # Under the lock, so that it cannot remove what another process puts there at this moment.
        async with self.lock(key):
            if await self.get(key) == token:
                place = self._store.key("token", self._vault.name(key))
                await self._store.ask(lambda redis: redis.delete(place))

    @asynccontextmanager
    async def lock(self, key: str, patience: float = LOCK_PATIENCE) -> AsyncIterator[bool]:
        name = self._store.key("lock", self._vault.name(key))
        held, lock = await self._store.ask(lambda redis: _acquired(redis, name, patience))
        try:
            yield held
        finally:
            if held:
                with suppress(SharedStateUnavailable):  # it frees itself in time
                    await self._store.ask(lambda redis: lock.release())

    async def close(self) -> None:
        await self._store.close()


async def _acquired(redis: Redis, name: str, patience: float) -> tuple[bool, Any]:
    lock = redis.lock(name, timeout=LOCK_LIFE, sleep=0.02, blocking_timeout=patience, thread_local=False)
    return await lock.acquire(), lock


@lru_cache(maxsize=1)
def _script() -> str:
    return Path(__file__).with_name("schedule.lua").read_text(encoding="utf-8")


class RedisPacer:
    """Paces all hosts by one schedule in Redis.

    :param tenant: names the schedule.
    :param limit: requests per 10 s that the server allows; None where it has no limit (the budget remains).
    :param share: part of the limit that may be used, in (0, 1].
    """

    def __init__(self, store: RedisStore, tenant: str, limit: float | None, share: float) -> None:
        self._store = store
        self._key = store.key("schedule", tenant)
        self._step = schedule.interval(limit, share) if limit else None
        self._spent = False

    async def wait(self, patience: float = math.inf) -> float:
        if self._step is None:
            return 0.0
        return await wait_for_place(self._take, self._epoch, patience)

    async def throttled(self, retry_after: float | None) -> None:
        await self.run("cut", retry_after)

    async def may_retry(self) -> bool:
        self._spent = True
        return (await self.run("withdraw"))[0] == 1

    async def succeeded(self) -> None:
        if self._spent:
            self._spent = (await self.run("deposit"))[0] != 1

    async def close(self) -> None:
        await self._store.close()

    async def run(self, action: str, argument: float | None = None, now: float | None = None) -> tuple[float, float]:
        """Run the script.

        :param argument: of the action, see ``schedule.lua``.
        :param now: the time to go by instead of Redis' own, for tests.
        :returns: its answer, and the epoch.
        """
        numbers = ("" if value is None else repr(float(value)) for value in (argument, self._step, now, *CONSTANTS))
        answer, epoch = await self._store.ask(
            lambda redis: redis.register_script(_script())(keys=[self._key], args=[action, *numbers])
        )
        return float(answer), float(epoch)

    async def _take(self, patience: float) -> tuple[float, float]:
        return await self.run("place", patience)

    async def _epoch(self) -> float:
        return (await self.run("look"))[1]
