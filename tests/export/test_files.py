"""Records, formats and files: the same rows give the same bytes, however they arrive."""

from __future__ import annotations

import gzip
import hashlib
import io
import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_logto.exceptions import InvalidInput
from airflow_provider_logto.export.formats import FORMATS, check_format, open_writer, row_line
from airflow_provider_logto.export.parts import FileEntry, FilePlan, Spool
from airflow_provider_logto.export.records import COLUMNS, REDACTED, REDACTIONS, hidden_fields, iso, record
from airflow_provider_logto.management.audit_logs.rows import Row, decode_rows

T0 = 1_767_225_599_500  # 2025-12-31T23:59:59.500Z


def make_log(number: int, moment: int | None = None) -> dict[str, Any]:
    return {
        "tenantId": "default",
        "id": f"row{number:05d}",
        "key": "ExchangeTokenBy.AuthorizationCode",
        "createdAt": T0 + number if moment is None else moment,
        "payload": {
            "key": "ExchangeTokenBy.AuthorizationCode",
            "result": "Success",
            "ip": "203.0.113.7",
            "userAgent": "Firefox",
            "userId": f"user{number % 7}",
            "applicationId": "demo-app",
            "sessionId": "s1",
            "params": {"code": "secret-code", "scope": "openid", "redirect_uri": "https://example.com/日本"},
            "interaction": {"signInContext": {"ip": "203.0.113.7"}, "identifier": {"type": "email", "value": "a@b.c"}},
        },
    }


def make_row(number: int, moment: int | None = None) -> Row:
    return Row.of(make_log(number, moment))


def test_record() -> None:
    made = record(make_row(3))
    assert tuple(made) == COLUMNS
    assert made["createdAt"] == T0 + 3
    assert made["createdAtIso"] == "2025-12-31T23:59:59.503Z"
    assert (made["result"], made["userId"], made["applicationId"]) == ("Success", "user3", "demo-app")
    assert made["payload"] == make_log(3)["payload"]


def test_record_of_an_empty_payload() -> None:
    made = record(Row("x", 0, "Unknown"))
    assert made["createdAtIso"] == "1970-01-01T00:00:00.000Z"
    assert made["ip"] is None
    assert made["payload"] == {}


@given(st.integers(min_value=-(10**12), max_value=4 * 10**12))
def test_iso_sorts_as_time_does(moment: int) -> None:
    assert iso(moment) < iso(moment + 1) or moment + 1 == 0
    assert len(iso(moment)) == 24


def test_redaction_everywhere_and_only_there() -> None:
    made = record(make_row(1), hidden_fields(("authorization_code", "ip")))
    payload = made["payload"]
    assert payload["params"] == {"code": REDACTED, "scope": "openid", "redirect_uri": "https://example.com/日本"}
    assert made["ip"] == payload["ip"] == payload["interaction"]["signInContext"]["ip"] == REDACTED
    assert payload["userAgent"] == "Firefox"


def test_code_is_redacted_in_params_only() -> None:
    row = Row.of({"id": "x", "key": "k", "createdAt": 1, "payload": {"error": {"code": "session.not_found"}}})
    assert record(row, hidden_fields(("authorization_code",)))["payload"]["error"]["code"] == "session.not_found"


def test_all_redactions_leave_no_personal_value() -> None:
    text = json.dumps(record(make_row(1), hidden_fields(tuple(REDACTIONS))))
    for value in ("secret-code", "203.0.113.7", "user1", "Firefox", "a@b.c", '"s1"'):
        assert value not in text


def decode(content: bytes, file_format: str, compression: str) -> list[dict[str, Any]]:
    if file_format == "parquet":
        import pyarrow.parquet as pq

        rows = pq.read_table(io.BytesIO(content)).to_pylist()
        return [{**row, "payload": json.loads(row["payload"])} for row in rows]
    if compression == "gzip":
        content = gzip.decompress(content)
    elif compression == "zstd":
        import zstandard

        content = zstandard.ZstdDecompressor().decompressobj().decompress(content)
    return [json.loads(line) for line in content.decode().splitlines()]


KINDS = [(file_format, compression) for file_format, known in FORMATS.items() for compression in known.endings]


@pytest.mark.parametrize(("file_format", "compression"), KINDS)
def test_bytes_do_not_depend_on_batches(file_format: str, compression: str) -> None:
    records = [record(make_row(number)) for number in range(4000)]
    contents = []
    for size in (4000, 1000, 7):
        file = io.BytesIO()
        writer = open_writer(file, file_format, compression)
        for start in range(0, len(records), size):
            writer.write([FORMATS[file_format].prepare(one) for one in records[start : start + size]])
        writer.close()
        contents.append(file.getvalue())
    assert contents[0] == contents[1] == contents[2]
    assert decode(contents[0], file_format, compression) == records


