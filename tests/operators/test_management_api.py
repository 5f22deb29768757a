"""ManagementApiOperator: what becomes of an answer, and of an object that is not there."""

from __future__ import annotations

import gzip
import json
import os
import signal
import threading
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_logto.compat import (
    AirflowFailException,
    AirflowSkipException,
    AirflowTaskTerminated,
    AirflowTaskTimeout,
)
from airflow_provider_logto.exceptions import InvalidInput, LogtoApiError, NotFound
from airflow_provider_logto.export.folder import Folder
from airflow_provider_logto.operators.management_api import ManagementApiOperator
from logto_sandbox import Sandbox
from tests.airflow_names import timeout
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


def test_a_page_that_is_not_all_says_so(sandbox: Sandbox, caplog: pytest.LogCaptureFixture) -> None:
    sandbox.seed({"users": [{"username": f"u{at}"} for at in range(30)]})
    assert len(call(path="/users")) == 20
    assert "GET /users: these are 20 of 30 items; paginate=True fetches all" in caplog.text
    caplog.clear()
    assert len(call(path="/users", query={"page": 2})) == 10  # who asks for a page wants one
    assert len(call(path="/users", paginate=True)) == 30
    assert call(path="/dashboard/users/total") == {"totalUserCount": 30}
    assert "paginate=True" not in caplog.text


@pytest.mark.parametrize("destination", [False, True])
def test_max_items(sandbox: Sandbox, caplog: pytest.LogCaptureFixture, tmp_path: Path, destination: bool) -> None:
    sandbox.seed({"users": [{"username": f"u{at}"} for at in range(250)]})
    sandbox.reset_stats()
    more = {"destination": f"file://{tmp_path}/users.jsonl"} if destination else {}
    found = call(path="/users", paginate=True, max_items=120, **more)
    assert (found["count"] if destination else len({user["id"] for user in found})) == 120
    assert sandbox.stats()["routes"]["GET /api/users"] == 2
    assert "stopped at max_items=120; there are more" in caplog.text
    caplog.clear()
    odd = {"response_filter": lambda user: user["username"] if user["username"].endswith("7") else None}
    assert len(call(path="/users", paginate=True, max_items=25, **odd)) == 25
    assert "max_items" not in caplog.text


@pytest.mark.parametrize(
    "arguments", [{"max_items": 5}, *({"max_items": at, "paginate": True} for at in (0, "5", True))]
)
def test_wrong_max_items(sandbox: Sandbox, arguments: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match="max_items: "):
        call(path="/users", **arguments)
    assert sandbox.stats()["requests"] == 0


def test_paginate_on_what_is_no_list(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidInput, match="paginate: "):
        call(path="/dashboard/users/total", paginate=True)
    assert sandbox.stats()["requests"] == 0
    # An operation that the table lacks is judged by its answer.
    monkeypatch.setattr("airflow_provider_logto.management.operations.operation_at", lambda *_: None)
    with pytest.raises(InvalidInput, match="paginate: leave it out: GET /dashboard/users/total does not answer a list"):
        call(path="/dashboard/users/total", paginate=True)


@pytest.mark.parametrize("many", [False, True])
def test_secrets_in_a_body_are_masked(many: bool) -> None:
    from airflow_provider_logto.compat import redact

    secrets = {"password": "a-long-Passw0rd", "config": {"clientSecret": "upstream-client-secret-1"}}
    user = {"username": "mika", **secrets, "passwordDigest": "0123456789abcdef"}
    with pytest.raises(LogtoApiError):  # whatever becomes of the call
        call(method="POST", path="/users", body=[user] if many else user)
    shown = str(redact("a-long-Passw0rd upstream-client-secret-1 0123456789abcdef mika"))
    assert shown == "*** *** *** mika"


@pytest.mark.parametrize(
    ("call_", "ends"),
    [
        ({"method": "POST", "path": "/organizations", "body": {"name": "Acme"}}, True),
        ({"method": "POST", "path": "/api/organizations", "body": {"name": "Acme"}}, True),
        ({"operation_id": "CreateOrganization", "body": {"name": "Acme"}}, True),
        ({"method": "PATCH", "path": "/sign-in-exp", "body": {"tenantId": "default"}}, False),
        ({"path": "/organizations"}, False),
    ],
)
def test_execution_timeout_ends_a_call_for_good_that_may_not_be_repeated(
    sandbox: Sandbox, call_: dict[str, Any], ends: bool
) -> None:
    call(path="/users")  # imports and the token take no time of the two seconds
    sandbox.add_fault(kind="slow", path="/api/(organizations|sign-in-exp)", seconds=20)
    with pytest.raises(AirflowFailException if ends else AirflowTaskTimeout) as caught, timeout(2):
        ManagementApiOperator(task_id="call", **call_).execute({})
    if ends:
        assert str(caught.value).startswith("POST /api/organizations may or may not have taken effect")


