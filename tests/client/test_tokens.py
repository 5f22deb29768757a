"""Tokens: fetched once, judged, renewed in time, and every refusal told apart."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from airflow_provider_logto.client.auth.credentials import Credentials
from airflow_provider_logto.client.auth.token_cache import ProcessTokenCache, Token
from airflow_provider_logto.client.auth.tokens import TokenSource
from airflow_provider_logto.client.client import LogtoClient
from airflow_provider_logto.client.endpoint import Endpoint
from airflow_provider_logto.client.refusals import refusal
from airflow_provider_logto.exceptions import (
    AuthFailed,
    Forbidden,
    LogtoApiError,
    LogtoError,
    NotFound,
    NotFromLogto,
    QuotaExhausted,
    RateLimited,
    ServerFailed,
)
from logto_sandbox import Sandbox
from tests.clients import Run, client_of, context_of


async def look(client: LogtoClient) -> Any:
    return await client.request("GET", "/users")


def hint_of(status: int, body: Any, **more: Any) -> str:
    """What the error for a refusal says about fixing it."""
    return refusal("POST /x", status, body or {}, context_of(**more)).hint


# -- what the server refuses, over the wire


@pytest.mark.parametrize(
    ("options", "fault", "kind", "words"),
    [
        ({"app": "nobody"}, None, AuthFailed, r"no application 'nobody' in this tenant: check login"),
        ({"secret": "wrong"}, None, AuthFailed, r"the secret is wrong: check password"),
        ({"resource": "https://localhost/api"}, None, LogtoApiError, "is unknown there: on a self-hosted Logto"),
        ({}, {"kind": "secret_expired"}, LogtoApiError, "the application's secret has expired: make a new one"),
        ({}, {"kind": "token_without_scope"}, Forbidden, "Management API permission `all`"),
        ({}, {"kind": "token_quota"}, QuotaExhausted, "no quota left"),
    ],
)
def test_a_refused_token_is_explained_and_not_asked_for_again(
    run: Run,
    sandbox: Sandbox,
    options: dict[str, Any],
    fault: dict[str, Any] | None,
    kind: type[Exception],
    words: str,
) -> None:
    if fault:
        sandbox.add_fault(times=None, **fault)
    with pytest.raises(kind, match=words) as caught:
        run(look, client=options)
    assert [request["path"] for request in sandbox.requests()] == ["/oidc/token"]
    for secret in (sandbox.app_secret, "wrong"):
        assert secret not in str(caught.value).replace("the secret is wrong", "")


def test_an_application_without_a_role(run: Run, sandbox: Sandbox) -> None:
    cache = ProcessTokenCache()
    for _ in range(2):
        with pytest.raises(Forbidden, match="Logto Management API access"):
            run(
                look,
                client={"app": sandbox.norole_id, "secret": sandbox.norole_secret, "token_cache": cache},
            )
    assert cache._tokens == {}  # such a token is never kept


def test_a_token_endpoint_that_fails_is_tried_again(run: Run, sandbox: Sandbox) -> None:
    sandbox.add_fault(kind="error", status=503, path="/oidc/token", times=2)
    run(look)
    sandbox.add_fault(kind="error", status=500, path="/oidc/token", times=None)
    with pytest.raises(ServerFailed, match="POST /oidc/token"):  # and not OutcomeUnknown: nothing was written
        run(lambda client: client.request("POST", "/users", body={}))


CLAIM = "ERR_JWT_CLAIM_VALIDATION_FAILED"
BAD = {"error": "invalid_client", "error_description": "client authentication failed"}


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (400, {"error": "invalid_client", "error_description": "invalid client x"}, "no application"),
        (401, BAD, "secret is wrong"),
        (400, {"error": "invalid_request", "error_description": "client secret has expired"}, "has expired"),
        (400, {"error": "invalid_request", "error_description": "requested grant type is not allowed"}, "machine-to-m"),
        (400, {"error": "invalid_request", "error_description": "client_id mismatch"}, "client_id mismatch"),
        (400, {"error": "invalid_target", "error_description": "x"}, "fix `resource`"),
        (403, {"error": "access_denied", "error_description": "no entry"}, "token script) refused: no entry"),
        (400, {"error": "unsupported_grant_type"}, "is host a Logto endpoint"),
        (429, {"code": "auth.exceed_token_limit"}, "no quota left"),
        (500, None, ""),
    ],
)
def test_each_refusal_has_its_own_sentence(status: int, body: Any, words: str) -> None:
    hint = hint_of(status, body, token_request=True)
    assert words in hint
    assert bool(words) == bool(hint)


@pytest.mark.parametrize("request_id", [None, "r1d"])
def test_a_token_endpoint_that_is_not_there_is_no_absent_object(request_id: str | None) -> None:
    error = refusal("POST /oidc/token", 404, {}, context_of(token_request=True), request_id)
    assert type(error) is NotFromLogto
    said = (
        "answered 404, but it was not Logto that answered - nothing gives out tokens there: is host a Logto endpoint?"
    )
    assert said in str(error)


def test_the_admin_port_is_named() -> None:
    assert "3001" in hint_of(400, BAD, host="http://localhost:3002", token_request=True)


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (403, {"code": "auth.forbidden"}, "lacks the scope"),
        (
            401,
            {"code": "auth.unauthorized", "data": {"code": "ERR_JWT_CLAIM_VALIDATION_FAILED", "claim": "aud"}},
            "resource",
        ),
        (
            401,
            {"code": "auth.unauthorized", "data": {"code": "ERR_JWT_CLAIM_VALIDATION_FAILED", "claim": "iss"}},
            "custom",
        ),
        (401, {"code": "auth.unauthorized", "data": {"code": "ERR_JWKS_NO_MATCHING_KEY"}}, "admin port"),
        (401, {"code": "auth.unauthorized", "data": "?"}, ""),
    ],
)
def test_each_refusal_of_the_api_has_its_own_sentence(status: int, body: Any, words: str) -> None:
    hint = hint_of(status, body)
    assert words in hint
    assert bool(words) == bool(hint)


@pytest.mark.parametrize(("app", "secret"), [("a:b", "c d+e%"), ("ä", "日本"), ("x", "p:q/r")])
def test_odd_characters_in_credentials(app: str, secret: str) -> None:
    with Sandbox(app_id=app, app_secret=secret) as sandbox:
        asyncio.run(_look_once(sandbox))
        assert sandbox.stats()["tokens"] == 1


async def _look_once(sandbox: Sandbox, **options: Any) -> None:
    async with client_of(sandbox, **options) as client:
        await look(client)


# -- one token, renewed at the right moment


def test_one_token_for_many_requests_and_clients(run: Run, sandbox: Sandbox) -> None:
    cache = ProcessTokenCache()

    async def many(client: LogtoClient) -> None:
        await asyncio.gather(*(look(client) for _ in range(30)))

    for _ in range(3):
        run(many, client={"token_cache": cache})
    assert sandbox.stats()["tokens"] == 1


def test_a_rotated_key_costs_one_more_token_under_load(run: Run, sandbox: Sandbox) -> None:
    async def many(client: LogtoClient) -> None:
        await look(client)
        sandbox.add_fault(kind="signing_key_rotated")
        await asyncio.gather(*(look(client) for _ in range(30)))
        await look(client)

    run(many)
    assert sandbox.stats()["tokens"] == 2


def test_an_expired_token_is_replaced_once(run: Run, sandbox: Sandbox) -> None:
    async def late(client: LogtoClient) -> None:
        await look(client)
        sandbox.add_fault(kind="clock_skew", offset_ms=2 * 3600_000)
        client._skew = 0.0  # as if the server's clock had not been seen since
        await asyncio.gather(*(look(client) for _ in range(10)))

    run(late)
    assert sandbox.stats()["tokens"] == 2


@pytest.mark.parametrize("offset", [-300_000, 300_000])
def test_clocks_that_disagree_cost_no_token(run: Run, sandbox: Sandbox, offset: int) -> None:
    sandbox.add_fault(kind="clock_skew", offset_ms=offset)
    cache = ProcessTokenCache()
    for _ in range(3):
        run(look, client={"token_cache": cache})
    assert sandbox.stats()["tokens"] == 1


def test_a_403_and_a_wrong_audience_never_fetch_again(scripted: Any, ask: Run) -> None:
    from .conftest import raw

    json = "Content-Type: application/json"
    wrong = b'{"code":"auth.unauthorized","data":{"code":"ERR_JWT_CLAIM_VALIDATION_FAILED","claim":"aud"}}'
    for answer in (raw("403 X", b'{"code":"auth.forbidden"}', json), raw("401 X", wrong, json)):
        scripted.requests.clear()
        with pytest.raises((Forbidden, AuthFailed)):
            ask("GET", "/users", answers=[answer])
        assert len(scripted.requests) == 1


def test_every_secret_is_announced_before_it_is_used(run: Run, sandbox: Sandbox) -> None:
    told: list[str] = []
    cache = ProcessTokenCache()

    async def tell(secret: str) -> None:
        told.append(secret)

    run(look, client={"token_cache": cache, "on_secret": tell})
    (token,) = cache._tokens.values()
    basic = Credentials(sandbox.app_id, sandbox.app_secret).basic
    assert sorted(told[:-1]) == sorted([sandbox.app_secret, basic])
    assert told[-1] == token.value
    told.clear()
    run(look, client={"token_cache": cache, "on_secret": tell})
    assert told == [token.value]
    assert token.value not in repr(token)


# -- the source alone, with a clock of its own


class Mint:
    """Makes tokens ``t1``, ``t2`` ... of 3600 s, or fails."""

    def __init__(self) -> None:
        self.now = 1_000_000.0
        self.made = self.asked = 0
        self.failure: LogtoError | None = None

    async def __call__(self) -> Token:
        await asyncio.sleep(0)
        self.asked += 1
        if self.failure:
            raise self.failure
        self.made += 1
        return Token(f"t{self.made}", self.now, self.now + 3600)

    def source(self, cache: ProcessTokenCache, skew: Callable[[], float | None] = lambda: None) -> TokenSource:
        async def mute(secret: str) -> None:
            return None

        return TokenSource(self, cache, "key", mute, skew, lambda: self.now)


def test_fifty_at_expiry_fetch_one() -> None:
    async def run() -> None:
        mint, cache = Mint(), ProcessTokenCache()
        sources = [mint.source(cache) for _ in range(50)]
        assert {t.value for t in await asyncio.gather(*(s.current() for s in sources))} == {"t1"}
        mint.now += 3600
        assert {t.value for t in await asyncio.gather(*(s.current() for s in sources))} == {"t2"}

    asyncio.run(run())


def test_renewal_begins_at_about_four_fifths_and_one_does_it() -> None:
    async def run() -> None:
        mint, cache = Mint(), ProcessTokenCache()
        sources = [mint.source(cache) for _ in range(50)]
        await sources[0].current()
        mint.now += 0.74 * 3600
        await asyncio.gather(*(s.current() for s in sources))
        assert mint.made == 1
        mint.now += 0.06 * 3600
        some = sum(s._due(Token("t1", mint.now - 0.8 * 3600, mint.now + 0.2 * 3600)) for s in sources)
        assert 5 < some < 45  # a fleet does not renew as one
        await asyncio.gather(*(s.current() for s in sources))
        assert mint.made == 2

    asyncio.run(run())


def test_a_token_serves_until_shortly_before_its_end_when_renewal_fails() -> None:
    async def run() -> None:
        mint, cache = Mint(), ProcessTokenCache()
        source = mint.source(cache)
        await source.current()
        mint.failure = RateLimited("POST /oidc/token", 429)
        for _ in range(60):
            mint.now += 3560 / 60
            assert (await source.current()).value == "t1"
        mint.failure = NotFound("POST /oidc/token", 404)
        mint.now += 40
        with pytest.raises(NotFound):
            await source.current()

    asyncio.run(run())


def test_a_renewal_that_fails_is_tried_again_after_half_a_minute() -> None:
    async def run() -> None:
        mint, cache = Mint(), ProcessTokenCache()
        source = mint.source(cache)
        await source.current()
        mint.failure = RateLimited("POST /oidc/token", 429)
        mint.now += 3200
        mint.asked = 0
        for _ in range(29):
            assert (await source.current()).value == "t1"
            mint.now += 1
        assert mint.asked == 1
        mint.now += 1
        await source.current()
        assert mint.asked == 2

    asyncio.run(run())


@pytest.mark.parametrize(("life", "leeway"), [(3600, 30), (100, 10)])
def test_the_last_seconds_of_a_token_are_not_used(life: int, leeway: int) -> None:
    async def run() -> None:
        mint, cache = Mint(), ProcessTokenCache()
        mint.failure = RateLimited("POST /oidc/token", 429)
        await cache.put("key", Token("kept", mint.now, mint.now + life))
        mint.now += life - leeway - 0.5
        assert (await mint.source(cache).current()).value == "kept"
        mint.now += 0.5
        with pytest.raises(RateLimited):
            await mint.source(cache).current()

    asyncio.run(run())


@pytest.mark.parametrize(
    ("kept", "expected"),
    [
        (Token("refused", 1_000_000.0, 1_003_600.0), "t1"),  # somebody put it there again
        (Token("other", 1_000_000.0, 1_003_600.0), "other"),  # somebody has fetched one meanwhile
        (Token("over", 990_000.0, 993_600.0), "t1"),
        (None, "t1"),
    ],
)
def test_a_refused_token_is_replaced_by_another_one_that_works(kept: Token | None, expected: str) -> None:
    refused = Token("refused", 1_000_000.0, 1_003_600.0)

    class Stubborn(ProcessTokenCache):
        async def drop(self, key: str, token: Token) -> None:
            return None

    async def run() -> None:
        mint, cache = Mint(), Stubborn()
        if kept is not None:
            await cache.put("key", kept)
        assert (await mint.source(cache).replace(refused)).value == expected
        assert mint.made == (expected == "t1")

    asyncio.run(run())


def test_a_renewed_token_is_there_for_the_others() -> None:
    async def run() -> None:
        mint, cache = Mint(), ProcessTokenCache()
        source = mint.source(cache)
        await source.current()
        mint.now += 3200
        assert (await source.current()).value == "t2"
        kept = await cache.get("key")
        assert kept is not None
        assert kept.value == "t2"
        assert (await mint.source(cache).current()).value == "t2"
        assert mint.made == 2

    asyncio.run(run())


def test_who_comes_second_to_renew_takes_what_the_first_fetched() -> None:
    async def run() -> None:
        mint = Mint()

        class Raced(ProcessTokenCache):
            """Another task renews between our look and our lock."""

            @asynccontextmanager
            async def lock(self, key: str, patience: float = 20.0) -> AsyncIterator[bool]:
                await self.put(key, Token("theirs", mint.now, mint.now + 3600))
                async with super().lock(key, patience) as held:
                    yield held

        cache = Raced()
        await cache.put("key", Token("aging", mint.now - 3400, mint.now + 200))
        assert (await mint.source(cache).current()).value == "theirs"
        assert mint.made == 0

    asyncio.run(run())


def test_while_one_renews_the_others_go_on() -> None:
    async def run() -> None:
        mint, cache = Mint(), ProcessTokenCache()
        source = mint.source(cache)
        await source.current()
        mint.now += 3400
        async with cache.lock("key"):
            began = time.monotonic()
            assert (await source.current()).value == "t1"
            assert time.monotonic() - began < 0.5

    asyncio.run(run())


def test_who_needs_a_token_waits_for_the_one_that_is_being_fetched() -> None:
    """Longer than one look at the cache, and without a fetch of its own."""

    async def run() -> None:
        mint, cache = Mint(), ProcessTokenCache()
        async with cache.lock("key"):
            waiting = asyncio.create_task(mint.source(cache).current())
            await asyncio.sleep(0.7)
            assert not waiting.done()
            await cache.put("key", Token("theirs", mint.now, mint.now + 3600))
        assert (await waiting).value == "theirs"
        assert mint.made == 0

    asyncio.run(run())


def test_a_token_in_hand_serves_although_the_cache_has_lost_it() -> None:
    async def run() -> None:
        mint, cache = Mint(), ProcessTokenCache()
        source = mint.source(cache)
        token = await source.current()
        await cache.drop("key", token)
        mint.failure = RateLimited("POST /oidc/token", 429)
        mint.now += 3200
        assert await source.current() == token

    asyncio.run(run())


def test_a_short_lived_token_is_used_too() -> None:
    async def run() -> None:
        mint, cache = Mint(), ProcessTokenCache()
        source = mint.source(cache)
        await cache.put("key", Token("brief", mint.now, mint.now + 5))
        assert (await source.current()).value == "brief"

    asyncio.run(run())


def test_the_servers_clock_decides() -> None:
    async def run() -> None:
        mint, cache = Mint(), ProcessTokenCache()
        ahead = mint.source(cache, lambda: 7200.0)  # the server is two hours ahead: its token is long over
        await cache.put("key", Token("old", mint.now, mint.now + 3600))
        assert (await ahead.current()).value == "t1"

    asyncio.run(run())


def test_the_key_tells_tenants_applications_resources_and_secrets_apart() -> None:
    base = Endpoint.parse("https://a.logto.app")
    keys = {
        Credentials("x", "s").cache_key(base),
        Credentials("y", "s").cache_key(base),
        Credentials("x", "t").cache_key(base),
        Credentials("x", "s").cache_key(Endpoint.parse("https://b.logto.app")),
        Credentials("x", "s").cache_key(Endpoint.parse("https://a.logto.app", resource="urn:r")),
    }
    assert len(keys) == 5
    assert "s3cret" not in Credentials("x", "s3cret").cache_key(base)
