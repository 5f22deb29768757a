"""Whichever request of an operator goes wrong, and how: what leaves is one of our errors, and the next try ends as if
nothing had happened, with nothing there twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_logto.client.client import LogtoClient
from airflow_provider_logto.configuration.sync import (
    ConfigurationJob,
    FailedConfiguration,
    Options,
    apply_configuration,
)
from airflow_provider_logto.exceptions import LogtoError
from airflow_provider_logto.management.application_secrets import new_secret, retire_secrets
from airflow_provider_logto.management.application_spec import ApplicationSpec
from airflow_provider_logto.management.applications import ensure_application
from airflow_provider_logto.management.invitation_spec import InviteSpec
from airflow_provider_logto.management.inviting import invite_members
from airflow_provider_logto.management.member_removal import remove_members
from airflow_provider_logto.management.members import checked_members
from airflow_provider_logto.management.organization_removal import delete_organization
from airflow_provider_logto.management.organization_spec import OrganizationSpec
from airflow_provider_logto.management.organizations import ensure_organization
from airflow_provider_logto.management.protection import Protection
from airflow_provider_logto.plans.journal import Run as Attempt
from logto_sandbox import Sandbox
from tests.clients import Run
from tests.configuration.test_configuration import CONFIG, SECRETS
from tests.configuration.test_connectors import oidc
from tests.roster.conftest import local_store
from tests.task_states import Notes

PEOPLE = ("ada", "bob", "eve")
SEED: dict[str, Any] = {
    "users": [{"username": name, "primaryEmail": f"{name}@x.example"} for name in PEOPLE],
    "organizations": [{"name": "Old"}],
    "roles": [{"name": "night", "description": "-", "type": "MachineToMachine"}],
    "applications": [{"name": "importer", "type": "MachineToMachine"}],
}
MAIL = {"connectorId": "mock-email-service", "config": {"apiKey": "k", "fromEmail": "a@x.example", "templates": []}}
INVITE = InviteSpec.checked(["p@x.example", "q@x.example"], None, message={"link": "{invitation_id}"})
FAULTS: dict[str, dict[str, Any]] = {
    "answer lost": {"kind": "lost_answer"},
    "web page": {"kind": "wrong_content_type", "after_commit": True},
    "refused": {"kind": "error", "status": 422},
    "reset": {"kind": "reset", "after_commit": True},
    "reset before": {"kind": "reset"},
    "cut": {"kind": "truncated"},
    "error": {"kind": "error", "status": 500, "after_commit": True},
    "conflict": {"kind": "error", "status": 409},
    "limit": {"kind": "rate_limited", "retry_after": 0},
    "absent": {"kind": "error", "status": 404},
    "no link": {"kind": "link_absent"},
    "wrong link": {"kind": "link_mangled"},
}
#: Those under which a message may be lost, since it is not sent twice.
MESSAGE_MAY_BE_LOST = ("reset before", "error")


@dataclass
class Task:
    """What the tries of one task share."""

    folder: Path
    notes: Notes
    tries: int = 0


async def organization(client: LogtoClient, task: Task) -> None:
    members = checked_members([{"username": name} for name in PEOPLE], ["member"])
    await ensure_organization(client, OrganizationSpec.checked("Acme", "17"), members, prune_members=True)


async def application(client: LogtoClient, task: Task) -> None:
    await ensure_application(client, ApplicationSpec.checked("shop", "MachineToMachine", "17", roles=["night"]))


async def secret(client: LogtoClient, task: Task) -> None:
    made = await new_secret(client, "importer", "second", None, task.notes)
    await retire_secrets(client, made.application, "second", ["Default secret"], 1.0)


async def invitations(client: LogtoClient, task: Task) -> None:
    rows = await invite_members(client, "Old", INVITE, task.notes, task.tries == 1)
    if any(row["outcome"] == "failed" for row in rows):
        raise LogtoError("as the operator says it")


async def removal(client: LogtoClient, task: Task) -> None:
    await remove_members(client, "Old", PEOPLE[:2], Protection({}))


async def deletion(client: LogtoClient, task: Task) -> None:
    await delete_organization(client, "Old", Protection({}), confirm=True, state=task.notes)


async def configuration(client: LogtoClient, task: Task) -> None:
    config = {**CONFIG, "connectors": [oidc("acme")]}
    job = ConfigurationJob.checked("orders", config, "apply", (), {**SECRETS, "acme": "s"}, None)
    options = Options(local_store(task.folder), place=[task.folder], run=Attempt("manual__1", task.tries))
    try:
        await apply_configuration(client, job, options)
    except FailedConfiguration as failed:
        raise failed.error from failed


SCENARIOS = (organization, application, secret, invitations, removal, deletion, configuration)


async def prepare(client: LogtoClient) -> None:
    await client.request("POST", "/connectors", body=MAIL)
    (old,) = await client.collect("/organizations")
    people = [user["id"] for user in await client.collect("/users")]
    await client.request("POST", f"/organizations/{old['id']}/users", body={"userIds": people})


def facts(sandbox: Sandbox) -> dict[str, Any]:
    """What there is, without ids and times."""
    state = sandbox.state()
    names = {
        table: sorted(str(row.get("name") or row.get("indicator") or row.get("invitee")) for row in rows)
        for table, rows in state.items()
        if isinstance(rows, list) and table not in ("logs", "messages", "users")
    }
    links = {name: len(rows) for name, rows in state["relations"].items()}
    return {**names, **links, "messages": Counter(one["recipient"] for one in state["messages"])}


def check(run: Run, sandbox: Sandbox, tmp_path: Path, scenario: Callable[..., Awaitable[None]], fault: str) -> None:
    def fresh(folder: str) -> Task:
        sandbox.reset()
        sandbox.seed(SEED)
        run(prepare)
        sandbox.reset_stats()
        return Task(tmp_path / folder, Notes())

    def attempt(task: Task) -> None:
        task.tries += 1
        run(scenario, task)

    attempt(fresh("untouched"))
    count, wanted = sandbox.stats()["requests"] - sandbox.stats()["tokens"], facts(sandbox)
    assert count
    for number in range(count):
        task = fresh(f"{fault} {number}")
        sandbox.add_fault(path="/api/.*", after=number, **FAULTS[fault])
        try:
            attempt(task)
        except LogtoError:
            sandbox.clear_faults()
            attempt(task)
        found = facts(sandbox)
        if fault in MESSAGE_MAY_BE_LOST:
            assert found["messages"] <= wanted["messages"], number
            found["messages"] = wanted["messages"]
        assert found == wanted, f"request {number}"


@pytest.mark.parametrize("fault", list(FAULTS)[:3])
@pytest.mark.parametrize("scenario", SCENARIOS[:-1])
def test_any_request(
    run: Run, sandbox: Sandbox, tmp_path: Path, scenario: Callable[..., Awaitable[None]], fault: str
) -> None:
    check(run, sandbox, tmp_path, scenario, fault)


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_any_request_and_fault(
    run: Run, sandbox: Sandbox, tmp_path: Path, scenario: Callable[..., Awaitable[None]], fault: str
) -> None:
    check(run, sandbox, tmp_path, scenario, fault)
