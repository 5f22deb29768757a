"""How an error leaves a task.

From Airflow 3.3 on a retry policy judges the error itself. Before, the only word for "a retry cannot help" is
``AirflowFailException``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from airflow_provider_logto import compat
from airflow_provider_logto.exceptions import LogtoError, OutcomeUnknown


@contextmanager
def permanent_failures(unrepeatable: bool = False) -> Iterator[None]:
    """Turn errors that a retry cannot fix into ``AirflowFailException`` where no retry policy can say so.

    :param unrepeatable: the caller cannot look whether a lost write took effect, so that even a retry of the task could
        do it twice: fail for good then, on every Airflow.
    """
    try:
        yield
    except LogtoError as error:
        if isinstance(error, OutcomeUnknown):
            futile = unrepeatable
        else:
            futile = not error.transient and not compat.retry_policies_exist()
        if not futile:
            raise
        raise compat.AirflowFailException(str(error)) from error
