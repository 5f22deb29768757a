"""What hosts share through a real Redis; skipped where none answers."""

from __future__ import annotations

import asyncio
import hashlib
import math
import shutil
import socket
import subprocess
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_logto.client.auth.token_cache import Token
from airflow_provider_logto.client.sharing import schedule
from airflow_provider_logto.client.sharing.encryption import Vault
from airflow_provider_logto.client.sharing.factory import schedule_name
from airflow_provider_logto.client.sharing.redis_server import RedisPacer, RedisServer, RedisStore, RedisTokenCache
from airflow_provider_logto.client.sharing.schedule import Schedule
from airflow_provider_logto.exceptions import SharedStateUnavailable
from logto_sandbox import Sandbox
from tests.clients import client_of

T = TypeVar("T")


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    """Redis on its usual port of this machine, else one of our own."""
    if _answers(6379):
        yield RedisServer("127.0.0.1", db=9)
        return
    binary = shutil.which("redis-server")
    if binary is None:
        pytest.skip("no Redis: nothing listens on 127.0.0.1:6379 and there is no redis-server to start")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [binary, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        for _ in range(100):
            if _answers(port):
                break
            time.sleep(0.05)
        yield RedisServer("127.0.0.1", port, db=9)
    finally:
        process.terminate()
        process.wait()


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=0.5) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
    except OSError:
        return False


@pytest.fixture
def prefix(server: RedisServer) -> Iterator[str]:
    """Begins this test's keys, which are gone afterwards."""
    import redis

    name = f"test-{uuid.uuid4().hex}:"
    yield name
    with redis.Redis(server.host, server.port, server.db) as client:
        for key in client.scan_iter(f"{name}*"):
            client.delete(key)


def with_store(server: RedisServer, prefix: str, use: Callable[[RedisStore], Awaitable[T]]) -> T:
    async def call() -> T:
        store = RedisStore(server, prefix)
        try:
            return await use(store)
        finally:
            await store.close()

    return asyncio.run(call())


def test_tokens(server: RedisServer, prefix: str) -> None:
    token = Token("eyJ.the.token", time.time(), time.time() + 3600)

    async def use(store: RedisStore) -> None:
        cache, wrong = RedisTokenCache(store, Vault("s")), RedisTokenCache(store, Vault("w"))
        assert await cache.get("k") is None
        await cache.put("k", token)
        assert await cache.get("k") == token
        assert await wrong.get("k") is None
        await wrong.drop("k", token)
        await cache.drop("k", replace(token, value="older"))
        assert await cache.get("k") == token
        (key,) = await store.ask(lambda redis: redis.keys(f"{prefix}token*"))
        assert b"the.token" not in await store.ask(lambda redis: redis.get(key))
        assert 3590_000 < await store.ask(lambda redis: redis.pttl(key)) <= 3600_000
        await store.ask(lambda redis: redis.set(key, b"damage"))
        assert await cache.get("k") is None
        await cache.put("k", token)
        await cache.drop("k", token)
        assert await cache.get("k") is None
        await cache.put("k", replace(token, expires_at=time.time() - 1))
        assert await cache.get("k") is None

    with_store(server, prefix, use)


def test_the_lock(server: RedisServer, prefix: str) -> None:
    async def use(store: RedisStore) -> None:
        cache = RedisTokenCache(store, Vault("s"))
        async with cache.lock("k") as held:
            assert held
            async with cache.lock("k", 0) as second:
                assert not second
            async with cache.lock("k", 0.1) as third:  # leaving without having it frees nothing
                assert not third
        async with cache.lock("k", 0) as held:
            assert held

    with_store(server, prefix, use)


ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(["place", "place", "place", "cut", "withdraw", "deposit"]),
        st.floats(0, 20),
        st.one_of(st.none(), st.floats(0, 400)),
    ),
    max_size=40,
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ACTIONS, st.floats(0.01, 2))
def test_the_script_computes_what_python_computes(
    server: RedisServer, prefix: str, actions: list[tuple[str, float, float | None]], step: float
) -> None:
    async def use(store: RedisStore) -> None:
        pacer = RedisPacer(store, uuid.uuid4().hex, schedule.WINDOW / (step * schedule.UTILISATION), 1.0)
        plan, now = Schedule(), 1000.0
        for action, pause, number in actions:
            now += pause
            plan = schedule.sane(plan, now, step)
            if action == "place":
                patience = 900.0 if number is None else number
                taken, expected = schedule.place(plan, now, step, patience)
                plan = taken or plan
                answer, epoch = await pacer.run("place", patience, now)
            elif action == "cut":
                plan, expected = schedule.cut(plan, now, number), 0.0
                answer, epoch = await pacer.run("cut", number, now)
            elif action == "withdraw":
                spent, granted = schedule.withdraw(plan, now)
                plan, expected = spent or plan, float(granted)
                answer, epoch = await pacer.run("withdraw", now=now)
            else:
                plan, full = schedule.deposit(plan, now)
                expected = float(full)
                answer, epoch = await pacer.run("deposit", now=now)
            assert answer == pytest.approx(expected, abs=1e-6)
            assert epoch == plan.epoch

    with_store(server, prefix, use)


