"""A real Airflow against a server that repeats every secret it is told."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.e2e.conftest import Standalone
from tests.hostile.server import HostileServer, Request, http, token

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("standalone")]

SECRET = "echoed-app-secret-0123456789"
TOKEN = "echoed-bearer-token-9876543210"
PASSWORD = "first-Passw0rd-of-ada"
#: What a token endpoint that gives no token is told.
OWN = (SECRET, b64encode(f"echo-app:{SECRET}".encode()).decode())
SECRETS = (TOKEN, *OWN)
TOKEN_STATUSES = (400, 401, 503)


def echo(request: Request, status: int, secrets: Sequence[str] = SECRETS) -> list[bytes]:
    """Everything known, in every place where a server can say something."""
    known = f"{request.headers} {request.body!r} {' '.join(secrets)}"
    words = {"code": secrets[0], "message": known, "details": known, "data": {"payload": known}}
    oauth = {"error": secrets[0], "error_description": known, "error_uri": known}
    # What a successful answer holds is data, and goes where data goes: here it cannot be read.
    body = json.dumps(words | oauth).encode() if status != 200 else known.encode()
    headers = (f"Logto-Core-Request-Id: {secrets[0]}", f"Retry-After: {secrets[0]}", f"X-Echo: {known}"[:4000])
    return [http(f"{status} {secrets[0]}", body, *headers)]


class EchoingServer(HostileServer):
    """Answers with the status that the last piece of the address names, 400 where it names none."""

    def __init__(self, token_status: int = 200) -> None:
        super().__init__()
        self.token_answer = lambda request: [token(TOKEN)] if token_status == 200 else echo(request, token_status, OWN)
        self.answer = self._answer

    def _answer(self, request: Request) -> list[bytes]:
        last = request.target.rpartition("/")[2]
        if "later" in last and sum("later" in seen.target for seen in self.requests) <= 1:
            return [http("200 OK", b"[]", "Total-Number: 0")]
        return echo(request, int(last) if last.isdecimal() else 400)

    def connection(self, name: str) -> dict[str, str]:
        """Airflow's Connection to it, as the REST API takes it."""
        return {
            "connection_id": name,
            "conn_type": "logto",
            "host": self.url,
            "login": "echo-app",
            "password": SECRET,
        }


def database(home: Path) -> bytes:
    """Everything that Airflow keeps, as it lies on the disk."""
    return b"".join(path.read_bytes() for path in home.rglob("*.db*"))


def test_no_secret_is_in_any_log_or_row(standalone: Standalone) -> None:
    servers = {"logto_echo": EchoingServer()}
    servers |= {f"logto_echo_token_{status}": EchoingServer(status) for status in TOKEN_STATUSES}
    tested = []
    try:
        for name, server in servers.items():
            standalone.api("POST", "/connections", json=server.connection(name))
            tested.append(standalone.api("POST", "/connections/test", json=server.connection(name)))
        run = standalone.trigger("echoed")
        assert standalone.finished(run) == "failed"
        tasks = standalone.api("GET", f"{run}/taskInstances")["task_instances"]
    finally:
        for server in servers.values():
            server.close()
    assert {task["task_id"] for task in tasks if task["state"] != "failed"} == set()
    assert {task["task_id"] for task in tasks if task["try_number"] > 1} == {"again"}
    (echoing, *others) = servers.values()
    assert {request.headers["authorization"] for request in echoing.requests} == {f"Bearer {TOKEN}"}
    assert sum("later" in request.target for request in echoing.requests) >= 2, "the triggerer asked"
    assert all(server.token_requests and not server.requests for server in others)
    logs, rows = standalone.logs(), database(standalone.home)
    for status in (400, 401, 403, 404, 409, 422, 429, 500, 502, 503):
        assert f"failed with {status}" in task_log(standalone, f"answer_{status}")
    assert b"logto_echo" in rows
    assert [answer["status"] for answer in tested] == [False] * len(servers)
    for secret in SECRETS:
        assert secret not in logs
        assert secret not in str(tested)
        assert secret.encode() not in rows
    # A literal password in a DAG file is in the serialized DAG.
    assert PASSWORD not in logs


def task_log(standalone: Standalone, task: str) -> str:
    """What the only try of a task wrote."""
    (log,) = (standalone.home / "logs").glob(f"dag_id=echoed/**/task_id={task}/attempt=1.log")
    return log.read_text("utf-8")
