"""Audit logs whose payload somebody else wrote: whatever it is, it does not stop the export of the rows around it."""

from __future__ import annotations

import gzip
import json
import re
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from upath import UPath

from airflow_provider_logto.export.audit_logs import export_audit_logs
from airflow_provider_logto.export.folder import Folder
from airflow_provider_logto.export.job import ExportJob
from airflow_provider_logto.management.audit_logs.rows import MAX_DEPTH, decode_rows, flattened
from logto_sandbox import Sandbox
from tests.hostile.server import HostileServer, Request, http
from tests.management.audit_log_tools import HOUR, START, Window, run_on

#: What the server puts in the place of the payload of one row.
ODD = {
    "nested 1,000 deep": b'{"ip":"10.0.0.1","a":' + b'{"ip":"10.0.0.1","a":[' * 500 + b'"]"' + b"]}" * 500 + b"}",
    "nested 100,000 deep": b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "a list": b"[1]",
    "a text": b'"{"',
    "fields of other kinds": b'{"ip":{"a":[1]},"userAgent":5,"userId":true,"result":[]}',
}


@pytest.fixture
def odd(sandbox: Sandbox, hostile: HostileServer, request: pytest.FixtureRequest) -> Any:
    """The sandbox behind a server that replaces one payload of many."""
    sandbox.insert_logs(start=START, end=START + HOUR, count=50)
    row = {"key": "Interaction.SignIn.Submit", "createdAt": START + 1000, "payload": {"replace": "me"}}
    sandbox.insert_logs([row])

    def forward(asked: Request) -> list[bytes]:
        headers = {name: asked.headers[name] for name in ("authorization", "content-type") if name in asked.headers}
        answer = httpx.request(asked.method, sandbox.url + asked.target, headers=headers, content=asked.body)
        body = re.sub(rb'\{[^{}]*"replace":"me"[^{}]*\}', lambda _: request.param, answer.content)
        kept = [
            f"{name}: {value}" for name, value in answer.headers.items() if name in ("total-number", "link", "date")
        ]
        return [http(f"{answer.status_code} OK", body, *kept)]

    hostile.answer = hostile.token_answer = forward
    return SimpleNamespace(url=hostile.url, app_id=sandbox.app_id, app_secret=sandbox.app_secret)


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD.keys(), indirect=True)
@pytest.mark.parametrize("file_format", ["jsonl", "parquet"])
@pytest.mark.parametrize("redact", [(), ("ip",)])
def test_no_payload_makes_its_interval_unexportable(
    odd: Any, tmp_path: Path, file_format: str, redact: tuple[str, ...]
) -> None:
    job = ExportJob(Window(START, START + HOUR), file_format=file_format, redact=redact)
    made = run_on(odd, lambda client: export_audit_logs(client, job, Folder(UPath(tmp_path))))
    assert made["count"] == 51
    (name,) = [path for path in tmp_path.iterdir() if not path.name.endswith(".json")]
    content = name.read_bytes()
    if file_format == "jsonl":
        rows = [json.loads(line) for line in gzip.decompress(content).splitlines()]
    else:
        rows = pq.read_table(BytesIO(content)).to_pylist()
    assert len({row["id"] for row in rows}) == 51
    (found,) = [row for row in rows if row["createdAt"] == START + 1000]
    assert "replace" not in str(found["payload"])
    if redact:
        assert "10.0.0.1" not in json.dumps(found)


VALUES = st.recursive(
    st.text() | st.integers() | st.none(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
)


@given(VALUES, st.integers(1, 4))
def test_what_lies_too_deep_is_a_text_that_holds_it(value: Any, levels: int) -> None:
    content = json.dumps(value, ensure_ascii=False).encode("utf-8", "backslashreplace")
    flat = json.loads(flattened(content, levels))
    assert flat == cut(value, levels)
    if flat == value:
        assert flattened(content, levels) == content


def cut(value: Any, levels: int) -> Any:
    """The same by recursion over the parsed value."""
    if isinstance(value, dict | list) and levels == 0:
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, dict):
        return {name: cut(inner, levels - 1) for name, inner in value.items()}
    return [cut(inner, levels - 1) for inner in value] if isinstance(value, list) else value


@pytest.mark.parametrize("space", [b"", b"\n"], ids=["fast", "slow"])
@pytest.mark.parametrize("depth", [MAX_DEPTH, MAX_DEPTH + 1, 5000])
def test_the_same_becomes_of_a_payload_whichever_way_it_is_read(space: bytes, depth: int) -> None:
    payload = b"[" * depth + b"]" * depth
    (row,) = decode_rows(b'[{"id":"a","createdAt":5,"payload":' + payload + b"}]" + space)
    if depth == MAX_DEPTH:
        assert bytes(row.payload) == payload
    else:
        rest = depth - MAX_DEPTH
        inner = b'"' + b"[" * rest + b"]" * rest + b'"'
        assert bytes(row.payload) == b"[" * MAX_DEPTH + inner + b"]" * MAX_DEPTH
