"""Error family -> what Airflow does next."""

from __future__ import annotations

import importlib.util
from typing import Any

import pytest

from airflow_provider_logto import compat, exceptions, retry_policy
from airflow_provider_logto.exceptions import (
    Ambiguous,
    AuthFailed,
    ConfigurationError,
    Conflict,
    ConnectionFailed,
    Forbidden,
    IncompleteList,
    InvalidInput,
    LogtoError,
    NotFound,
    OutcomeUnknown,
    QuotaExhausted,
    RateLimited,
    ServerFailed,
    UnreadableAnswer,
)
from airflow_provider_logto.retry_policy import LogtoRetryPolicy

API = ("GET /api/users", 400)
VERDICTS: list[tuple[BaseException, str, float | None]] = [
    (RateLimited(*API, retry_after=3.0), "retry", 3.0),
    (RateLimited(*API, retry_after=0.0), "retry", 0.0),
    (RateLimited(*API), "retry", 60.0),
    (RateLimited(*API, retry_after=3e11), "retry", 3600.0),
    (RateLimited(*API, retry_after=float("nan")), "retry", 3600.0),
    (RateLimited(*API, retry_after=-1.0), "retry", 3600.0),
    (ServerFailed(*API), "default", None),
    (ConnectionFailed("GET /api/users", "reset"), "default", None),
    (IncompleteList("GET /api/users", 1, 2), "default", None),
    (OutcomeUnknown("POST /api/users", ServerFailed(*API)), "default", None),
    (exceptions.SharedStateUnavailable("redis"), "default", None),
    (InvalidInput("field", "hint"), "fail", None),
    (ConfigurationError("host"), "fail", None),
    (AuthFailed(*API), "fail", None),
    (Forbidden(*API), "fail", None),
    (QuotaExhausted(*API), "fail", None),
    (NotFound(*API), "fail", None),
    (Conflict(*API), "fail", None),
    (UnreadableAnswer(*API), "fail", None),
    (exceptions.AnswerCutShort(*API), "default", None),
    (exceptions.NotFromLogto(*API), "default", None),
    (exceptions.ApplyStopped("too much failed"), "fail", None),
    (exceptions.ApplyInterrupted("told to stop"), "default", None),
    (exceptions.PaceExceeded("GET /api/users", 7.0), "retry", 7.0),
    (exceptions.AlreadyExists("a user", "skip it"), "fail", None),
    (exceptions.WebhookRejected("?"), "fail", None),
    (exceptions.Refused("archived"), "fail", None),
    (Ambiguous("two"), "fail", None),
    (LogtoError("?"), "fail", None),
    (exceptions.NeverTrue("the user is gone"), "fail", None),
    (exceptions.PartlyFailed("invitations", {"row": "why"}, 2), "fail", None),
    (exceptions.PartlyFailed("invitations", {"row": "why"}, 2, transient=True), "default", None),
    (exceptions.LogtoApiError(*API), "fail", None),
    (ValueError("not ours"), "default", None),
    (KeyboardInterrupt(), "default", None),
]


@pytest.mark.parametrize(("error", "verdict", "seconds"), VERDICTS, ids=lambda value: type(value).__name__)
def test_verdicts(error: BaseException, verdict: str, seconds: float | None) -> None:
    assert LogtoRetryPolicy().judge(error) == (verdict, seconds)


FAMILY = [value for value in vars(exceptions).values() if isinstance(value, type) and issubclass(value, LogtoError)]
#: Judged by more than whether waiting helps; they are in the table above.
OF_THEIR_OWN = (RateLimited, exceptions.PaceExceeded, OutcomeUnknown)


@pytest.mark.parametrize("kind", [kind for kind in FAMILY if not issubclass(kind, OF_THEIR_OWN)])
def test_every_other_error_is_judged_by_whether_waiting_helps(kind: type[LogtoError]) -> None:
    error = kind.__new__(kind)
    assert LogtoRetryPolicy().judge(error) == ("default" if kind.transient else "fail", None)


def test_the_cause_counts() -> None:
    wrapped = ValueError("in a @task")
    wrapped.__cause__ = RateLimited(*API, retry_after=9.0)
    assert LogtoRetryPolicy().judge(wrapped) == ("retry", 9.0)


def test_what_airflow_is_told() -> None:
    sdk: Any = pytest.importorskip("airflow.sdk.definitions.retry_policy", reason="retry policies need Airflow 3.3")
    policy = LogtoRetryPolicy(rate_limit_delay=30)
    assert isinstance(policy, sdk.RetryPolicy)
    decision = policy.evaluate(RateLimited(*API), 1, 3)
    assert decision.action is sdk.RetryAction.RETRY
    assert decision.retry_delay.total_seconds() == 30
    assert "30 s" in decision.reason
    assert policy.evaluate(AuthFailed(*API), 1, 3).action is sdk.RetryAction.FAIL
    assert policy.evaluate(ServerFailed(*API), 1, 3, context=None) == sdk.RetryDecision.default()
    assert LogtoRetryPolicy.deserialize(policy.serialize()).rate_limit_delay == 30
    longest = LogtoRetryPolicy.deserialize(LogtoRetryPolicy(longest_delay=7200).serialize())
    assert longest.evaluate(RateLimited(*API, retry_after=3e11), 1, 3).retry_delay.total_seconds() == 7200


def test_before_retry_policies_existed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compat, "RetryPolicy", object)
    monkeypatch.setattr(compat, "RetryDecision", None)
    spec = importlib.util.spec_from_file_location("retry_policy_before_3_3", retry_policy.__file__)
    if spec is None or spec.loader is None:
        pytest.fail("the module has no file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.LogtoRetryPolicy().judge(AuthFailed(*API)) == ("fail", None)
