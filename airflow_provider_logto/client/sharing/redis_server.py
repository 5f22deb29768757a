"""What the hosts of a fleet share through Redis: the encrypted token, its lock, and the schedule.

The schedule is changed by one script, atomically and by the server's clock, so that neither a race nor a host's wrong
clock matters. It computes what ``schedule`` computes; a test holds the two together.
"""

from __future__ import annotations

import asyncio
import importlib
import math
import secrets
import time
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
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
_SCHEDULE_LIFE = int(schedule.HORIZON * 1000)

_RELEASE = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"

_SCRIPT = f"""
local names = {{'arrival', 'held_until', 'cut_at', 'ceiling', 'strikes', 'epoch', 'credit', 'credit_at'}}
local fresh = {{-1e6, -1e6, -1e6, 1, 0, 0, {schedule.CREDIT}, -1e6}}
local t = redis.call('TIME')
local now = tonumber(t[1]) + tonumber(t[2]) / 1e6
if ARGV[4] ~= '' then now = tonumber(ARGV[4]) end
local kept = redis.call('HMGET', KEYS[1], unpack(names))
local s = {{}}
local sane = true
for i, name in ipairs(names) do
  s[name] = tonumber(kept[i] or '')
  if not s[name] or s[name] ~= s[name] then sane = false end
end
if sane then
  sane = math.max(s.arrival, s.held_until) <= now + {schedule.HORIZON}
    and math.max(s.cut_at, s.credit_at) <= now + 1 and s.ceiling > 0 and s.ceiling <= 1
end
if not sane then
  for i, name in ipairs(names) do s[name] = fresh[i] end
end
local plateau = (s.ceiling * (1 - {schedule.CUT}) / {schedule.CLIMB}) ^ (1 / 3)
local climbed = s.ceiling + {schedule.CLIMB} * (math.min({schedule.HORIZON}, now - s.cut_at) - plateau) ^ 3
local factor = math.min(1, math.max({schedule.FLOOR}, climbed))
local credit = math.min({schedule.CREDIT}, s.credit + (now - s.credit_at) * {schedule.CREDIT / schedule.REFILL})
local changed, answer = false, 0
if ARGV[1] == 'place' then
  local step = tonumber(ARGV[2]) / factor
  local arrival = math.max(s.arrival, now)
  answer = math.max(0, arrival - {schedule.BURST - 1} * step - now, s.held_until - now)
  if answer <= tonumber(ARGV[3]) then
    s.arrival, changed = arrival + step, true
  end
elseif ARGV[1] == 'cut' then
  local asked = now
  if ARGV[2] ~= '' then asked = now + math.min(tonumber(ARGV[2]), {schedule.HORIZON / 3}) end
  if now < s.held_until then
    if asked > s.held_until then
      s.held_until, s.arrival, s.epoch, changed = asked, asked, s.epoch + 1, true
    end
  else
    if now - s.held_until < {schedule.CALM} then s.strikes = s.strikes + 1 else s.strikes = 0 end
    local till = math.max(asked, now + math.min({schedule.LONGEST_HOLD}, {schedule.HOLD} * 2 ^ s.strikes))
    s.arrival, s.held_until, s.ceiling, s.cut_at, s.epoch = till, till, factor, now, s.epoch + 1
    changed = true
  end
elseif ARGV[1] == 'withdraw' then
  if credit >= 1 then s.credit, s.credit_at, changed, answer = credit - 1, now, true, 1 end
elseif ARGV[1] == 'deposit' then
  s.credit, s.credit_at, changed = math.min({schedule.CREDIT}, credit + {schedule.REFUND}), now, true
  if s.credit >= {schedule.CREDIT} then answer = 1 end
end
if changed then
  for _, name in ipairs(names) do redis.call('HSET', KEYS[1], name, string.format('%.17g', s[name])) end
  redis.call('PEXPIRE', KEYS[1], {_SCHEDULE_LIFE})
end
return {{string.format('%.17g', answer), string.format('%.17g', s.epoch)}}
"""


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
        place, mark = self._store.key("lock", self._vault.name(key)), secrets.token_hex(8)
        end = time.monotonic() + patience
        while True:
            held = bool(await self._store.ask(lambda redis: redis.set(place, mark, nx=True, px=int(LOCK_LIFE * 1000))))
            if held or time.monotonic() >= end:
                break
            await asyncio.sleep(0.02)
        try:
            yield held
        finally:
            if held:
                with suppress(SharedStateUnavailable):  # it frees itself in time
                    await self._store.ask(lambda redis: redis.eval(_RELEASE, 1, place, mark))

    async def close(self) -> None:
        await self._store.close()


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
        await self.run("cut", "" if retry_after is None else retry_after)

    async def may_retry(self) -> bool:
        self._spent = True
        return (await self.run("withdraw"))[0] == 1

    async def succeeded(self) -> None:
        if self._spent:
            self._spent = (await self.run("deposit"))[0] != 1

    async def close(self) -> None:
        await self._store.close()

    async def run(
        self, action: str, first: float | str = "", second: float | str = "", now: float | str = ""
    ) -> tuple[float, float]:
        """Run the script.

        :param now: the time to go by instead of the server's, for tests.
        :returns: its answer, and the epoch.
        """
        arguments = (action, *(repr(float(value)) if value != "" else "" for value in (first, second, now)))
        answer, epoch = await self._store.ask(
            lambda redis: redis.register_script(_SCRIPT)(keys=[self._key], args=arguments)
        )
        return float(answer), float(epoch)

    async def _take(self, patience: float) -> tuple[float, float]:
        return await self.run("place", self._step or 0.0, min(patience, schedule.HORIZON))

    async def _epoch(self) -> float:
        return (await self.run("look"))[1]
