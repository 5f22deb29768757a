"""SyncRosterOperator in a task: what it pushes, how it fails, and who is protected by the Connection."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_logto.compat import AirflowFailException
from airflow_provider_logto.exceptions import BrakeHeld, ChangesFailed, InvalidInput, OutOfSync
from airflow_provider_logto.operators.roster import ImportUsersOperator, SyncRosterOperator
from tests.conftest import RunDag, Tenant


class Instance:
    """As much of a task instance as an operator sees."""

    try_number = 1

    def __init__(self) -> None:
        self.pushed: dict[str, Any] = {}

    def xcom_push(self, key: str, value: Any) -> None:
        self.pushed[key] = value


def rows(count: int) -> list[dict[str, str]]:
    return [{"external_id": f"E{at}", "username": f"u{at}"} for at in range(count)]


@pytest.fixture
def sync(sandbox_tenant: Tenant, tmp_path: Path) -> Any:
    def call(source: Any, mode: str = "apply", instance: Any = None, **more: Any) -> Any:
        operator = SyncRosterOperator(
            task_id="x", roster="hr", source=source, folder=tmp_path.as_uri(), mode=mode, **more
        )
        return operator.execute({"ti": instance, "run_id": "r1"})

    return call


def test_a_result_holds_no_personal_data(sync: Any) -> None:
    result = sync([{"external_id": "E1", "username": "ann", "primary_email": "ann@example.com", "name": "Ann"}])
    assert set(result) == {"plan", "plan_id", "journal", "counts", "held", "failed", "applied"}
    assert json.dumps(result)
    assert "ann" not in json.dumps(result).lower()


def test_a_brake_fails_the_task_for_good_and_its_plan_is_pushed(sync: Any) -> None:
    sync(rows(40))
    instance = Instance()
    with pytest.raises(AirflowFailException) as caught:
        sync(rows(20), on_missing="suspend", instance=instance)
    assert isinstance(caught.value.__cause__, BrakeHeld)
    pushed = instance.pushed["return_value"]
    assert pushed["plan_id"] in str(caught.value)
    assert not pushed["applied"]


def test_check_fails_for_good_where_something_is_due(sync: Any) -> None:
    with pytest.raises(AirflowFailException) as caught:
        sync(rows(1), "check")
    assert isinstance(caught.value.__cause__, OutOfSync)
    sync(rows(1))
    assert sync(rows(1), "check")["applied"] is False


def test_failed_rows_fail_the_task_and_a_retry_may_help(sync: Any, sandbox_tenant: Tenant) -> None:
    sandbox: Any = sandbox_tenant.sandbox
    sandbox.add_fault(kind="error", status=400, method="POST", path="/api/users", times=1)
    instance = Instance()
    with pytest.raises(ChangesFailed, match="1 changes failed, in rows"):
        sync(rows(5), instance=instance)
    assert len(instance.pushed["return_value"]["failed"]) == 1
    assert sync(rows(5))["counts"]["made.user.create"] == 1


def test_the_connections_list_protects(sync: Any, sandbox_tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    sync(rows(3))
    monkeypatch.setenv("AIRFLOW_CONN_LOGTO_DEFAULT", sandbox_tenant.connection({"protect": ["u2"]}))
    brakes = {"disables": 10}
    result = sync(rows(1), on_missing="suspend", brakes=brakes)
    assert result["counts"]["made.user.suspend"] == 1
    suspended = [user["username"] for user in sandbox_tenant.sandbox.state()["users"] if user["isSuspended"]]  # type: ignore[union-attr]
    assert suspended == ["u1"]


def test_the_connections_list_protects_from_imports_too(
    sync: Any, sandbox_tenant: Tenant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync(rows(1))
    monkeypatch.setenv("AIRFLOW_CONN_LOGTO_DEFAULT", sandbox_tenant.connection({"protect": ["u0"]}))
    source = [{"username": "u0", "name": "Other"}]
    operator = ImportUsersOperator(task_id="x", source=source, folder=f"file://{tmp_path}", if_exists="update")
    with pytest.raises(AirflowFailException, match=r"1 row failed; .*only=\[1\]") as caught:
        operator.execute({})
    assert isinstance(caught.value.__cause__, ChangesFailed)


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"roster": "h r"}, "roster"),
        ({"mode": "run"}, "mode"),
        ({"match_on": ("mail",)}, "match_on"),
        ({"match_on": ()}, "match_on"),
        ({"adopt": "all"}, "adopt"),
        ({"population": {"group": "x"}}, "population"),
        ({"population": "Employees"}, "population"),
        ({"manage": ("role",)}, "manage"),
        ({"exact": {"scopes": []}}, "exact"),
        ({"exact": {"roles": ["x"]}}, "exact.roles"),
        ({"exact": {"roles": ["x"]}, "manage": ("roles",), "population": {"role": "x"}}, "exact.roles"),
        ({"on_missing": "remove"}, "on_missing"),
        ({"on_missing": "drop_access"}, "exact"),
        ({"delete_after_days": -1}, "delete_after_days"),
        ({"lead_days": "3"}, "lead_days"),
        ({"keep_days": "90"}, "keep_days"),
        ({"timezone": "Mars/Olympus"}, "timezone"),
        ({"brakes": {"deletes": None}}, "brakes.deletes"),
        ({"on_brake": "ignore"}, "on_brake"),
        ({"protect": [5]}, "protect[0]"),
        ({"folder": ""}, "folder"),
        ({"folder": "nowhere://x/y"}, "folder"),
        ({"source": "nothing.txt"}, "source"),
        ({"source": 5}, "source"),
        ({"file_format": "xml"}, "file_format"),
        ({"mapping": {"x": "y"}}, "mapping.x"),
    ],
)
def test_every_wrong_argument_is_named_before_any_request(
    sandbox_tenant: Tenant, tmp_path: Path, arguments: dict[str, Any], field: str
) -> None:
    given = {"roster": "hr", "source": rows(1), "folder": tmp_path.as_uri(), **arguments}
    with pytest.raises(AirflowFailException) as caught:
        SyncRosterOperator(task_id="x", **given).execute({})
    assert isinstance(caught.value.__cause__, InvalidInput)
    assert caught.value.__cause__.field == field
    assert sandbox_tenant.sandbox is not None
    assert sandbox_tenant.sandbox.stats()["requests"] == 0


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"if_exists": "replace"}, "if_exists"),
        ({"only": "E1"}, "only"),
        ({"only": [99]}, "only"),
        ({"max_errors": 0}, "max_errors"),
        ({"keep_days": "90"}, "keep_days"),
        ({"match_on": ("mail",)}, "match_on"),
    ],
)
def test_wrong_arguments_of_an_import_are_named(
    sandbox_tenant: Tenant, tmp_path: Path, arguments: dict[str, Any], field: str
) -> None:
    operator = ImportUsersOperator(task_id="x", source=rows(1), folder=tmp_path.as_uri(), **arguments)
    with pytest.raises(AirflowFailException) as caught:
        operator.execute({})
    assert isinstance(caught.value.__cause__, InvalidInput)
    assert caught.value.__cause__.field == field


@pytest.mark.parametrize("operator", [SyncRosterOperator, ImportUsersOperator])
@pytest.mark.parametrize("text", ["[{'username': 'ann.secret'}]", "('ann.secret',)", "username\nann.secret\n"])
def test_rows_that_a_template_made_a_text_of_are_not_told(
    sandbox_tenant: Tenant, tmp_path: Path, operator: Any, text: str
) -> None:
    more = {"roster": "hr"} if operator is SyncRosterOperator else {}
    with pytest.raises(AirflowFailException, match="render_template_as_native_obj=True") as caught:
        operator(task_id="x", source=text, folder=tmp_path.as_uri(), **more).execute({})
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("operator", [SyncRosterOperator, ImportUsersOperator])
def test_they_map_over_files(operator: Any) -> None:
    more = {"roster": "hr"} if operator is SyncRosterOperator else {}
    operator.partial(task_id="x", folder="file:///x", **more).expand(source=["a.csv", "b.csv"])


IMPORTS = """
from datetime import datetime

