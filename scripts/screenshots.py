"""`make screenshots`: the pictures of the documentation, taken by a real browser from a real Airflow.

It walks the way of the README: add a Connection in the form, test it, trigger the README's DAG, look at the run. Needs
Playwright and a Chromium of the system (``--chromium``, or ``chromium`` on the path).
"""

from __future__ import annotations

import argparse
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import Page, sync_playwright

import playground
import standalone

IMAGES = playground.PROJECT / "docs" / "images"
DAG_ID = "first_logto_dag"
WIDTH, HEIGHT = 1200, 900
#: Milliseconds for the browser to find what it looks for.
PATIENCE = 60_000
#: Seconds until the run must have ended.
RUN_WITHIN = 300
#: No sandbox as root in a container; the rest keeps the browser from calling home.
OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def readme_dag() -> str:
    """The DAG on the first page."""
    readme = (playground.PROJECT / "README.md").read_text("utf-8")
    (code,) = re.findall(rf"```python\n([^`]*{DAG_ID}[^`]*)```", readme)
    return str(code)


def add_connection(page: Page, airflow: str, logto: str, images: Path) -> None:
    """Fill in the form and save it."""
    page.goto(f"{airflow}/connections")
    page.get_by_role("button", name="Add Connection").click()
    form = page.get_by_role("dialog")
    form.locator("input[name=connection_id]").fill("logto_default")
    kind = form.locator("input[role=combobox]")
    kind.click()
    kind.fill("Logto")
    page.keyboard.press("Enter")
    for name, value in {
        "host": logto,
        "login": "sandbox-m2m",
        "password": "sandbox-m2m-secret",
        "port": logto.rpartition(":")[2],
    }.items():
        form.locator(f"input[name={name}]").fill(value)
    page.wait_for_timeout(500)
    form.screenshot(path=images / "connection.png")
    form.get_by_role("button", name="Save").click()
    form.wait_for(state="hidden")


def test_connection(page: Page, images: Path) -> str:
    """Press the button in the list -> what Airflow answered."""
    row = page.locator("tr", has_text="logto_default")
    with page.expect_response(lambda response: response.url.endswith("/connections/test")) as answered:
        row.get_by_role("button", name="Test Connection").click()
    answer: dict[str, Any] = answered.value.json()
    page.wait_for_timeout(500)
    page.screenshot(path=images / "test.png", clip={"x": 0, "y": 0, "width": WIDTH, "height": 300})
    if answer.get("status") is not True:
        raise SystemExit(f"the Test button answered {answer}")
    return str(answer["message"])


def run_dag(page: Page, airflow: str, images: Path) -> None:
    """Trigger the DAG in the UI, wait for its end, and look at it."""
    page.goto(f"{airflow}/dags/{DAG_ID}")
    page.get_by_role("button", name="Trigger").first.click()
    page.get_by_role("dialog").get_by_role("button", name="Trigger").click()
    deadline = time.monotonic() + RUN_WITHIN
    while True:
        runs = httpx.get(f"{airflow}/api/v2/dags/{DAG_ID}/dagRuns", timeout=60, trust_env=False).json()["dag_runs"]
        if runs and runs[-1]["state"] in ("success", "failed"):
            break
        if time.monotonic() > deadline:
            raise SystemExit(f"the run did not end within {RUN_WITHIN} s: {runs}")
        time.sleep(1)
    if runs[-1]["state"] != "success":
        raise SystemExit("the run failed")
    page.goto(f"{airflow}/dags/{DAG_ID}/runs/{runs[-1]['dag_run_id']}")
    page.wait_for_timeout(3000)
    page.screenshot(path=images / "run.png")


def main() -> int:
    """Take all pictures.

    :returns: exit status.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chromium", default=shutil.which("chromium") or shutil.which("google-chrome"))
    parser.add_argument("--images", type=Path, default=IMAGES, help="folder of the pictures")
    options = parser.parse_args()
    if not options.chromium:
        print("No Chromium found; name one with --chromium", file=sys.stderr)
        return 2
    options.images.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        dags, said = Path(folder, "dags"), Path(folder, "said.txt")
        dags.mkdir()
        (dags / f"{DAG_ID}.py").write_text(readme_dag(), "utf-8")
        port = standalone.free_port()
        command = [
            sys.executable,
            standalone.__file__,
            "--port",
            str(port),
            "--dags",
            str(dags),
            "--without-connection",
        ]
        with said.open("w") as output:
            process = subprocess.Popen([*command, "--home", f"{folder}/home"], stdout=output, stderr=output)
        try:
            airflow, logto = addresses(process, said)
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=options.chromium, args=OPTIONS)
                page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
                page.set_default_timeout(PATIENCE)
                add_connection(page, airflow, logto, options.images)
                print(f"Test: {test_connection(page, options.images)}")
                run_dag(page, airflow, options.images)
                browser.close()
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)
    print(f"Pictures are in {options.images}")
    return 0


def addresses(process: subprocess.Popen[bytes], said: Path) -> tuple[str, str]:
    """Where Airflow and Logto are, once both run."""
    deadline = time.monotonic() + standalone.START_WITHIN + standalone.READ_WITHIN
    while time.monotonic() < deadline and process.poll() is None:
        found = dict(re.findall(r"^(Airflow|Logto|DAGs): +(\S+)", said.read_text(), re.MULTILINE))
        if len(found) == 3:
            return found["Airflow"], found["Logto"]
        time.sleep(0.5)
    raise SystemExit(said.read_text())


if __name__ == "__main__":
    raise SystemExit(main())
