"""Everything that this package raises on its own account.

One family, so that a DAG author can catch ``LogtoError`` and mean all of it. The names say what to do next: fix the
input, fix the Connection, wait, look again, or give up. Positional arguments are kept in ``args`` so that every error
survives pickling between processes.
"""

from __future__ import annotations

from typing import Any, ClassVar


class LogtoError(Exception):
    """Base of every error of this package."""

    #: Whether the same call may succeed later without anybody changing anything.
    transient = False


class InvalidInput(LogtoError, ValueError):
    """An argument is wrong, or names something that does not exist; found before the first write to Logto.

    The message names the field and what would be right.
    """

    def __init__(self, field: str, hint: str) -> None:
        super().__init__(field, hint)
        self.field = field
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.field}: {self.hint}"


class ConfigurationError(LogtoError):
    """The Connection, the tenant or the worker's packages are not set up for this; the message says what to change."""


class ConnectionFailed(LogtoError):
    """No usable answer came back: DNS, TLS, refused, reset, timed out or cut short.

    :param operation: method and path, e.g. ``POST /api/users``.
    :param reason: what happened, in words.
    :param sent: False when the request certainly never reached the server, so that repeating it is harmless.
    :param server: host and port that were called, e.g. ``auth.example.com:443``.
    """

    transient = True

    def __init__(self, operation: str, reason: str, sent: bool = True, server: str = "") -> None:
        super().__init__(operation, reason, sent, server)
        self.operation = operation
        self.reason = reason
        self.sent = sent
        self.server = server

    def __str__(self) -> str:
        source = f" from {self.server}" if self.server else ""
        return f"{self.operation} got no answer{source}: {self.reason}"


class PaceExceeded(LogtoError):
    """Not sent: the pace that all tasks of a tenant share leaves no place for this request soon enough.

    :param operation: method and path, e.g. ``POST /api/users``.
    :param retry_after: seconds until there would be a place.
    """

    transient = True

    def __init__(self, operation: str, retry_after: float) -> None:
        super().__init__(operation, retry_after)
        self.operation = operation
        self.retry_after = retry_after

    def __str__(self) -> str:
        return (
            f"{self.operation} was not sent: the tenant's rate limit leaves no place for another "
            f"{self.retry_after:.0f} s, longer than this request may wait"
        )


class LogtoApiError(LogtoError):
    """Logto answered, and the answer is no.

    :param operation: method and path, e.g. ``POST /api/users``.
    :param status: HTTP status.
    :param code: Logto's machine-readable code (``user.email_already_in_use``), or None where the body had none.
    :param message: Logto's own words (localized: never branch on them).
    :param request_id: ``Logto-Core-Request-Id``, the handle for the server's own log.
    :param hint: the sentence that says how to fix it, where the cause is known.
    :param retry_after: seconds the server asked to wait, if it did.
    """

    def __init__(
        self,
        operation: str,
        status: int,
        code: str | None = None,
        message: str = "",
        request_id: str | None = None,
        hint: str = "",
        retry_after: float | None = None,
    ) -> None:
        super().__init__(operation, status, code, message, request_id, hint, retry_after)
        self.operation = operation
        self.status = status
        self.code = code
        self.message = message
        self.request_id = request_id
        self.hint = hint
        self.retry_after = retry_after

    def __str__(self) -> str:
        parts = [self._outcome()]
        if self.code:
            parts.append(f" {self.code}")
        if self.message:
            parts.append(f"{self._joint}{self.message.rstrip('.') if self.hint else self.message}")
        if self.hint:
            parts.append(f" - {self.hint}")
        if self.request_id:
            parts.append(f" (request id {self.request_id})")
        return "".join(parts)

    #: What stands between the status and the message.
    _joint = ": "

    def _outcome(self) -> str:
        return f"{self.operation} {'failed with' if self.status >= 400 else 'answered'} {self.status}"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), self.args


class AuthFailed(LogtoApiError):
    """401, or the token endpoint refused the application: repeating it changes nothing."""


class Forbidden(LogtoApiError):
    """403: the token lacks the scope ``all``, or the tenant is suspended."""


class NotFound(LogtoApiError):
    """404 from a known operation: the object does not exist."""


class Conflict(LogtoApiError):
    """409 or 422: a duplicate, a constraint or a business rule stands in the way."""


