"""Runs rosters on the sandbox, over a real socket."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_logto.management.protection import Protection
from airflow_provider_logto.plans.store import Store
from airflow_provider_logto.roster.columns import Columns
from airflow_provider_logto.roster.job import RosterJob
from airflow_provider_logto.roster.people import Person, read_people
from airflow_provider_logto.roster.sources import Problems, Reading, read_rows
from airflow_provider_logto.roster.sync import FailedRun, Options, sync_roster
from logto_sandbox import Sandbox

Run = Callable[..., Any]


def people_of(
    rows: Any, *, keys: Iterable[str] = ("external_id", "username", "primary_email"), **columns: Any
) -> list[Person]:
    """Rows as a DAG author writes them -> people; fails where one is bad."""
    problems = Problems()
    people = read_people(read_rows(rows, Reading(), problems), Columns.checked(**columns), tuple(keys), problems)
    problems.refuse()
    return people


def local_store(path: Path) -> Store:
    """A store in a folder of this machine."""
    from airflow_provider_logto.destinations import path_at

    return Store(path_at(f"file://{path}"))


class Roster:
    """A roster named ``hr`` on the sandbox: ``roster.apply(rows, on_missing="suspend")``."""

    def __init__(self, run: Run, sandbox: Sandbox, folder: Path) -> None:
        self._run = run
        self.sandbox = sandbox
        self.folder = folder
        self.store = local_store(folder)
        self.settings: dict[str, Any] = {"roster": "hr"}

    def sync(self, rows: Any, mode: str, options: Mapping[str, Any] | None = None, **settings: Any) -> dict[str, Any]:
        job = RosterJob.checked(**{**self.settings, **settings, "mode": mode})
        people = people_of(rows, keys=job.match_on)
        result: dict[str, Any] = self._run(
            sync_roster, job, people, Options(self.store, **{"place": [self.folder], **(options or {})})
        )
        return result

    def plan(self, rows: Any, **settings: Any) -> dict[str, Any]:
        return self.sync(rows, "plan", **settings)

    def apply(self, rows: Any, **settings: Any) -> dict[str, Any]:
        return self.sync(rows, "apply", **settings)

    def fails(self, rows: Any, **settings: Any) -> FailedRun:
        """Applies and expects a run that ends badly."""
        with pytest.raises(FailedRun) as caught:
            self.apply(rows, **settings)
        return caught.value

    def protecting(self, *entries: Any) -> dict[str, Any]:
        return {"protection": Protection.checked(entries)}

    def users(self) -> dict[str, dict[str, Any]]:
        """Users of the tenant by username or e-mail."""
        return {user["username"] or user["primaryEmail"]: user for user in self.sandbox.state()["users"]}

    def writes(self) -> int:
        return int(self.sandbox.stats()["writes"])


@pytest.fixture
def roster(run: Run, sandbox: Sandbox, tmp_path: Path) -> Roster:
    return Roster(run, sandbox, tmp_path / "rosters")
