"""What tests need of Airflow beyond ``compat``: on 3.x and on 2.11 under one name."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

try:
    from airflow.sdk import Asset
    from airflow.sdk.exceptions import AirflowTaskTimeout
    from airflow.sdk.execution_time.timeout import timeout
    from airflow.sdk.io import attach
    from airflow.sdk.lineage import HookLineageCollector
except ImportError:
    from airflow.datasets import Dataset as Asset
    from airflow.exceptions import AirflowTaskTimeout
    from airflow.io.store import attach
    from airflow.lineage.hook import HookLineageCollector
    from airflow.utils.timeout import timeout

__all__ = ["AirflowTaskTimeout", "Asset", "HookLineageCollector", "attach", "output_addresses", "timeout"]


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
    try:
        from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db
    except ImportError:
        from airflow.models.dagbag import DagBag

        bag = DagBag(file, include_examples=False)
        assert bag.import_errors == {}
        bag.sync_to_db()
        return bag.dags[dag_id].test(execution_date=logical_date, run_conf=conf)
    bag = DagBag(file, bundle_name="dags-folder")
    assert bag.import_errors == {}
    sync_bag_to_db(bag, "dags-folder", None)
    return bag.dags[dag_id].test(logical_date=logical_date, run_conf=conf)
