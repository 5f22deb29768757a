"""ExportLogsOperator: arguments, intervals, waiting, and what Airflow hears of the result."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_logto import compat
from airflow_provider_logto.compat import BaseOperator, TaskDeferred
from airflow_provider_logto.exceptions import ExportStopped, InvalidInput
from airflow_provider_logto.operators.logs import ExportLogsOperator
from logto_sandbox import Sandbox
from tests.conftest import RunDag, Tenant, execute
from tests.management.audit_log_tools import HOUR, START, Window, truth

START_TIME = datetime.fromtimestamp(START / 1000, UTC)
INTERVAL = {"data_interval_start": START_TIME, "data_interval_end": START_TIME + timedelta(hours=1)}


@pytest.fixture
def filled(sandbox_tenant: Tenant) -> Sandbox:
    """A sandbox behind ``logto_default`` with rows in and around one hour."""
    sandbox = sandbox_tenant.sandbox
    assert sandbox is not None
    sandbox.insert_logs(start=START - HOUR, end=START + 2 * HOUR, count=900)
    return sandbox


def operator(folder: Path, **more: Any) -> ExportLogsOperator:
    return ExportLogsOperator(task_id="export", **{"destination": f"file://{folder}", **more})


def test_exports_the_data_interval(filled: Sandbox, tmp_path: Path) -> None:
    result = operator(tmp_path).execute(dict(INTERVAL))
    assert set(result) == {"manifest", "files", "count", "first", "last"}
    assert result["count"] == len(truth(filled, Window(START, START + HOUR)))
    assert Path(result["manifest"].removeprefix("file://")).is_file()
    json.dumps(result)


def test_given_times_win_over_the_interval(filled: Sandbox, tmp_path: Path) -> None:
    start = (START_TIME - timedelta(minutes=30)).isoformat()
    result = operator(tmp_path, start=start).execute(dict(INTERVAL))
    assert result["count"] == len(truth(filled, Window(START - HOUR // 2, START + HOUR)))


@pytest.mark.parametrize(
    ("arguments", "context", "text"),
    [
        ({}, {}, "no data interval"),
        ({}, {"data_interval_start": START_TIME, "data_interval_end": START_TIME}, "data interval is empty"),
        ({"start": START_TIME}, {}, "no data interval"),
    ],
)
def test_no_interval_names_the_timetables(
    filled: Sandbox, tmp_path: Path, arguments: dict[str, Any], context: dict[str, Any], text: str
) -> None:
    with pytest.raises(InvalidInput, match=text) as caught:
        execute(operator(tmp_path, **arguments), context)
    assert "CronDataIntervalTimetable or DeltaDataIntervalTimetable" in str(caught.value)
    assert filled.stats()["requests"] == 0


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"destination": ""}, "destination"),
        ({"destination": "file:///dev/null/folder"}, "destination"),
        ({"destination": "nosuchscheme://bucket/x"}, "destination"),
        ({"start": START_TIME + timedelta(hours=2)}, "end"),
        ({"start": START_TIME.replace(tzinfo=None)}, "start"),
        ({"end": "2026-01-01 10:00"}, "end"),
        ({"file_format": "avro"}, "file_format"),
        ({"compression": "brotli"}, "compression"),
        ({"redact": ["passport"]}, "redact"),
        ({"partition_by": "minute"}, "partition_by"),
        ({"lag": -1}, "lag"),
        ({"max_wait": "soon"}, "max_wait"),
    ],
)
def test_bad_input_fails_before_the_first_request(
    filled: Sandbox, tmp_path: Path, arguments: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        execute(operator(tmp_path, **arguments), dict(INTERVAL))
    assert caught.value.field == field
    assert filled.stats()["requests"] == 0
    assert list(tmp_path.iterdir()) == []


def test_reading_begins_after_the_lag(filled: Sandbox, tmp_path: Path) -> None:
    """The end is not cut off: the task waits."""
    end = datetime.now(UTC)
    began = time.time()
    operator(tmp_path, start=end - timedelta(minutes=1), end=end, lag=2, deferrable=False).execute({})
    first = min(request["at_ms"] for request in filled.requests() if request["path"] == "/api/logs") / 1000
    assert first - end.timestamp() >= 1.4  # the header Date knows whole seconds only
    assert time.time() - began < 6


def test_waits_in_the_triggerer_when_deferrable(filled: Sandbox, tmp_path: Path) -> None:
    end = datetime.now(UTC)
    task = operator(tmp_path, start=end - timedelta(minutes=1), end=end, lag=2, deferrable=True)
    with pytest.raises(TaskDeferred) as caught:
        task.execute({})
    moment = caught.value.trigger.serialize()[1]["moment"]
    assert 0.4 < (moment - end).total_seconds() < 4
    assert "GET /api/logs" not in filled.stats()["routes"]
    time.sleep(max(0.0, (moment - datetime.now(UTC)).total_seconds()))
    resume = getattr(task, caught.value.method_name)
    for _ in range(4):  # the Date header is cut to whole seconds, so a little may be left to wait
        try:
            result = resume({}, event=moment)
        except TaskDeferred:
            time.sleep(0.5)
        else:
            assert Path(result["manifest"].removeprefix("file://")).is_file()
            return
    pytest.fail("still waiting")


def test_an_end_far_away_is_an_error(filled: Sandbox, tmp_path: Path) -> None:
    end = datetime.now(UTC) + timedelta(hours=2)
    with pytest.raises(InvalidInput, match=r"s in the future \(with lag\); max_wait is 3600 s"):
        execute(operator(tmp_path, start=end - timedelta(hours=9), end=end))


def test_on_kill_ends_it(filled: Sandbox, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Airflow calls on_kill from its handler of SIGTERM; that alone does not end ``execute``."""
    filled.add_fault(kind="slow", seconds=0.3, method="GET", path="/api/logs", times=None)
    task = operator(tmp_path)
    former = signal.signal(signal.SIGUSR1, lambda *_: task.on_kill())
    timer = threading.Timer(1.5, os.kill, (os.getpid(), signal.SIGUSR1))
    timer.start()
    began = time.monotonic()
    try:
        with pytest.raises(ExportStopped, match="the export had come to"):
            task.execute(dict(INTERVAL))
    finally:
        timer.join()
        signal.signal(signal.SIGUSR1, former)
    assert time.monotonic() - began < 4


