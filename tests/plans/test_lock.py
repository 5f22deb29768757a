"""The lease of a run in Redis: held as long as the run lives, free soon after its death."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator
from typing import Any

import pytest

from airflow_provider_logto.client.sharing.redis_server import RedisServer
from airflow_provider_logto.exceptions import RunInProgress, SharedStateUnavailable
from airflow_provider_logto.plans import lock

REDIS = RedisServer("127.0.0.1", 6379, db=11)


@pytest.fixture
def redis(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The machine's Redis."""
    redis = pytest.importorskip("redis")
    client = redis.Redis("127.0.0.1", 6379, db=11)
    try:
        client.ping()
    except redis.ConnectionError:
        pytest.skip("no Redis on this machine")
    monkeypatch.setattr(lock, "LEASE", 1.5)
    yield client
    client.close()


def key(tenant: str) -> str:
    """Where the lease of the roster ``hr`` lies; other tests use the same database at the same time."""
    name = hashlib.sha256(f"{tenant}\nroster/hr".encode()).hexdigest()[:32]
    return f"airflow-provider-logto:run:{name}"


def test_a_second_run_waits_for_the_first_and_follows(redis: Any, unique: str) -> None:
    async def story() -> None:
        async with lock.only_run(REDIS, "roster/hr", unique):
            with pytest.raises(RunInProgress):
                async with lock.only_run(REDIS, "roster/hr", unique):
                    pass
            # Longer than the lease: it is renewed.
            await asyncio.sleep(2.5)
            with pytest.raises(RunInProgress):
                async with lock.only_run(REDIS, "roster/hr", unique):
                    pass
        async with lock.only_run(REDIS, "roster/hr", unique):
            pass

    asyncio.run(story())
    assert not redis.exists(key(unique))


def test_a_dead_run_keeps_nobody_out_for_longer_than_the_lease(redis: Any, unique: str) -> None:
    async def story() -> None:
        run = lock.only_run(REDIS, "roster/hr", unique)
        await run.__aenter__()
        # Nothing is renewed or released any more, as after SIGKILL.
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        await asyncio.sleep(2.0)
        async with lock.only_run(REDIS, "roster/hr", unique):
            pass

    asyncio.run(story())


def test_a_run_that_loses_its_lease_ends(redis: Any, unique: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ask, refused = lock.RedisStore.ask, []

    async def noting(self: Any, command: Any) -> Any:
        try:
            return await ask(self, command)
        except SharedStateUnavailable as error:
            refused.append(error)
            raise

    monkeypatch.setattr(lock.RedisStore, "ask", noting)

    async def story() -> None:
        async with lock.only_run(REDIS, "roster/hr", unique):
            assert redis.delete(key(unique)) == 1
            await asyncio.sleep(5)

    with pytest.raises(RunInProgress, match="lease was lost"):
        asyncio.run(story())
    assert len(refused) == 2, "the first renewal, and the release: another run may have begun"
