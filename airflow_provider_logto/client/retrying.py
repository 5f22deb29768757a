"""Which failure is worth another try, and how long to wait.

One table decides. A failure is one of:

========== =============================================================== =================================
failure    what happened                                                   may it be sent again?
========== =============================================================== =================================
unsent     the request never reached the server (refused, DNS, no token)   always
throttled  429 of a rate limiter: not executed                             always, after the wait it asks for
lost       reset, timeout, cut answer or 5xx: executed or not              as ``LOST`` says, by operation
(other)    the server said no                                              never
========== =============================================================== =================================

What may not be repeated after a lost answer is read back by the caller, who gets ``OutcomeUnknown``.
"""

from __future__ import annotations

import logging
import random
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_before_delay

from airflow_provider_logto.client.auth.tokens import OPERATION as TOKEN_OPERATION
from airflow_provider_logto.client.replies import CUT_SHORT
from airflow_provider_logto.exceptions import (
    ConnectionFailed,
    LogtoApiError,
    RateLimited,
    ServerFailed,
    UnreadableAnswer,
)

log = logging.getLogger(__name__)

Failure = Literal["unsent", "throttled", "lost"]
#: Whether one more retry may be spent: ``Pacer.may_retry``.
Budget = Callable[[], Awaitable[bool]]
AfterLoss = Literal["repeat", "read back"]

_ID = r"[^/]+"

#: What to do when the answer of an operation was lost. The first row whose method and whole path match decides.
LOST: tuple[tuple[str, str, AfterLoss], ...] = (
    ("GET|HEAD|OPTIONS", r".*", "repeat"),
    # A repeated deletion that finds nothing (404) is done.
    ("DELETE", r".*", "repeat"),
    # Refuses an identical repeat with 422 although the removals are done.
    ("PUT", rf"/applications/{_ID}/roles", "read back"),
    # Final states cannot be set twice.
    ("PUT", rf"/organization-invitations/{_ID}/status", "read back"),
    # Makes a new secret each time.
    ("PATCH", rf"/hooks/{_ID}/signing-key", "read back"),
    ("PUT|PATCH", r".*", "repeat"),
    # These ignore what is there already.
    ("POST", rf"/users/{_ID}/(roles|password/verify)", "repeat"),
    ("POST", rf"/organizations/{_ID}/(users|applications)(/roles|/{_ID}/roles)?", "repeat"),
    ("POST", rf"/organizations/{_ID}/jit/(roles|sso-connectors)", "repeat"),
    ("POST", rf"/organization-roles/{_ID}/(scopes|resource-scopes)", "repeat"),
    # Everything else would make a twin, send a second message or fail on its own first try.
    ("POST", r".*", "read back"),
)


def after_loss(method: str, path: str) -> AfterLoss:
    """What a lost answer of ``method path`` (path without ``/api``) calls for."""
    for methods, pattern, decision in LOST:
        if method in methods.split("|") and re.fullmatch(pattern, path):
            return decision
    return "read back"


def failure_of(error: BaseException) -> Failure | None:
    """Sort an error into the table above; None when sending again cannot help."""
    if isinstance(error, RateLimited):
        return "throttled"
    if isinstance(error, ConnectionFailed):
        return "lost" if error.sent else "unsent"
    if isinstance(error, ServerFailed):
        # Without a token, what the caller wanted was not sent.
        return "unsent" if error.operation == TOKEN_OPERATION else "lost"
    if isinstance(error, UnreadableAnswer) and error.message == CUT_SHORT:
        return "lost"
    return None


@dataclass(frozen=True)
class RetryOptions:
    """How persistent one operation is.

    :param attempts: tries in all for failures other than 429 (a 429 is bounded by time alone).
    :param max_wait: seconds from the first try after which no further one starts.
    :param base: seconds; the first wait is drawn from [0, base), each next from twice as much (full jitter).
    :param cap: seconds; no drawn wait is longer.
    :param until: when the task will be stopped, by ``time.monotonic()``; nothing is begun that must wait past it.
    """

    attempts: int = 5
    max_wait: float = 300.0
    base: float = 0.5
    cap: float = 20.0
    until: float | None = None

    def patience(self) -> float:
        """Seconds that an operation beginning now may spend on waiting."""
        if self.until is None:
            return self.max_wait
        return max(0.0, min(self.max_wait, self.until - time.monotonic()))

    def controller(self, method: str, path: str, budget: Budget | None = None) -> AsyncRetrying:
        """A tenacity controller for one operation; the last error comes out as it is.

        :param budget: asked before every further try but those after a 429, which executed nothing.
        """
        repeat = after_loss(method, path) == "repeat"
        too_late = stop_before_delay(self.patience())

        def worth_it(error: BaseException) -> bool:
            failure = failure_of(error)
            return failure in ("unsent", "throttled") or (failure == "lost" and repeat)

        async def enough(state: RetryCallState) -> bool:
            if too_late(state):
                return True
            if isinstance(_error(state), RateLimited):
                return False
            if state.attempt_number >= self.attempts:
                return True
            if budget is None or await budget():
                return False
            log.warning("%s; not tried again, since too much is failing", _error(state))
            return True

        def say(state: RetryCallState) -> None:
            log.warning("%s; try %d follows in %.1f s", _error(state), state.attempt_number + 1, state.upcoming_sleep)

        return AsyncRetrying(
            retry=retry_if_exception(worth_it),
            wait=self.delay,
            stop=enough,  # type: ignore[arg-type]  # awaited, though tenacity's annotation says bool
            before_sleep=say,
            reraise=True,
        )

    def delay(self, state: RetryCallState) -> float:
        """Seconds to wait: what the server asked for plus a little jitter, else full jitter."""
        error = _error(state)
        asked = error.retry_after if isinstance(error, LogtoApiError) else None
        if asked is not None:
            return asked + random.uniform(0, min(1.0, self.base))  # noqa: S311
        return random.uniform(0, min(self.cap, self.base * 2 ** min(state.attempt_number - 1, 16)))  # noqa: S311


def _error(state: RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None