class QuotaExhausted(LogtoApiError):
    """A plan's quota is used up (403 or 429): waiting minutes does not help."""

    #: Codes of 403 about one limit, e.g. the members of one organization or the scopes of one role.
    LIMITS: ClassVar[frozenset[str]] = frozenset({"subscription.limit_exceeded", "system_limit.limit_exceeded"})

    @property
    def is_one_limit(self) -> bool:
        """Whether other writes may succeed, unlike when the tokens of the month are used up."""
        return self.code in self.LIMITS


class RateLimited(LogtoApiError):
    """429: too many requests. ``retry_after`` is how long to wait, in seconds, where the server said so."""

    transient = True

    def _outcome(self) -> str:
        asked = f" (the server asks to wait {self.retry_after:.0f} s)" if self.retry_after else ""
        return f"{super()._outcome()}{asked}"


class ServerFailed(LogtoApiError):
    """5xx: the server failed; a write may or may not have taken effect."""

    transient = True


class UnreadableAnswer(LogtoApiError):
    """The answer is not what a Management API sends (HTML, a redirect, broken JSON): usually the wrong host."""

    _joint = ", but "

    def _outcome(self) -> str:
        return f"{self.operation} answered {self.status}"


class NotFromLogto(UnreadableAnswer):
    """404 or 405 of a proxy that answered in Logto's place: the wrong host, or Logto is restarting."""

    transient = True


class AnswerCutShort(UnreadableAnswer):
    """The answer broke off before its end: a write may or may not have taken effect."""

    transient = True


class AlreadyExists(LogtoError):
    """What was to be created exists already, as a look showed; nothing was sent.

    :param what: what exists, in words.
    :param hint: how to go on with it.
    """

    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(what, hint)
        self.what = what
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.what} - {self.hint}" if self.hint else self.what


class Refused(LogtoError):
    """The state of an object does not allow what was asked; nothing was written. The message says why."""


class NotKept(LogtoError):
    """Logto took a write and left out a part of it: what it does not know, or keeps in another form.

    :param operation: method and path, e.g. ``PATCH /api/applications/x``.
    :param fields: what its answer lacks, e.g. ``customClientMetadata.refreshTokenTtlInDay``.
    """

    _SHOWN = 10

    def __init__(self, operation: str, fields: list[str]) -> None:
        super().__init__(operation, fields)
        self.operation = operation
        self.fields = fields

    @property
    def reason(self) -> str:
        """What it left out, in words without values."""
        more = f" and {len(self.fields) - self._SHOWN} more" if len(self.fields) > self._SHOWN else ""
        return f"Logto did not keep {', '.join(self.fields[: self._SHOWN])}{more}"

    def __str__(self) -> str:
        return f"{self.operation}: {self.reason}; correct it, write it as Logto shows it, or leave it out"


class Ambiguous(LogtoError):
    """A reference or identifier points at more than one object, or an object exists twice."""


class OutcomeUnknown(LogtoError):
    """A write may have taken effect, repeating it blindly could do it twice, and no rule says how to look.

    :param operation: method and path.
    :param cause: the failure after which the outcome is unknown.
    """

    def __init__(self, operation: str, cause: BaseException) -> None:
        super().__init__(operation, cause)
        self.operation = operation
        self.cause = cause

    def __str__(self) -> str:
        return (
            f"{self.operation} may or may not have taken effect and is not sent again, since that could do it twice; "
            f"look before repeating it. Cause: {self.cause}"
        )


class NeverTrue(LogtoError):
    """What a sensor waits for can no longer come true."""


class PartlyFailed(LogtoError):
    """Some rows of a batch failed. The others are done, and a retry leaves them as they are.

    :param what: what was done, e.g. ``invitations``.
    :param failures: row -> what went wrong.
    :param total: rows in all.
    :param transient: whether waiting may help some of them.
    """

    _SHOWN = 10

    def __init__(self, what: str, failures: dict[str, str], total: int, transient: bool = False) -> None:
        super().__init__(what, failures, total, transient)
        self.failures = failures
        self.transient = transient
        self._what = what
        self._total = total

    def __str__(self) -> str:
        rows = [f"{row}: {reason}" for row, reason in self.failures.items()]
        more = f"; and {len(rows) - self._SHOWN} more" if len(rows) > self._SHOWN else ""
        return f"{len(rows)} of {self._total} {self._what} failed: {'; '.join(rows[: self._SHOWN])}{more}"


