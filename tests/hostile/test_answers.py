"""Whatever a server sends, it costs little, and what leaves is data or one of our errors."""

from __future__ import annotations

import gzip
import itertools
import json
import logging
import time
import tracemalloc
import zlib
from collections.abc import Iterator
from email.utils import formatdate
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_logto.client import answers
from airflow_provider_logto.client.auth import token_endpoint
from airflow_provider_logto.client.auth.token_cache import ProcessTokenCache, Token
from airflow_provider_logto.client.retrying import RetryOptions
from airflow_provider_logto.client.sharing import fallback
from airflow_provider_logto.exceptions import (
    AnswerCutShort,
    ConnectionFailed,
    InvalidInput,
    LogtoError,
    OutcomeUnknown,
    RateLimited,
    UnreadableAnswer,
)

from .conftest import SECRET, Ask
from .server import HostileServer, http, token

MEGABYTE = 1024 * 1024


@pytest.fixture(autouse=True)
def _small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "LARGEST", MEGABYTE)
    monkeypatch.setattr(answers, "LARGEST_SMALL", MEGABYTE // 4)


def endless(head: bytes, piece: bytes = b" " * 65536) -> Iterator[bytes]:
    return itertools.chain([head], itertools.repeat(piece))


def bomb(size: int, times: int = 1) -> bytes:
    """A JSON list of ``size`` bytes, compressed."""
    packed = b"[" + b" " * size + b"]"
    for _ in range(times):
        packed = gzip.compress(packed, 6)
    return packed


CASES: dict[str, tuple[str, Any]] = {
    "gzip": ("api", lambda: [http("200 OK", bomb(50 * MEGABYTE), "Content-Encoding: gzip")]),
    "gzip twice": ("api", lambda: [http("200 OK", bomb(50 * MEGABYTE, 2), "Content-Encoding: gzip, gzip")]),
    "gzip for a token": ("token", lambda: [http("200 OK", bomb(50 * MEGABYTE), "Content-Encoding: gzip")]),
    "gzip in a refusal": ("api", lambda: [http("400 X", bomb(50 * MEGABYTE), "Content-Encoding: gzip")]),
    "gzip in a 401": ("api", lambda: [http("401 X", bomb(50 * MEGABYTE), "Content-Encoding: gzip")]),
    "gzip in a 429": ("api", lambda: [http("429 X", bomb(50 * MEGABYTE), "Content-Encoding: gzip")]),
    "endless": ("api", lambda: endless(http("200 OK", length=False))),
    "endless token": ("token", lambda: endless(http("200 OK", length=False))),
    "endless refusal": ("api", lambda: endless(http("500 X", length=False))),
    "endless 401": ("api", lambda: endless(http("401 X", length=False))),
    "endless headers": ("api", lambda: endless(b"HTTP/1.1 200 OK\r\n", b"X-A: " + b"b" * 60000 + b"\r\n")),
    "endless after gzip": (
        "api",
        lambda: endless(http("200 OK", b"", "Content-Encoding: gzip", length=False) + bomb(10), b"\0" * 65536),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_no_answer_takes_much_memory_or_time(ask: Ask, hostile: HostileServer, case: str) -> None:
    where, pieces = CASES[case]
    sent = pieces()  # before anything is measured
    if where == "token":
        hostile.token_answer = lambda request: sent
    else:
        hostile.answer = lambda request: sent
    tracemalloc.start()
    began = time.monotonic()
    try:
        with pytest.raises(LogtoError):
            ask(timeout=20.0)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 16 * MEGABYTE
    assert time.monotonic() - began < 15


@pytest.mark.parametrize("coding", ["br", "deflate", "zstd", "gzip, gzip", "x", "identity, gzip"])
def test_only_the_coding_that_was_asked_for(ask: Ask, hostile: HostileServer, coding: str) -> None:
    hostile.answer = lambda request: [http("200 OK", zlib.compress(b"[]"), f"Content-Encoding: {coding}")]
    with pytest.raises(UnreadableAnswer, match="answered 200, but with a content coding that was not asked for"):
        ask()
    assert hostile.requests[0].headers["accept-encoding"] == "gzip"


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 65_537, 131_072, 900_000])
def test_gzip_is_read_whole(ask: Ask, hostile: HostileServer, size: int) -> None:
    value = "ab" * (size // 2)
    body = gzip.compress(json.dumps([value]).encode())
    hostile.answer = lambda request: [http("200 OK", body, "Content-Encoding: GZIP")]
    assert ask() == [value]


def test_the_limit_is_the_last_size_that_passes(ask: Ask, hostile: HostileServer) -> None:
    for extra, passes in ((0, True), (1, False)):
        body = b"[" + b" " * (answers.LARGEST - 2 + extra) + b"]"
        hostile.answer = lambda request, body=body: [http("200 OK", body)]  # type: ignore[misc]
        if passes:
            assert ask() == []
        else:
            with pytest.raises(UnreadableAnswer, match="more than the 1024 KB"):
                ask()


@pytest.mark.parametrize("body", [gzip.compress(b'[{"id":"a"}]')[:-9], b"no gzip at all"], ids=["cut", "none"])
def test_broken_gzip_is_a_lost_answer(ask: Ask, hostile: HostileServer, body: bytes) -> None:
    hostile.answer = lambda request: [http("200 OK", body, "Content-Encoding: gzip")]
    with pytest.raises(AnswerCutShort):
        ask()
    with pytest.raises(OutcomeUnknown):
        ask(lambda client: client.request("POST", "/users", body={}))


@pytest.mark.parametrize(
    "answer",
    [
        http("200 OK", b"[]", "Total-Number: \u00b2"),
        http("200 OK", b"[]", "Total-Number: " + "9" * 4000),
        http("200 OK", b"[]", "Total-Number: -1"),
        http("200 OK", b"[]", "Total-Number: 1e3"),
        http("200 OK", b"null"),
        http("200 OK", b"{}"),
        http("200 OK", b"[" * 200_000),
        http("200 OK", b'{"a":' * 100_000),
        http("200 OK", b"9" * 5000),
        http("200 OK", b"\xff\xfe\x00"),
        http("200 OK", "text".encode("utf-16"), "Content-Type: text/plain; charset=no-such-charset"),
        http("200 OK", b"text", "Content-Type: text/plain; charset=hex"),
        http("200 OK", b"text", "Content-Type: text/plain; charset=zlib_codec"),
        http("200 OK", b"<html>", "Content-Type: text/html; charset=\xff"),
        http("600 What", b"{}"),
        http("101 Switching Protocols"),
        http("400 X", b"{}", "Date: Mon, 99 Foo 99999 99:99:99 GMT", "Retry-After: \u00b2"),
        http("429 X", b"{}", "Date: Fri, 31 Dec 9999 23:59:59 GMT", "Retry-After: Fri, 31 Dec 9999 23:59:59 -2359"),
        http("400 X", b'{"code":{},"message":[],"data":7,"details":{}}'),
        http("400 X", b"[" * 100_000),
        http("401 X", b"[" * 100_000),
        http("429 X", b"[" * 100_000),
        b"",
        b"HTTP/1.1 200",
        b"HTTP/9.9 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: nine\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n[]",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"\x16\x03\x01\x02\x00",
    ],
)
def test_an_odd_answer_is_one_of_our_errors(ask: Ask, hostile: HostileServer, answer: bytes) -> None:
    hostile.answer = lambda request: [answer]
    with pytest.raises(LogtoError):
        ask(lambda client: client.collect("/users"))


@pytest.mark.parametrize(
    "life", ["1" + "0" * 400, "Infinity", "1e400", "NaN", "-1", "0", '"3600"', "null", "[3600]", "9" * 5000]
)
def test_an_odd_lifetime_of_a_token(ask: Ask, hostile: HostileServer, life: str) -> None:
    hostile.token_answer = lambda request: [token(more=f'"expires_in":{life},"scope":"all"')]
    hostile.answer = lambda request: [http("200 OK", b"[]")]
    try:
        assert ask() == []
    except LogtoError:
        return
    assert life in ("1" + "0" * 400, "Infinity", "1e400")  # longer than any token lives: used, for a day at most


@pytest.mark.parametrize(("ahead", "skew"), [(None, 0.0), (7200, 7200.5), (-7200, -7199.5)])
@pytest.mark.parametrize(("life", "kept"), [("1", 1), ("86400", 86400), ("86401", 86400)])
def test_a_token_lives_by_the_servers_clock_and_a_day_at_most(
    ask: Ask,
    hostile: HostileServer,
    monkeypatch: pytest.MonkeyPatch,
    ahead: int | None,
    skew: float,
    life: str,
    kept: int,
) -> None:
    now = 1_900_000_000.0
    monkeypatch.setattr(token_endpoint, "time", SimpleNamespace(time=lambda: now))
    dated = () if ahead is None else (f"Date: {formatdate(now + ahead, usegmt=True)}",)
    body = b'{"access_token":"t","expires_in":%s,"scope":"all"}' % life.encode()
    hostile.token_answer = lambda request: [http("200 OK", body, *dated)]
    cache, announced = ProcessTokenCache(), []

    async def note(secret: str) -> None:
        announced.append(secret)

    ask(token_cache=cache, on_secret=note)
    assert list(cache._tokens.values()) == [Token("t", now + skew, now + skew + kept, skew)]
    assert SECRET in announced


def test_without_a_token_nothing_was_sent(ask: Ask, hostile: HostileServer) -> None:
    hostile.token_answer = lambda request: []
    with pytest.raises(ConnectionFailed, match=r"^POST /oidc/token ") as caught:  # and not OutcomeUnknown
        ask(lambda client: client.request("POST", "/users", body={}))
    assert not caught.value.sent
    assert hostile.requests == []


@pytest.mark.parametrize("date", ["Fri, 31 Dec 9999 23:59:59 GMT", "Mon, 01 Jan 0001 00:00:00 GMT", "x", "\u00b2"])
def test_an_absurd_clock_costs_no_flood_of_tokens(ask: Ask, hostile: HostileServer, date: str) -> None:
    hostile.token_answer = lambda request: [
        http("200 OK", b'{"access_token":"t","expires_in":3600,"scope":"all"}', f"Date: {date}")
    ]
    hostile.answer = lambda request: [http("200 OK", b"[]", f"Date: {date}")]

    async def several(client: Any) -> None:
        for _ in range(5):
            assert await client.request("GET", "/users") == []

    ask(several)
    assert hostile.token_requests <= 1


STATUS = st.sampled_from(
    [100, 199, 200, 201, 204, 206, 301, 304, 400, 401, 403, 404, 405, 408, 422, 429, 500, 501, 503]
)
HEADER = st.tuples(
    st.sampled_from(
        ["Content-Type", "Content-Encoding", "Total-Number", "Retry-After", "Date", "Link", "Allow", "Location", "X"]
    ),
    st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=30),
)
BODY = st.one_of(
    st.binary(max_size=300),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(st.sampled_from(["code", "message", "data", "details", "id", "error"]), inner, max_size=4)
        ),
        max_leaves=12,
    ).map(lambda value: json.dumps(value).encode()),
)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(STATUS, st.lists(HEADER, max_size=4), BODY, st.sampled_from(["GET", "POST", "DELETE"]))
def test_anything_at_all(
    ask: Ask, hostile: HostileServer, status: int, headers: list[tuple[str, str]], body: bytes, method: str
) -> None:
    answer = http(f"{status} X", body, *(f"{name}: {value}" for name, value in headers))
    hostile.answer = lambda request: [answer]
    try:
        ask(lambda client: client.request(method, "/users"), timeout=1.0)
        if method == "GET":
            ask(lambda client: client.collect("/users"), timeout=1.0)
    except LogtoError:
        pass