def test_a_poisoned_schedule_stalls_nobody_longer_than_a_minute(server: RedisServer, prefix: str) -> None:
    async def use(store: RedisStore) -> None:
        pacer = RedisPacer(store, "t", 200, 1.0)
        poison = {"arrival": 1059.9, "held_until": 1059.9, "strikes": 16, "ceiling": 1e-9, "cut_at": 1001, "epoch": 1}
        await store.ask(
            lambda redis: redis.hset(f"{prefix}schedule:t", mapping={**poison, "credit": 0, "credit_at": 1001})
        )
        delay, _ = await pacer.run("place", 1000.0, now=1000.0)
        assert 55 < delay <= 60
        for field, value in (("arrival", 1061), ("held_until", 1061), ("strikes", 1e300), ("epoch", 1e300)):
            await store.ask(lambda redis, f=field, v=value: redis.hset(f"{prefix}schedule:t", mapping={**poison, f: v}))
            assert (await pacer.run("place", 1000.0, now=1000.0))[0] == 0.0

    with_store(server, prefix, use)


def test_the_name_of_a_schedule_does_not_tell_the_tenant() -> None:
    name = schedule_name("https://acme.logto.app", "pw")
    assert name == schedule_name("https://acme.logto.app", "pw")
    assert (
        len({name, schedule_name("https://acme.logto.app", "other"), schedule_name("https://b.logto.app", "pw")}) == 3
    )
    plain = "https://acme.logto.app"
    for digest in (hashlib.sha256, hashlib.sha512, hashlib.md5, hashlib.sha1):
        assert not digest(plain.encode()).hexdigest().startswith(name[:16])


@pytest.mark.parametrize("value", ["garbage", "nan", "1e300", "-inf"])
def test_a_damaged_schedule_stalls_nobody(server: RedisServer, prefix: str, value: str) -> None:
    async def use(store: RedisStore) -> None:
        pacer = RedisPacer(store, "t", 200, 1.0)
        await pacer.wait()
        for field in ("arrival", "held_until", "cut_at", "ceiling", "credit_at"):
            await store.ask(lambda redis, name=field: redis.hset(f"{prefix}schedule:t", name, value))
            assert await pacer.wait(5.0) == 0.0

    with_store(server, prefix, use)


def test_hosts_share_pace_429_and_budget(server: RedisServer, prefix: str) -> None:
    async def use(store: RedisStore) -> None:
        other = RedisStore(server, prefix)
        here, there = RedisPacer(store, "t", 1000, 1.0), RedisPacer(other, "t", 1000, 1.0)
        began = time.monotonic()
        await asyncio.gather(*(pacer.wait() for pacer in [here, there] * 50))
        took, step = time.monotonic() - began, schedule.interval(1000, 1.0)
        assert (100 - schedule.BURST) * step * 0.95 <= took < 15
        await here.throttled(30)
        assert 25 < await there.wait(1.0) <= 30
        spent = 0
        while await (here if spent % 2 else there).may_retry():
            spent += 1
        assert spent == schedule.CREDIT
        for _ in range(2):
            await here.succeeded()
        assert await there.may_retry()
        await other.close()

    with_store(server, prefix, use)


def test_a_place_that_is_too_far_is_not_taken(server: RedisServer, prefix: str) -> None:
    async def use(store: RedisStore) -> None:
        pacer = RedisPacer(store, "t", 1, 1.0)
        while await pacer.wait(0) == 0.0:
            pass
        seconds = [await pacer.wait(0) for _ in range(5)]
        assert seconds == sorted(seconds, reverse=True)
        assert math.inf > seconds[0] > 5

    with_store(server, prefix, use)


def test_a_fleet_of_loops_fetches_one_token(server: RedisServer, prefix: str, sandbox: Sandbox) -> None:
    async def use(store: RedisStore) -> None:
        async def task() -> None:
            cache = RedisTokenCache(RedisStore(server, prefix), Vault(sandbox.app_secret))
            async with client_of(sandbox, token_cache=cache) as client:
                await client.request("GET", "/users")

        await asyncio.gather(*(task() for _ in range(16)))

    sandbox.add_fault(kind="slow", seconds=0.2, path="/oidc/token", before_commit=True)
    with_store(server, prefix, use)
    assert sandbox.stats()["tokens"] == 1


def test_nobody_answers() -> None:
    async def use(store: RedisStore) -> None:
        with pytest.raises(SharedStateUnavailable, match=r"redis 127\.0\.0\.1:9/0"):
            await RedisPacer(store, "t", 200, 1.0).wait()
        with pytest.raises(SharedStateUnavailable):
            await RedisTokenCache(store, Vault("s")).get("k")
        with pytest.raises(SharedStateUnavailable):
            async with RedisTokenCache(store, Vault("s")).lock("k"):
                pass

    began = time.monotonic()
    with_store(RedisServer("127.0.0.1", 9, password="hunter2"), "x", use)
    assert time.monotonic() - began < 3
    assert "hunter2" not in repr(RedisServer("127.0.0.1", 9, password="hunter2"))
