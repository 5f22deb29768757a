"""Run by the Python of a clean environment: the provider as Airflow lists it, and an example DAG on a sandbox.

Usage: clean_install.py AIRFLOW_HOME
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import logto_sandbox

PROJECT = Path(__file__).resolve().parents[2]


def main() -> None:
    assert PROJECT not in Path(logto_sandbox.__file__).parents, "the installed package is meant, not the checkout"
    with logto_sandbox.Sandbox(seed=PROJECT / "scripts" / "demo_seed.json") as sandbox:
        connection = {
            "conn_type": "logto",
            "host": sandbox.url,
            "login": sandbox.app_id,
            "password": sandbox.app_secret,
        }
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_")},
            "AIRFLOW_HOME": sys.argv[1],
            "AIRFLOW_CONN_LOGTO_DEFAULT": json.dumps(connection),
            "AIRFLOW__CORE__DAGS_FOLDER": str(PROJECT / "dags_examples"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        }
        for command in (
            ["providers", "get", "airflow-provider-logto", "--full", "--output", "yaml"],
            ["db", "migrate"],
            ["dags", "test", "employee_onboarding"],
        ):
            done = subprocess.run(
                [sys.executable, "-m", "airflow", *command], env=environment, capture_output=True, text=True
            )
            assert done.returncode == 0, f"{command}: {done.stdout[-3000:]}{done.stderr[-3000:]}"
            if command[0] == "providers":
                print(done.stdout)
        people = sandbox.state()["users"]
    assert len(people) > 20, people
    print("employee_onboarding: success")


if __name__ == "__main__":
    main()
