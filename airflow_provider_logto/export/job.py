"""What an export of audit logs is asked to do, checked, and the name that follows from it."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from airflow_provider_logto.exceptions import InvalidInput
from airflow_provider_logto.export.formats import check_format
from airflow_provider_logto.export.parts import PARTITIONS, FilePlan
from airflow_provider_logto.export.records import REDACTIONS, iso
from airflow_provider_logto.management.audit_logs.keys import check_log_keys
from airflow_provider_logto.management.audit_logs.walk import LogFilter, Window
from airflow_provider_logto.management.json_values import refuse_rendered

ON_GAP = ("warn", "fail")


@dataclass(frozen=True)
class ExportJob:
    """One export. Everything here but ``on_gap`` and ``concurrency`` decides over its bytes.

    :param window: createdAt of the rows, epoch ms, start inclusive, end exclusive.
    :param partition_by: ``day``, ``hour`` (UTC) or None.
    :param redact: names of :data:`airflow_provider_logto.export.records.REDACTIONS`.
    :param on_gap: ``warn`` or ``fail`` where the server's oldest row is younger than the start.
    :param concurrency: requests in flight.
    """

    window: Window
    filters: LogFilter = field(default_factory=LogFilter)
    file_format: str = "jsonl"
    compression: str = "gzip"
    partition_by: str | None = None
    max_rows_per_file: int = 1_000_000
    redact: tuple[str, ...] = ()
    on_gap: str = "warn"
    concurrency: int = 4

    @classmethod
    def checked(
        cls,
        *,
        start: Any,
        end: Any,
        log_keys: Any = None,
        user_id: Any = None,
        application_id: Any = None,
        redact: Any = None,
        **options: Any,
    ) -> ExportJob:
        """Check every argument as it comes from a DAG.

        :param start: a datetime with a time zone, or its ISO form.
        :param end: the same, later than start.
        :param log_keys: one key or many.
        :param redact: one name or many.
        :raises InvalidInput: naming the first argument that is wrong.
        """
        window = Window(_moment("start", start), _moment("end", end))
        if window.width <= 0:
            raise InvalidInput("end", f"{iso(window.high)} is not later than start {iso(window.low)}")
        filters = LogFilter(
            _texts("log_keys", log_keys), _text("user_id", user_id), _text("application_id", application_id)
        )
        check_log_keys(filters.log_keys)
        options = {name: value for name, value in options.items() if value is not None}
        job = cls(window, filters, redact=_texts("redact", redact), **options)
        check_format(job.file_format, job.compression)
        _one_of("partition_by", job.partition_by, (None, *PARTITIONS))
        _one_of("on_gap", job.on_gap, ON_GAP)
        for name in job.redact:
            _one_of("redact", name, tuple(REDACTIONS))
        _at_least_one("max_rows_per_file", job.max_rows_per_file)
        _at_least_one("concurrency", job.concurrency)
        return job

    def plan(self, source: str) -> FilePlan:
        """Names and borders of the files.

        :param source: the tenant's address: exports of two tenants into one folder stay apart.
        """
        return FilePlan(
            self.name(source),
            self.file_format,
            self.compression,
            self.partition_by,
            self.max_rows_per_file,
            self.redact,
        )

    def name(self, source: str) -> str:
        """Begins every file's name: the interval, and a fingerprint of everything that decides over the bytes."""
        digest = hashlib.sha256(json.dumps(self.description(source), sort_keys=True).encode()).hexdigest()
        return f"audit-logs-{_compact(self.window.low)}-{_compact(self.window.high)}-{digest[:8]}"

    def description(self, source: str) -> dict[str, Any]:
        """The export in words of the manifest."""
        return {
            "source": source,
            "interval": {"start": iso(self.window.low), "end": iso(self.window.high)},
            "filters": {
                "logKeys": sorted(set(self.filters.log_keys)),
                "userId": self.filters.user_id,
                "applicationId": self.filters.application_id,
            },
            "fileFormat": self.file_format,
            "compression": self.compression,
            "partitionBy": self.partition_by,
            "maxRowsPerFile": self.max_rows_per_file,
            "redact": sorted(set(self.redact)),
        }


def _compact(moment_ms: int) -> str:
    text = iso(moment_ms).replace("-", "").replace(":", "")
    return text.replace(".000Z", "Z")


def _moment(name: str, value: Any) -> int:
    hint = "give a datetime with a time zone, or its ISO form, e.g. 2026-01-31T12:00:00+00:00"
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value.strip())
        except ValueError:
            raise InvalidInput(name, f"{value!r} is not a point in time; {hint}") from None
    if not isinstance(value, datetime):
        raise InvalidInput(name, f"{value!r} is not a point in time; {hint}")
    if value.tzinfo is None or value.utcoffset() is None:
        raise InvalidInput(name, f"{value.isoformat()} has no time zone; {hint}")
    # Up to the next whole millisecond: the server shows no finer times.
    return math.ceil((value - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1000 - 1e-6)


def _text(name: str, value: Any) -> str | None:
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise InvalidInput(name, f"{value!r} is no text")
    refuse_rendered(name, value)
    return value


def _texts(name: str, value: Any) -> tuple[str, ...]:
    values = (value,) if isinstance(value, str) else value or ()
    if not isinstance(values, Sequence | set | frozenset) or not all(isinstance(one, str) for one in values):
        raise InvalidInput(name, f"{value!r} is neither a text nor a list of texts")
    return tuple(dict.fromkeys(one for one in values if one))


def _one_of(name: str, value: Any, known: Sequence[Any]) -> None:
    if value not in known:
        raise InvalidInput(name, f"{value!r} is unknown; use one of {', '.join(str(one) for one in known)}")


def _at_least_one(name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InvalidInput(name, f"{value!r} is not a whole number of at least 1")
