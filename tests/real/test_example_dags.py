"""The example DAGs, run by Airflow on any Logto.

On a real tenant the people and the organization of the example are removed, before and after: use a throw-away one.
"""

from __future__ import annotations

import csv
import gzip
import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_logto.client.client import path_of
from airflow_provider_logto.hooks.logto import LogtoHook
from tests.conftest import DEMO_SEED, EXAMPLES, RunDag, Tenant

COMPANY = "Sakura Trading"
#: Family in the demo's seed -> the operation that lists and creates it.
FAMILIES = {"roles": "/roles", "organizationScopes": "/organization-scopes", "organizationRoles": "/organization-roles"}


def roster() -> list[dict[str, str]]:
    with (EXAMPLES / "roster.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def people_of(hook: LogtoHook) -> dict[str, dict[str, Any]]:
    """The people of the roster that are in the tenant, by username."""
    names = [person["username"] for person in roster()]
    found = hook.iterate("/users", {"search.username": names, "mode.username": "exact", "joint": "or"})
    return {user["username"]: user for user in found}


def companies_of(hook: LogtoHook) -> list[dict[str, Any]]:
    return [found for found in hook.iterate("/organizations", {"q": COMPANY}) if found["name"] == COMPANY]


@pytest.fixture
def hook(tenant: Tenant) -> LogtoHook:
    """A hook of the Connection ``logto_default``."""
    return LogtoHook()


@pytest.fixture
def demo_roles(hook: LogtoHook) -> Iterator[None]:
    """The roles that the DAG asks for; those that were not there are removed again."""
    seed: dict[str, list[dict[str, Any]]] = json.loads(DEMO_SEED.read_text("utf-8"))
    made = []
    for family, path in FAMILIES.items():
        there = {item["name"] for item in hook.iterate(path)}
        for item in seed[family]:
            if item["name"] not in there:
                body = {key: value for key, value in item.items() if key != "scopes"}
                made.append(path + path_of("/{}", hook.request("POST", path, body=body)["id"]))
    yield
    for path in reversed(made):
        hook.request("DELETE", path)


@pytest.fixture
def nobody_yet(hook: LogtoHook, demo_roles: None) -> Iterator[None]:
    """Neither the roster's people nor the organization exist, before and after."""

    def clear() -> None:
        for user in people_of(hook).values():
            hook.request("DELETE", path_of("/users/{}", user["id"]))
        for organization in companies_of(hook):
            hook.request("DELETE", path_of("/organizations/{}", organization["id"]))

    clear()
    yield
    clear()


def test_roster_has_what_rosters_have() -> None:
    emails = [person["primary_email"] for person in roster()]
    names = "".join(person["name"] for person in roster())
    assert len(emails) >= 25
    assert any("+" in email for email in emails)
    assert any(email != email.lower() for email in emails)
    assert any("\u3040" <= character <= "\u9fff" for character in names)


def test_onboarding_makes_it_so_and_then_changes_nothing(
    run_dag: RunDag, tenant: Tenant, hook: LogtoHook, nobody_yet: None
) -> None:
    expected = roster()
    if tenant.sandbox:
        tenant.sandbox.reset_stats()

    assert run_dag(EXAMPLES / "employee_onboarding.py", "employee_onboarding").state == "success"

    if tenant.sandbox:
        stats = tenant.sandbox.stats()
        assert stats["requests"] - stats["tokens"] <= 2 * len(expected) + 30
        tenant.sandbox.reset_stats()

    first = people_of(hook)
    assert {
        (user["username"], user["primaryEmail"], user["name"], user["customData"]["department"])
        for user in first.values()
    } == {
        (person["username"], person["primary_email"].lower(), person["name"], person["department"])
        for person in expected
    }
    roles = Counter(
        role["name"] for user in first.values() for role in hook.iterate(path_of("/users/{}/roles", user["id"]))
    )
    assert roles == Counter(person["role"] for person in expected if person["role"]) + Counter(employee=len(expected))
    (company,) = companies_of(hook)
    members = list(hook.iterate(path_of("/organizations/{}/users", company["id"])))
    assert {member["username"] for member in members} == set(first)
    assert all([role["name"] for role in member["organizationRoles"]] == ["member"] for member in members)

    if tenant.sandbox:
        tenant.sandbox.reset_stats()
    assert run_dag(EXAMPLES / "employee_onboarding.py", "employee_onboarding").state == "success"
    if tenant.sandbox:
        assert tenant.sandbox.stats()["writes"] == 0
    assert people_of(hook) == first


def test_export_archives_the_logs_of_an_interval_each_once(
    run_dag: RunDag, tenant: Tenant, hook: LogtoHook, tmp_path: Path
) -> None:
    end = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=2)
    start = end - timedelta(hours=6)
    if tenant.sandbox:
        tenant.sandbox.insert_logs(count=250, start=start.isoformat(), end=end.isoformat(), ties=5, seed=3)
    conf = {"destination": f"file://{tmp_path}", "start": start.isoformat(), "end": end.isoformat()}

    assert run_dag(EXAMPLES / "audit_log_export.py", "audit_log_export", conf=conf).state == "success"

    first, last = (int(moment.timestamp() * 1000) for moment in (start, end))
    expected = sorted(
        (row["createdAt"], row["id"])
        for row in hook.iterate("/logs", {"start_time": first - 1, "end_time": last + 1})
        if first <= row["createdAt"] < last
    )
    exported = []
    for path in sorted(tmp_path.rglob("*.jsonl.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            exported += [json.loads(line) for line in lines]
    assert [(row["createdAt"], row["id"]) for row in exported] == expected
    (manifest,) = tmp_path.rglob("*manifest*.json")
    assert json.loads(manifest.read_text("utf-8"))["count"] == len(expected)
