"""How an error leaves a task."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

from airflow_provider_logto import compat
from airflow_provider_logto.exceptions import LogtoError, OutcomeUnknown

Method = TypeVar("Method", bound=Callable[..., Any])


def fail_on_permanent_error(method: Method) -> Method:
    """Decorate ``execute`` and its like, or the function of a task: what a retry cannot fix ends the task at once.

    It leaves as ``AirflowFailException``, which Airflow never retries; where the operator has a ``retry_policy``
    (Airflow 3.3), as it is, so that the policy can judge it. An operator that cannot find out whether a lost write took
    effect (``unrepeatable``) ends at once then, whatever the policy says: a retry could do it twice.
    """

    @wraps(method)
    def decorated(*args: Any, **kwargs: Any) -> Any:
        try:
            return method(*args, **kwargs)
        except LogtoError as error:
            # A task's function is given the operator in its context.
            if not _ends_the_task(args[0] if args else kwargs.get("task"), error):
                raise
            raise compat.AirflowFailException(str(error)) from error

    return cast("Method", decorated)


def _ends_the_task(operator: Any, error: LogtoError) -> bool:
    if isinstance(error, OutcomeUnknown):
        return getattr(operator, "unrepeatable", False)
    return not error.transient and getattr(operator, "retry_policy", None) is None
