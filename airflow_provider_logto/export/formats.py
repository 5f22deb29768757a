"""Records -> bytes: JSON lines or Parquet. The same records always give the same bytes."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import IO, Any, Protocol

import msgspec
from msgspec.structs import astuple

from airflow_provider_logto.exceptions import InvalidInput
from airflow_provider_logto.export.records import COLUMNS, LIFTED, iso, record
from airflow_provider_logto.management.audit_logs.rows import Row, json_bytes

_GZIP_LEVEL = 6
_ZSTD_LEVEL = 3
#: Bytes that a compressor is given at once. Always as many: what it makes of them may depend on where they are cut.
_BLOCK = 1 << 18
#: Rows of one Parquet row group: what is held in memory at once.
_ROW_GROUP = 10_000

Record = dict[str, Any]
#: A record made ready for its writer: a line of JSON without its end, or a flat dict for Parquet.
Prepared = Any
#: Column -> its kind: ``text``, ``integer``, ``boolean``, ``texts`` or ``json`` (a JSON text).
Columns = Mapping[str, str]
LOG_COLUMNS: Columns = {name: {"createdAt": "integer", "payload": "json"}.get(name, "text") for name in COLUMNS}


class RecordWriter(Protocol):
    """Writes prepared records to one open file. Blocks, but holds the interpreter only briefly: meant for a thread."""

    def write(self, prepared: Sequence[Prepared]) -> None:
        """Append records."""

    def close(self) -> None:
        """Finish the format; the file itself stays open."""


_encode_payload = json.JSONEncoder(separators=(",", ":")).encode
_Lifted: Any = msgspec.defstruct("_Lifted", [(name, msgspec.Raw, msgspec.Raw(b"null")) for name in LIFTED], gc=False)
_Line: Any = msgspec.defstruct("_Line", [(name, Any) for name in COLUMNS], gc=False)
_lift = msgspec.json.Decoder(_Lifted).decode
_encode = msgspec.json.Encoder().encode


def row_line(row: Row) -> bytes:
    """The line of a row of which nothing is redacted: its payload goes through as it came, and is never built up."""
    try:
        lifted = _lift(row.payload)
    except msgspec.DecodeError:
        return json_bytes(record(row))  # the payload is null
    return _encode(_Line(row.id, row.created_at, iso(row.created_at), row.key, *astuple(lifted), row.payload))


def _flat(record: Record) -> Record:
    # The payload as a JSON text: its shape differs from key to key. What it holds is nobody's promise.
    odd = {name: _encode_payload(value) for name in LIFTED if not isinstance(value := record[name], str | None)}
    return {**record, **odd, "payload": _encode_payload(record["payload"])}


class _JsonLinesWriter:
    def __init__(self, file: IO[bytes], compression: str, columns: Columns) -> None:
        self._stream = _compressed(file, compression)
        self._owned = self._stream is not file
        self._waiting = b""

    def write(self, prepared: Sequence[Prepared]) -> None:
        lines = b"\n".join((*prepared, b""))
        if not self._owned:
            self._stream.write(lines)
            return
        lines = self._waiting + lines
        whole = len(lines) // _BLOCK * _BLOCK
        for start in range(0, whole, _BLOCK):
            self._stream.write(memoryview(lines)[start : start + _BLOCK])
        self._waiting = lines[whole:]

    def close(self) -> None:
        if self._owned:
            self._stream.write(self._waiting)
            self._stream.close()


def _compressed(file: IO[bytes], compression: str) -> Any:
    if compression == "gzip":
        # Neither name nor time in the header: they would make every export different.
        return gzip.GzipFile(filename="", fileobj=file, mode="wb", compresslevel=_GZIP_LEVEL, mtime=0)
    if compression == "zstd":
        import zstandard

        compressor = zstandard.ZstdCompressor(level=_ZSTD_LEVEL, write_checksum=True)
        return compressor.stream_writer(file, closefd=False)
    return file


class _ParquetWriter:
    def __init__(self, file: IO[bytes], compression: str, columns: Columns) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self._table = pa.Table
        kinds = {"integer": pa.int64(), "boolean": pa.bool_(), "texts": pa.list_(pa.string())}
        self._schema = pa.schema([(name, kinds.get(kind, pa.string())) for name, kind in columns.items()])
        self._writer = pq.ParquetWriter(file, self._schema, compression=compression)
        self._waiting: list[Record] = []

    def write(self, prepared: Sequence[Prepared]) -> None:
        self._waiting.extend(prepared)
        # Row groups of a fixed size, whatever the batches: the bytes must not depend on how the rows arrived.
        while len(self._waiting) >= _ROW_GROUP:
            self._flush(_ROW_GROUP)

    def close(self) -> None:
        if self._waiting:
            self._flush(len(self._waiting))
        self._writer.close()

    def _flush(self, count: int) -> None:
        group, self._waiting = self._waiting[:count], self._waiting[count:]
        self._writer.write_table(self._table.from_pylist(group, schema=self._schema))


@dataclass(frozen=True)
class FileFormat:
    """One format of exported files.

    :param endings: compression -> how a file's name ends.
    :param extras: compression -> the extra of this distribution that it needs.
    :param prepare: makes a record ready for the writer. Pure computing: in a thread it would only hold up the loop.
    :param prepare_row: the same for a row of which nothing is redacted.
    :param writer: a writer for an open file, a compression and columns.
    """

    endings: Mapping[str, str]
    extras: Mapping[str, str]
    prepare: Callable[[Record], Prepared]
    prepare_row: Callable[[Row], Prepared]
    writer: Callable[[IO[bytes], str, Columns], RecordWriter]


#: Every format by its name.
FORMATS: Mapping[str, FileFormat] = {
    "jsonl": FileFormat(
        endings={"none": ".jsonl", "gzip": ".jsonl.gz", "zstd": ".jsonl.zst"},
        extras={"zstd": "zstd"},
        prepare=json_bytes,
        prepare_row=row_line,
        writer=_JsonLinesWriter,
    ),
    "parquet": FileFormat(
        endings=dict.fromkeys(("none", "gzip", "zstd"), ".parquet"),
        extras=dict.fromkeys(("none", "gzip", "zstd"), "parquet"),
        prepare=_flat,
        prepare_row=lambda row: _flat(record(row)),
        writer=_ParquetWriter,
    ),
}
#: Extra of this distribution -> the module that it brings.
_MODULES = {"parquet": "pyarrow.parquet", "zstd": "zstandard"}


def preparer(file_format: str, hidden: frozenset[str] = frozenset()) -> Callable[[Row], Prepared]:
    """What makes a row of the API ready for its file.

    :param hidden: fields to redact, see :func:`~airflow_provider_logto.export.records.hidden_fields`.
    """
    known = FORMATS[file_format]
    return (lambda row: known.prepare(record(row, hidden))) if hidden else known.prepare_row


def check_format(file_format: str, compression: str) -> None:
    """
    :raises InvalidInput: for an unknown format or compression, or one whose library is missing.
    """
    if file_format not in FORMATS:
        raise InvalidInput("file_format", f"{file_format!r} is unknown; use one of {', '.join(FORMATS)}")
    known = FORMATS[file_format]
    if compression not in known.endings:
        raise InvalidInput("compression", f"{compression!r} is unknown; use one of {', '.join(known.endings)}")
    extra = known.extras.get(compression)
    if extra is None:
        return
    try:
        import_module(_MODULES[extra])
    except ImportError as error:
        hint = f"{error}; install the extra: pip install 'airflow-provider-logto[{extra}]'"
        raise InvalidInput("file_format" if extra == file_format else "compression", hint) from None


def open_writer(file: IO[bytes], file_format: str, compression: str, columns: Columns = LOG_COLUMNS) -> RecordWriter:
    """A writer for an open file; ``file_format`` and ``compression`` as :func:`check_format` accepts them."""
    return FORMATS[file_format].writer(file, compression, columns)
