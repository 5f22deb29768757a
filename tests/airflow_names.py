"""What tests need of Airflow beyond ``compat``: on 3.x and on 2.11 under one name."""

from __future__ import annotations

from datetime import datetime
from importlib import import_module
from inspect import signature
from pathlib import Path
from typing import Any

__all__ = ["AirflowTaskTimeout", "Asset", "HookLineageCollector", "attach", "output_addresses", "timeout"]


def _first(name: str, *modules: str) -> Any:
    """A name from the first module that has it: the newest Airflow's home of it stands first."""
    for module in modules:
        try:
            return getattr(import_module(module), name)
        except (ImportError, AttributeError):
            continue
    raise ImportError(f"{name} is in none of {', '.join(modules)}")


AirflowTaskTimeout = _first("AirflowTaskTimeout", "airflow.sdk.exceptions", "airflow.exceptions")
HookLineageCollector = _first("HookLineageCollector", "airflow.sdk.lineage", "airflow.lineage.hook")
attach = _first("attach", "airflow.sdk.io", "airflow.io.store")
timeout = _first("timeout", "airflow.sdk.execution_time.timeout", "airflow.utils.timeout")
try:
    from airflow.sdk import Asset
except ImportError:
    from airflow.datasets import Dataset as Asset


def output_addresses(collector: HookLineageCollector) -> set[str]:
    """What was written, by the collector."""
    if hasattr(collector, "collected_assets"):
        return {str(output.asset.uri) for output in collector.collected_assets.outputs}
    return {str(output.dataset.uri) for output in collector.collected_datasets.outputs}


def make_database() -> None:
    """An empty metadata database in AIRFLOW_HOME."""
    from airflow.utils.db import initdb

    initdb()
    try:
        from airflow.dag_processing.bundles.manager import DagBundlesManager
    except ImportError:  # 2.11 has no bundles
        return
    DagBundlesManager().sync_bundles_to_db()


def run_in_process(file: Path, dag_id: str, logical_date: datetime | None, conf: dict[str, Any] | None) -> Any:
    """Run one DAG of a file, task after task.

    :returns: the DagRun.
    :raises AssertionError: where the file cannot be imported.
    """
    bag_class = _first("DagBag", "airflow.dag_processing.dagbag", "airflow.models.dagbag")
    if "bundle_name" in signature(bag_class).parameters:
        bag = bag_class(file, bundle_name="dags-folder")
    else:  # before 3.1
        bag = bag_class(file, include_examples=False)
    assert bag.import_errors == {}
    if not hasattr(bag, "sync_to_db"):
        _first("sync_bag_to_db", "airflow.dag_processing.dagbag", "airflow.models.dagbag")(bag, "dags-folder", None)
    elif "bundle_name" in signature(bag.sync_to_db).parameters:
        bag.sync_to_db("dags-folder", None)
    else:  # 2.11
        bag.sync_to_db()
    test = bag.dags[dag_id].test
    date = "logical_date" if "logical_date" in signature(test).parameters else "execution_date"
    return test(**{date: logical_date}, run_conf=conf)
