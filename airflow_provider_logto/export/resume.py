"""Remembering finished files between the attempts of one task."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from airflow_provider_logto.export.folder import Folder
from airflow_provider_logto.export.parts import FileEntry
from airflow_provider_logto.task_state import TaskState


class FinishedFiles:
    """The files that an export has uploaded, one value a file, each bound to all before it.

    :param state: where they are kept; without one, every attempt starts over.
    :param name: the export's name: another export's files are none of ours.
    """

    def __init__(self, state: TaskState | None, name: str) -> None:
        self._state = state
        self._name = name
        self._chains: list[str] = []

    def load(self, folder: Folder) -> list[FileEntry]:
        """The leading files that are noted, belong together and are still there."""
        files: list[FileEntry] = []
        while self._state is not None:
            value = self._state.get(self._key(len(files) + 1))
            try:
                entry = FileEntry.of(value["file"])
                chain = self._next_chain(entry)
                bound = value["chain"] == chain
            except (KeyError, TypeError, ValueError):
                return files
            if not bound or not entry.is_in(folder):
                return files
            files.append(entry)
            self._chains.append(chain)
        return files

    def note(self, files: Sequence[FileEntry]) -> None:
        """Remember the last of these files."""
        del self._chains[len(files) - 1 :]
        chain = self._next_chain(files[-1])
        self._chains.append(chain)
        if self._state is not None:
            self._state.set(self._key(len(files)), {"file": files[-1].as_json(), "chain": chain})

    def _key(self, number: int) -> str:
        return f"{self._name}/{number}"

    def _next_chain(self, entry: FileEntry) -> str:
        """Differs as soon as any file so far does: what an abandoned attempt noted further on is then not believed."""
        before = self._chains[-1] if self._chains else ""
        return hashlib.sha256(f"{before}{entry.sha256}".encode()).hexdigest()