def test_row_groups_do_not_depend_on_batches() -> None:
    import pyarrow.parquet as pq

    records = [record(make_row(number)) for number in range(10_500)]
    file = io.BytesIO()
    writer = open_writer(file, "parquet", "zstd")
    for start in range(0, len(records), 3000):
        writer.write([FORMATS["parquet"].prepare(one) for one in records[start : start + 3000]])
    writer.close()
    metadata = pq.ParquetFile(file).metadata
    assert [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)] == [10_000, 500]


def test_text_without_utf8_form() -> None:
    file = io.BytesIO()
    writer = open_writer(file, "jsonl", "none")
    writer.write([FORMATS["jsonl"].prepare({"userAgent": "\ud800 日本"})])
    writer.close()
    assert "日本" in file.getvalue().decode()
    assert json.loads(file.getvalue()) == {"userAgent": "\ud800 日本"}


@pytest.mark.parametrize(
    "payload",
    [
        b'{"userAgent":"\\ud800 x","ip":null}',
        b'{"ip":"\xe6\x97\xa5"}',
        b'{\n "ip": "1",\r\n "deep": [{"a": 1}]\n}',
        b'{"a":NaN,"result":"Success"}',
        b"null",
    ],
)
def test_a_line_says_what_its_record_says(payload: bytes) -> None:
    """Whatever way a payload takes, it is one line, and equal to the parsed one."""
    (row,) = decode_rows(b'[{"id":"a","tenantId":"t","createdAt":5,"key":"k","payload":' + payload + b"}]")
    line = row_line(row)
    assert {*b"\r\n"}.isdisjoint(line)
    assert repr(json.loads(line)) == repr(record(row))
    assert repr(json.loads(line)["payload"]) == repr(json.loads(payload) or {})


@pytest.mark.parametrize("body", [b'[{"id":"a"', b'[{"id":"a","createdAt":5,"payload":{"a":"\xff"}}]', b'[{"a":01}]'])
def test_broken_pages_are_no_json(body: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - any kind of it is a lost answer
        decode_rows(body)


@pytest.mark.parametrize(
    ("file_format", "compression", "field"),
    [("csv", "gzip", "file_format"), ("jsonl", "lz4", "compression"), ("parquet", "br", "compression")],
)
def test_unknown_formats(file_format: str, compression: str, field: str) -> None:
    with pytest.raises(InvalidInput, match="is unknown; use one of") as caught:
        check_format(file_format, compression)
    assert caught.value.field == field


def test_missing_library_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "zstandard", None)
    with pytest.raises(InvalidInput, match=r"airflow-provider-logto\[zstd\]"):
        check_format("jsonl", "zstd")


def spooled(plan: FilePlan, batches: list[list[Row]], folder: Path) -> list[tuple[FileEntry, bytes]]:
    spool, prepare = Spool(plan, directory=folder), plan.preparer()
    files = [(entry, local.read_bytes()) for rows in batches for entry, local in spool.add(rows, [*map(prepare, rows)])]
    return files + [(entry, local.read_bytes()) for entry, local in spool.finish()]


@given(st.lists(st.integers(0, 40), max_size=30), st.integers(1, 9), st.sampled_from([None, "day", "hour"]))
def test_borders_follow_from_the_rows_alone(cuts: list[int], max_rows: int, partition_by: str | None) -> None:
    """Batches of any size give the same files."""
    import tempfile

    rows = [make_row(number, T0 + number * 250_000) for number in range(40)]
    plan = FilePlan("x", compression="none", partition_by=partition_by, max_rows=max_rows)
    edges = [0, *sorted(cuts), 40]
    batches = [rows[low:high] for low, high in itertools.pairwise(edges) if low < high]
    with tempfile.TemporaryDirectory() as name:
        files = spooled(plan, batches, Path(name))
        assert files == spooled(plan, [rows], Path(name))
        assert not list(Path(name).iterdir())
    assert [json.loads(line)["id"] for _, content in files for line in content.splitlines()] == [r.id for r in rows]
    for entry, content in files:
        assert (entry.rows, entry.bytes) == (content.count(b"\n"), len(content))
        assert entry.rows <= max_rows
        assert entry.sha256 == hashlib.sha256(content).hexdigest()
        assert entry.path.startswith({"day": "date=", "hour": "date="}.get(partition_by or "", "x-"))
    assert len({entry.path for entry, _ in files}) == len(files)


def test_partition_folders(tmp_path: Path) -> None:
    rows = [make_row(0, T0), make_row(1, T0 + 1000), make_row(2, T0 + 3_600_000)]  # 00:00:00 and 00:59:59 are one hour
    paths = [entry.path for entry, _ in spooled(FilePlan("x", partition_by="hour"), [rows], tmp_path)]
    assert paths == [
        "date=2025-12-31/hour=23/x-00001.jsonl.gz",
        "date=2026-01-01/hour=00/x-00002.jsonl.gz",
    ]
