"""The sandbox as what pip installs: alone, with the lowest and with the newest versions of what it needs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "sandbox"
LOWEST = ("cryptography==42.0.0", "h11==0.14.0", "pyjwt==2.8.0", "starlette==0.40.0", "uvicorn==0.30.0")
NEWEST = ("cryptography", "h11", "pyjwt", "starlette", "uvicorn")

USE = """
import importlib.util, urllib.error, urllib.request
from logto_sandbox import Sandbox

assert not [name for name in ("airflow", "airflow_provider_logto", "httpx") if importlib.util.find_spec(name)]
with Sandbox(seed={"users": [{"username": "ada"}]}, rate_limit=50) as sandbox:
    form = "grant_type=client_credentials&scope=all&resource=https%3A%2F%2Fdefault.logto.app%2Fapi"
    form += f"&client_id={sandbox.app_id}&client_secret={sandbox.app_secret}"
    with urllib.request.urlopen(f"{sandbox.url}/oidc/token", form.encode()) as answer:
        token = __import__("json").load(answer)["access_token"]
    request = urllib.request.Request(f"{sandbox.url}/api/users", headers={"Authorization": f"Bearer {token}"})
    assert urllib.request.urlopen(request).headers["Total-Number"] == "1"
    for kind in ("reset", "lost_answer", "truncated"):
        sandbox.add_fault(kind=kind)
        try:
            urllib.request.urlopen(request).read()
        except Exception as error:
            print(kind, type(error).__name__)
    assert urllib.request.urlopen(request).status == 200
print("done")
"""


def test_the_lowest_versions_are_those_that_are_declared() -> None:
    declared = (SOURCE / "pyproject.toml").read_text("utf-8")
    for pin in LOWEST:
        name, version = pin.split("==")
        assert f'"{name}>={version.removesuffix(".0").removesuffix(".0")}' in declared


@pytest.mark.slow
@pytest.mark.parametrize("needed", [LOWEST, NEWEST], ids=["lowest", "newest"])
def test_it_works_alone(tmp_path: Path, needed: tuple[str, ...]) -> None:
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True)
    install = [str(python), "-m", "pip", "install", "-qq", "--disable-pip-version-check", str(SOURCE), *needed]
    subprocess.run(install, check=True, cwd=tmp_path)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    command = [str(python), "-W", "error::DeprecationWarning", "-c", USE]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[-2] == "done"
    assert len(done.stdout.splitlines()) == 4
    shown = subprocess.run(
        [str(python.with_name("logto-sandbox")), "--help"], capture_output=True, text=True, check=True
    )
    assert "--fault" in shown.stdout
