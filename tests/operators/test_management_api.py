"""ManagementApiOperator: what becomes of an answer, and of an object that is not there."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_logto.compat import AirflowSkipException
from airflow_provider_logto.exceptions import InvalidInput, NotFound
from airflow_provider_logto.operators.management_api import ManagementApiOperator
from logto_sandbox import Sandbox
from tests.conftest import execute

pytestmark = pytest.mark.usefixtures("sandbox_tenant")

ABSENT = {"operation_id": "GetUser", "path_params": {"userId": "nobody"}}


def call(**arguments: Any) -> Any:
    return execute(ManagementApiOperator(task_id="call", **arguments))


def test_an_object_that_is_not_there(caplog: pytest.LogCaptureFixture) -> None:
    assert call(**ABSENT, if_not_found="none") is None
    with pytest.raises(AirflowSkipException, match=r"entity\.not_found"):
        call(**ABSENT, if_not_found="skip")
    with pytest.raises(NotFound, match=r"entity\.not_found"):
        call(**ABSENT)
    # A path that the server does not know is no absent object.
    with pytest.raises(NotFound):
        call(path="/completely/unknown/things", if_not_found="none")
    with pytest.raises(InvalidInput, match="if_not_found: 'null' is unknown"):
        call(**ABSENT, if_not_found="null")


@pytest.mark.parametrize(("name", "opened"), [("users.jsonl", open), ("users.jsonl.gz", gzip.open)])
def test_a_list_goes_to_a_file(sandbox: Sandbox, tmp_path: Path, name: str, opened: Any) -> None:
    sandbox.seed({"users": [{"username": f"u{at}"} for at in range(1203)]})
    target = tmp_path / "new folder" / name
    result = call(operation_id="ListUsers", paginate=True, destination=f"file://{target}")
    assert result == {"destination": f"file://{target}", "count": 1203}
    with opened(target, "rb") as file:
        rows = [json.loads(line) for line in file]
    assert sorted(row["username"] for row in rows) == sorted(f"u{at}" for at in range(1203))
    assert [path.name for path in target.parent.iterdir()] == [name]


def test_an_answer_goes_to_a_file(sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.seed({"users": [{"username": "a"}, {"username": "b"}]})
    target = tmp_path / "count.json"
    filtered = {"path": "/users", "response_filter": lambda users: [user["username"] for user in users]}
    assert call(**filtered, destination=f"file://{target}")["count"] == 2
    assert sorted(json.loads(target.read_text())) == ["a", "b"]
    assert call(path="/dashboard/users/total", destination=f"file://{target}")["count"] == 1
    assert json.loads(target.read_text()) == {"totalUserCount": 2}


@pytest.mark.parametrize("destination", ["users.json", "file:///", "s3://", "file:///tmp/folder/", "nonsense://a/b"])
def test_a_destination_that_cannot_be_written_is_refused_before_the_call(sandbox: Sandbox, destination: str) -> None:
    with pytest.raises(InvalidInput, match="destination"):
        call(method="POST", path="/users", body={"username": "mika"}, destination=destination)
    assert sandbox.stats()["requests"] == 0


def test_a_filter_that_makes_no_json_says_so(sandbox: Sandbox, tmp_path: Path) -> None:
    target = tmp_path / "out.json"
    with pytest.raises(InvalidInput, match="response_filter: returned what is no JSON"):
        call(path="/users", response_filter=lambda _: object(), destination=f"file://{target}")
    assert not target.exists()


def test_a_failed_call_leaves_the_earlier_file_alone(tmp_path: Path) -> None:
    target = tmp_path / "user.json"
    target.write_text("earlier")
    assert call(**ABSENT, if_not_found="none", destination=f"file://{target}") is None
    assert target.read_text() == "earlier"
