"""`make matrix`: the suite on every Airflow that the package promises, each with the dependencies of its time.

A row is one environment below ``.matrix/``. First a control DAG without our code runs: where that fails, the row says
that this Airflow is broken, and nothing of ours is judged by it. Then the suite runs without its long parts: it runs
every operator, the example DAGs and the Connection's form. One row after the other, since each uses the whole machine.

Usage: ``matrix.py [--rows SUBSTRING ... | --ends] [--list] [--fresh]``
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from uv import find_uv_bin

PROJECT = Path(__file__).resolve().parent.parent
HOME = PROJECT / ".matrix"
UV = find_uv_bin()
#: Seconds after which a step counts as hanging.
STEP_LIMIT = 1800
#: Lines shown of a step that failed; all of them are in its log.
SHOWN_LINES = 200
#: Tests about what no version of Airflow changes; they run in `make test`.
ELSEWHERE = ("client", "contracts", "docs/test_pages.py", "management", "sandbox", "test_distributions.py")

#: Airflow -> a day on which it was current, and the highest Python that it allows among those we promise.
AIRFLOWS = {
    "2.11.2": ("2026-04-10", "3.12"),
    "3.0.6": ("2025-09-25", "3.12"),
    "3.1.8": ("2026-04-01", "3.13"),
    "3.2.2": ("2026-06-20", "3.13"),
    "3.3.2": ("2026-10-15", "3.13"),
}
LOWEST_PYTHON = "3.11"
#: A day on which the lowest Airflow was current: 2.11.0 does not work with universal-pathlib 0.3, which came later.
LOWEST_DAY = "2025-06-20"
#: Tried with what the index has today as well.
UNDATED = ("2.11.2", "3.1.8", "3.3.2")


@dataclass(frozen=True)
class Row:
    """One environment.

    :param airflow: its version; None where the lowest direct versions decide.
    :param day: nothing that was published later is installed; None for today's dependencies.
    """

    airflow: str | None
    python: str
    day: str | None

    @property
    def name(self) -> str:
        when = "lowest" if self.airflow is None else self.day or "today"
        return f"{self.airflow or 'lowest'}-py{self.python}-{when}"


@dataclass
class Result:
    """What came of a row.

    :param verdict: ``passed``, ``failed``, ``broken`` (this Airflow by itself) or ``missing`` (no such Python here).
    :param detail: counts of tests, or the reason.
    """

    row: Row
    verdict: str
    detail: str
    seconds: float = 0.0


class StepFailed(Exception):
    """A command of a row ended badly; the message is the last line of what it said.

    :param output: all that it said.
    """

    def __init__(self, message: str, output: str = "") -> None:
        super().__init__(message)
        self.output = output


def rows() -> list[Row]:
    """The whole matrix, in the order in which it runs."""
    dated = [
        Row(airflow, python, day)
        for airflow, (day, highest) in AIRFLOWS.items()
        for python in dict.fromkeys((LOWEST_PYTHON, highest))
    ]
    today = [Row(airflow, LOWEST_PYTHON, None) for airflow in UNDATED]
    return [*dated, *today, Row(None, LOWEST_PYTHON, LOWEST_DAY)]


def ends() -> list[Row]:
    """The lowest Airflow on the lowest Python and the highest Airflow on the highest Python: what CI runs."""
    dated = [row for row in rows() if row.airflow and row.day]
    return [dated[0], dated[-1]]


def find_python(version: str) -> str | None:
    """The interpreter of a version, on the path or among pyenv's; None when there is none."""
    found = [shutil.which(f"python{version}")]
    if pyenv := shutil.which("pyenv"):
        root = subprocess.run([pyenv, "root"], capture_output=True, text=True, check=False).stdout.strip()
        found += [str(path) for path in sorted(Path(root, "versions").glob(f"{version}.*/bin/python"), reverse=True)]
    for candidate in found:
        if candidate and subprocess.run([candidate, "-c", ""], capture_output=True, check=False).returncode == 0:
            return candidate
    return None


