"""`make airflow`: `airflow standalone` with a local Logto, its Connection and the example DAGs."""

from __future__ import annotations

import argparse
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx

import playground
from logto_sandbox import Sandbox

HOME = playground.PROJECT / ".airflow"
#: Seconds until Airflow must be healthy; 17 to 20 are usual on two cores.
START_WITHIN = 420
#: Seconds that Airflow has, once healthy, to read the folder of DAGs.
READ_WITHIN = 30
COMPONENTS = ("metadatabase", "scheduler", "triggerer", "dag_processor")


def standalone_environment(home: Path, dags: Path, connection: str, port: int) -> dict[str, str]:
    """An Airflow on loopback that everyone on this machine may use without signing in."""
    return playground.airflow_environment(
        home,
        connection,
        AIRFLOW__CORE__DAGS_FOLDER=str(dags),
        AIRFLOW__API__HOST="127.0.0.1",
        AIRFLOW__API__PORT=str(port),
        AIRFLOW__API__WORKERS="1",
        AIRFLOW__API__BASE_URL=f"http://localhost:{port}",
        AIRFLOW__CORE__EXECUTION_API_SERVER_URL=f"http://localhost:{port}/execution/",
        AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS="True",
        AIRFLOW__CORE__TEST_CONNECTION="Enabled",
        # The default forks 32 workers.
        AIRFLOW__CORE__PARALLELISM="4",
        AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION="False",
        # Two servers of logs that would otherwise meet those of another Airflow on this machine.
        AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT=str(free_port()),
        AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT=str(free_port()),
    )


def wait_until_healthy(address: str, process: subprocess.Popen[str]) -> bool:
    """Whether every component reported itself healthy in time."""
    deadline = time.monotonic() + START_WITHIN
    while time.monotonic() < deadline and process.poll() is None:
        try:
            health = httpx.get(f"{address}/api/v2/monitor/health", timeout=5, trust_env=False).json()
        except (httpx.HTTPError, ValueError):
            health = {}
        if all(health.get(name, {}).get("status") == "healthy" for name in COMPONENTS):
            return True
        time.sleep(0.5)
    return False


def dags_found(address: str) -> str:
    """What Airflow made of the folder, once it has read it: the names of the DAGs, and which files it cannot import."""
    deadline = time.monotonic() + READ_WITHIN
    names: list[str] = []
    errors: list[str] = []
    while not names and not errors and time.monotonic() < deadline:
        time.sleep(0.5)
        names = [dag["dag_id"] for dag in _listed(address, "dags", "dags")]
        errors = [error["filename"] for error in _listed(address, "importErrors", "import_errors")]
    lines = [f"DAGs:    {', '.join(sorted(names)) or 'none found yet; Airflow looks for new files every few minutes'}"]
    if errors:
        lines.append(f"Not importable: {', '.join(sorted(errors))} (the UI says why)")
    return "\n".join(lines)


def _listed(address: str, path: str, key: str) -> list[dict[str, str]]:
    try:
        found: list[dict[str, str]] = httpx.get(f"{address}/api/v2/{path}", timeout=5, trust_env=False).json()[key]
    except (httpx.HTTPError, ValueError, KeyError):
        return []
    return found


def free_port() -> int:
    """A port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def port_is_free(port: int) -> bool:
    """Whether something could listen there."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8080, help="of Airflow's UI and API")
    parser.add_argument("--dags", type=Path, default=playground.DAGS, help="folder of DAGs; the examples by default")
    parser.add_argument("--home", type=Path, default=HOME, help="AIRFLOW_HOME, which must not exist")
    parser.add_argument("--without-connection", action="store_true", help="leave it to be added by hand")
    return parser.parse_args()


def main() -> int:
    """Run until interrupted.

    :returns: exit status.
    """
    options = arguments()
    playground.end_on_signals()
    if not port_is_free(options.port):
        print(f"Port {options.port} is taken; choose another: make airflow PORT=8081", file=sys.stderr)
        return 1
    options.dags = options.dags.expanduser()
    if not options.dags.is_dir():
        print(f"There is no folder {options.dags}; say where your DAGs are: make airflow DAGS=~/dags", file=sys.stderr)
        return 1
    home = playground.fresh_home(options.home)
    log_path, address = home / "standalone.log", f"http://localhost:{options.port}"
    with Sandbox(seed=playground.DEMO_SEED) as sandbox, log_path.open("w", encoding="utf-8") as log:
        connection = playground.connection_json(sandbox.url, sandbox.app_id, sandbox.app_secret)
        env = standalone_environment(home, options.dags.resolve(), connection, options.port)
        if options.without_connection:
            del env["AIRFLOW_CONN_LOGTO_DEFAULT"]
        print(f"Starting Airflow; its log is {log_path}", flush=True)
        try:
            with playground.process_group(playground.airflow_command("standalone"), env, log) as process:
                if not wait_until_healthy(address, process):
                    print("Airflow did not become healthy; see its log", file=sys.stderr)
                    return 1
                print(
                    f"Airflow: {address} (no sign-in needed)\n"
                    f"Logto:   {sandbox.url} (local sandbox; what arrived there: {sandbox.url}/sandbox/stats)\n"
                    f"{dags_found(address)}\nCtrl-C ends everything.",
                    flush=True,
                )
                try:
                    status = process.wait()
                except SystemExit:
                    print("Stopping ...", flush=True)
                    raise
                print(f"Airflow ended by itself with status {status}; see its log", file=sys.stderr)
                return 1
        finally:
            print("Stopped.", flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
