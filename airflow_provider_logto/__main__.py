"""``python -m airflow_provider_logto check CONN_ID``: does the Connection work from this machine?

The same check as the button of the Connection form, for canaries and for where the button is disabled.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    :returns: the exit status: 0 when it works, 1 when it does not (the reason is on standard error).
    """
    parser = argparse.ArgumentParser(prog="python -m airflow_provider_logto", description="Airflow provider for Logto.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    check = commands.add_parser("check", help="check that a Connection works from this machine")
    check.add_argument("conn_id", nargs="?", default="logto_default", help="default: logto_default")
    return _check(parser.parse_args(arguments).conn_id)


def _check(conn_id: str) -> int:
    # As Airflow's own commands do: without it Airflow 3 looks for Connections in the environment only.
    os.environ.setdefault("_AIRFLOW_PROCESS_CONTEXT", "server")
    from airflow.exceptions import AirflowNotFoundException  # type: ignore[attr-defined]  # re-exported since 3.x

    from airflow_provider_logto.hooks.logto import LogtoHook

    try:
        works, message = LogtoHook(conn_id).test_connection()
    except AirflowNotFoundException as error:
        works, message = False, f"{error}: {_missing(conn_id)}"
    print(message, file=sys.stdout if works else sys.stderr)
    return 0 if works else 1


def _missing(conn_id: str) -> str:
    """Why Airflow finds no Connection: it passes over an environment variable that it cannot read.

    The text of the error only names keys and positions; the value, with its secret, is never shown.
    """
    from airflow.models.connection import Connection

    name = f"AIRFLOW_CONN_{conn_id.upper()}"
    value = os.environ.get(name, "").strip()
    try:
        if value.startswith("{"):
            Connection.from_json(value, conn_id=conn_id)
    except (TypeError, ValueError) as error:
        return f"{name} cannot be read: {error}; its keys are conn_type, host, port, login, password, extra"
    try:
        if value and not value.startswith("{"):
            Connection(conn_id=conn_id, uri=value)
    except Exception:  # its text may show a part of the URI, and so of the secret
        return (
            f"{name} cannot be read as a URI: write /, : and @ in login and password as %2F, %3A and %40, or use JSON"
        )
    return f"add it in Admin > Connections, or set {name}"


if __name__ == "__main__":
    raise SystemExit(main())
