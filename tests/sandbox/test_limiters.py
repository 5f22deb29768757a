"""The three limiter models, by a clock of the test's own and over HTTP."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest

from logto_sandbox import Sandbox
from logto_sandbox.faults.limiters import LIMITERS, FixedWindow, SlidingWindow, TokenBucket

LIMIT = 20


def passed(model: str, times: list[float]) -> list[float]:
    limiter = LIMITERS[model](LIMIT)
    return [now for now in times if limiter.allow(now) == 0]


def busiest(times: list[float]) -> int:
    return max(sum(start <= other < start + 10 for other in times) for start in times)


# A crowd just before and just after a boundary of ten seconds, then one request every 1/16 s for a minute.
CROWD = [1009.9] * 30 + [1010.1] * 30
STREAM = [2000 + n / 16 for n in range(960)]


@pytest.mark.parametrize(
    ("model", "from_crowd", "most_in_10s"),
    [("token_bucket", 20, 40), ("sliding_window", 20, 20), ("fixed_window", 40, 40)],
)
def test_what_passes(model: str, from_crowd: int, most_in_10s: int) -> None:
    assert len(passed(model, CROWD)) == from_crowd
    stream = passed(model, STREAM)
    assert busiest(stream) <= most_in_10s
    # One minute at full pressure: six times the limit, and for the bucket what it held at first.
    assert len(stream) == pytest.approx(6 * LIMIT + (LIMIT if model == "token_bucket" else 0), abs=1)


@pytest.mark.parametrize("model", LIMITERS)
def test_the_told_wait_is_enough_and_not_too_long(model: str) -> None:
    limiter = LIMITERS[model](LIMIT)
    now = 3003.0
    while (wait := limiter.allow(now)) == 0:
        now += 0.01
    assert limiter.allow(now + wait * 0.9) > 0
    assert limiter.allow(now + wait + 1e-6) == 0


def test_a_refused_request_does_not_count() -> None:
    for limiter in (TokenBucket(1), SlidingWindow(1), FixedWindow(1)):
        assert limiter.allow(0.0) == 0
        assert all(limiter.allow(9.0) > 0 for _ in range(50))
        assert limiter.allow(10.001) == 0


@pytest.mark.parametrize("model", LIMITERS)
@pytest.mark.parametrize(("retry_after", "said"), [("none", False), ("seconds", True), ("date", True)])
def test_over_http_tokens_count_too(
    model: str, retry_after: str, said: bool, authorize: Callable[[Sandbox], httpx.Client]
) -> None:
    with Sandbox(rate_limit=LIMIT, limiter=model, retry_after=retry_after) as sandbox:
        api = authorize(sandbox)
        answers = [api.get("/api/users") for _ in range(LIMIT * 3)]
        api.get("/sandbox/stats")
        stats = sandbox.stats()
    refused = [answer for answer in answers if answer.status_code == 429]
    # The token took one; a window may turn or a bucket refill while the test runs.
    assert LIMIT <= len(refused) <= 2 * LIMIT + 1
    assert ("retry-after" in refused[0].headers) == said
    assert stats["rejections"] == {"429": len(refused)}
    assert stats["requests"] == stats["peak_per_10s"] == LIMIT * 3
    assert stats["routes"] == {"GET /api/users": LIMIT * 3}


def test_the_limit_can_be_changed_while_running(logto_sandbox: Sandbox, api: httpx.Client) -> None:
    assert api.put("/sandbox/limit", json={"rate_limit": 2, "limiter": "sliding_window"}).status_code == 204
    assert [api.get("/api/users").status_code for _ in range(3)] == [200, 200, 429]
    assert api.put("/sandbox/limit", json={"rate_limit": None}).status_code == 204
    assert api.get("/api/users").status_code == 200


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"rate_limit": 0}, "rate_limit"),
        ({"rate_limit": 2.5}, "rate_limit"),
        ({"rate_limit": True}, "rate_limit"),
        ({"limiter": "leaky_bucket"}, "limiter"),
        ({"retry_after": "soon"}, "retry_after"),
    ],
)
def test_a_wrong_limit_is_named(options: dict[str, object], name: str) -> None:
    with pytest.raises(ValueError, match=f"^{name}: "):
        Sandbox(**options)
