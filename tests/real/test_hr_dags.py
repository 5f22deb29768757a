"""The example DAGs about one person, on any Logto: events from HR, a welcome, who is due for deletion."""

from __future__ import annotations

import re
import socketserver
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email import message_from_string, policy
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_logto.management.marks import Mark, stamp
from tests.conftest import EXAMPLES, RunDag, Tenant
from tests.real.conftest import Corner

NOW = datetime.now(UTC).replace(microsecond=0)
Send = Callable[..., Any]


@pytest.fixture
def employee(corner: Corner) -> Iterator[None]:
    """The role that the DAG gives; removed again where it was not there."""
    there = {role["name"] for role in corner.hook.iterate("/roles")}
    body = {"name": "employee", "description": "for a test"}
    made = None if "employee" in there else corner.hook.request("POST", "/roles", body=body)
    yield
    if made:
        corner.hook.request("DELETE", f"/roles/{made['id']}")


@pytest.fixture
def send(run_dag: RunDag, corner: Corner, employee: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Send:
    """``send(kind, days, **fields)`` runs the DAG for an event that HR recorded ``days`` from now -> task id: state."""
    monkeypatch.setenv("AIRFLOW_VAR_LOGTO_SNAPSHOTS", f"file://{tmp_path}")

    def run(kind: str, days: float = 0, **fields: Any) -> Any:
        conf = {"kind": kind, "external_id": "e1", "email": corner.email("mika")}
        conf |= {"occurred_at": stamp(NOW + timedelta(days=days)), **fields}
        done = run_dag(EXAMPLES / "hr_event.py", "hr_event", conf=conf)
        return {task.task_id: str(task.state) for task in done.get_task_instances()} | {"run": str(done.state)}

    return run


def mika(corner: Corner, name: str = "mika") -> dict[str, Any] | None:
    query = {"search.primaryEmail": corner.email(name), "mode.primaryEmail": "exact"}
    return next(iter(corner.hook.iterate("/users", query)), None)


def roles(corner: Corner, user: dict[str, Any]) -> list[str]:
    return [role["name"] for role in corner.hook.iterate(f"/users/{user['id']}/roles")]


@pytest.mark.slow
def test_a_whole_employment(send: Send, corner: Corner) -> None:
    assert send("hire", -9, name="Mika Ito", department="R&D")["run"] == "success"
    user = mika(corner)
    assert user is not None
    assert (user["name"], user["customData"]["department"]) == ("Mika Ito", "R&D")
    assert "employee" in roles(corner, user)
    hired = stamp(NOW - timedelta(days=9))
    assert Mark.of(user) == Mark(external_id="e1", occurred_at=hired, end_recorded_at=hired)

    # The same event once more: no duplicate, no change.
    assert send("hire", -9, name="Mika Ito", department="R&D")["run"] == "success"
    again = mika(corner)
    assert again is not None
    assert {**again, "updatedAt": 0} == {**user, "updatedAt": 0}

    # An older one is skipped.
    states = send("change", -10, name="Older")
    assert (states["run"], states["not_applied"], states["change"]) == ("success", "success", "skipped")
    changed = send("change", -5, name="Mika Sato", new_email=corner.email("sato"), department="Sales")
    assert changed["run"] == "success"
    assert mika(corner) is None
    user = mika(corner, "sato")
    assert user is not None
    assert (user["name"], user["customData"]["department"], user["id"]) == ("Mika Sato", "Sales", again["id"])

    assert send("leave", -1, email=corner.email("sato"))["run"] == "success"
    user = mika(corner, "sato")
    assert user is not None
    assert user["isSuspended"]
    assert roles(corner, user) == []
    mark = Mark.of(user)
    assert mark.offboarded_at
    assert mark.end_date == (NOW - timedelta(days=1)).date().isoformat()

    assert send("rehire", 0, email=corner.email("sato"), name="Mika Sato")["run"] == "success"
    user = mika(corner, "sato")
    assert user is not None
    assert not user["isSuspended"]
    assert "employee" in roles(corner, user)
    assert Mark.of(user) == Mark(external_id="e1", occurred_at=stamp(NOW), end_recorded_at=stamp(NOW))
    # The leave arrives once more, late: they stay.
    assert send("leave", -1, email=corner.email("sato"))["leave"] == "skipped"
    user = mika(corner, "sato")
    assert user is not None
    assert not user["isSuspended"]


def test_an_account_with_the_same_address_is_taken_over_only_on_purpose(send: Send, corner: Corner) -> None:
    stranger = corner.hook.request("POST", "/users", body={"primaryEmail": corner.email("mika"), "name": "Me"})
    assert send("hire", 0, name="Mika Ito")["run"] == "failed"
    user = mika(corner)
    assert user is not None
    assert (user["name"], user["customData"]) == ("Me", {})
    assert "employee" not in roles(corner, user)

    assert send("hire", 0, name="Mika Ito", adopt=True)["run"] == "success"
    user = mika(corner)
    assert user is not None
    assert (user["id"], user["name"], Mark.of(user).external_id) == (stranger["id"], "Mika Ito", "e1")
    assert "employee" in roles(corner, user)


def test_a_leave_for_somebody_unknown_fails(send: Send, corner: Corner) -> None:
    states = send("leave", 0)
    assert states["run"] == "failed"
    assert states["leave"] != "success"


def test_an_event_for_later_waits_and_is_then_applied(send: Send, corner: Corner) -> None:
    send("hire", -1)
    # Airflow 3.1 takes some seconds a task; the tasks before the wait must be over by then.
    at = datetime.now(UTC) + timedelta(seconds=20)
    states = send("leave", 0, effective_at=at.isoformat())
    assert (states["run"], states["wait_for_the_day"], states["leave"]) == ("success", "success", "success")
    user = mika(corner)
    assert user is not None
    assert user["isSuspended"]
    assert datetime.now(UTC) >= at


class Mailbox(socketserver.ThreadingTCPServer):
    """An SMTP server that keeps what it is sent."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Delivery)
        self.mails: list[str] = []


class _Delivery(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        self._say("220 here")
        while line := self.rfile.readline().decode().strip():
            if line.upper() == "DATA":
                self._say("354 go on")
                lines: list[str] = []
                while (text := self.rfile.readline().decode()) != ".\r\n":
                    lines.append(text)
                assert isinstance(self.server, Mailbox)
                self.server.mails.append("".join(lines))
            self._say("221 bye" if line.upper() == "QUIT" else "250 fine")

    def _say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())


@pytest.fixture
def mailbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mailbox]:
    with Mailbox() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        port = server.server_address[1]
        uri = f"smtp://127.0.0.1:{port}/?disable_ssl=true&disable_tls=true"
        monkeypatch.setenv("AIRFLOW_CONN_SMTP_DEFAULT", uri)
        yield server
        server.shutdown()


def test_a_welcome_is_one_account_and_a_link_that_works_once(
    run_dag: RunDag, corner: Corner, mailbox: Mailbox, capfd: pytest.CaptureFixture[str]
) -> None:
    smtp = "airflow.providers.smtp.notifications.smtp"
    pytest.importorskip(smtp, reason="this SMTP provider cannot be imported", exc_type=ImportError)
    email = corner.email("new")
    conf = {
        "email": email,
        "name": "<b>{{ 7 * 7 }}",
        "page": "https://app.example.com/welcome",
        "sender": "it@x.example",
    }
    run = run_dag(EXAMPLES / "welcome.py", "welcome", conf=conf)
    assert run.state == "success"
    (mail,) = mailbox.mails
    message = message_from_string(mail, policy=policy.default)
    part = message.get_body(("html",))
    assert part is not None
    body = part.get_content()
    assert "Welcome &lt;b&gt;{{ 7 * 7 }}!" in body
    found = re.search(r"one_time_token=([\w-]+)&amp;login_hint=", body)
    assert found is not None
    token = found[1]
    said = capfd.readouterr()
    assert token not in said.out + said.err
    for task in run.get_task_instances():
        assert token not in str(task.xcom_pull(task_ids=task.task_id, key="return_value"))
    verify = {"token": token, "email": email}
    assert corner.hook.request("POST", "/one-time-tokens/verify", body=verify)["status"] == "consumed"
    assert len(list(corner.hook.iterate("/users", {"search.primaryEmail": email, "mode.primaryEmail": "exact"}))) == 1


def test_who_is_due_is_named_and_deleted_only_where_said(run_dag: RunDag, tenant: Tenant, corner: Corner) -> None:
    if tenant.sandbox is None:
        pytest.skip("it walks all people, and would delete others' on a shared tenant")
    old = Mark(suspended_at=stamp(NOW - timedelta(days=40)), offboarded_at=stamp(NOW - timedelta(days=40)))
    young = Mark(suspended_at=stamp(NOW - timedelta(days=3)))
    people = [
        {"username": "due", "isSuspended": True, "customData": old.custom_data()},
        {"username": "young", "isSuspended": True, "customData": young.custom_data()},
        {"username": "back", "customData": old.custom_data()},
    ]
    tenant.sandbox.seed({"users": people})
    file = EXAMPLES / "due_for_deletion.py"
    assert run_dag(file, "due_for_deletion", conf={"days": 30}).state == "success"
    assert len(tenant.sandbox.state()["users"]) == 3
    assert run_dag(file, "due_for_deletion", conf={"days": 30, "delete": True}).state == "success"
    assert [user["username"] for user in tenant.sandbox.state()["users"]] == ["young", "back"]