try:
    from airflow.sdk import DAG, task
except ImportError:
    from airflow import DAG
    from airflow.decorators import task

from airflow_provider_logto.operators.management_api import ManagementApiOperator
from airflow_provider_logto.operators.roster import ImportUsersOperator

with DAG("imports", schedule=None, start_date=datetime(2025, 1, 1)):

    @task
    def read(count):
        return [{"username": f"u{at}", "geheim": f"Winter-{at}-is-cold!"} for at in range(count)]

    @task
    def body():
        return {"username": "ada", "password": "Winter-at-sea-9!", "zNote": "long" * 2000}

    options = {"mapping": {"username": "username", "password": "geheim"}, "folder": "FOLDER"}
    ImportUsersOperator(task_id="few", source=read.override(task_id="read_few")(3), **options)
    ImportUsersOperator(task_id="many", source=read.override(task_id="read_many")(80), **options)
    ImportUsersOperator.partial(task_id="mapped", **options).expand(source=[read.override(task_id="read_one")(90)])
    ManagementApiOperator(task_id="call", method="POST", path="/users", body=body())
"""


def test_airflow_stores_no_password(sandbox_tenant: Tenant, run_dag: RunDag, tmp_path: Path) -> None:
    """The rendered fields are stored before `execute`, and what is long as a text."""
    from airflow.models.renderedtifields import RenderedTaskInstanceFields
    from airflow.utils.session import create_session

    file = tmp_path / "imports.py"
    file.write_text(IMPORTS.replace("FOLDER", f"file://{tmp_path}/out"))
    assert run_dag(file, "imports").state == "success"
    with create_session() as session:
        stored = session.query(RenderedTaskInstanceFields).filter_by(dag_id="imports").all()
        fields = {row.task_id: row.rendered_fields for row in stored}
    assert (fields["few"]["source"], fields["many"]["source"], fields["mapped"]["source"]) == (
        "3 rows",
        "80 rows",
        "90 rows",
    )
    assert "ada" in str(fields["call"]["body"])
    assert "Winter" not in str([fields[name] for name in ("few", "many", "mapped", "call")])


@pytest.mark.parametrize("operator", [ImportUsersOperator, SyncRosterOperator])
def test_rows_that_a_template_made_a_text_of_are_not_stored(operator: Any, tmp_path: Path) -> None:
    more = {"roster": "hr"} if operator is SyncRosterOperator else {}
    task = operator(task_id="x", folder=tmp_path.as_uri(), source="{{ rows }}", **more)
    task.render_template_fields({"rows": [{"username": "ada", "password": "Winter-is-cold"}]})
    assert str(task.source) == "a str"
    with pytest.raises(AirflowFailException, match="source: is a list or an object as text") as caught:
        task.execute({})
    assert "Winter" not in str(caught.value)
    address = operator(task_id="x", folder=tmp_path.as_uri(), source="file:///data/{{ day }}.csv", **more)
    address.render_template_fields({"day": "monday"})
    assert address.source == "file:///data/monday.csv"


def test_a_roster_without_a_source_is_no_empty_roster(tmp_path: Path) -> None:
    task = SyncRosterOperator(task_id="x", roster="hr", folder=tmp_path.as_uri())
    task.render_template_fields({})
    with pytest.raises(AirflowFailException, match=r"^source: missing"):
        task.execute({})
