"""How Airflow goes on after an error of this package: try again at the right moment, or not at all."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_logto.compat import RetryDecision, RetryPolicy
from airflow_provider_logto.exceptions import LogtoError, OutcomeUnknown, PaceExceeded, RateLimited

if TYPE_CHECKING:
    from airflow_provider_logto.compat import Context

Verdict = Literal["retry", "fail", "default"]


class LogtoRetryPolicy(RetryPolicy):
    """Retries what waiting fixes and nothing else: ``CreateUserOperator(..., retry_policy=LogtoRetryPolicy())``.

    - RateLimited and PaceExceeded: the task is retried after ``retry_after`` (or ``rate_limit_delay``), its worker slot
      free meanwhile.
    - Other errors that may pass: the task is retried after its own ``retry_delay``. These are ServerFailed,
      ConnectionFailed, AnswerCutShort, NotFromLogto, IncompleteList, SharedStateUnavailable, RunInProgress,
      ChangesFailed, ApplyInterrupted, ExportStopped and StillThere, a missing Connection, and PartlyFailed,
      OffboardingIncomplete and InvalidInput where their cause may pass.
    - OutcomeUnknown: the same, since the retry looks first. ManagementApiOperator cannot look: there it fails the task
      at once.
    - Every other LogtoError (input, Connection, permissions, quota, conflict, not found, ambiguous) fails the task at
      once.
    - Anything else: as without a policy.

    How often is still the task's ``retries``. Needs Airflow 3.3; before, permanent errors fail at once all the same.

    :param rate_limit_delay: seconds to wait after a 429 that names no time.
    :param longest_delay: seconds; no wait is longer, whatever a server asks for.

    .. seealso:: Airflow docs, "Retry policies".
    """

    def __init__(self, rate_limit_delay: float = 60.0, longest_delay: float = 3600.0) -> None:
        self.rate_limit_delay = rate_limit_delay
        self.longest_delay = longest_delay

    def judge(self, exception: BaseException) -> tuple[Verdict, float | None]:
        """
        :returns: what to do, and the seconds to wait where that is fixed.
        """
        error = _own(exception)
        if error is None:
            return "default", None
        if isinstance(error, RateLimited | PaceExceeded):
            asked = self.rate_limit_delay if error.retry_after is None else error.retry_after
            # What is no number, or no time, passes neither comparison: the wait is then the longest.
            return "retry", asked if 0 <= asked < self.longest_delay else self.longest_delay
        if error.transient or isinstance(error, OutcomeUnknown):
            return "default", None
        return "fail", None

    def evaluate(
        self, exception: BaseException, try_number: int, max_tries: int, context: Context | None = None
    ) -> RetryDecision:
        """What Airflow asks after a failure."""
        verdict, seconds = self.judge(exception)
        if verdict == "fail":
            return RetryDecision.fail(f"{type(exception).__name__}: a retry cannot fix this")
        if verdict == "retry" and seconds is not None:
            return RetryDecision.retry(timedelta(seconds=seconds), f"rate limited, again in {seconds:.0f} s")
        return RetryDecision.default()

    def serialize(self) -> dict[str, Any]:
        """The policy as Airflow stores it with the DAG."""
        return {"rate_limit_delay": self.rate_limit_delay, "longest_delay": self.longest_delay}

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> LogtoRetryPolicy:
        """The policy of :meth:`serialize`."""
        return cls(**data)


def _own(exception: BaseException | None) -> LogtoError | None:
    """The error of this package in a chain of causes; None when there is none."""
    while exception is not None and not isinstance(exception, LogtoError):
        exception = exception.__cause__
    return exception
