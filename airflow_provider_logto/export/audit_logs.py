"""Export an interval of audit logs: walk, spool, upload, and the manifest last."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

from airflow_provider_logto.client.client import LogtoClient
from airflow_provider_logto.exceptions import ExportStopped, LogGap
from airflow_provider_logto.export.folder import Folder
from airflow_provider_logto.export.formats import Prepared
from airflow_provider_logto.export.job import ExportJob
from airflow_provider_logto.export.manifest import Manifest, older
from airflow_provider_logto.export.parts import FileEntry, Spool
from airflow_provider_logto.export.progress import Progress
from airflow_provider_logto.export.records import iso
from airflow_provider_logto.export.resume import FinishedFiles
from airflow_provider_logto.export.stop import StopSwitch
from airflow_provider_logto.management.audit_logs.retention import gap_until
from airflow_provider_logto.management.audit_logs.walk import (
    LateRows,
    LogPages,
    Position,
    Row,
    seconds_until_readable,
    walk,
)
from airflow_provider_logto.task_state import TaskState

log = logging.getLogger(__name__)

#: Times that an export goes back because rows appeared behind it, before that is an error.
RETURNS = 5
#: Rows that are made ready for their file at once, while the event loop waits.
SLICE = 100
#: Rows that are handed to the writing thread at once, and so held twice.
PORTION = 500


class Exporter:
    """One export into one folder.

    :param client: the tenant's client.
    :param job: what to export.
    :param folder: the destination.
    :param state: remembers finished files between attempts; without one, an attempt starts over.
    :param stop: ends the export from outside.
    """

    def __init__(
        self,
        client: LogtoClient,
        job: ExportJob,
        folder: Folder,
        state: TaskState | None = None,
        stop: StopSwitch | None = None,
    ) -> None:
        self._pages = LogPages(client, job.concurrency)
        self._job = job
        self._folder = folder
        self._stop = stop or StopSwitch()
        self._source = client.endpoint.base_url
        self._plan = job.plan(self._source)
        self._prepare = self._plan.preparer()
        self._manifest_name = Manifest.file_name(job, self._source)
        self._finished = FinishedFiles(state, self._plan.name)
        self._progress = Progress(job.window)
        self._published: Manifest | None = None

    async def run(self) -> dict[str, Any]:
        """Export.

        :returns: ``{"manifest": address, "files": [addresses], "count": rows, "first", "last": ISO times or None}``.
        :raises LogGap: with ``on_gap="fail"``, before anything is written.
        :raises ExportStopped: when told to stop.
        :raises LogtoError: when the server fails for good, or its answers do not add up.
        """
        self._stop.carry()
        try:
            return await self._run()
        except BaseException as error:  # execution_timeout is raised from a signal handler, wherever the loop stands
            log.warning("Export broken off: %s", self._progress)
            if isinstance(error, asyncio.CancelledError | InterruptedError) and self._stop.asked:
                raise ExportStopped(f"told to stop; the export had come to {self._progress}") from None
            raise
        finally:
            self._stop.release()

    async def _run(self) -> dict[str, Any]:
        description = self._job.description(self._source)
        gap = await gap_until(self._pages, self._job.window)
        self._progress.nothing_before(gap or 0)
        self._published = await asyncio.to_thread(
            Manifest.read, self._folder, self._manifest_name, description, self._plan
        )
        if gap is not None and await self._keeps_fuller(gap):
            return self._end("kept: the server has meanwhile deleted rows of this interval", self._published)
        files = await self._write_files()
        fuller = self._published
        if not files and fuller is not None and fuller.count and await asyncio.to_thread(fuller.complete, self._folder):
            return self._end("kept: the server has meanwhile deleted every row of this interval", fuller)
        if gap is not None and files:
            # A row that came late may be older than what was the oldest when the export began.
            gap = min(gap, files[0].first[0])
        manifest = Manifest(description, tuple(files), gap)
        if self._published is None or self._published.content() != manifest.content():
            await asyncio.to_thread(self._folder.write, self._manifest_name, manifest.content())
        return self._end("done", manifest)

    async def _keeps_fuller(self, gap: int) -> bool:
        """Judge a gap; True when the folder holds this export from a time when the gap was smaller."""
        published = self._published
        if published is not None and (published.gap_until or 0) < gap:
            return await asyncio.to_thread(published.complete, self._folder)
        text = f"the interval begins at {iso(self._job.window.low)}, but the server's oldest audit log is "
        text += f"from {iso(gap)}: what was before, if anything, is lost" if gap < self._job.window.high else "newer"
        if self._job.on_gap == "fail":
            raise LogGap(text)
        log.warning("Gap: %s", text)
        return False

    async def _write_files(self) -> list[FileEntry]:
        files = await asyncio.to_thread(self._finished.load, self._folder)
        if files:
            log.info("Continuing after %d finished files of an earlier attempt", len(files))
        for attempt in range(RETURNS):
            try:
                async with self._progress.told():
                    await self._write_rest(files)
                return files
            except LateRows as late:
                if attempt == RETURNS - 1:
                    raise
                log.warning("%s; reading again from %s", late, iso(late.from_ms))
                files = list(older(files, late.from_ms))
        raise RuntimeError("unreachable: the loop returns or raises")

    async def _write_rest(self, files: list[FileEntry]) -> None:
        written = sum(entry.rows for entry in files)
        after = Position(*files[-1].last, written) if files else None
        self._progress.resume(written, after.created_at if after else self._job.window.low)
        spool = Spool(self._plan, files)
        batches = walk(self._pages, self._job.window, self._job.filters, after=after)
        try:
            async with aclosing(batches):
                async for batch in batches:
                    for start in range(0, len(batch), PORTION):
                        rows = batch[start : start + PORTION]
                        await self._stop.to_the_end(self._write_portion, spool, rows, await self._prepared(rows), files)
                        self._progress.advance(len(rows), rows[-1].created_at)
            await self._stop.to_the_end(self._write_portion, spool, (), (), files)
        finally:
            spool.discard()

    async def _prepared(self, rows: Sequence[Row]) -> list[Prepared]:
        """In slices: a thread would hold the interpreter for 5 ms whenever an answer arrives."""
        prepared: list[Prepared] = []
        for start in range(0, len(rows), SLICE):
            prepared += map(self._prepare, rows[start : start + SLICE])
            await asyncio.sleep(0)
        return prepared

    def _write_portion(
        self, spool: Spool, rows: Sequence[Row], prepared: Sequence[Prepared], files: list[FileEntry]
    ) -> None:
        """In a thread: spool rows (none: finish the last file), upload what they complete."""
        for entry, local in spool.add(rows, prepared) if rows else spool.finish():
            files.append(self._upload(entry, local))
            self._finished.note(files)

    def _upload(self, entry: FileEntry, local: Path) -> FileEntry:
        published = self._published
        for known in published.files if published is not None else ():
            if known == entry and known.is_in(self._folder):
                return known  # the same bytes are there already
        if published is not None:
            # Its files are about to change: until the new manifest is written, there must be none.
            self._folder.remove(self._manifest_name)
            self._published = None
        self._folder.upload(local, entry.path, self._stop)
        return replace(entry, etag=self._folder.etag(entry.path))

    def _end(self, how: str, manifest: Manifest | None) -> dict[str, Any]:
        if manifest is None:
            raise RuntimeError("unreachable: there is a manifest at the end")
        summary = manifest.summary(self._folder, self._manifest_name)
        log.info("Export %s: %d rows in %d files, %s", how, manifest.count, len(manifest.files), summary["manifest"])
        return summary


async def export_audit_logs(
    client: LogtoClient,
    job: ExportJob,
    folder: Folder,
    state: TaskState | None = None,
    stop: StopSwitch | None = None,
) -> dict[str, Any]:
    """Export an interval of audit logs; see :class:`Exporter`."""
    return await Exporter(client, job, folder, state, stop).run()


async def wait_until_readable(client: LogtoClient, end_ms: int, lag: float, stop: StopSwitch) -> None:
    """Sleep until the server's clock has passed the end of an interval by ``lag`` seconds.

    :raises ExportStopped: when told to stop.
    """
    stop.carry()
    try:
        while (seconds := await seconds_until_readable(client, end_ms, lag)) > 0:
            log.info("Waiting %.0f s until the rows at the end of the interval are certain to show", seconds)
            await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        if stop.asked:
            raise ExportStopped("told to stop before the first row was read") from None
        raise
    finally:
        stop.release()
