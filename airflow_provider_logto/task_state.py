"""What survives the retries of one task, as code that knows no Airflow sees it."""

from __future__ import annotations

from typing import Any, Protocol


class TaskState(Protocol):
    """Keeps small JSON values by key for as long as one task instance lives, its retries included.

    .. seealso:: Airflow 3.3 docs, "Task state store", which has this shape.
    """

    def get(self, key: str) -> Any:
        """The value; None when there is none."""

    def set(self, key: str, value: Any) -> None:
        """Keep a value."""
