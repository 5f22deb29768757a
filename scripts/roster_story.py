"""A roster in the demo: a plan, a brake that holds, and an apply."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Console
from upath import UPath

from airflow_provider_logto.client.auth.credentials import Credentials
from airflow_provider_logto.client.client import LogtoClient
from airflow_provider_logto.client.endpoint import Endpoint
from airflow_provider_logto.plans.plan import read_plan
from airflow_provider_logto.plans.store import Store
from airflow_provider_logto.roster.columns import Columns
from airflow_provider_logto.roster.job import RosterJob
from airflow_provider_logto.roster.people import read_people
from airflow_provider_logto.roster.sources import Problems, Reading, read_rows
from airflow_provider_logto.roster.sync import FailedRun, Options, sync_roster
from logto_sandbox import Sandbox

COMPANY = [
    {"external_id": f"D{at:03d}", "username": f"demo_{at:03d}", "primary_email": f"demo.{at:03d}@example.com"}
    for at in range(60)
]


async def tell(out: Console, sandbox: Sandbox, home: Path) -> None:
    """Everybody joins; then a file that is cut in half; then two who really left."""
    store = Store(UPath(f"file://{home}/rosters"))
    endpoint = Endpoint.parse(sandbox.url, resource=sandbox.resource)
    async with LogtoClient(endpoint, Credentials(sandbox.app_id, sandbox.app_secret)) as client:

        async def night(what: str, rows: list[dict[str, str]], mode: str) -> None:
            out.print(f"   {what}")
            try:
                result = await _sync(client, store, home, rows, mode)
            except FailedRun as failed:
                out.print(f"     fails: {failed.error}", style="red")
                return
            plan = read_plan(store, result["plan_id"], "roster/demo", endpoint.base_url)
            for line in plan.table():
                out.print(f"     {line}")
            made = {name.removeprefix("made."): n for name, n in result["counts"].items() if name.startswith("made.")}
            out.print(f"     made: {made or 'nothing'}")

        await night(f"{len(COMPANY)} people join: apply", COMPANY, "apply")
        await night("Tonight's file is cut in half: plan", COMPANY[:30], "plan")
        await night("Tonight's file is cut in half: apply", COMPANY[:30], "apply")
        await night("The whole file, without the two who left: apply", COMPANY[:58], "apply")


async def _sync(client: LogtoClient, store: Store, home: Path, rows: Any, mode: str) -> dict[str, Any]:
    job = RosterJob.checked(roster="demo", mode=mode, on_missing="suspend")
    problems = Problems()
    people = read_people(read_rows(rows, Reading(), problems), Columns(), job.match_on, problems)
    problems.refuse()
    return await sync_roster(client, job, people, Options(store, place=[home / "locks"]))
