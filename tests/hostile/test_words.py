"""What a server says enters exceptions and logs without our secrets, without control characters, and short."""

from __future__ import annotations

import json
import logging
import pickle
import traceback
from base64 import b64encode
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest

from airflow_provider_logto.client.cleaning import LONGEST, cleaned
from airflow_provider_logto.exceptions import LogtoApiError, LogtoError

from .conftest import SECRET, Ask
from .server import HostileServer, Request, http, token

TOKEN = "t0ken-of-the-hostile-server"
BASIC = b64encode(f"app:{quote_plus(SECRET)}".encode()).decode()
#: Every form in which a secret of ours may come back.
SECRETS = (TOKEN, BASIC, SECRET, quote_plus(SECRET), quote(SECRET, safe=""), json.dumps(SECRET)[1:-1])


def everything_about(error: BaseException, caplog: pytest.LogCaptureFixture) -> str:
    """All that a log, an event or another process can show of an error."""
    shown = [str(error), repr(error), "".join(traceback.format_exception(error)), repr(pickle.dumps(error))]
    return "\n".join([*shown, *map(str, error.args), caplog.text])


def echo(**fields: object) -> Callable[[Request], list[bytes]]:
    """Answers 400 with what the request carried in the given places."""
    return lambda request: [http("400 Bad Request", json.dumps(fields).encode())]


ALL = " ".join(SECRETS)
#: Without the token, which is no secret of ours before the client has it.
OWN = " ".join(SECRETS[1:])


@pytest.mark.parametrize(
    "answer",
    [
        lambda request: [http("400 X", json.dumps({"message": ALL, "code": "x.y"}).encode())],
        lambda request: [http("400 X", json.dumps({"message": "m", "details": ALL}).encode())],
        lambda request: [http("400 X", json.dumps({"message": {"a": list(SECRETS)}}).encode())],
        lambda request: [http("400 X", json.dumps({"message": request.headers["authorization"]}).encode())],
        lambda request: [http("400 X", json.dumps({"message": "\u200b".join(TOKEN)}).encode())],
        lambda request: [http("400 X", json.dumps({"message": "\x00\x1b[2J".join(TOKEN)}).encode())],
        lambda request: [http("422 X", json.dumps({"code": TOKEN, "message": "m"}).encode())],
        lambda request: [http("422 X", json.dumps({"code": f"a.{TOKEN}", "message": "m"}).encode())],
        lambda request: [http("500 X", b"{}", f"Logto-Core-Request-Id: {TOKEN}")],
        lambda request: [http("200 OK", b"[", f"Logto-Core-Request-Id: {TOKEN}")],
        lambda request: [http("302 Found", b"", f"Location: https://evil.example/{TOKEN}?{quote(SECRET, safe='')}")],
        lambda request: [http("405 No", b"x", f"Allow: {TOKEN}", "Content-Type: text/plain")],
        lambda request: [http(f"400 {TOKEN}", b'{"message":"m"}')],
        lambda request: [f"HTTP/1.1 200 OK\r\nbad header {TOKEN} {BASIC}\r\n\r\n".encode()],
        lambda request: [f"{TOKEN} {BASIC}\r\n\r\n".encode()],
        lambda request: [http("200 OK", b"x", f"Content-Encoding: {TOKEN}")],
        lambda request: [http("200 OK", b"x", f"Total-Number: {TOKEN}")],
    ],
)
def test_no_secret_comes_back(
    ask: Ask, hostile: HostileServer, caplog: pytest.LogCaptureFixture, answer: Callable[[Request], list[bytes]]
) -> None:
    caplog.set_level(logging.DEBUG, "airflow_provider_logto")
    hostile.answer = answer
    with pytest.raises(LogtoError) as caught:
        ask(lambda client: client.collect("/users"))
    shown = everything_about(caught.value, caplog)
    assert hostile.requests[0].headers["authorization"] == f"Bearer {TOKEN}"
    for secret in SECRETS:
        assert secret not in shown


