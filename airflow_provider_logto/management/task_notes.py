"""Notes that one task leaves for its own retries: what it is about to do, and what it has done."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from typing import Any

from airflow_provider_logto.task_state import TaskState


class TaskNotes:
    """Small JSON objects by subject.

    :param state: where they are kept; None keeps nothing (before Airflow 3.3).
    :param kind: begins every key.
    """

    def __init__(self, state: TaskState | None, kind: str) -> None:
        self.kept = state is not None
        self._state = state
        self._kind = kind
        self._lock = asyncio.Lock()

    async def get(self, *subject: str) -> dict[str, Any]:
        """What is noted about a subject; empty where nothing is."""
        if self._state is None:
            return {}
        async with self._lock:
            # In a thread: the store asks Airflow synchronously, which an event loop must not do.
            note = await asyncio.to_thread(self._state.get, self._key(subject))
        return dict(note) if isinstance(note, Mapping) else {}

    async def set(self, note: Mapping[str, Any], *subject: str) -> None:
        """Note something, before or after it is done."""
        if self._state is None:
            return
        async with self._lock:
            await asyncio.to_thread(self._state.set, self._key(subject), dict(note))

    def _key(self, subject: tuple[str, ...]) -> str:
        # Hashed: subjects are people's, and Airflow's database is no place for them.
        return f"{self._kind}/{hashlib.sha256(chr(0).join(subject).encode()).hexdigest()[:32]}"
