"""The README of the sandbox: its commands and examples work as they stand."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from logto_sandbox import Sandbox
from logto_sandbox.control import ACTIONS
from logto_sandbox.faults.spec import KINDS
from logto_sandbox.store.versions import SUPPORTED

README = (Path(__file__).parents[2] / "sandbox" / "README.md").read_text("utf-8")
SHELL = [text for text in re.findall(r"```shell\n(.*?)```", README, re.DOTALL) if "curl" in text]


def run(command: list[str], text: str, sandbox: Sandbox) -> str:
    text = text.replace("http://localhost:3901", f"http://localhost:{sandbox.port}")
    environment = os.environ | {"LOGTO_ENDPOINT": f"http://localhost:{sandbox.port}"}
    done = subprocess.run(command, input=text, capture_output=True, text=True, env=environment, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_the_commands(logto_sandbox: Sandbox) -> None:
    outputs = [run(["bash", "-eu"], text, logto_sandbox) for text in SHELL]
    assert len(outputs) == 3
    assert '"primaryEmail":"ada@example.com"' in outputs[0]
    assert '"POST /api/users":1' in outputs[1]
    assert '"kind":"lost_answer"' in outputs[2]
    assert "error" not in outputs[2].replace('"kind":"error"', "")


@pytest.mark.skipif(shutil.which("node") is None, reason="needs Node.js")
def test_the_javascript(logto_sandbox: Sandbox) -> None:
    (script,) = re.findall(r"```js\n(.*?)```", README, re.DOTALL)
    logto_sandbox.seed({"users": [{"username": "ada"}]})
    assert run(["node", "--input-type=module"], script, logto_sandbox).startswith("200 1 [")


def test_the_seed() -> None:
    (seed,) = re.findall(r"```json\n(.*?)```", README, re.DOTALL)
    state = Sandbox(seed=json.loads(seed)).state()
    assert (len(state["users"]), len(state["sessions"]), len(state["logs"])) == (2, 1, 500)


def test_the_python(capsys: pytest.CaptureFixture[str]) -> None:
    (script,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    exec(compile(script, "README.md", "exec"), {})  # noqa: S102
    assert "'username': 'ada'" in capsys.readouterr().out


def test_it_names_every_fault_and_version_and_what_the_control_plane_has() -> None:
    assert [kind for kind in KINDS if f"`{kind}`" not in README] == []
    assert ", ".join(SUPPORTED) in README
    named = {"stats", "requests", "state", "reset", "seed", "faults", "limit"}
    assert named <= {name for _, name in ACTIONS}
    assert [name for name in named if f"/sandbox/{name}" not in README] == []
