"""Webhooks: what is accepted as a delivery from Logto, and what is not."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_logto.exceptions import InvalidInput, WebhookRejected
from airflow_provider_logto.webhooks import sign, verify

KEY = "Zt3kQ9signingkeyOfTheWebhook0000"


def delivery(age: float = 0, **more: Any) -> bytes:
    """The body of a delivery as Logto writes it, made ``age`` seconds ago."""
    created = datetime.now(UTC) - timedelta(seconds=age)
    moment = created.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    event = {"event": "User.Created", "createdAt": moment, "hookId": "h1", "data": {"id": "u1", "name": "佐藤"}, **more}
    return json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()


def test_a_genuine_delivery_is_returned_as_its_event() -> None:
    body = delivery()
    event = verify(body, sign(body, KEY), KEY)
    assert event == json.loads(body)
    assert verify(body.decode(), sign(body.decode(), KEY), [KEY]) == event


def test_the_signature_is_hmac_sha256_of_the_raw_body() -> None:
    # RFC 4231, test case 2.
    expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    assert sign(b"what do ya want for nothing?", "Jefe") == expected


@given(data=st.data())
def test_a_body_changed_by_one_byte_is_refused(data: st.DataObject) -> None:
    body = delivery()
    at = data.draw(st.integers(0, len(body) - 1))
    other = data.draw(st.integers(0, 255).filter(lambda byte: byte != body[at]))
    with pytest.raises(WebhookRejected, match="signature"):
        verify(body[:at] + bytes([other]) + body[at + 1 :], sign(body, KEY), KEY)


@pytest.mark.parametrize("change", [lambda body: body + b" ", lambda body: body[:-1], lambda body: b""])
def test_a_longer_shorter_or_empty_body_is_refused(change: Any) -> None:
    body = delivery()
    with pytest.raises(WebhookRejected, match="signature"):
        verify(change(body), sign(body, KEY), KEY)


@pytest.mark.parametrize("signature", [None, "", "0" * 64, "zz", "ä" * 64, "\udce4"])
def test_no_or_another_signature_is_refused(signature: str | None) -> None:
    with pytest.raises(WebhookRejected, match="signature"):
        verify(delivery(), signature, KEY)


def test_a_wrong_key_is_refused_and_several_keys_are_tried() -> None:
    body = delivery()
    signature = sign(body, KEY)
    with pytest.raises(WebhookRejected, match="key"):
        verify(body, signature, "another")
    for keys in (["new", KEY], (KEY, "new"), iter([KEY])):
        assert verify(body, signature, keys)["event"] == "User.Created"


@pytest.mark.parametrize("keys", [[], "", [""], [KEY, ""], [None], None, 5, ["\ud800"]])
def test_an_empty_key_is_never_accepted(keys: Any) -> None:
    body = delivery()
    with pytest.raises(InvalidInput, match="signing_keys"):
        verify(body, "0" * 64, keys)
    with pytest.raises(InvalidInput, match="signing_keys"):
        sign(body, "")


@pytest.mark.parametrize("body", [{"event": "User.Created"}, None, 5])
def test_a_parsed_body_is_refused_with_what_to_pass(body: Any) -> None:
    with pytest.raises(InvalidInput, match="raw_body: must be the bytes that arrived"):
        verify(body, "0" * 64, KEY)


def test_what_was_decoded_wrongly_is_refused() -> None:
    with pytest.raises(WebhookRejected, match="signature"):
        verify(delivery(), "\ud800", KEY)
    with pytest.raises(InvalidInput, match="raw_body: contains half of a surrogate pair"):
        verify("\ud800", "0" * 64, KEY)


@pytest.mark.parametrize("tolerance", ["300", -1, float("nan")])
def test_a_tolerance_that_is_no_number_is_refused(tolerance: Any) -> None:
    body = delivery()
    with pytest.raises(InvalidInput, match="tolerance"):
        verify(body, sign(body, KEY), KEY, tolerance)


@pytest.mark.parametrize(
    ("age", "tolerance", "accepted"),
    [(290, 300, True), (310, 300, False), (-290, 300, True), (-310, 300, False), (60, 30, False), (10**9, None, True)],
)
def test_an_old_delivery_is_refused(age: float, tolerance: float | None, accepted: bool) -> None:
    body = delivery(age)
    if accepted:
        assert verify(body, sign(body, KEY), KEY, tolerance)
    else:
        with pytest.raises(WebhookRejected, match="tolerance"):
            verify(body, sign(body, KEY), KEY, tolerance)


def test_the_default_tolerance_is_five_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    body = delivery()
    now = time.time()
    monkeypatch.setattr("airflow_provider_logto.webhooks.time.time", lambda: now + 299)
    assert verify(body, sign(body, KEY), KEY)
    monkeypatch.setattr("airflow_provider_logto.webhooks.time.time", lambda: now + 302)
    with pytest.raises(WebhookRejected, match="created 302 s ago"):
        verify(body, sign(body, KEY), KEY)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"\xff",
        b"null",
        b"{}",
        b'{"event":"User.Created"}',
        b'{"event":1,"createdAt":"2026-01-31T08:00:00Z"}',
        b'{"event":"User.Created","createdAt":1}',
        b'{"event":"User.Created","createdAt":"today"}',
        b'{"event":"User.Created","createdAt":"0001-01-01T00:00:00+23:59"}',
        b"[" * 100_000,
    ],
)
def test_what_is_signed_but_no_event_is_refused(body: bytes) -> None:
    with pytest.raises(WebhookRejected):
        verify(body, sign(body, KEY), KEY)


@given(st.binary(max_size=200), st.text(max_size=80), st.text(min_size=1, max_size=40))
def test_nothing_but_these_errors_comes_out(body: bytes, signature: str, key: str) -> None:
    try:
        verify(body, signature, key.encode("utf-8", "ignore").decode() or "k")
    except (WebhookRejected, InvalidInput):
        return
    pytest.fail("a random signature was accepted")
