"""What importing each module of the top layer adds to a DAG file that has imported Airflow's DAG already.

Every DAG file is parsed again and again, so an import is paid thousands of times a day. The limit is 10 ms; one is
measured as the median CPU time of fresh processes, each forked after ``from airflow.sdk import DAG``. Byte code is made
first, as pip does when it installs a wheel.
"""

from __future__ import annotations

import compileall
import importlib
import os
import pkgutil
import statistics
import struct
import sys
import time

import airflow_provider_logto

ROUNDS = 9
LIMIT_MS = 10.0
LAYERS = ("operators", "sensors")
#: For comparison: the operator that one would call the API with otherwise.
PEERS = ("airflow.providers.http.operators.http", "airflow.providers.standard.operators.python")


def modules() -> list[str]:
    """The modules that a DAG file imports; triggers wait until a task defers."""
    found = pkgutil.walk_packages(airflow_provider_logto.__path__, "airflow_provider_logto.")
    return sorted(info.name for info in found if info.name.split(".")[1] in LAYERS and not info.ispkg)


def milliseconds(module: str) -> float | None:
    """Import the module in a forked child -> what it took, or None where it is not installed."""
    reading, writing = os.pipe()
    if (child := os.fork()) == 0:
        began = time.process_time()
        try:
            importlib.import_module(module)
            took = (time.process_time() - began) * 1000
        except ImportError:
            took = -1.0
        os.write(writing, struct.pack("d", took))
        os._exit(0)
    os.waitpid(child, 0)
    (took,) = struct.unpack("d", os.read(reading, 8))
    os.close(reading)
    os.close(writing)
    return took if took >= 0 else None


def main() -> int:
    """Print a table.

    :returns: exit status: 1 where a module is above the limit.
    """
    from airflow.sdk import DAG  # noqa: F401

    compileall.compile_dir(airflow_provider_logto.__path__[0], quiet=1)
    above = 0
    for module in [*modules(), *PEERS]:
        runs = [took for took in (milliseconds(module) for _ in range(ROUNDS)) if took is not None]
        if not runs:
            continue
        median = statistics.median(runs)
        above += median > LIMIT_MS and module not in PEERS
        print(f"{median:7.1f} ms  {module}")
    return 1 if above else 0


if __name__ == "__main__":
    sys.exit(main())