def test_the_end_of_the_worker_ends_a_call_for_good_that_may_not_be_repeated(sandbox: Sandbox) -> None:
    """As on 2.11, whose handler of SIGTERM raises, and which then tries again."""

    def terminated(*_: Any) -> None:
        raise AirflowTaskTerminated("SIGTERM")

    call(path="/users")
    sandbox.add_fault(kind="slow", path="/api/organizations", seconds=20)
    operator = ManagementApiOperator(task_id="call", method="POST", path="/organizations", body={"name": "Acme"})
    former = signal.signal(signal.SIGTERM, terminated)
    timer = threading.Timer(2, os.kill, (os.getpid(), signal.SIGTERM))
    timer.start()
    try:
        with pytest.raises(AirflowFailException, match="POST /api/organizations may or may not have taken effect"):
            operator.execute({})
    finally:
        timer.join()
        signal.signal(signal.SIGTERM, former)


def test_what_fails_after_the_answer_is_not_sent_again(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError("No space left on device")

    make = {"method": "POST", "path": "/organizations", "body": {"name": "Acme"}}
    with pytest.raises(AirflowFailException, match="POST /api/organizations may or may not have taken effect"):
        ManagementApiOperator(task_id="call", **make, response_filter=lambda answer: answer["data"]).execute({})
    monkeypatch.setattr(Folder, "upload", full)
    with pytest.raises(AirflowFailException, match="No space left"):
        ManagementApiOperator(task_id="call", **make, destination=f"file://{tmp_path}/made.json").execute({})
    assert len(sandbox.state()["organizations"]) == 2
    with pytest.raises(KeyError):  # a read is tried again
        ManagementApiOperator(task_id="call", path="/users", response_filter=lambda answer: {}["data"]).execute({})


def test_secrets_of_a_body_are_known_before_airflow_stores_it(monkeypatch: pytest.MonkeyPatch) -> None:
    masked: list[Any] = []
    monkeypatch.setattr("airflow_provider_logto.operators.management_api.mask_secret", masked.append)
    body = {
        "config": {"auth": {"user": "mailer", "pass": "smtp-secret"}, "apiKey": "key-1", "templates": ["x"] * 2000},
        "headers": {"Authorization": "Bearer {{ word }}"},
        1: ({"private_key": ["key-2"]},),
        "compass": "north",
        "secretPolicy": {"words": ["acme", "a"]},
    }
    operator = ManagementApiOperator(task_id="call", method="POST", path="/hooks", body=body)
    operator.render_template_fields({"word": "Winter"})
    assert sorted(one for one in masked if isinstance(one, str)) == ["Bearer Winter", "key-1", "key-2", "smtp-secret"]
    (whole,) = [one for one in masked if isinstance(one, dict)]  # by the names that Airflow is configured with
    assert whole == json.loads(json.dumps(operator.body))


def test_a_body_that_a_template_made_a_text_of_is_not_stored() -> None:
    operator = ManagementApiOperator(task_id="call", method="POST", path="/users", body="{{ word }}")
    operator.render_template_fields({"word": {"password": "Winter-is-cold"}})
    assert str(operator.body) == "a str"
    with pytest.raises(InvalidInput, match="body: must be a JSON object or list, not str; a template gives text"):
        execute(operator)


def test_a_body_that_is_no_json_is_not_stored() -> None:
    body = {"password": "Winter-is-cold", "at": date(2026, 1, 1)}
    operator = ManagementApiOperator(task_id="call", method="POST", path="/users", body=body)
    operator.render_template_fields({})
    assert "Winter" not in str(operator.body)
    with pytest.raises(InvalidInput, match="body: cannot be sent as JSON"):
        execute(operator)


@pytest.mark.parametrize("way", [AirflowSkipException, AirflowFailException])
def test_a_filter_may_end_the_task_in_airflows_own_ways(sandbox: Sandbox, way: type[Exception]) -> None:
    def end(answer: Any) -> None:
        raise way("nothing to do")

    make = {"method": "POST", "path": "/organizations", "body": {"name": "Acme"}}
    with pytest.raises(way, match=r"^nothing to do$"):
        ManagementApiOperator(task_id="call", **make, response_filter=end).execute({})


@pytest.mark.parametrize(("state", "ends"), [("running", True), ("success", False), ("restarting", False)])
def test_a_state_that_somebody_set_meanwhile_stays(sandbox: Sandbox, state: str, ends: bool) -> None:
    """2.11 sends SIGTERM for that too, and keeps the state unless the task fails for good."""

    class Instance:
        state = "running"

        def refresh_from_db(self) -> None:
            self.state = state

    def terminated(answer: Any) -> None:
        raise AirflowTaskTerminated("SIGTERM")

    make = {"method": "POST", "path": "/organizations", "body": {"name": "Acme"}}
    operator = ManagementApiOperator(task_id="call", **make, response_filter=terminated)
    with pytest.raises(AirflowFailException if ends else AirflowTaskTerminated):
        operator.execute({"ti": Instance()})


def test_execution_timeout_before_the_write_has_left_is_left_to_airflow(sandbox: Sandbox) -> None:
    sandbox.add_fault(kind="slow", path="/oidc/token", seconds=20)
    operator = ManagementApiOperator(task_id="call", method="POST", path="/organizations", body={"name": "Acme"})
    with pytest.raises(AirflowTaskTimeout), timeout(2):
        operator.execute({})
    assert operator.hook.traffic.writes == 0