class Environment:
    """The environment of one row; everything that its commands say goes to its log."""

    def __init__(self, row: Row) -> None:
        self.row = row
        self.home = HOME / row.name
        self.python = str(self.home / "venv" / "bin" / "python")
        self.log = self.home / "log.txt"

    def build(self, interpreter: str) -> None:
        """Install Airflow, the package in this checkout with its extras, and the tools of the tests.

        :raises StepFailed: when nothing fits together.
        """
        ready = self.home / "ready"
        wanted = f"{self.row}\n{(PROJECT / 'pyproject.toml').read_text('utf-8')}"
        if ready.exists() and ready.read_text("utf-8") == wanted:
            return
        shutil.rmtree(self.home, ignore_errors=True)
        self.home.mkdir(parents=True)
        self.run(UV, "venv", "--quiet", "--python", interpreter, str(self.home / "venv"))
        named = [f"apache-airflow=={self.row.airflow}"] if self.row.airflow else ["--resolution", "lowest-direct"]
        dated = ["--exclude-newer", self.row.day] if self.row.day else []
        project = ["--editable", "./sandbox", "--editable", ".[parquet,phone,redis,sandbox,zstd]", "--group", "test"]
        self.run(UV, "pip", "install", "--quiet", "--python", self.python, *dated, *named, *project)
        ready.write_text(wanted, "utf-8")

    def control(self) -> None:
        """A DAG without our code.

        :raises StepFailed: when this Airflow cannot run it.
        """
        self.run(self.python, str(PROJECT / "scripts" / "matrix_control.py"), str(self.home / "control"))

    def suite(self) -> str:
        """Run the tests.

        :returns: pytest's last line.
        :raises StepFailed: when a test fails.
        """
        ignored = [f"--ignore=tests/{path}" for path in ELSEWHERE]
        parallel = ["-n", "2", "--dist", "loadgroup"]
        output = self.run(self.python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *parallel, *ignored)
        return summary(output)

    def airflow_version(self) -> str:
        """The version that is installed."""
        asked = "from importlib.metadata import version; print(version('apache-airflow'))"
        return self.run(self.python, "-c", asked).strip()

    def run(self, *command: str) -> str:
        """Run one command to its end -> what it said.

        :raises StepFailed: when it fails or hangs.
        """
        # Without byte code, each of the many processes of a suite would compile Airflow again.
        unwanted = ("AIRFLOW_", "PYTEST_", "PYTHONDONTWRITEBYTECODE")
        environment = {name: value for name, value in os.environ.items() if not name.startswith(unwanted)}
        try:
            done = subprocess.run(
                command,
                cwd=PROJECT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=STEP_LIMIT,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise StepFailed(f"{command[0]} took longer than {STEP_LIMIT} s") from None
        with self.log.open("a", encoding="utf-8") as log:
            log.write(f"$ {' '.join(command)}\n{done.stdout}\n")
        if done.returncode:
            raise StepFailed(summary(done.stdout), done.stdout)
        return done.stdout


def summary(output: str) -> str:
    """The last line that says something, without pytest's frame."""
    lines = [line.strip("= ") for line in output.splitlines() if line.strip("= ")]
    return re.sub(r"\s+", " ", lines[-1]) if lines else "it said nothing"


def run_row(row: Row, fresh: bool = False) -> Result:
    """Build a row's environment and run everything in it."""
    began = time.monotonic()
    environment = Environment(row)
    if fresh:
        shutil.rmtree(environment.home, ignore_errors=True)
    interpreter = find_python(row.python)
    if interpreter is None:
        return Result(row, "missing", f"there is no Python {row.python} on this machine")
    verdict, detail = "failed", ""
    try:
        environment.build(interpreter)
        verdict = "broken"
        environment.control()
        verdict = "failed"
        detail = environment.suite()
        verdict = "passed"
        if row.airflow is None:
            detail = f"Airflow {environment.airflow_version()}: {detail}"
    except StepFailed as failure:
        detail = str(failure)
        print("\n".join(failure.output.splitlines()[-SHOWN_LINES:]))
    return Result(row, verdict, detail, time.monotonic() - began)


def table(results: Sequence[Result]) -> str:
    """The results in Markdown."""
    lines = [
        "| Airflow | Python | dependencies of | result | tests | minutes |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for result in results:
        row = result.row
        when = f"{row.day}, lowest direct" if row.airflow is None else row.day or "today"
        lines.append(
            f"| {row.airflow or 'lowest'} | {row.python} | {when} | {result.verdict} | {result.detail} "
            f"| {result.seconds / 60:.1f} |"
        )
    return "\n".join(lines)


def main() -> int:
    """Run the rows that are asked for.

    :returns: 1 when a row failed; a broken Airflow or a missing Python is reported and fails nothing.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", nargs="*", default=[], help="only rows whose name contains one of these")
    parser.add_argument("--ends", action="store_true", help="only the lowest and the highest Airflow: what CI runs")
    parser.add_argument("--list", action="store_true", help="print the names of the rows")
    parser.add_argument("--fresh", action="store_true", help="build the environments anew")
    options = parser.parse_args()
    possible = ends() if options.ends else rows()
    chosen = [row for row in possible if not options.rows or any(part in row.name for part in options.rows)]
    if options.list or not chosen:
        print("\n".join(row.name for row in (chosen or rows())))
        return 0 if chosen else 2
    results = []
    for row in chosen:
        print(f"== {row.name}", flush=True)
        results.append(run_row(row, options.fresh))
        print(f"   {results[-1].verdict}: {results[-1].detail}", flush=True)
    HOME.mkdir(exist_ok=True)
    (HOME / "result.md").write_text(table(results) + "\n", "utf-8")
    print(f"\n{table(results)}\n\nLogs: .matrix/<row>/log.txt; this table: .matrix/result.md")
    return int(any(result.verdict == "failed" for result in results))


if __name__ == "__main__":
    raise SystemExit(main())
