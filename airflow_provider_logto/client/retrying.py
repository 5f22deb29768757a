"""Which failure is worth another try, and how long to wait.

One table decides. A failure is one of:

========== =============================================================== =================================
failure    what happened                                                   may it be sent again?
========== =============================================================== =================================
unsent     the request never reached the server (refused, DNS, no token)   always
throttled  429 of a rate limiter, or no place in our own pace: not executed always, after the wait it asks for
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

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_before_delay, wait_random_exponential

from airflow_provider_logto.client.auth.token_endpoint import OPERATION as TOKEN_OPERATION
from airflow_provider_logto.exceptions import (
    AnswerCutShort,
    ConnectionFailed,
    LogtoApiError,
    PaceExceeded,
    RateLimited,
    ServerFailed,
)

log = logging.getLogger(__name__)

Failure = Literal["unsent", "throttled", "lost"]
#: Whether one more retry may be spent: ``Pacer.may_retry``.
Budget = Callable[[], Awaitable[bool]]
AfterLoss = Literal["repeat", "read back"]

_ID = r"[^/]+"

#: What to do when the answer of an operation was lost. The first row whose method and whole path match decides. The
#: rows name every write of the server's own description; ``ELSE`` decides for those of a newer server.
LOST: tuple[tuple[str, str, AfterLoss], ...] = (
    ("GET|HEAD|OPTIONS", r".*", "repeat"),
    # A repeated deletion that finds nothing (404) is done.
    ("DELETE", r".*", "repeat"),
    # Refuses an identical repeat with 422 although the removals are done.
    ("PUT", rf"/applications/{_ID}/roles", "read back"),
    # Final states cannot be set twice.
    ("PUT", rf"/(organization-invitations|one-time-tokens)/{_ID}/status", "read back"),
    # Other PUTs replace or create under a name: the second time changes nothing.
    ("PUT", rf"/applications/{_ID}/(access-control|sign-in-experience|users/{_ID}/consent-organizations)", "repeat"),
    ("PUT", rf"/configs/(id-token|(jwt-customizer|actions)/{_ID})", "repeat"),
    ("PUT", rf"/(captcha-provider|email-templates|(custom-phrases|custom-profile-fields)/{_ID})", "repeat"),
    ("PUT", rf"/domains/{_ID}/verification-files", "repeat"),
    ("PUT", rf"/organization-roles/{_ID}/(scopes|resource-scopes)", "repeat"),
    ("PUT", rf"/organizations/{_ID}/(users|applications)(/{_ID}/roles)?", "repeat"),
    ("PUT", rf"/organizations/{_ID}/jit/(email-domains|roles|sso-connectors)", "repeat"),
    ("PUT", rf"/users/{_ID}/(roles|identities/{_ID})", "repeat"),
    # Makes a new secret each time.
    ("PATCH", rf"/hooks/{_ID}/signing-key", "read back"),
    # These rename: the second time, the old name is unknown.
    ("PATCH", rf"/applications/{_ID}/secrets/{_ID}", "read back"),
    ("PATCH", rf"/users/{_ID}/personal-access-tokens(/{_ID})?", "read back"),
    # Other PATCHes set fields to given values.
    ("PATCH", r"/(account-center|sign-in-exp|configs/(admin-console|cimd|oidc/session))", "repeat"),
    ("PATCH", rf"/configs/(jwt-customizer|actions)/{_ID}", "repeat"),
    ("PATCH", rf"/(applications|connectors|hooks|resources|roles|saml-applications|sso-connectors)/{_ID}", "repeat"),
    ("PATCH", rf"/(organizations|organization-roles|organization-scopes|users)/{_ID}", "repeat"),
    ("PATCH", rf"/applications/{_ID}/custom-data", "repeat"),
    ("PATCH", rf"/email-templates/{_ID}/details", "repeat"),
    ("PATCH", rf"/resources/{_ID}/(is-default|scopes/{_ID})", "repeat"),
    ("PATCH", rf"/(saml-applications/{_ID}/secrets|sso-connectors/{_ID}/signing-keys)/{_ID}", "repeat"),
    ("PATCH", rf"/users/{_ID}/(custom-data|is-suspended|logto-configs|password|password/expiration|profile)", "repeat"),
    # These ignore what is there already, or only judge.
    ("POST", rf"/users/{_ID}/(roles|password/verify)", "repeat"),
    ("POST", rf"/organizations/{_ID}/(users|applications)(/roles|/{_ID}/roles)?", "repeat"),
    ("POST", rf"/organizations/{_ID}/jit/(roles|sso-connectors)", "repeat"),
    ("POST", rf"/organization-roles/{_ID}/(scopes|resource-scopes)", "repeat"),
    ("POST", r"/(sentinel-activities/delete|sign-in-exp/default/check-password)", "repeat"),
    ("POST", r"/custom-profile-fields/properties/sie-order", "repeat"),
    # The second time makes a duplicate, or is refused because of the first.
    (
        "POST",
        r"/(applications|connectors|custom-profile-fields(/batch)?|domains(/cleanup)?|hooks|resources)",
        "read back",
    ),
    ("POST", r"/(organizations|organization-(invitations|roles|scopes)|roles|saml-applications)", "read back"),
    ("POST", r"/(sso-connectors|users|user-assets|sign-in-exp/default/custom-ui-assets)", "read back"),
    ("POST", rf"/applications/{_ID}/(protected-app-metadata/custom-domains|roles|secrets)", "read back"),
    ("POST", rf"/applications/{_ID}/(user-consent-scopes|users/{_ID}/consent-organizations)", "read back"),
    ("POST", r"/cimd/user-consent-scopes", "read back"),
    ("POST", rf"/organizations/{_ID}/jit/email-domains", "read back"),
    ("POST", rf"/(resources/{_ID}/scopes|roles/{_ID}/(users|applications|scopes))", "read back"),
    ("POST", rf"/users/{_ID}/(identities|mfa-verifications|personal-access-tokens(/delete)?)", "read back"),
    # A new secret, token or address each time, or one that can be used once.
    ("POST", rf"/(saml-applications/{_ID}/secrets|sso-connectors/{_ID}/signing-keys)", "read back"),
    ("POST", rf"/(subject-tokens|configs/oidc/{_ID}/rotate|connectors/{_ID}/authorization-uri)", "read back"),
    ("POST", r"/one-time-tokens(/verify)?", "read back"),
    # A second message, or a second run of somebody's script.
    ("POST", rf"/organization-invitations/{_ID}/message", "read back"),
    ("POST", r"/verification-codes(/verify)?", "read back"),
    ("POST", rf"/(connectors|hooks)/{_ID}/test", "read back"),
    ("POST", r"/configs/(jwt-customizer|actions)/test", "read back"),
    # For browsers.
    ("POST", rf"/(authn/(single-sign-on/)?saml/{_ID}|saml/{_ID}/authn)", "read back"),
)
#: Methods whose repeat changes nothing, by HTTP's own definition: for operations that ``LOST`` does not name.
ELSE: dict[str, AfterLoss] = {"PUT": "repeat"}


def after_loss(method: str, path: str) -> AfterLoss:
    """What a lost answer of ``method path`` (path without ``/api``) calls for."""
    for methods, pattern, decision in LOST:
        if method in methods.split("|") and re.fullmatch(pattern, path):
            return decision
    return ELSE.get(method, "read back")


def failure_of(error: BaseException | None) -> Failure | None:
    """Sort an error into the table above; None when sending again cannot help."""
    if isinstance(error, RateLimited | PaceExceeded):
        return "throttled"
    if isinstance(error, ConnectionFailed):
        return "lost" if error.sent else "unsent"
    if isinstance(error, ServerFailed | AnswerCutShort):
        # Without a token, what the caller wanted was not sent.
        return "unsent" if error.operation == TOKEN_OPERATION else "lost"
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

    def controller(self, repeat: bool, budget: Budget | None = None) -> AsyncRetrying:
        """A tenacity controller for one operation; the last error comes out as it is.

        :param repeat: whether the operation may be repeated after its answer was lost, see :func:`after_loss`.
        :param budget: asked before every further try but those after a 429, which executed nothing.
        """
        too_late = stop_before_delay(self.patience())
        throttled = 0

        def worth_it(error: BaseException) -> bool:
            failure = failure_of(error)
            return failure in ("unsent", "throttled") or (failure == "lost" and repeat)

        async def enough(state: RetryCallState) -> bool:
            nonlocal throttled
            if too_late(state):
                return True
            if failure_of(_error(state)) == "throttled":
                throttled += 1
                return False
            if state.attempt_number - throttled >= self.attempts:
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
        """Seconds to wait: what was asked for plus a little jitter, else full jitter."""
        error = _error(state)
        asked = error.retry_after if isinstance(error, LogtoApiError | PaceExceeded) else None
        if asked is None:
            return wait_random_exponential(multiplier=self.base, max=self.cap)(state)
        return asked + random.uniform(0, min(1.0, self.base))  # noqa: S311


def _error(state: RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None
