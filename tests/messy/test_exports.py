"""Messy arguments of an export: refused before the first request, with what would be right."""

from __future__ import annotations

import json
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_logto.exceptions import InvalidInput
from airflow_provider_logto.export import progress
from airflow_provider_logto.export.progress import Progress
from airflow_provider_logto.operators.logs import ExportLogsOperator
from airflow_provider_logto.operators.management_api import ManagementApiOperator
from tests.conftest import Tenant, execute
from tests.management.audit_log_tools import HOUR, START, Window

END = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=3)


def export(destination: Any, **arguments: Any) -> dict[str, Any]:
    given = {"start": END - timedelta(hours=1), "end": END, **arguments}
    result: dict[str, Any] = execute(ExportLogsOperator(task_id="export", destination=destination, **given))
    return result


@pytest.mark.parametrize(
    ("keys", "hint"),
    [
        ("Interaction.SignIn.Submit,Interaction.End", "give a list"),
        (["Interaction.SignIn.Submit, Interaction.End"], "give a list"),
        ("interaction.SignIn.Submit", "is unknown; keys are RevokeToken"),
        ("SignIn", "is unknown"),
        ("Interaction", "whole keys"),
        ("Interaction.", "is unknown"),
        ("Interaction.*", "whole keys"),
        ("TriggerHook.User.Created", "/hooks/{id}/recent-logs"),
        ("TrustedDevice.Created", "does not list"),
    ],
)
def test_log_keys_that_no_row_can_have(tenant: Tenant, tmp_path: Path, keys: Any, hint: str) -> None:
    if tenant.sandbox:
        tenant.sandbox.reset_stats()
    with pytest.raises(InvalidInput, match="log_keys: ") as caught:
        export(f"file://{tmp_path}", log_keys=keys)
    assert hint in str(caught.value)
    if tenant.sandbox:
        assert tenant.sandbox.stats()["requests"] == 0


def test_keys_that_logto_lists(tenant: Tenant, tmp_path: Path) -> None:
    keys = [
        "Interaction.SignIn.Submit",
        "ExchangeTokenBy.ClientCredentials",
        "RevokeToken",
        "JwtCustomizer.AccessToken",
    ]
    result = export(f"file://{tmp_path}", log_keys=keys)
    assert json.loads(Path(result["manifest"].removeprefix("file://")).read_text())["filters"]["logKeys"] == sorted(
        keys
    )


@pytest.mark.parametrize(
    ("destination", "hint"),
    [
        ("~/logs", "is not absolute"),
        ("file://~/logs", "is not absolute"),
        ("logs/audit", "is not absolute"),
        ("./logs", "is not absolute"),
        ("file://logs", "is not absolute"),
        ("gs://bucket/logs", "apache-airflow-providers-google"),
        ("abfs://container@account/logs", "apache-airflow-providers-microsoft-azure"),
        ("nosuch://bucket/logs", "cannot be opened"),
        ("file:///proc/logs", "cannot be written"),
        (None, "is no address"),
    ],
)
def test_destinations_that_cannot_be(
    tenant: Tenant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, destination: Any, hint: str
) -> None:
    monkeypatch.chdir(tmp_path)
    if tenant.sandbox:
        tenant.sandbox.reset_stats()
    with pytest.raises(InvalidInput, match="destination: ") as caught:
        export(destination)
    assert hint in str(caught.value)
    call = {"path": "/users", "destination": f"{destination}/users.json" if destination else "/"}
    with pytest.raises(InvalidInput, match="destination: "):
        execute(ManagementApiOperator(task_id="call", **call))
    if tenant.sandbox:
        assert tenant.sandbox.stats()["requests"] == 0
    assert list(tmp_path.iterdir()) == []


def test_progress_is_a_share_of_the_time_that_exists() -> None:
    window = Window(0, START + 10 * HOUR)  # from 1970 on
    told = Progress(window)
    told.nothing_before(START)
    assert "(0 % of the time" in str(told)
    told.advance(100, START + 5 * HOUR)
    assert "(50 % of the time, about " in str(told)
    told.advance(100, START + 10 * HOUR)
    assert "(100 % of the time)" in str(told)


def test_an_export_from_long_ago_begins_at_the_oldest_row(
    sandbox_tenant: Tenant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert sandbox_tenant.sandbox is not None
    oldest = END - timedelta(hours=2)
    sandbox_tenant.sandbox.insert_logs(start=oldest.isoformat(), end=END.isoformat(), count=200)
    told: list[Progress] = []
    monkeypatch.setattr(progress.Progress, "told", lambda self: told.append(self) or nullcontext())
    export(f"file://{tmp_path}", start="2020-01-01T00:00:00Z")
    (first,) = told
    assert "(100 % of the time" in str(first)
    first.resume(0, int(datetime(2020, 1, 1, tzinfo=UTC).timestamp() * 1000))
    assert "(0 % of the time)" in str(first)
    first.advance(1, int((END - timedelta(hours=1)).timestamp() * 1000))
    assert 40 < int(str(first).partition("(")[2].partition(" %")[0]) < 60, "with five empty years before, it was 99"
