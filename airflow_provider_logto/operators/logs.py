"""Operator for audit logs."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_logto.compat import conf, task_state
from airflow_provider_logto.destinations import folder_at
from airflow_provider_logto.exceptions import InvalidInput
from airflow_provider_logto.failures import fail_on_permanent_error
from airflow_provider_logto.operators.base import LogtoOperator, counted

if TYPE_CHECKING:
    from airflow_provider_logto.compat import Context
    from airflow_provider_logto.export.folder import Folder
    from airflow_provider_logto.export.job import ExportJob
    from airflow_provider_logto.export.stop import StopSwitch

_TIMETABLES = (
    "schedule the DAG with CronDataIntervalTimetable or DeltaDataIntervalTimetable "
    "(a plain cron schedule has no interval on Airflow 3), or give start and end"
)


class ExportLogsOperator(LogtoOperator):
    """Export the audit logs of an interval, complete and each once, into files and a manifest.

    The rows are ordered by (createdAt, id). Every file is written locally first and uploaded whole; the manifest comes
    last and lists every file with its row count and SHA-256, so whoever sees the manifest can read every file. The same
    interval exported twice gives identical bytes under identical names. An attempt that was interrupted goes on behind
    its last finished file on Airflow 3.3, and starts over before.

    :param destination: a folder, as anything that ObjectStoragePath takes: ``file:///data/logs``,
        ``s3://aws_default@bucket/logto`` (templated).
    :param start: first moment, a datetime with a time zone or its ISO form; default: the data interval's start
        (templated).
    :param end: first moment that is not exported; default: the data interval's end (templated).
    :param log_keys: only these keys, one or many, e.g. ``Interaction.SignIn.Submit`` (templated).
    :param user_id: only this user's logs (templated).
    :param application_id: only this application's logs (templated).
    :param file_format: ``jsonl``, or ``parquet`` with the extra ``parquet`` (templated).
    :param compression: ``gzip``, ``zstd`` (extra ``zstd`` for JSON lines) or ``none`` (templated).
    :param partition_by: ``day`` or ``hour`` puts the files into ``date=2026-01-31/hour=12/`` (UTC) (templated).
    :param max_rows_per_file: a file ends after this many rows.
    :param redact: what to black out: ``authorization_code``, ``ip``, ``user_agent``, ``user_id``, ``session_id``,
        ``identifier``, one or many (templated).
    :param on_gap: what to do when start lies before the server's oldest log: ``warn`` (and say so in the manifest) or
        ``fail`` (templated).
    :param lag: seconds after ``end``, by the server's clock, before reading begins: until then rows may still appear.
    :param max_wait: seconds; an end further away than this is an error.
    :param concurrency: requests in flight.
    :param deferrable: wait in the triggerer instead of on the worker.
    :param logto_conn_id: the Connection of type ``logto``.
    :returns: ``{"manifest": address, "files": [addresses], "count": rows, "first", "last": ISO times or None}``; outlet
        asset events carry the manifest's address and the count.
    :raises InvalidInput: for an argument that cannot be right, before any request.
    :raises LogGap: with ``on_gap="fail"``.

    .. seealso:: Logto Management API, ``GET /api/logs``.
    """

    template_fields: Sequence[str] = (
        "destination",
        "start",
        "end",
        "log_keys",
        "user_id",
        "application_id",
        "file_format",
        "compression",
        "partition_by",
        "redact",
        "on_gap",
        "logto_conn_id",
    )

    def __init__(
        self,
        *,
        destination: str,
        start: datetime | str | None = None,
        end: datetime | str | None = None,
        log_keys: str | Sequence[str] | None = None,
        user_id: str | None = None,
        application_id: str | None = None,
        file_format: str = "jsonl",
        compression: str = "gzip",
        partition_by: str | None = None,
        max_rows_per_file: int = 1_000_000,
        redact: str | Sequence[str] | None = None,
        on_gap: str = "warn",
        lag: float = 60,
        max_wait: float = 3600,
        concurrency: int = 4,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        logto_conn_id: str = "logto_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(logto_conn_id=logto_conn_id, **kwargs)
        self.destination = destination
        self.start = start
        self.end = end
        self.log_keys = log_keys
        self.user_id = user_id
        self.application_id = application_id
        self.file_format = file_format
        self.compression = compression
        self.partition_by = partition_by
        self.max_rows_per_file = max_rows_per_file
        self.redact = redact
        self.on_gap = on_gap
        self.lag = lag
        self.max_wait = max_wait
        self.concurrency = concurrency
        self.deferrable = deferrable
        self._stop: StopSwitch | None = None

    @fail_on_permanent_error
    def execute(self, context: Context) -> dict[str, Any]:
        return self._export(context)

    @fail_on_permanent_error
    def resume_after_wait(self, context: Context, event: Any = None) -> dict[str, Any]:
        """Called when the triggerer has waited; the server's clock is asked again."""
        return self._export(context)

    def on_kill(self) -> None:
        """End the export within seconds."""
        if self._stop is not None:
            self._stop.stop()

    def _export(self, context: Context) -> dict[str, Any]:
        from airflow_provider_logto.export.audit_logs import export_audit_logs, wait_until_readable
        from airflow_provider_logto.export.stop import StopSwitch
        from airflow_provider_logto.management.audit_logs.walk import seconds_until_readable

        self._stop = StopSwitch()
        job = self._job(context)
        folder = self._folder(job)
        wait = self.hook.run(seconds_until_readable, job.window.high, self.lag)
        if wait > self.max_wait:
            raise InvalidInput("end", f"lies {wait:.0f} s in the future (with lag); max_wait is {self.max_wait:g} s")
        if wait > 0 and self.deferrable:
            self._defer(wait)
        if wait > 0:
            self.hook.run(wait_until_readable, job.window.high, self.lag, self._stop)
        result = self.hook.run(export_audit_logs, job, folder, task_state(context), self._stop)
        self._tell_assets(context, result)
        files = counted(len(result["files"]), "file")
        self.log_summary("Audit logs", f"{counted(result['count'], 'row')} exported into {files}, {result['manifest']}")
        return result

    def _job(self, context: Context) -> ExportJob:
        from airflow_provider_logto.export.job import ExportJob

        start = self.start or context.get("data_interval_start")
        end = self.end or context.get("data_interval_end")
        if start is None or end is None:
            raise InvalidInput("start" if start is None else "end", f"this run has no data interval; {_TIMETABLES}")
        if start == end and not (self.start or self.end):
            raise InvalidInput("start", f"this run's data interval is empty ({start}); {_TIMETABLES}")
        _not_negative("lag", self.lag)
        _not_negative("max_wait", self.max_wait)
        return ExportJob.checked(
            start=start,
            end=end,
            log_keys=self.log_keys,
            user_id=self.user_id,
            application_id=self.application_id,
            file_format=self.file_format,
            compression=self.compression,
            partition_by=self.partition_by or None,
            max_rows_per_file=self.max_rows_per_file,
            redact=self.redact,
            on_gap=self.on_gap,
            concurrency=self.concurrency,
        )

    def _folder(self, job: ExportJob) -> Folder:
        folder = folder_at(self.destination)
        folder.check(job.name(self.logto_conn_id))
        return folder

    def _defer(self, seconds: float) -> None:
        from airflow_provider_logto.compat import DateTimeTrigger

        # By the local clock, which the triggerer goes by: only the difference comes from the server's.
        moment = datetime.fromtimestamp(time.time() + seconds, UTC)
        self.log.info("Deferring until %s, when rows of the interval's end are sure to show", moment.isoformat())
        self.defer(trigger=DateTimeTrigger(moment=moment), method_name="resume_after_wait")

    def _tell_assets(self, context: Context, result: dict[str, Any]) -> None:
        from airflow_provider_logto.compat import ObjectStoragePath, add_output

        for address in (*result["files"], result["manifest"]):
            try:
                add_output(ObjectStoragePath(address))
            except ValueError as error:  # the files are there all the same
                self.log.warning("Lineage does not take %s: %s", address, error)
        extra = {key: result[key] for key in ("manifest", "count", "first", "last")}
        for outlet in self.outlets:
            # An outlet may be an alias or a reference, which take no extra of their own.
            with suppress(KeyError, TypeError, AttributeError):
                context["outlet_events"][outlet].extra.update(extra)


def _not_negative(name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        raise InvalidInput(name, f"{value!r} is no number of seconds of at least 0")
