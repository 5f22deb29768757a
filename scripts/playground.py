"""What `make demo` and `make airflow` share: an Airflow of their own, and the certainty that everything ends."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

PROJECT = Path(__file__).resolve().parent.parent
DAGS = PROJECT / "dags_examples"
DEMO_SEED = PROJECT / "scripts" / "demo_seed.json"
#: Signal -> seconds that a process group has to end after it. A scheduler's workers outlive SIGTERM.
PATIENCE = {signal.SIGTERM: 5, signal.SIGKILL: 1}
ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def connection_json(endpoint: str, app_id: str, app_secret: str) -> str:
    """A Connection of type ``logto`` as an ``AIRFLOW_CONN_*`` variable takes it."""
    return json.dumps({"conn_type": "logto", "host": endpoint, "login": app_id, "password": app_secret})


def fresh_home(home: Path) -> Path:
    """An empty AIRFLOW_HOME. What an earlier run left in the project is removed.

    :raises FileExistsError: anywhere else nothing is.
    """
    if home.parent == PROJECT:
        shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    return home


def airflow_environment(home: Path, connection: str, **more: str) -> dict[str, str]:
    """The environment of an Airflow that knows only ``home``, the example DAGs and one Connection.

    The caller's own AIRFLOW settings are left out: they would point at another database.
    """
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_")}
    return {
        **inherited,
        # `airflow standalone` looks its own command up.
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
        "AIRFLOW_HOME": str(home),
        "AIRFLOW_CONN_LOGTO_DEFAULT": connection,
        "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "PYTHONDONTWRITEBYTECODE": "1",
        **more,
    }


def airflow_command(*arguments: str) -> list[str]:
    """``airflow ...`` of the Python that runs this."""
    return [sys.executable, "-m", "airflow", *arguments]


def end_on_signals() -> None:
    """Turn Ctrl-C, SIGTERM and SIGHUP into an orderly exit, so that ``finally`` blocks run."""

    def leave(number: int, _frame: object) -> None:
        raise SystemExit(128 + number)

    for number in ENDINGS:
        signal.signal(number, leave)


@contextlib.contextmanager
def process_group(command: Sequence[str], env: Mapping[str, str], log: IO[str]) -> Iterator[subprocess.Popen[str]]:
    """Run a command in a session of its own and end all of it at the end, whatever happens in between."""
    process = subprocess.Popen(
        command,
        env=env,
        cwd=PROJECT,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        _end_group(process)


def _end_group(process: subprocess.Popen[str]) -> None:
    # Held back, not lost: a second Ctrl-C must not leave half of the group behind.
    held = signal.pthread_sigmask(signal.SIG_BLOCK, ENDINGS)
    try:
        for number, seconds in PATIENCE.items():
            _signal_group(process, number)
            deadline = time.monotonic() + seconds
            while _signal_group(process, 0) and time.monotonic() < deadline:
                time.sleep(0.05)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, held)


def _signal_group(process: subprocess.Popen[str], number: int) -> bool:
    """Whether there is anything left of the group that took the signal."""
    process.poll()  # a child that was not waited for would count as alive
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        return False
    return True
