"""Where rows come from: a list, or a file of CSV, JSON lines or JSON on any storage. Nothing is guessed."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from airflow_provider_logto.exceptions import InvalidInput, InvalidSource, storage_error

#: Ending of a file's name -> its format.
_ENDINGS = {".csv": "csv", ".tsv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "json"}
_SPREADSHEETS = (".xlsx", ".xls", ".ods")
FORMATS = ("csv", "jsonl", "json")
#: Keys under which exports keep their list: SCIM's list response, Keycloak's realm export.
_WRAPPED = ("Resources", "users")
#: Problems that an error names; the rest are counted.
_NAMED = 100


class Problems:
    """Collects what is wrong with a source, so that all of it is named at once."""

    def __init__(self) -> None:
        self._found: list[str] = []
        self._more = 0

    def add(self, where: str, error: InvalidInput | str) -> None:
        text = f"{error.field}: {error.hint}" if isinstance(error, InvalidInput) else error
        if len(self._found) < _NAMED:
            self._found.append(f"{where}: {text}")
        else:
            self._more += 1

    def __bool__(self) -> bool:
        return bool(self._found)

    def refuse(self) -> None:
        """
        :raises InvalidSource: when there are any.
        """
        if self._found:
            raise InvalidSource("source", self._found, self._more)


@dataclass(frozen=True)
class Row:
    """One row as it came.

    :param number: its line in a file of lines, else its place in the list, from 1.
    :param cells: column -> value.
    """

    number: int
    cells: Mapping[str, Any]


@dataclass(frozen=True)
class Reading:
    """How a file is read.

    :param file_format: ``csv``, ``jsonl`` or ``json``; None: by the ending of the file's name.
    :param delimiter: between the cells of a CSV file.
    :param encoding: of text; the default understands a byte order mark.
    """

    file_format: str | None = None
    delimiter: str = ","
    encoding: str = "utf-8-sig"

    @classmethod
    def checked(cls, file_format: Any, delimiter: Any, encoding: Any) -> Reading:
        """
        :raises InvalidInput: naming the argument and what would be right.
        """
        if file_format is not None and file_format not in FORMATS:
            raise InvalidInput("file_format", f"{file_format!r} is unknown; use one of {', '.join(FORMATS)}")
        if not isinstance(delimiter, str) or len(delimiter) != 1:
            raise InvalidInput("delimiter", f"{delimiter!r} is no single character")
        try:
            "".encode(encoding)
        except (LookupError, TypeError):
            raise InvalidInput("encoding", f"{encoding!r} is no encoding; write e.g. utf-8-sig or cp1252") from None
        return cls(file_format, delimiter, "utf-8-sig" if str(encoding).lower() in ("utf-8", "utf8") else encoding)


def read_rows(source: Any, reading: Reading, problems: Problems) -> Iterator[Row]:
    """The rows of a source, one after another.

    :param source: objects (any iterable will do, a lazy XCom too), or a path object with ``open`` and ``name``.
    :param problems: collects rows that cannot be read; reading goes on behind them where that makes sense.
    :raises InvalidInput: where the source is neither.
    """
    if hasattr(source, "open") and hasattr(source, "name"):
        try:
            with source.open("rb") as file:
                yield from _file(file, str(source.name), reading, problems)
        except InvalidInput:
            raise
        except UnicodeError as error:
            problems.add("file", _wrong_encoding(reading, error))
        except Exception as error:  # file systems raise whatever their library raises
            raise storage_error("source", f"{source} cannot be read", error) from error
    elif isinstance(source, Iterable) and not isinstance(source, str | bytes | Mapping):
        yield from _objects(source, problems)
    else:
        raise InvalidInput("source", f"must be a list of rows or the address of a file, not {type(source).__name__}")


def _wrong_encoding(reading: Reading, error: UnicodeError) -> str:
    encoding = reading.encoding.removesuffix("-sig")
    # UTF-16 without a byte order mark is a UnicodeError of its own.
    why = f"{error.reason} at byte {error.start}" if isinstance(error, UnicodeDecodeError) else str(error)
    return f'is not {encoding} ({why}); set encoding, e.g. "cp1252" or "utf-16-le"'


def header_of(rows: Sequence[Row]) -> list[str]:
    """Every column that occurs, in the order of their first appearance."""
    return list(dict.fromkeys(column for row in rows for column in row.cells))


def _file(file: Any, name: str, reading: Reading, problems: Problems) -> Iterator[Row]:
    ending = "." + name.rpartition(".")[2].lower()
    file_format = reading.file_format or _ENDINGS.get(ending)
    if file_format is None and ending in _SPREADSHEETS:
        raise InvalidInput("source", f"{name!r} is a spreadsheet; save it as CSV (UTF-8)")
    if file_format is None:
        raise InvalidInput("source", f"{name!r} has no known ending ({', '.join(_ENDINGS)}); set file_format")
    if file_format == "json":
        yield from _json(file.read(), reading, problems)
        return
    text = io.TextIOWrapper(file, encoding=reading.encoding, errors="strict", newline="")
    try:
        if file_format == "csv":
            yield from _csv(
                text, "\t" if ending == ".tsv" and reading.delimiter == "," else reading.delimiter, problems
            )
        else:
            yield from _json_lines(text, problems)
    finally:
        text.detach()


def _csv(text: io.TextIOWrapper, delimiter: str, problems: Problems) -> Iterator[Row]:
    reader = csv.reader(text, delimiter=delimiter, strict=True)
    try:
        header = [name.strip() for name in next(reader, [])]
        if not header or not _check_header(header, delimiter, problems):
            return
        for cells in reader:
            if not cells or (len(cells) == 1 and not cells[0].strip()):
                continue
            if len(cells) != len(header):
                problems.add(f"line {reader.line_num}", f"has {len(cells)} cells, the header {len(header)}")
                continue
            yield Row(reader.line_num, dict(zip(header, cells, strict=True)))
    except csv.Error as error:
        problems.add(f"line {reader.line_num}", f"is not valid CSV ({error})")


def _check_header(header: list[str], delimiter: str, problems: Problems) -> bool:
    """Whether the rows can be read by it."""
    for name in sorted({name for name in header if header.count(name) > 1}):
        problems.add("line 1", f"the column {name!r} is there twice")
    if "" in header:
        problems.add("line 1", f"column {header.index('') + 1} has no name")
    others = [one for one in (",", ";", "\t", "|") if one != delimiter and one in header[0]]
    if len(header) == 1 and others:
        problems.add("line 1", f"is a single column, {header[0]!r}; set delimiter={others[0]!r}")
        return False
    return True


def _json_lines(text: io.TextIOWrapper, problems: Problems) -> Iterator[Row]:
    for number, line in enumerate(text, 1):
        if not line.strip():
            continue
        try:
            cells = msgspec.json.decode(line)
        except (msgspec.DecodeError, RecursionError) as error:
            problems.add(f"line {number}", f"is not valid JSON ({error})")
            continue
        if isinstance(cells, dict):
            yield Row(number, cells)
        else:
            problems.add(f"line {number}", "is no JSON object")


def _json(content: bytes, reading: Reading, problems: Problems) -> Iterator[Row]:
    content = content.decode(reading.encoding).encode()
    content = content.removeprefix(b"\xef\xbb\xbf")
    try:
        # One row at a time becomes an object: a file of 100,000 rows would take many times its size in memory.
        if content.lstrip()[:1] == b"{":
            wrapped = msgspec.json.decode(content, type=dict[str, msgspec.Raw])
            key = next((key for key in _WRAPPED if key in wrapped), None)
            if key is None:
                problems.add("file", f"is an object without {' or '.join(_WRAPPED)}; give a JSON array of rows")
                return
            content = bytes(wrapped[key])
        raw = msgspec.json.decode(content, type=list[msgspec.Raw])
    except (msgspec.DecodeError, RecursionError) as error:
        problems.add("file", f"is no JSON array of rows ({error})")
        return
    for number, one in enumerate(raw, 1):
        cells = msgspec.json.decode(one)
        if isinstance(cells, dict):
            yield Row(number, cells)
        else:
            problems.add(f"row {number}", "is no JSON object")


def _objects(source: Iterable[Any], problems: Problems) -> Iterator[Row]:
    for number, cells in enumerate(source, 1):
        if isinstance(cells, Mapping) and all(isinstance(name, str) for name in cells):
            yield Row(number, cells)
        else:
            problems.add(f"row {number}", f"is not an object with text keys, but {type(cells).__name__}")