def test_execution_timeout_ends_it(filled: Sandbox, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    from tests.airflow_names import AirflowTaskTimeout, timeout

    filled.add_fault(kind="slow", seconds=0.3, method="GET", path="/api/logs", times=None)
    began = time.monotonic()
    with pytest.raises(AirflowTaskTimeout), timeout(2):
        operator(tmp_path).execute(dict(INTERVAL))
    assert time.monotonic() - began < 5
    assert "Export broken off" in caplog.text


def test_on_kill_before_anything_runs(tmp_path: Path) -> None:
    operator(tmp_path).on_kill()


def test_state_store_is_used(filled: Sandbox, tmp_path: Path) -> None:
    kept: dict[str, Any] = {}

    class Store:
        def get(self, key: str, default: Any = None) -> Any:
            return kept.get(key, default)

        def set(self, key: str, value: Any) -> None:
            assert len(json.dumps(value)) < 1000
            kept[key] = value

    operator(tmp_path, max_rows_per_file=50).execute({**INTERVAL, "task_state_store": Store()})
    assert len(kept) >= 4


def test_outlets_hear_where_and_how_much(filled: Sandbox, tmp_path: Path) -> None:
    from tests.airflow_names import Asset

    class Accessor:
        def __init__(self) -> None:
            self.extra: dict[str, Any] = {}

    class Events:
        """By name, as an asset of Airflow 3.1 cannot be hashed."""

        def __init__(self) -> None:
            self.archive = Accessor()

        def __getitem__(self, asset: Any) -> Accessor:
            return {"archive": self.archive}[asset.uri.rstrip("/").rpartition("/")[2]]

    events = Events()
    task = operator(tmp_path, outlets=[Asset("archive")])
    result = task.execute({**INTERVAL, "outlet_events": events})
    assert events.archive.extra == {key: result[key] for key in ("manifest", "count", "first", "last")}


def test_lineage(filled: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.airflow_names import HookLineageCollector, output_addresses

    collector = HookLineageCollector()  # Airflow's own does nothing unless a lineage backend is installed
    monkeypatch.setattr(compat, "get_hook_lineage_collector", lambda: collector)
    result = operator(tmp_path, max_rows_per_file=200).execute(dict(INTERVAL))
    uris = output_addresses(collector)
    assert {address.removeprefix("file://") for address in (*result["files"], result["manifest"])} <= {
        uri.removeprefix("file://") for uri in uris
    }


def test_an_address_that_lineage_refuses_fails_nothing(
    filled: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Airflow before 3.1 takes only ASCII there."""

    def refuse(path: Any) -> None:
        raise ValueError("must only consist of ASCII characters")

    monkeypatch.setattr(compat, "add_output", refuse)
    result = operator(tmp_path).execute(dict(INTERVAL))
    assert result["files"]


def test_arguments_collide_with_nothing() -> None:
    import inspect

    own = [name for name in inspect.signature(ExportLogsOperator.__init__).parameters if name not in ("self", "kwargs")]
    assert not [name for name in own if hasattr(BaseOperator, name)]
    assert set(ExportLogsOperator.template_fields) <= set(own)


def test_mapped(filled: Sandbox, run_dag: RunDag, tmp_path: Path) -> None:
    """One task for each row of arguments, whose values come from upstream."""
    file = tmp_path / "mapped_exports.py"
    file.write_text(MAPPED)
    conf = {"folder": f"file://{tmp_path}/out", "start": START_TIME.isoformat()}
    run = run_dag(file, "mapped_exports", conf=conf)
    assert run.state == "success"
    results = [
        task.xcom_pull(task_ids="export", map_indexes=task.map_index)
        for task in sorted(run.get_task_instances(), key=lambda task: task.map_index)
        if task.task_id == "export"
    ]
    halves = (Window(START, START + HOUR // 2), Window(START + HOUR // 2, START + HOUR))
    assert [result["count"] for result in results] == [len(truth(filled, half)) for half in halves]
    assert [result["files"][0].rpartition(".")[2] for result in results] == ["gz", "jsonl"]


MAPPED = """
from datetime import datetime, timedelta

try:
    from airflow.sdk import DAG, task
except ImportError:
    from airflow.decorators import task
    from airflow.models.dag import DAG

from airflow_provider_logto.operators.logs import ExportLogsOperator

with DAG("mapped_exports", schedule=None):

    @task
    def halves(dag_run=None):
        moments = [datetime.fromisoformat(dag_run.conf["start"]) + timedelta(minutes=at) for at in (0, 30, 60)]
        return [
            {"start": start.isoformat(), "end": end.isoformat(), "compression": compression}
            for start, end, compression in zip(moments, moments[1:], ("gzip", "none"))
        ]

    ExportLogsOperator.partial(task_id="export", destination="{{ dag_run.conf['folder'] }}").expand_kwargs(halves())
"""
