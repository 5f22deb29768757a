"""What every operator of this package shares: the Connection, and how an error leaves the task."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_logto.exceptions import LogtoError, OutcomeUnknown

if TYPE_CHECKING:
    from airflow_provider_logto.hooks.logto import LogtoHook

T = TypeVar("T")


class LogtoOperator(BaseOperator):
    """Base of the operators.

    :param logto_conn_id: the Connection of type ``logto``.
    """

    def __init__(self, *, logto_conn_id: str = "logto_default", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.logto_conn_id = logto_conn_id

    @cached_property
    def hook(self) -> LogtoHook:
        """The hook for this operator's Connection."""
        from airflow_provider_logto.hooks.logto import LogtoHook

        return LogtoHook(self.logto_conn_id)

    def run_async(self, function: Callable[..., Awaitable[T]], *args: Any, **kwargs: Any) -> T:
        """Run one function of the management floor to its end.

        :raises LogtoError: as it comes from below, so that a retry policy can judge it.
        :raises AirflowFailException: where a retry cannot help and no retry policy exists to say so (before 3.3).
        """
        try:
            return self.hook.run(function, *args, **kwargs)
        except LogtoError as error:
            if self._retry_is_futile(error):
                from airflow.providers.common.compat.sdk import AirflowFailException

                raise AirflowFailException(str(error)) from error
            raise

    @staticmethod
    def _retry_is_futile(error: LogtoError) -> bool:
        if isinstance(error, OutcomeUnknown):
            return False  # the operator reads back on its next try
        return not error.transient and not _has_retry_policies()


def _has_retry_policies() -> bool:
    try:
        import airflow.sdk.definitions.retry_policy  # noqa: F401
    except ImportError:
        return False
    return True
