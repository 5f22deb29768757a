"""Run by test_stopped.py in a process of its own, since what it looks for ends the process."""

from __future__ import annotations

import asyncio
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from upath import UPath

from airflow_provider_logto.export import users
from airflow_provider_logto.export.answers import save_operation
from airflow_provider_logto.export.audit_logs import export_audit_logs
from airflow_provider_logto.export.folder import Folder
from airflow_provider_logto.export.job import ExportJob
from airflow_provider_logto.export.stop import StopSwitch
from airflow_provider_logto.export.user_spool import UserSpool
from airflow_provider_logto.management.audit_logs.walk import Window
from airflow_provider_logto.management.operations import Call
from logto_sandbox import Sandbox
from tests.clients import client_of
from tests.management.audit_log_tools import HOUR, START


class Timeout(BaseException):
    """As AirflowTaskTimeout: raised by the handler of a signal, wherever the event loop stands."""


class SlowFolder(Folder):
    """An upload takes a minute, and asks between its blocks whether to break off."""

    running = False

    def upload(self, local: Path, name: str, stopped: Any) -> None:
        self.running = True
        alarm_after(0.3)
        try:
            for _ in range(600):
                time.sleep(0.1)
                if stopped():
                    raise InterruptedError
        finally:
            self.running = False


def alarm_after(seconds: float) -> None:
    signal.setitimer(signal.ITIMER_REAL, seconds)


def ending_of(run: Any) -> str:
    try:
        asyncio.run(run())
    except BaseException as error:
        return type(error).__name__
    return "finished"


def busy(sandbox: Sandbox, folder: Path, how: str) -> None:
    """End exports while their thread reads 3,000 people back from the spool."""
    for at in range(8):
        stop, moment = StopSwitch(), 0.001 + at * 0.004

        class Watched(UserSpool):
            def add_people(self, rows: Any) -> None:
                super().add_people({"id": f"u{at}", "createdAt": at} for at in range(3000))

            def records(
                self, size: int, stop: StopSwitch = stop, moment: float = moment
            ) -> Iterator[Sequence[dict[str, Any]]]:
                if how == "stop":
                    threading.Timer(moment, stop.stop).start()
                else:
                    alarm_after(moment)
                return super().records(size)

        users.UserSpool = Watched  # type: ignore[misc]

        async def run(stop: StopSwitch = stop) -> None:
            async with client_of(sandbox) as client:
                await users.export_users(client, users.UserExport.checked(), Folder(UPath(folder)), stop)

        print(ending_of(run))


def upload(sandbox: Sandbox, folder: Path, what: str) -> None:
    """``execution_timeout`` strikes while the one file is uploaded."""
    slow = SlowFolder(UPath(folder))
    sandbox.insert_logs(start=START, end=START + HOUR, count=10)

    async def run() -> None:
        async with client_of(sandbox) as client:
            if what == "users":
                await users.export_users(client, users.UserExport.checked(), slow)
            elif what == "logs":
                await export_audit_logs(client, ExportJob(Window(START, START + HOUR)), slow)
            else:
                await save_operation(client, Call.checked(method="GET", path="/roles"), slow, "roles.json")

    began = time.monotonic()
    print(ending_of(run), "running" if slow.running else "ended", time.monotonic() - began < 20)


def timed_out(*_: Any) -> None:
    raise Timeout


if __name__ == "__main__":
    signal.signal(signal.SIGALRM, timed_out)
    with Sandbox() as sandbox:
        sandbox.seed({"users": [{"username": "ada"}]})
        {"busy": busy, "upload": upload}[sys.argv[1]](sandbox, Path(sys.argv[3]), sys.argv[2])
