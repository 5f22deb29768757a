"""What every operator of this package shares: the Connection."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_logto.compat import BaseOperator

if TYPE_CHECKING:
    from airflow_provider_logto.hooks.logto import LogtoHook


class LogtoOperator(BaseOperator):
    """Base of the operators; a subclass implements ``execute``, decorated with ``fail_on_permanent_error``.

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
