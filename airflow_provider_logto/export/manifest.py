"""The manifest: written last, so that who sees it sees every file of the export."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from airflow_provider_logto.export.folder import Folder
from airflow_provider_logto.export.job import ExportJob
from airflow_provider_logto.export.parts import FileEntry, FilePlan
from airflow_provider_logto.export.records import COLUMNS, iso

log = logging.getLogger(__name__)

VERSION = 1


@dataclass(frozen=True)
class Manifest:
    """What an export holds.

    :param description: see :meth:`ExportJob.description`.
    :param gap_until: epoch ms; rows before may be missing, since the server's oldest is that young. None: no gap.
    """

    description: dict[str, Any]
    files: tuple[FileEntry, ...]
    gap_until: int | None = None

    @staticmethod
    def file_name(job: ExportJob, source: str) -> str:
        return f"{job.name(source)}.manifest.json"

    @property
    def count(self) -> int:
        return sum(entry.rows for entry in self.files)

    def content(self) -> bytes:
        """Its bytes: no time of export in it, so that the same export gives the same bytes."""
        gap = None
        if self.gap_until is not None:
            gap = {"from": self.description["interval"]["start"], "until": iso(self.gap_until)}
        body = {
            "version": VERSION,
            **self.description,
            "columns": list(COLUMNS),
            "count": self.count,
            "first": iso(self.files[0].first[0]) if self.files else None,
            "last": iso(self.files[-1].last[0]) if self.files else None,
            "gap": gap,
            "gapUntil": self.gap_until,
            "files": [entry.as_json() for entry in self.files],
        }
        return (json.dumps(body, indent=2, ensure_ascii=False) + "\n").encode()

    @classmethod
    def read(cls, folder: Folder, name: str, description: dict[str, Any], plan: FilePlan) -> Manifest | None:
        """An earlier manifest of the same export; None when there is none, or none that can be believed.

        :param plan: where its files must stand.
        """
        body = folder.read_json(name)
        try:
            if body["version"] != VERSION or any(body[key] != value for key, value in description.items()):
                return None
            files = tuple(FileEntry.of(entry) for entry in body["files"])
            found = cls(description, files, body["gapUntil"])
        except (KeyError, TypeError, ValueError):
            return None
        if not plan.names(files):
            log.warning("%s names files of other exports; it is not believed and will be replaced", folder.uri(name))
            return None
        return found

    def complete(self, folder: Folder) -> bool:
        """Whether all its files are there as they were uploaded."""
        return all(entry.is_in(folder) for entry in self.files)

    def summary(self, folder: Folder, name: str) -> dict[str, Any]:
        """What the task returns."""
        return {
            "manifest": folder.uri(name),
            "files": [folder.uri(entry.path) for entry in self.files],
            "count": self.count,
            "first": iso(self.files[0].first[0]) if self.files else None,
            "last": iso(self.files[-1].last[0]) if self.files else None,
        }


def older(entries: Sequence[FileEntry], moment_ms: int) -> tuple[FileEntry, ...]:
    """The leading files whose rows all lie before a moment."""
    kept = []
    for entry in entries:
        if entry.last[0] >= moment_ms:
            break
        kept.append(entry)
    return tuple(kept)