@pytest.mark.parametrize(
    "answer",
    [
        {"error": "access_denied", "error_description": OWN, "message": OWN},
        {"error": "invalid_request", "error_description": BASIC},
        {"code": BASIC, "message": SECRET},
        {"access_token": f"{TOKEN}\r\nX-Injected: {SECRET}", "expires_in": 3600, "scope": "all"},
        {"access_token": f"{TOKEN} ä", "expires_in": 3600, "scope": "all"},
        {"access_token": TOKEN, "expires_in": 3600, "scope": SECRET},
        {"access_token": [TOKEN], "expires_in": SECRET, "scope": "all"},
    ],
)
@pytest.mark.parametrize("status", ["200 OK", "400 X"])
def test_no_secret_comes_back_from_the_token_endpoint(
    ask: Ask, hostile: HostileServer, caplog: pytest.LogCaptureFixture, answer: dict[str, object], status: str
) -> None:
    hostile.token_answer = lambda request: [http(status, json.dumps(answer).encode())]
    with pytest.raises(LogtoApiError) as caught:
        ask()
    shown = everything_about(caught.value, caplog)
    # A token that nobody could use was not announced; its value must not show all the same.
    for secret in (*SECRETS, "X-Injected"):
        assert secret not in shown
    assert hostile.requests == []


def test_twenty_megabytes_of_message_are_not_kept(ask: Ask, hostile: HostileServer) -> None:
    hostile.answer = lambda request: [http("400 X", b'{"message":"%s"}' % (b"m" * 900_000))]
    with pytest.raises(LogtoApiError) as caught:
        ask()
    assert LONGEST <= len(caught.value.message) < LONGEST + 10
    assert len(pickle.dumps(caught.value)) < 2000
    hostile.answer = lambda request: [http("400 X", b'{"message":"%s"}' % (b"m" * 20_000_000))]
    with pytest.raises(LogtoApiError, match="with more than") as caught:
        ask()
    assert len(pickle.dumps(caught.value)) < 2000


@pytest.mark.parametrize("character", ["\x00", "\x1b", "\r", "\n", "\x85", "\u2028", "\u202e", "\x7f"])
def test_control_characters_do_not_get_through(ask: Ask, hostile: HostileServer, character: str) -> None:
    text = f"before{character}after"
    hostile.answer = lambda request: [
        http("400 X", json.dumps({"message": text, "code": text}).encode(), "Logto-Core-Request-Id: a b\tc")
    ]
    with pytest.raises(LogtoApiError) as caught:
        ask()
    assert caught.value.message == "beforeafter"
    assert caught.value.code is None
    assert caught.value.request_id is None


def test_a_genuine_code_and_request_id_stay(ask: Ask, hostile: HostileServer) -> None:
    hostile.answer = lambda request: [
        http("422 X", b'{"code":"user.email_already_in_use","message":"M"}', "Logto-Core-Request-Id: aB3_-x9")
    ]
    with pytest.raises(LogtoApiError) as caught:
        ask()
    assert caught.value.code == "user.email_already_in_use"
    assert caught.value.request_id == "aB3_-x9"


def test_secrets_that_overlap_are_removed_whole() -> None:
    assert cleaned("x abcdef y abc", ["abc", "abcdef"]) == "x *** y ***"


def test_a_secret_at_the_cut_does_not_show_in_part() -> None:
    assert "secr" not in cleaned("m" * (LONGEST - 4) + "secret", ["secret"])


def test_an_earlier_token_is_still_a_secret(ask: Ask, hostile: HostileServer) -> None:
    """The server says that the first token ran out, gets a second one, and repeats the first."""
    values = iter(["first-token-value", "second-token-value"])
    hostile.token_answer = lambda request: [token(next(values))]
    expired = b'{"code":"auth.unauthorized","data":{"code":"ERR_JWT_EXPIRED"},"message":"%s"}'
    hostile.answer = lambda request: [http("401 X", expired % b"first-token-value second-token-value")]
    with pytest.raises(LogtoApiError) as caught:
        ask()
    assert caught.value.message == "*** ***"
    assert hostile.token_requests == 2
