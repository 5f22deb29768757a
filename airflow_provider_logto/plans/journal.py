"""What an apply did, one JSON line a change, written as it happens.

A journal is a folder beside its plan; each try of the task adds files, so that nothing of an earlier try is lost. On a
local folder every line is in the operating system's hands before the next change; on an object store, which takes whole
files only, lines are written once a second and at the end.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

from airflow_provider_logto.exceptions import LogtoError, storage_error
from airflow_provider_logto.plans.changes import Change
from airflow_provider_logto.plans.store import Store

log = logging.getLogger(__name__)

Status = Literal["success", "skipped", "held", "conflict", "failed"]

#: Seconds between two files on an object store.
_EVERY = 1.0


@dataclass(frozen=True)
class Outcome:
    """What came of one change.

    :param reason: why, where it is not ``success``; holds no personal data.
    :param id: the object's id, where the change made it.
    :param request_id: ``Logto-Core-Request-Id``, where the server's answer had one.
    """

    status: Status = "success"
    reason: str = ""
    id: str | None = None
    request_id: str | None = None


@dataclass(frozen=True)
class Run:
    """Who writes a journal.

    :param dag_run: id of the DAG run.
    :param try_number: the task's try.
    """

    dag_run: str = ""
    try_number: int = 1


class Journal:
    """Writes the journal of one try.

    :param name: of the plan: the journal lies beside it.
    :param values: whether the values before and after are written too.
    """

    def __init__(self, store: Store, name: str, run: Run | None = None, values: bool = False) -> None:
        self.folder = f"{name}.journal"
        self.uri = store.uri(self.folder)
        self._store = store
        self._run = run or Run()
        self._values = values
        self._lines: list[bytes] = []
        self._part = 0
        self._written = time.monotonic()
        moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")
        self._stem = f"{self.folder}/{moment}-{self._run.try_number:03d}-{os.getpid()}"
        self._handle: int | None = None

    def add(self, change: Change, outcome: Outcome) -> None:
        """Report one change. Where it cannot be written now, the next :meth:`flush` tries again, and says so."""
        line: dict[str, Any] = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "row": change.row,
            "key": change.key,
            "kind": change.kind,
            "action": change.action,
            "status": outcome.status,
            "reason": outcome.reason or change.reason,
            "fields": change.fields,
            "id": outcome.id or change.id,
            "target": change.target,
            "request_id": outcome.request_id,
            "dag_run": self._run.dag_run,
            "try": self._run.try_number,
        }
        if self._values and not (change.destructive and change.action == "delete"):
            line |= {"before": change.before, "after": change.after}
        self._lines.append(msgspec.json.encode(line) + b"\n")
        if self._store.is_local:
            with suppress(LogtoError):
                self._append()

    async def flush(self, last: bool = False) -> None:
        """Hand over what an object store has not got yet, at most once a second.

        :raises InvalidInput: when it cannot be written; the lines stay for the next time.
        """
        if self._store.is_local:
            self._append()
        elif self._lines and (last or time.monotonic() - self._written >= _EVERY):
            content, self._lines = b"".join(self._lines), []
            self._part += 1
            try:
                await asyncio.to_thread(self._store.write, f"{self._stem}-{self._part:05d}.jsonl", content)
            except LogtoError:
                self._lines.insert(0, content)
                raise
            self._written = time.monotonic()

    def close(self) -> None:
        """Write what is left; where even that cannot be written, the log says so."""
        try:
            if self._store.is_local:
                self._append()
            elif self._lines:
                self._part += 1
                self._store.write(f"{self._stem}-{self._part:05d}.jsonl", b"".join(self._lines))
                self._lines = []
        except LogtoError as error:
            log.error("The journal's last lines are lost: %s", error)
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def _append(self) -> None:
        content = b"".join(self._lines)
        if not content:
            return
        try:
            if self._handle is None:
                path = self._store.local_path(f"{self._stem}.jsonl")
                self._handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
            written = os.write(self._handle, content)
        except OSError as error:
            raise storage_error("folder", f"{self.uri} cannot be written", error) from error
        rest = content[written:]  # a disk may be full in the middle of a line
        self._lines = [rest] if rest else []


def read_journal(store: Store, name: str) -> list[Mapping[str, Any]]:
    """Every line of a plan's journal, the earliest first.

    A line that a killed process left unfinished is left out.
    """
    lines: list[Mapping[str, Any]] = []
    for file in store.names(f"{name}.journal"):
        for line in (store.read(file) or b"").split(b"\n"):
            try:
                lines.append(msgspec.json.decode(line))
            except msgspec.DecodeError:
                continue
    return lines
