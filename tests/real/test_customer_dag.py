"""The operators of a customer in one DAG, run by Airflow: templates, XComs between them, mapped tasks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import RunDag, Tenant
from tests.real.conftest import Corner

FILE = Path(__file__).with_name("dags") / "customer.py"


def test_a_customer_comes_and_goes(
    run_dag: RunDag, corner: Corner, tenant: Tenant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    word, hook = corner.word, corner.hook
    monkeypatch.setenv("CUSTOMER_WORD", word)
    monkeypatch.setenv("CUSTOMER_FOLDER", str(tmp_path))
    try:
        run = run_dag(FILE, "customer", conf={"external_id": f"{word}-17"})
        states = {task.task_id: str(task.state) for task in run.get_task_instances()}
        assert set(states.values()) == {"success"}, states
        (application,) = hook.iterate("/applications", where={"name": f"{word} importer"})
        assert application["customData"] == {"externalId": f"{word}-17"}
        (secret,) = (path for path in tmp_path.iterdir() if path.name.startswith(application["id"]))
        values = {row["value"] for row in hook.iterate(f"/applications/{application['id']}/secrets")}
        assert secret.read_text() in values
        assert list(hook.iterate("/organizations", {"q": word})) == []
        assert word in (tmp_path / "tenant.yaml").read_text("utf-8")
        tasks = run.get_task_instances()
        results = {task.task_id: task.xcom_pull(task.task_id, map_indexes=task.map_index) for task in tasks}
        json.dumps(results, default=list)
        assert results["organization"]["members"]["added"] == 2
        assert results["organization"]["applications"]["added"] == 1
        assert results["rotate"]["outcome"] == "created"
        assert secret.read_text() not in json.dumps(results, default=list)
    finally:
        _clean(hook, word, tenant)


def _clean(hook: Any, word: str, tenant: Tenant) -> None:
    for path in ("/applications", "/organization-scopes"):
        for row in [row for row in hook.iterate(path) if word in row["name"]]:
            hook.request("DELETE", f"{path}/{row['id']}")
    own = hook.request("GET", f"/applications/{tenant.app_id}")
    data = {name: value for name, value in own["customData"].items() if word not in name}
    hook.request("PATCH", f"/applications/{tenant.app_id}", body={"customData": data})
