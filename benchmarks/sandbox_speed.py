"""How fast the sandbox is: start, list of users, a million log rows. ``python benchmarks/sandbox_speed.py``

Exits 1 when a figure misses its bound. Client and server are two processes; the server has one core.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode

USERS, LOGS = 10_000, 1_000_000
MISSED: list[str] = []


def report(what: str, figure: float, unit: str, bound: float, *, at_least: bool = False) -> None:
    """Print one figure and remember when it misses its bound."""
    good = figure >= bound if at_least else figure < bound
    print(f"{what:52} {figure:10.2f} {unit:12} {'>=' if at_least else '<'} {bound:g} {'' if good else 'MISSED'}")
    if not good:
        MISSED.append(what)


class Server:
    """A sandbox process and one connection to it."""

    def __init__(self) -> None:
        began = time.monotonic()
        command = [sys.executable, "-m", "logto_sandbox", "--port", "0"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        first_line = self.process.stdout.readline() if self.process.stdout else ""
        found = re.search(r"http://([\d.]+):(\d+)", first_line)
        if found is None:
            raise RuntimeError(f"the sandbox did not start: {first_line}")
        self.http = http.client.HTTPConnection(found[1], int(found[2]))
        self.call("GET", "/api/status")
        self.started = time.monotonic() - began
        form = {"grant_type": "client_credentials", "resource": "https://default.logto.app/api", "scope": "all"}
        form |= {"client_id": "sandbox-m2m", "client_secret": "sandbox-m2m-secret"}
        content = {"Content-Type": "application/x-www-form-urlencoded"}
        token = json.loads(self.call("POST", "/oidc/token", urlencode(form), content))["access_token"]
        self.headers = {"Authorization": f"Bearer {token}"}

    def call(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> bytes:
        """The body of a successful answer."""
        self.http.request(method, path, body, headers or {})
        answer = self.http.getresponse()
        content = answer.read()
        if answer.status >= 300:
            raise RuntimeError(f"{method} {path}: {answer.status} {content[:500]!r}")
        return content

    def rss_mb(self, name: str = "VmRSS") -> float:
        """Memory of the server process in MB; ``VmHWM`` = at its highest."""
        with open(f"/proc/{self.process.pid}/status") as status:
            return next(int(line.split()[1]) / 1024 for line in status if line.startswith(name))

    def cpu_seconds(self) -> float:
        """CPU time the server process used."""
        with open(f"/proc/{self.process.pid}/stat") as stat:
            fields = stat.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def running() -> Iterator[Server]:
    """A server for the length of one measurement."""
    server = Server()
    try:
        yield server
    finally:
        server.http.close()
        server.process.terminate()
        server.process.wait()


def pages_per_second(server: Server, path: str, pages: range, seconds: float = 3.0) -> tuple[float, float]:
    """Requests per second over one connection, and per second of the server's CPU."""
    began, cpu, sent = time.monotonic(), server.cpu_seconds(), 0
    while (took := time.monotonic() - began) < seconds:
        server.call("GET", f"{path}page={pages[sent % len(pages)]}", headers=server.headers)
        sent += 1
    return sent / took, sent / max(server.cpu_seconds() - cpu, 1e-9)


def main() -> int:
    """Measure and print.

    :return: exit status
    """
    starts = []
    for _ in range(3):
        with running() as server:
            starts.append(server.started)
    report("start of the process to the first answer", min(starts), "s", 1)
    with running() as server:
        began = time.monotonic()
        users = [{"username": f"user{n}", "primaryEmail": f"user{n}@example.com"} for n in range(USERS)]
        server.call("POST", "/sandbox/seed", json.dumps({"users": users}))
        report(f"seeding {USERS:,} users", time.monotonic() - began, "s", 30)
        rate, per_cpu = pages_per_second(server, "/api/users?page_size=100&", range(1, 101))
        report("GET /api/users?page_size=100, one connection", rate, "requests/s", 300, at_least=True)
        report("the same, a second of the server's CPU", per_cpu, "requests/s", 300, at_least=True)
    with running() as server:
        began = time.monotonic()
        spec = {"count": LOGS, "start": 1_700_000_000_000, "end": 1_702_592_000_000, "pattern": "bursts", "ties": 3}
        server.call("POST", "/sandbox/logs", json.dumps(spec))
        report(f"inserting {LOGS:,} log rows", time.monotonic() - began, "s", 60)
        report("memory at its highest", server.rss_mb("VmHWM"), "MB", 300)
        report("memory afterwards", server.rss_mb(), "MB", 300)
        rate, _ = pages_per_second(server, "/api/logs?page_size=100&", range(1, 10_000, 97))
        report("GET /api/logs?page_size=100, all depths", rate, "requests/s", 100, at_least=True)
        window = "start_time=1700000000000&end_time=1701000000000&logKey=RevokeToken"
        rate, _ = pages_per_second(server, f"/api/logs?page_size=100&{window}&", range(1, 30))
        report("the same, of one key in a window", rate, "requests/s", 100, at_least=True)
    return 1 if MISSED else 0


if __name__ == "__main__":
    sys.exit(main())
