"""Which failure is worth another try, and how long to wait."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import Any

import pytest
from tenacity import RetryCallState

from airflow_provider_logto.client.arguments import METHODS
from airflow_provider_logto.client.replies import Reply
from airflow_provider_logto.client.retrying import LOST, RetryOptions, after_loss, failure_of
from airflow_provider_logto.client.sharing.pacing import CellPacer, ProcessCell
from airflow_provider_logto.client.sharing.schedule import Schedule
from airflow_provider_logto.exceptions import (
    AnswerCutShort,
    AuthFailed,
    Conflict,
    ConnectionFailed,
    LogtoApiError,
    NotFound,
    NotFromLogto,
    OutcomeUnknown,
    PaceExceeded,
    QuotaExhausted,
    RateLimited,
    ServerFailed,
    UnreadableAnswer,
)
from logto_sandbox import Sandbox
from tests.clients import QUICK, Run


@pytest.mark.parametrize(
    ("method", "path", "decision"),
    [
        ("GET", "/users", "repeat"),
        ("DELETE", "/users/a", "repeat"),
        ("PATCH", "/users/a", "repeat"),
        ("PUT", "/users/a/roles", "repeat"),
        ("PUT", "/applications/a/roles", "read back"),
        ("PUT", "/organization-invitations/a/status", "read back"),
        ("PATCH", "/hooks/a/signing-key", "read back"),
        ("POST", "/users", "read back"),
        ("POST", "/users/a/roles", "repeat"),
        ("POST", "/users/a/password/verify", "repeat"),
        ("POST", "/roles/a/users", "read back"),
        ("POST", "/organizations", "read back"),
        ("POST", "/organizations/a/users", "repeat"),
        ("POST", "/organizations/a/users/roles", "repeat"),
        ("POST", "/organizations/a/users/b/roles", "repeat"),
        ("POST", "/organizations/a/jit/email-domains", "read back"),
        ("POST", "/organizations/a/jit/roles", "repeat"),
        ("POST", "/organization-invitations/a/message", "read back"),
        ("POST", "/verification-codes", "read back"),
        ("POST", "/one-time-tokens", "read back"),
        ("POST", "/something/new", "read back"),
    ],
)
def test_after_a_lost_answer(method: str, path: str, decision: str) -> None:
    assert after_loss(method, path) == decision


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        (RateLimited("GET /api/x", 429), "throttled"),
        (ServerFailed("POST /api/users", 500), "lost"),
        (ServerFailed("POST /oidc/token", 500), "unsent"),
        (ConnectionFailed("POST /api/users", "reset", True), "lost"),
        (ConnectionFailed("POST /api/users", "refused", False), "unsent"),
        (PaceExceeded("POST /api/users", 7.0), "throttled"),
        (AnswerCutShort("POST /api/users", 200), "lost"),
        (AnswerCutShort("POST /oidc/token", 200), "unsent"),
        (UnreadableAnswer("POST /api/users", 200), None),
        # A wrong host would be asked for minutes: retries of the task are enough.
        (NotFromLogto("POST /api/users", 404), None),
        (NotFromLogto("POST /oidc/token", 404), None),
        (QuotaExhausted("POST /oidc/token", 429, "auth.exceed_token_limit"), None),
        (AuthFailed("GET /api/x", 401), None),
        (Conflict("POST /api/users", 422), None),
        (LogtoApiError("POST /api/x", 429, "request.message_rate_limited"), None),
        (ValueError("x"), None),
    ],
)
def test_the_kinds_of_failure(error: Exception, failure: str | None) -> None:
    assert failure_of(error) == failure


def test_every_row_decides_for_one_of_the_two() -> None:
    assert {decision for _, _, decision in LOST} == {"repeat", "read back"}
    assert set().union(*(methods.split("|") for methods, _, _ in LOST)) == {*METHODS, "HEAD", "OPTIONS"}


def state(error: Exception, attempt: int) -> RetryCallState:
    made = RetryCallState(None, None, (), {})  # type: ignore[arg-type]
    made.attempt_number = attempt
    made.set_exception((type(error), error, None))
    return made


def test_waits_are_drawn_from_a_doubling_range() -> None:
    options = RetryOptions(base=1.0, cap=6.0)
    for attempt, most in ((1, 1.0), (2, 2.0), (3, 4.0), (4, 6.0), (40, 6.0)):
        waits = [options.delay(state(ServerFailed("GET /", 500), attempt)) for _ in range(300)]
        assert max(waits) <= most
        assert max(waits) > most * 0.9
        assert min(waits) < most * 0.1


def test_no_wait_by_default_is_longer_than_twenty_seconds() -> None:
    waits = [RetryOptions().delay(state(ServerFailed("GET /", 500), 40)) for _ in range(500)]
    assert 19 < max(waits) <= 20


@pytest.mark.parametrize(("left", "patience"), [(None, 300.0), (1000.0, 300.0), (50.0, 50.0), (0.0, 0.0), (-50.0, 0.0)])
def test_patience_ends_with_the_task(left: float | None, patience: float) -> None:
    options = RetryOptions(until=None if left is None else time.monotonic() + left)
    assert options.patience() == pytest.approx(patience, abs=0.5)


def test_a_task_with_a_deadline_still_repeats(run: Run, sandbox: Sandbox) -> None:
    sandbox.add_fault(kind="error", status=500, path="/api/users")
    options = replace(QUICK, until=time.monotonic() + 60)
    assert run(lambda client: client.request("GET", "/users"), client={"retry": options}) == []
    assert sandbox.stats()["routes"]["GET /api/users"] == 2


def test_what_the_server_asks_for_is_kept() -> None:
    error = RateLimited("GET /", 429, retry_after=7.0)
    waits = [RetryOptions().delay(state(error, 1)) for _ in range(100)]
    assert 7.0 <= min(waits) < max(waits) <= 8.0


@pytest.mark.parametrize(
    ("value", "date", "seconds"),
    [
        ("7", None, 7.0),
        ("0", None, 0.0),
        ("1.5", None, 1.5),
        ("-3", None, 0.0),
        ("Sun, 06 Nov 1994 08:49:47 GMT", "Sun, 06 Nov 1994 08:49:37 GMT", 10.0),
        ("Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:47 GMT", 0.0),
        ("soon", None, None),
        ("nan", None, None),
        ("inf", None, None),
        ("", None, None),
        (None, None, None),
    ],
)
def test_both_forms_of_retry_after(value: str | None, date: str | None, seconds: float | None) -> None:
    headers = {name: text for name, text in (("retry-after", value), ("date", date)) if text is not None}
    assert Reply(429, None, headers).retry_after == seconds


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_a_429_is_waited_out_whatever_the_method(run: Run, sandbox: Sandbox, form: str) -> None:
    sandbox.add_fault(kind="rate_limited", path="/api/users", retry_after=1, retry_after_as=form)
    began = time.monotonic()
    run(lambda client: client.request("POST", "/users", body={"username": "ada"}))
    # An HTTP date has whole seconds: up to one is lost against the true time.
    assert time.monotonic() - began >= (1.0 if form == "seconds" else 0.0)
    assert len(sandbox.state()["users"]) == 1


def test_a_429_longer_than_the_operation_may_take_is_handed_up(run: Run, sandbox: Sandbox) -> None:
    sandbox.add_fault(kind="rate_limited", path="/api/users", retry_after=60, times=None)
    began = time.monotonic()
    with pytest.raises(RateLimited) as caught:
        run(lambda client: client.request("GET", "/users"))
    assert caught.value.retry_after == 60
    assert "429 (the server asks to wait 60 s)" in str(caught.value)
    assert time.monotonic() - began < 2
    options = RetryOptions(until=time.monotonic() + 30)
    with pytest.raises(RateLimited):  # the task ends before that
        run(lambda client: client.request("GET", "/users"), client={"retry": options})


@pytest.mark.parametrize("kind", ["reset", "lost_answer", "truncated"])
@pytest.mark.parametrize("after_commit", [True, False])
def test_a_write_is_sent_once_when_its_answer_is_lost(
    run: Run, sandbox: Sandbox, kind: str, after_commit: bool
) -> None:
    extra: dict[str, Any] = {"after_commit": after_commit} if kind == "reset" else {}
    sandbox.add_fault(kind=kind, method="POST", path="/api/organizations", **extra)
    with pytest.raises(OutcomeUnknown):
        run(lambda client: client.request("POST", "/organizations", body={"name": "once"}))
    assert sandbox.stats()["routes"]["POST /api/organizations"] == 1


def test_an_outage_is_given_up_after_some_tries(run: Run, sandbox: Sandbox) -> None:
    sandbox.add_fault(kind="error", status=500, path="/api/users", times=None)
    with pytest.raises(ServerFailed):
        run(lambda client: client.request("GET", "/users"))
    assert sandbox.stats()["routes"]["GET /api/users"] == QUICK.attempts


def test_429s_use_up_no_tries(run: Run, sandbox: Sandbox) -> None:
    sandbox.add_fault(kind="rate_limited", path="/api/users", retry_after=0, times=QUICK.attempts + 1)
    sandbox.add_fault(kind="error", status=500, path="/api/users", times=QUICK.attempts - 1)
    assert run(lambda client: client.request("GET", "/users")) == []
    assert sandbox.stats()["routes"]["GET /api/users"] == 2 * QUICK.attempts + 1


@pytest.mark.parametrize(("method", "path", "body"), [("POST", "/users", {"username": "ada"}), ("GET", "/users", None)])
def test_a_token_answer_that_is_cut_short_leaves_nothing_unknown(
    run: Run, sandbox: Sandbox, method: str, path: str, body: Any
) -> None:
    sandbox.add_fault(kind="truncated", path="/oidc/token", times=2)
    run(lambda client: client.request(method, path, body=body))
    assert sandbox.stats()["routes"][f"{method} /api{path}"] == 1


def test_a_deletion_whose_token_was_cut_short_was_not_sent(run: Run, sandbox: Sandbox) -> None:
    sandbox.add_fault(kind="truncated", path="/oidc/token")
    with pytest.raises(NotFound):
        run(lambda client: client.request("DELETE", "/users/nobody"))


def test_a_long_outage_is_not_made_worse(run: Run, sandbox: Sandbox) -> None:
    cell, credit, operations = ProcessCell(), 10, 120
    cell._schedule = Schedule(credit=credit, credit_at=time.monotonic())
    pacer = CellPacer(cell, None, 1.0)
    sandbox.add_fault(kind="error", status=500, path="/api/users", times=None)

    async def hammer(client: Any) -> None:
        await asyncio.gather(*(client.request("GET", "/users") for _ in range(operations)), return_exceptions=True)

    run(hammer, client={"pacer": pacer, "retry": RetryOptions(base=0.001, cap=0.001)})
    sent = sandbox.stats()["routes"]["GET /api/users"]
    assert operations < sent <= 1.1 * operations
    sandbox.clear_faults()

    async def recover(client: Any) -> None:
        for _ in range(4):
            await client.request("GET", "/users")
        sandbox.add_fault(kind="error", status=500, path="/api/users")
        await client.request("GET", "/users")  # successes have earned a retry

    run(recover, client={"pacer": pacer})
