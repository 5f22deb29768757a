"""A DAG without our code, with a mapped task, run by whatever Airflow runs this: does that Airflow work at all?

Usage: matrix_control.py EMPTY_FOLDER
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

DAG_FILE = """
from datetime import datetime

try:
    from airflow.sdk import DAG, task
except ImportError:
    from airflow import DAG
    from airflow.decorators import task

with DAG("control", schedule=None, start_date=datetime(2025, 1, 1)):

    @task
    def numbers():
        return [1, 2, 3]

    @task
    def double(number):
        return 2 * number

    @task
    def total(numbers):
        assert sum(numbers) == 12

    total(double.expand(number=numbers()))
"""


def main() -> int:
    """Migrate a database and run the DAG.

    :returns: exit status.
    """
    home = Path(sys.argv[1])
    shutil.rmtree(home, ignore_errors=True)
    (home / "dags").mkdir(parents=True)
    (home / "dags" / "control.py").write_text(DAG_FILE, "utf-8")
    environment = {
        **os.environ,
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    }
    for command in (["db", "migrate"], ["dags", "test", "control", "2025-01-02"]):
        done = subprocess.run([sys.executable, "-m", "airflow", *command], env=environment, check=False)
        if done.returncode:
            print(f"`airflow {' '.join(command)}` failed: this Airflow is broken without our code")
            return done.returncode
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
