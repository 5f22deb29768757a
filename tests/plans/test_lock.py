"""The lease of a run in Redis: held as long as the run lives, free soon after its death."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from airflow_provider_logto.client.sharing.redis_server import RedisServer
from airflow_provider_logto.exceptions import RunInProgress
from airflow_provider_logto.plans import lock

# Each test empties the database, so all of them run one after another.
pytestmark = pytest.mark.xdist_group("redis-database-11")
REDIS = RedisServer("127.0.0.1", 6379, db=11)


@pytest.fixture
def redis(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """An empty database of the machine's Redis."""
    redis = pytest.importorskip("redis")
    client = redis.Redis("127.0.0.1", 6379, db=11)
    try:
        client.ping()
    except redis.ConnectionError:
        pytest.skip("no Redis on this machine")
    client.flushdb()
    monkeypatch.setattr(lock, "LEASE", 1.5)
    yield client
    client.flushdb()
    client.close()


def test_a_second_run_waits_for_the_first_and_follows(redis: Any) -> None:
    async def story() -> None:
        async with lock.only_run(REDIS, "roster/hr", "t"):
            with pytest.raises(RunInProgress):
                async with lock.only_run(REDIS, "roster/hr", "t"):
                    pass
            # Longer than the lease: it is renewed.
            await asyncio.sleep(2.5)
            with pytest.raises(RunInProgress):
                async with lock.only_run(REDIS, "roster/hr", "t"):
                    pass
        async with lock.only_run(REDIS, "roster/hr", "t"):
            pass

    asyncio.run(story())
    assert redis.keys() == []


def test_a_dead_run_keeps_nobody_out_for_longer_than_the_lease(redis: Any) -> None:
    async def story() -> None:
        run = lock.only_run(REDIS, "roster/hr", "t")
        await run.__aenter__()
        # Nothing is renewed or released any more, as after SIGKILL.
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        await asyncio.sleep(2.0)
        async with lock.only_run(REDIS, "roster/hr", "t"):
            pass

    asyncio.run(story())


def test_a_run_that_loses_its_lease_ends(redis: Any) -> None:
    async def story() -> None:
        async with lock.only_run(REDIS, "roster/hr", "t"):
            redis.flushdb()
            await asyncio.sleep(5)

    with pytest.raises(RunInProgress, match="lease was lost"):
        asyncio.run(story())