class SharedStateUnavailable(LogtoError):
    """What tasks share (a file or Redis) cannot be reached. Handled inside the client, which goes on alone."""

    transient = True


class IncompleteList(LogtoError):
    """A list did not add up: fewer distinct items were seen than the server counts, walk after walk."""

    transient = True

    def __init__(self, operation: str, seen: int, total: int) -> None:
        super().__init__(operation, seen, total)
        self.operation = operation
        self.seen = seen
        self.total = total

    def __str__(self) -> str:
        return f"{self.operation} showed {self.seen} distinct items but the server counts {self.total}"


class LogGap(LogtoError):
    """The interval begins before the oldest audit log that the server still has."""


class ExportStopped(LogtoError):
    """The export was told to stop before it was finished. The message says how far it came."""

    transient = True


class WebhookRejected(LogtoError):
    """A webhook delivery is not genuine, too old, or no event; answer it with 401 and do nothing."""


class InvalidSource(InvalidInput):
    """A source holds rows that cannot be right; nothing of it was applied.

    :param problems: what is wrong, each with its line.
    :param more: how many further problems are not listed.
    """

    def __init__(self, field: str, problems: list[str], more: int = 0) -> None:
        shown = "; ".join(problems) + (f"; and {more} more" if more else "")
        super().__init__(field, shown)
        self.problems = problems
        self.more = more

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.field, self.problems, self.more)


#: What a file system raises where waiting changes nothing.
_FOR_GOOD = (
    *(FileNotFoundError, FileExistsError, PermissionError, NotADirectoryError, IsADirectoryError),
    *(ImportError, NotImplementedError, ValueError),
)


def storage_error(field: str, problem: str, error: Exception, advice: str = "") -> InvalidInput:
    """The error for a place that cannot be read or written, raised from what its file system raised.

    :param problem: e.g. ``s3://bucket/logs cannot be written``.

    Anything but :data:`_FOR_GOOD` (a timeout, a throttled store, a full disk) may pass: a retry of the task helps.
    """
    refusal = InvalidInput(field, f"{problem} ({type(error).__name__}: {error}){advice}")
    refusal.transient = not isinstance(error, _FOR_GOOD)
    return refusal


class PlanRefused(LogtoError):
    """A stored plan cannot be applied: it was edited, cut, made by somebody else, or the situation has changed."""


class BrakeHeld(LogtoError):
    """A brake holds: the plan would do more than is allowed without approval. Nothing was released by itself.

    :param message: the brakes, their figures and limits, the plan's id and address.
    """


class OutOfSync(LogtoError):
    """Mode ``check``: the plan is not empty."""


class RunInProgress(LogtoError):
    """Another run of the same roster or configuration holds the lock."""

    transient = True


class ChangesFailed(LogtoError):
    """Some changes of a plan failed; the others were made. A retry plans again and makes what is left.

    Not transient where no retry helps any of them: of each Logto did not keep a part, see :class:`NotKept`, or each is
    a row of an import that could not be made from the start.
    """

    transient = True


class ApplyStopped(LogtoError):
    """An apply stopped before its end: too much failed, or the tenant refuses everything."""


class ApplyInterrupted(ApplyStopped):
    """An apply was told to stop, or could not write its journal. A retry goes on where it stopped."""

    transient = True


class StillThere(LogtoError):
    """What was removed is there, or there again; a later try may find it gone."""

    transient = True


class OffboardingIncomplete(LogtoError):
    """Some steps of an offboarding failed. A repeat does the rest.

    The other steps that end access were tried; where no snapshot could be written, only the suspension was.

    :param report: as OffboardUserOperator returns it; ``steps`` says which failed.
    :param causes: what they failed with, in order.
    """

    def __init__(self, report: dict[str, Any], causes: tuple[Exception, ...]) -> None:
        super().__init__(report, causes)
        self.report = report
        self.causes = causes
        # What is no error of this package comes from the file system of the snapshot.
        self.transient = any(getattr(one, "transient", True) or isinstance(one, OutcomeUnknown) for one in causes)

    def __str__(self) -> str:
        by_outcome: dict[str, list[str]] = {}
        for name, step in self.report["steps"].items():
            by_outcome.setdefault(step["outcome"], []).append(name)
        said = "; ".join(f"{outcome}: {', '.join(names)}" for outcome, names in by_outcome.items())
        return f"the offboarding of {self.report['id']} is not complete ({said}). Cause: {self.causes[0]}"
