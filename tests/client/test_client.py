"""What leaves through the one door, and what comes back, over a real socket."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from typing import Any

import httpx
import pytest

from airflow_provider_logto.client.arguments import MAX_BODY, MAX_PATH, MAX_URL, Call
from airflow_provider_logto.client.auth.credentials import Credentials
from airflow_provider_logto.client.auth.token_cache import ProcessTokenCache
from airflow_provider_logto.client.client import LogtoClient, path_of
from airflow_provider_logto.client.endpoint import Endpoint
from airflow_provider_logto.client.refusals import connection_failed
from airflow_provider_logto.client.retrying import RetryOptions
from airflow_provider_logto.exceptions import (
    AnswerCutShort,
    ConfigurationError,
    Conflict,
    ConnectionFailed,
    InvalidInput,
    LogtoApiError,
    NotFound,
    NotFromLogto,
    OutcomeUnknown,
    ServerFailed,
    UnreadableAnswer,
)
from logto_sandbox import Sandbox
from tests.clients import QUICK, Run, client_of, context_of

from .conftest import Scripted, raw

JSON = "Content-Type: application/json"
#: Logto's own answers have it.
ID = "Logto-Core-Request-Id: r1d"


@pytest.mark.parametrize(
    ("answer", "data"),
    [
        (raw("200 OK", b'{"id":"a"}', JSON), {"id": "a"}),
        (raw("200 OK", b"[]", "Content-Type: application/json; charset=utf-8"), []),
        (raw("200 OK", b"null", JSON), None),
        (raw("201 Created", b"Created", "Content-Type: text/plain; charset=utf-8"), "Created"),
        (raw("204 No Content"), None),
        (raw("200 OK", '{"name":"山田"}'.encode(), JSON), {"name": "山田"}),
    ],
)
def test_answers(ask: Run, answer: bytes, data: Any) -> None:
    assert ask("POST", "/users", {}, answers=[answer]) == data


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (raw("200 OK", b"<html>sign in</html>", "Content-Type: text/html"), UnreadableAnswer, "web page"),
        (raw("200 OK", b"[" * 100_000, JSON), UnreadableAnswer, "nested too deeply"),
        (raw("302 Found", b"", "Location: https://other.example/x"), UnreadableAnswer, "redirects to https://other"),
        (raw("404 X", b"Not Found", "Content-Type: text/plain", ID), NotFound, "older Logto, or a body over 1 MB"),
        (raw("405 Method Not Allowed", b"no", "Allow: GET", ID), LogtoApiError, "GET"),
        (
            raw("404 X", b"default backend"),
            NotFromLogto,
            "404, but it was not Logto that answered - a proxy did in its",
        ),
        (raw("405 X", b"no", "Allow: GET"), NotFromLogto, "405, but it was not Logto that answered"),
        (raw("404 X", b'{"code":"entity.not_found","message":"M"}', JSON), NotFound, "entity.not_found"),
        (raw("400 Bad Request", b'{"message":"bad json"}', JSON), LogtoApiError, "bad json"),
        (raw("422 X", b'{"code":"role.name_in_use","message":"M"}', JSON), Conflict, "role.name_in_use"),
        (raw("422 X", b'{"code":["x"],"message":5}', JSON), Conflict, "422"),
        (raw("403 X", b"[1]", JSON), LogtoApiError, "403"),
    ],
)
def test_refusals_never_crash_and_are_not_repeated(
    ask: Run, scripted: Scripted, answer: bytes, kind: type[Exception], words: str
) -> None:
    with pytest.raises(kind, match=words):
        ask("GET", "/users", answers=[answer])
    assert len(scripted.requests) == 1


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (raw("500 X", b'{"message":"Internal server error."}', JSON), ServerFailed),
        (raw("502 X", b"<html>gateway</html>", "Content-Type: text/html"), ServerFailed),
        (raw("408 X"), ServerFailed),
        (raw("200 OK", b'{"id":', JSON), AnswerCutShort),
        (raw("200 OK", b"\xff\xfe", JSON), AnswerCutShort),
        (raw("200 OK", b'{"id":"a"', JSON, length=500), ConnectionFailed),
        (b"\x16\x03\x01 not http\r\n\r\n", ConnectionFailed),
    ],
)
def test_failures_are_repeated_and_reported(ask: Run, scripted: Scripted, answer: bytes, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        ask("GET", "/users", answers=[answer])
    assert len(scripted.requests) == QUICK.attempts
    scripted.requests.clear()
    assert ask("GET", "/users", answers=[answer, raw("200 OK", b"[]", JSON)]) == []
    scripted.requests.clear()
    with pytest.raises(OutcomeUnknown, match="POST /api/users may or may not"):
        ask("POST", "/users", {"name": "a"}, answers=[answer])
    assert len(scripted.requests) == 1


def test_a_deletion_whose_answer_was_lost_is_done_when_nothing_is_found(ask: Run) -> None:
    gone = raw("404 X", b'{"code":"entity.not_found","message":"M"}', JSON)
    assert ask("DELETE", "/users/a", answers=[raw("500 X"), gone]) is None
    with pytest.raises(NotFound):
        ask("DELETE", "/users/a", answers=[gone])
    with pytest.raises(NotFound):  # no such operation is not "gone"
        ask("DELETE", "/users/a", answers=[raw("500 X"), raw("404 X", b"Not Found", ID)])
    with pytest.raises(NotFromLogto):
        ask("DELETE", "/users/a", answers=[raw("500 X"), raw("404 X", b"Not Found")])


def test_an_error_says_where_what_and_which_request(ask: Run) -> None:
    answer = raw("422 X", b'{"code":"user.email_already_in_use","message":"M"}', JSON, ID)
    with pytest.raises(Conflict) as caught:
        ask("POST", "/users", {}, answers=[answer])
    assert str(caught.value) == ("POST /api/users failed with 422 user.email_already_in_use: M (request id r1d)")


def test_nobody_listens() -> None:
    async def call() -> None:
        endpoint = Endpoint.parse("http://127.0.0.1:9")
        async with LogtoClient(endpoint, Credentials("a", "b"), token_cache=ProcessTokenCache(), retry=QUICK) as client:
            await client.request("POST", "/users", body={})

    with pytest.raises(ConnectionFailed) as caught:  # and not OutcomeUnknown: nothing was sent
        asyncio.run(call())
    assert caught.value.sent is False


@pytest.mark.parametrize(
    "path",
    [
        "users",
        "https://evil.example/users",
        "//evil.example/users",
        "/users?page=2",
        "/users#x",
        "/users/../roles",
        "/users/%2e%2E/roles",
        "/users/a%2f..%2froles",
        "/users/a%5c..%5croles",
        "/users\\..\\roles",
        "/users//roles",
        "/users/a b",
        "/users/.",
        "/users/./roles",
        "/users/%2e/roles",
        "/users/%2E%2e/roles",
        "/users/a%2F..%2Fb",
        "/users/a%5C..",
        "/users/a\nb",
        "/",
        "/api",
        "",
    ],
)
def test_a_path_cannot_lead_elsewhere(run: Run, sandbox: Sandbox, path: str) -> None:
    with pytest.raises(InvalidInput, match="path"):
        run(lambda client: client.request("GET", path))
    assert sandbox.stats()["requests"] == 0


@pytest.mark.parametrize("value", ["", ".", "..", None, 7])
def test_a_value_that_would_name_something_else_fills_no_place(value: Any) -> None:
    with pytest.raises(InvalidInput):
        path_of("/users/{}", value)


def test_values_are_encoded_and_the_prefix_may_be_given(ask: Run, scripted: Scripted) -> None:
    ask("GET", path_of("/api/users/{}/roles", "a/b?c#d é"), answers=[raw("200 OK", b"[]", JSON)])
    assert scripted.requests[0].startswith(b"GET /api/users/a%2Fb%3Fc%23d%20%C3%A9/roles HTTP/1.1")


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"method": "BREW"}, "method"),
        ({"query": {"a": {"b": 1}}}, "query.a"),
        ({"query": {"a": b"x"}}, "query.a"),
        ({"query": "a=1"}, "query"),
        ({"body": "text"}, "body"),
        ({"body": {"a": float("nan")}}, "body"),
        ({"body": {"a": object()}}, "body"),
        ({"body": {"a": "\ud800"}}, "body"),
        ({"body": {"a": "x" * 1024 * 1024}}, "body"),
    ],
)
def test_bad_input_fails_before_the_first_request(
    run: Run, sandbox: Sandbox, arguments: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        run(lambda client: client.request(**{"method": "POST", "path": "/users", **arguments}))
    assert caught.value.field == field
    assert sandbox.stats()["requests"] == 0


@pytest.mark.parametrize("depth", [100_000])
def test_a_body_nested_too_deeply(depth: int) -> None:
    body: list[Any] = []
    for _ in range(depth):
        body = [body]
    with pytest.raises(InvalidInput, match="cannot be sent as JSON"):
        Call.checked("POST", "/users", body=body)


def test_the_limits_are_the_last_that_pass() -> None:
    frame = len('{"a":""}')
    assert len(Call.checked("POST", "/x", body={"a": "x" * (MAX_BODY - frame)}).content or b"") == MAX_BODY
    with pytest.raises(InvalidInput, match=str(MAX_BODY + 1)):
        Call.checked("POST", "/x", body={"a": "x" * (MAX_BODY - frame + 1)})
    assert len(Call.checked("GET", "/" + "x" * (MAX_PATH - 1)).path) == MAX_PATH
    with pytest.raises(InvalidInput, match=str(MAX_PATH + 1)):
        Call.checked("GET", "/" + "x" * MAX_PATH)
    query = {"a": "x" * (MAX_URL - len("/x") - len("a="))}
    assert Call.checked("GET", "/x", query).params is not None
    with pytest.raises(InvalidInput, match="longer than"):
        Call.checked("GET", "/x", {"a": query["a"] + "x"})


def test_a_body_just_below_the_limit_passes(run: Run) -> None:
    data = {"text": "x" * (1024 * 1024 - 60)}
    user = run(lambda client: client.request("POST", "/users", body={"username": "big", "customData": data}))
    assert user["customData"] == data


def test_query_parameters(run: Run, sandbox: Sandbox) -> None:
    query = {"search.id": ["a", "b"], "mode.id": "exact", "page": 1, "absent": None, "includePasswordHash": False}
    run(lambda client: client.request("GET", "/users", query))
    assert sandbox.requests()[-1]["query"] == ("search.id=a&search.id=b&mode.id=exact&page=1&includePasswordHash=false")


def test_the_bearer_stays_at_home(ask: Run, scripted: Scripted) -> None:
    other = Scripted()
    other.answers = [raw("200 OK", b"[]", JSON)]
    with pytest.raises(UnreadableAnswer, match="redirects"):
        ask("GET", "/users", answers=[raw("307 Moved", b"", f"Location: {other.url}/api/users")])
    other.close()
    assert other.requests == []
    assert b"authorization: bearer t0ken" in scripted.requests[0].lower()


def test_connections_are_kept_and_reused(run: Run) -> None:
    async def ports(client: LogtoClient) -> set[int]:
        seen = set()
        for _ in range(5):
            async with client._http.stream("GET", client.endpoint.base_url + "/api/status") as response:
                seen.add(response.extensions["network_stream"].get_extra_info("client_addr")[1])
                await response.aread()
        return seen

    assert len(run(ports)) == 1


def test_an_operation_ends_when_its_task_must(ask: Run, scripted: Scripted) -> None:
    began = time.monotonic()
    with pytest.raises(ServerFailed):
        ask("GET", "/users", answers=[raw("500 X")], retry=RetryOptions(base=50, cap=50, until=began + 0.3))
    assert time.monotonic() - began < 2
    assert len(scripted.requests) <= 2


def test_a_dripping_answer_is_cut_off(ask: Run, scripted: Scripted) -> None:
    def drip(handler: Any) -> None:
        head = handler.rfile.readline()
        if head.startswith(b"POST /oidc/token"):
            while handler.rfile.readline() != b"\r\n":
                pass
            handler.wfile.write(Scripted.TOKEN)
            handler.rfile.readline()
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 10000\r\n\r\n")
        for _ in range(60):
            handler.wfile.write(b" ")
            time.sleep(0.05)

    scripted._serve = drip  # type: ignore[method-assign]
    began = time.monotonic()
    with pytest.raises(ConnectionFailed, match="no full answer"):
        ask("GET", "/users", answers=[raw("200 OK")], timeout=0.3, retry=RetryOptions(max_wait=0.2))
    assert time.monotonic() - began < 2.5


def test_the_servers_clock(run: Run, sandbox: Sandbox) -> None:
    sandbox.add_fault(kind="clock_skew", offset_ms=600_000)
    moment = run(lambda client: client.server_time())
    assert abs(moment - time.time() - 600) < 2
    assert sandbox.stats()["tokens"] == 0  # /status needs none


def test_an_unreadable_ca_bundle(sandbox: Sandbox) -> None:
    with pytest.raises(ConfigurationError, match="verify"):
        client_of(sandbox, verify="/no/such/file.pem")


def test_a_certificate_that_nobody_trusts_is_not_asked_for_twice() -> None:
    error = httpx.ConnectError("no")
    error.__cause__ = ssl.SSLCertVerificationError("self-signed certificate")
    found = connection_failed("GET /api/users", error, context_of())
    assert isinstance(found, ConfigurationError)
    assert "verify" in str(found)


def test_secrets_are_in_no_repr(sandbox: Sandbox) -> None:
    client = client_of(sandbox)
    text = repr(vars(client))
    assert sandbox.app_secret not in text


def test_of_a_server_that_never_answers_the_message_names_the_request_that_was_sent() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:

        async def call() -> None:
            endpoint = Endpoint.parse(f"http://127.0.0.1:{silent.getsockname()[1]}")
            settings: dict[str, Any] = {"retry": RetryOptions(attempts=1, max_wait=0.0), "timeout": 1.0}
            async with LogtoClient(
                endpoint, Credentials("a", "b"), token_cache=ProcessTokenCache(), **settings
            ) as client:
                await client.request("GET", "/users")

        with pytest.raises(ConnectionFailed, match=r"POST /oidc/token got no answer.*ReadTimeout"):
            asyncio.run(call())
