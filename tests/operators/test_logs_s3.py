"""ExportLogsOperator into an object store that speaks S3, and the example DAG as Airflow runs it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_provider_logto.exceptions import InvalidInput
from airflow_provider_logto.operators.logs import ExportLogsOperator
from logto_sandbox import Sandbox
from tests.conftest import EXAMPLES, RunDag, Tenant, execute
from tests.export.test_files import decode
from tests.management.audit_log_tools import HOUR, START, Window, truth

BUCKET = "archive"
START_TIME = datetime.fromtimestamp(START / 1000, UTC)
INTERVAL = {"data_interval_start": START_TIME, "data_interval_end": START_TIME + timedelta(hours=2)}


# Of the session: Airflow 2.11 keeps the first file system of a scheme, so that its server has to stay too.
@pytest.fixture(scope="session")
def store() -> Iterator[Any]:
    """An fsspec file system on an S3 server, which Airflow takes for the scheme ``s3``."""
    from moto.server import ThreadedMotoServer
    from s3fs import S3FileSystem

    from tests.airflow_names import attach

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    fs = S3FileSystem(key="test", secret="test", endpoint_url=f"http://{host}:{port}", use_listings_cache=False)
    fs.makedirs(BUCKET, exist_ok=True)  # the server of another test in this process may have left it
    attach("s3", fs=fs)
    yield fs
    server.stop()


@pytest.fixture
def filled(sandbox_tenant: Tenant) -> Sandbox:
    sandbox = sandbox_tenant.sandbox
    assert sandbox is not None
    sandbox.insert_logs(start=START - HOUR, end=START + 3 * HOUR, count=2000)
    return sandbox


def content(store: Any, prefix: str) -> dict[str, bytes]:
    return {name: store.cat_file(name) for name in store.find(f"{BUCKET}/{prefix}")}


@pytest.mark.parametrize(("file_format", "compression"), [("jsonl", "gzip"), ("parquet", "zstd")])
def test_export_to_s3(filled: Sandbox, store: Any, file_format: str, compression: str) -> None:
    prefix = f"logs/{file_format}"
    task = ExportLogsOperator(
        task_id="export",
        destination=f"s3://{BUCKET}/{prefix}",
        file_format=file_format,
        compression=compression,
        partition_by="hour",
        max_rows_per_file=300,
    )
    result = task.execute(dict(INTERVAL))
    manifest = json.loads(store.cat_file(result["manifest"]))
    rows = []
    for entry, address in zip(manifest["files"], result["files"], strict=True):
        assert address == f"s3://{BUCKET}/{prefix}/{entry['path']}"
        data = store.cat_file(address)
        assert hashlib.sha256(data).hexdigest() == entry["sha256"]
        rows += [(row["createdAt"], row["id"]) for row in decode(data, file_format, compression)]
    assert rows == truth(filled, Window(START, START + 2 * HOUR))
    before = content(store, prefix)
    assert len(before) == len(manifest["files"]) + 1
    assert task.execute(dict(INTERVAL)) == result
    assert content(store, prefix) == before


def test_a_missing_bucket_is_not_created(filled: Sandbox, store: Any) -> None:
    task = ExportLogsOperator(task_id="export", destination="s3://no-such-bucket/logs")
    with pytest.raises(InvalidInput, match="cannot be written") as caught:
        execute(task, dict(INTERVAL))
    assert caught.value.field == "destination"
    assert filled.stats()["requests"] == 0
    assert not store.exists("no-such-bucket")


@pytest.mark.parametrize("where", ["s3", "file"])
def test_example_dag(
    filled: Sandbox, store: Any, run_dag: RunDag, tmp_path: Any, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """Hour after hour: no gap, no overlap."""
    folder = f"s3://{BUCKET}/hourly" if where == "s3" else f"file://{tmp_path}"
    monkeypatch.setenv("LOGTO_AUDIT_LOG_FOLDER", folder)
    day = datetime(2026, 3, 1, tzinfo=UTC)
    low = int(day.timestamp() * 1000)
    filled.insert_logs(start=low - HOUR, end=low + 3 * HOUR, count=1500)
    found: list[tuple[int, str]] = []
    for hour in (1, 2):
        run = run_dag(EXAMPLES / "audit_log_export.py", "audit_log_export", logical_date=day + timedelta(hours=hour))
        assert run.state == "success"
        result = run.get_task_instances()[0].xcom_pull(task_ids="export_logs")
        for address in result["files"]:
            assert "/date=2026-03-01/" in address
            path = address.removeprefix("file://")
            data = store.cat_file(address) if where == "s3" else open(path, "rb").read()  # noqa: SIM115
            found += [(row["createdAt"], row["id"]) for row in decode(data, "jsonl", "gzip")]
    assert found == truth(filled, Window(low, low + 2 * HOUR))
    assert len(found) > 500
