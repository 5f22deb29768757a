"""An export that is ended while a thread works on its files: the thread ends before they are taken away."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import PROJECT


def run(*arguments: str | Path) -> list[str]:
    command = [sys.executable, "-m", "tests.export.stopped_run", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=PROJECT, timeout=110, check=False)
    assert done.returncode == 0, done.stderr  # -11: SQLite's memory was given back while the thread read it
    return done.stdout.splitlines()


@pytest.mark.parametrize(("how", "ending"), [("stop", "ExportStopped"), ("timeout", "Timeout")])
def test_a_busy_export_of_users_ends_without_a_crash(tmp_path: Path, how: str, ending: str) -> None:
    endings = run("busy", how, tmp_path)
    assert len(endings) == 8
    # A quick machine may be done before.
    assert set(endings) <= {ending, "finished"}
    assert ending in endings


@pytest.mark.parametrize("what", ["users", "logs", "answer"])
def test_a_timeout_ends_the_upload_too(tmp_path: Path, what: str) -> None:
    assert run("upload", what, tmp_path) == ["Timeout ended True"]
