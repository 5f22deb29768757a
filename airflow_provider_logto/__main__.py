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
    from airflow_provider_logto.hooks.logto import LogtoHook

    works, message = LogtoHook(conn_id).test_connection()
    print(message, file=sys.stdout if works else sys.stderr)
    return 0 if works else 1


if __name__ == "__main__":
    raise SystemExit(main())
