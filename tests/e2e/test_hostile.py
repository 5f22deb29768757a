"""A real Airflow against a server that repeats every secret it is told."""

from __future__ import annotations

import json
from base64 import b64encode
from pathlib import Path

import pytest

from tests.e2e.conftest import Standalone
from tests.hostile.server import HostileServer, Request, http, token

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("standalone")]

SECRET = "echoed-app-secret-0123456789"
TOKEN = "echoed-bearer-token-9876543210"
BASIC = b64encode(f"echo-app:{SECRET}".encode()).decode()


def echo(request: Request) -> list[bytes]:
    """Everything known, in every place where a server can say something."""
    known = f"{request.headers} {request.body!r} {SECRET} {TOKEN} {BASIC}"
    body = json.dumps({"code": TOKEN, "message": known, "details": known, "data": {"payload": known}})
    return [http("400 Bad Request", body.encode(), f"Logto-Core-Request-Id: {TOKEN}", f"X-Echo: {known}"[:4000])]


def database(home: Path) -> bytes:
    """Everything that Airflow keeps, as it lies on the disk."""
    return b"".join(path.read_bytes() for path in home.rglob("*.db*"))


def test_no_secret_is_in_any_log_or_row(standalone: Standalone) -> None:
    hostile = HostileServer()
    hostile.token_answer = lambda request: [token(TOKEN)]
    hostile.answer = echo
    connection = {
        "connection_id": "logto_echo",
        "conn_type": "logto",
        "host": hostile.url,
        "login": "echo-app",
        "password": SECRET,
    }
    standalone.api("POST", "/connections", json=connection)
    try:
        run = standalone.trigger("echoed")
        assert standalone.finished(run) == "failed"
        states = {
            task["task_id"]: task["state"] for task in standalone.api("GET", f"{run}/taskInstances")["task_instances"]
        }
    finally:
        hostile.close()
    assert states == dict.fromkeys(("request", "create", "poke", "defer"), "failed")
    assert {request.headers["authorization"] for request in hostile.requests} == {f"Bearer {TOKEN}"}
    logs, rows = standalone.logs(), database(standalone.home)
    assert logs.count("failed with 400: ") >= 4, "each task said why it failed"
    assert b"logto_echo" in rows
    for secret in (SECRET, TOKEN, BASIC):
        assert secret not in logs
        assert secret.encode() not in rows
