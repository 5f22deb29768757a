"""The command line, as a process."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from logto_sandbox.__main__ import main

COMMAND = [sys.executable, "-m", "logto_sandbox"]


def test_runs_until_it_is_told_to_stop(tmp_path: Path) -> None:
    seed = tmp_path / "seed.json"
    seed.write_text(json.dumps({"users": [{"username": "ada"}]}))
    options = ["--port", "0", "--seed", str(seed), "--app-id", "mine", "--app-secret", "pass word+"]
    options += [
        "--fault",
        '{"kind": "error", "status": 503, "path": "/api/users"}',
        "--state-file",
        str(tmp_path / "s"),
    ]
    began = time.monotonic()
    with subprocess.Popen([*COMMAND, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        started = time.monotonic() - began
        found = re.search(r"http://127\.0\.0\.1:\d+", first)
        assert found is not None
        assert "no identity provider" in first
        with httpx.Client(base_url=found[0]) as http:
            form = {"grant_type": "client_credentials", "resource": "https://default.logto.app/api", "scope": "all"}
            answer = http.post("/oidc/token", data=form, auth=("mine", "pass%20word%2B"))
            token = {"Authorization": f"Bearer {answer.json()['access_token']}"}
            assert http.get("/api/users", headers=token).status_code == 503
            assert http.get("/api/users", headers=token).json()[0]["username"] == "ada"
        process.send_signal(signal.SIGTERM)
        assert process.wait(5) == 0
        assert process.stderr is not None
        assert process.stderr.read() == ""
    assert json.loads((tmp_path / "s").read_text())["users"][0]["username"] == "ada"
    assert started < 5


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ([], "--port"),
        (["--port", "x"], "--port"),
        (["--port", "70000"], "70000 is no port"),
        (["--port", "0", "--host", "203.0.113.1"], "cannot listen on 203.0.113.1:0"),
        (["--port", "0", "--host", "no.such.host.invalid"], "cannot listen on no.such.host.invalid"),
        (["--port", "0", "--seed", "absent.json"], "absent.json: No such file"),
        (["--port", "0", "--logto-version", "0.9"], "--logto-version"),
        (["--port", "0", "--limiter", "odd"], "--limiter"),
        (["--port", "0", "--rate-limit", "-1"], "rate_limit: "),
        (["--port", "0", "--fault", "{"], "no JSON"),
        (["--port", "0", "--fault", "[]"], "expected an object"),
        (["--port", "0", "--fault", '{"kind": "odd"}'], "argument --fault: kind: 'odd' is not one of"),
        (["--port", "0", "--colour"], "--colour"),
    ],
)
def test_a_wrong_argument_is_named(arguments: list[str], text: str, capsys: pytest.CaptureFixture[str]) -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    with pytest.raises(SystemExit) as left:
        main(arguments)
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before
    assert left.value.code == 2
    said = capsys.readouterr()
    assert text in said.err
    assert "Traceback" not in said.err
    assert said.out == ""


def test_a_taken_port_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SystemExit):
            main(["--port", str(port)])
    assert f"cannot listen on 127.0.0.1:{port}: " in capsys.readouterr().err