# -- waits, and what we send


@pytest.mark.parametrize("value", ["300000000000", "1e300", "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_nobody_makes_us_wait_longer_than_an_hour(ask: Ask, hostile: HostileServer, value: str) -> None:
    hostile.answer = lambda request: [http("429 X", b"{}", f"Retry-After: {value}")]
    with pytest.raises(RateLimited) as caught:
        ask(retry=RetryOptions(max_wait=10.0))
    assert caught.value.retry_after == 3600.0


@pytest.mark.parametrize(
    ("path", "query", "field"),
    [
        ("/users/\ud800", None, "path"),
        ("/users/" + "a" * 70_000, None, "path"),
        ("/users", {"search": "\udfff"}, "query.'search'"),
        ("/users", {"\udfff": "x"}, "query.'\\udfff'"),
        ("/users", {"search": "a" * 70_000}, "query"),
        ("/users", {"search": "ä" * 20_000}, "query"),
    ],
)
def test_what_cannot_be_sent_is_refused_before(
    ask: Ask, hostile: HostileServer, path: str, query: dict[str, str] | None, field: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        ask(lambda client: client.request("GET", path, query))
    assert caught.value.field == field
    assert len(str(caught.value)) < 200 + 2 * len(field) or "aaaa" not in str(caught.value)
    assert (hostile.requests, hostile.token_requests) == ([], 0)


def test_a_body_with_half_a_character_is_refused(ask: Ask, hostile: HostileServer) -> None:
    with pytest.raises(InvalidInput, match=r"^body: "):
        ask(lambda client: client.request("POST", "/users", body={"name": "\ud83d"}))
    assert hostile.requests == []


def test_unchecked_certificates_are_warned_of(
    ask: Ask, hostile: HostileServer, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fallback, "_warned", set())
    hostile.answer = lambda request: [http("200 OK", b"[]")]
    for _ in range(2):
        ask(verify=False)
    assert [r.levelno for r in caplog.records if "verify is false" in r.getMessage()] == [logging.WARNING]
