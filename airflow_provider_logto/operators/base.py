"""What every operator of this package shares: the Connection, and how an error leaves the task."""

from __future__ import annotations

from abc import abstractmethod
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_logto.compat import BaseOperator
from airflow_provider_logto.failures import permanent_failures

if TYPE_CHECKING:
    from airflow_provider_logto.compat import Context
    from airflow_provider_logto.hooks.logto import LogtoHook


class LogtoOperator(BaseOperator):
    """Base of the operators; a subclass implements :meth:`act`.

    :param logto_conn_id: the Connection of type ``logto``.
    """

    #: Whether a lost write cannot be looked up, so that not even a retry of the task may repeat it.
    unrepeatable: ClassVar[bool] = False

    def __init__(self, *, logto_conn_id: str = "logto_default", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.logto_conn_id = logto_conn_id

    @cached_property
    def hook(self) -> LogtoHook:
        """The hook for this operator's Connection."""
        from airflow_provider_logto.hooks.logto import LogtoHook

        return LogtoHook(self.logto_conn_id)

    def execute(self, context: Context) -> Any:
        """Do the work.

        :raises LogtoError: as it comes from below, so that a retry policy can judge it.
        :raises AirflowFailException: where a retry cannot help and no retry policy exists to say so (before 3.3).
        """
        with permanent_failures(self.unrepeatable):
            return self.act(context)

    @abstractmethod
    def act(self, context: Context) -> Any:
        """What the operator does; returns small JSON."""
