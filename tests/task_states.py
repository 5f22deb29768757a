"""Airflow's task state store, in memory."""

from __future__ import annotations

from typing import Any


class Notes:
    """The task state store of one task."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}

    def get(self, key: str) -> Any:
        return self.values.get(key)

    def set(self, key: str, value: Any) -> None:
        self.values[key] = value
