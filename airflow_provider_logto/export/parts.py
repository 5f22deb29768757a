"""Rows -> files of one export: where one ends and the next begins, spooled locally, then handed over whole."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from airflow_provider_logto.export.folder import Folder
from airflow_provider_logto.export.formats import FORMATS, Prepared, RecordWriter, open_writer, preparer
from airflow_provider_logto.export.local_files import spool_file
from airflow_provider_logto.export.records import hidden_fields, iso
from airflow_provider_logto.management.audit_logs.rows import Row

#: partition_by -> the folder of a row, from the ISO form of its time.
PARTITIONS: dict[str, Callable[[str], str]] = {
    "day": lambda moment: f"date={moment[:10]}/",
    "hour": lambda moment: f"date={moment[:10]}/hour={moment[11:13]}/",
}


@dataclass(frozen=True)
class FilePlan:
    """What decides over names, borders and bytes of an export's files.

    :param name: beginning of every file's name.
    :param partition_by: ``day``, ``hour`` or None.
    :param max_rows: rows of one file at most.
    :param redact: names of :data:`airflow_provider_logto.export.records.REDACTIONS`.
    """

    name: str
    file_format: str = "jsonl"
    compression: str = "gzip"
    partition_by: str | None = None
    max_rows: int = 1_000_000
    redact: tuple[str, ...] = ()

    def preparer(self) -> Callable[[Row], Prepared]:
        """Makes a row of the API ready for its file."""
        return preparer(self.file_format, hidden_fields(self.redact))

    def folder_of(self, moment_ms: int) -> str:
        """The partition of a row that was created at a moment; with a slash at its end."""
        return PARTITIONS[self.partition_by](iso(moment_ms)) if self.partition_by else ""

    def names(self, files: Sequence[FileEntry]) -> bool:
        """Whether these files stand where this plan puts them: a manifest may have been tampered with."""
        return all(
            entry.path == self.path(self.folder_of(entry.first[0]), number) for number, entry in enumerate(files, 1)
        )

    def path(self, folder: str, number: int) -> str:
        return f"{folder}{self.name}-{number:05d}{FORMATS[self.file_format].endings[self.compression]}"


@dataclass(frozen=True)
class FileEntry:
    """One finished file, as the manifest lists it.

    :param path: relative to the destination.
    :param bytes: its size.
    :param first: createdAt (epoch ms) and id of its first row.
    :param last: createdAt and id of its last row.
    :param etag: what the object store called these bytes at their upload.
    """

    path: str
    rows: int
    bytes: int
    sha256: str
    first: tuple[int, str]
    last: tuple[int, str]
    etag: str | None = field(default=None, compare=False)

    @classmethod
    def of(cls, value: Any) -> FileEntry:
        """
        :raises TypeError, KeyError, ValueError: when the value is no entry.
        """
        (first_at, first_id), (last_at, last_id) = value["first"], value["last"]
        entry = {**value, "first": (int(first_at), str(first_id)), "last": (int(last_at), str(last_id))}
        return cls(**entry)

    def as_json(self) -> dict[str, Any]:
        entry = {**asdict(self), "first": list(self.first), "last": list(self.last)}
        if self.etag is None:
            del entry["etag"]
        return entry

    def is_in(self, folder: Folder) -> bool:
        """Whether the file is there as it was uploaded."""
        return folder.holds(self.path, self.bytes, self.sha256, self.etag)


class Spool:
    """Writes rows into one local file after another.

    :param plan: names and borders.
    :param finished: files that exist already; numbering goes on behind them.
    :param directory: where to spool; the system's place for temporary files by default.
    """

    def __init__(self, plan: FilePlan, finished: Sequence[FileEntry] = (), directory: Path | None = None) -> None:
        self._plan = plan
        self._count = len(finished)
        self._directory = directory
        self._part: _Part | None = None

    def add(self, rows: Sequence[Row], prepared: Sequence[Prepared]) -> Iterator[tuple[FileEntry, Path]]:
        """Append rows (ascending); yields each file that they complete, which is deleted when asked for the next.

        :param prepared: the same rows as :meth:`FilePlan.preparer`'s function makes them.
        """
        for folder, start, end in self._runs(rows):
            if self._part is not None and self._part.folder != folder:
                yield from self.finish()
            while start < end:
                part = self._part = self._part or self._begin(folder)
                stop = min(end, start + self._plan.max_rows - part.rows)
                part.add(rows[start:stop], prepared[start:stop])
                start = stop
                if part.rows >= self._plan.max_rows:
                    yield from self.finish()

    def finish(self) -> Iterator[tuple[FileEntry, Path]]:
        """Complete the file at hand, if there is one."""
        if self._part is not None:
            part, self._part = self._part, None
            try:
                yield part.finish(), part.local
            finally:
                part.discard()

    def discard(self) -> None:
        """Delete what has been spooled."""
        if self._part is not None:
            self._part.discard()
            self._part = None

    def _runs(self, rows: Sequence[Row]) -> Iterator[tuple[str, int, int]]:
        """Stretches of rows that belong into one folder."""
        if self._plan.partition_by is None or not rows:
            yield "", 0, len(rows)
            return
        start, folder = 0, self._plan.folder_of(rows[0].created_at)
        for place, row in enumerate(rows):
            if (other := self._plan.folder_of(row.created_at)) != folder:
                yield folder, start, place
                start, folder = place, other
        yield folder, start, len(rows)

    def _begin(self, folder: str) -> _Part:
        self._count += 1
        return _Part(self._plan, folder, self._plan.path(folder, self._count), self._directory)


class _HashedFile(io.BufferedWriter):
    """A file, written from its beginning to its end, whose SHA-256 is known then."""

    def __init__(self, handle: int) -> None:
        super().__init__(io.FileIO(handle, "wb", closefd=False))
        self.sha256 = hashlib.sha256()

    def write(self, data: Any, /) -> int:
        self.sha256.update(data)
        return super().write(data)


class _Part:
    """The file that is being written."""

    def __init__(self, plan: FilePlan, folder: str, path: str, directory: Path | None) -> None:
        self.folder = folder
        self.rows = 0
        self._path = path
        self._first: tuple[int, str] = (0, "")
        self._last: tuple[int, str] = (0, "")
        self._spooled, self.local = spool_file(directory)
        self._file = _HashedFile(self._spooled.fileno())
        self._writer: RecordWriter = open_writer(self._file, plan.file_format, plan.compression)

    def add(self, rows: Sequence[Row], prepared: Sequence[Prepared]) -> None:
        if not self.rows:
            self._first = rows[0].created_at, rows[0].id
        self._last = rows[-1].created_at, rows[-1].id
        self.rows += len(rows)
        self._writer.write(prepared)

    def finish(self) -> FileEntry:
        self._writer.close()
        self._file.close()
        size = self.local.stat().st_size
        return FileEntry(self._path, self.rows, size, self._file.sha256.hexdigest(), self._first, self._last)

    def discard(self) -> None:
        with suppress(OSError, ValueError):
            self._file.close()
        self._spooled.close()
