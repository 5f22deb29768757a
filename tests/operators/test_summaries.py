"""The last line of a task's log: whom, in which tenant, what changed, how many requests, how long they waited."""

from __future__ import annotations

import ast
import logging
import re
from pathlib import Path
from typing import Any

import pytest

import airflow_provider_logto
from airflow_provider_logto.operators.applications import ProvisionApplicationOperator, RotateApplicationSecretOperator
from airflow_provider_logto.operators.base import changes_of
from airflow_provider_logto.operators.management_api import ManagementApiOperator
from airflow_provider_logto.operators.organizations import ProvisionOrganizationOperator
from airflow_provider_logto.operators.roles import AssignRolesOperator
from airflow_provider_logto.operators.roster import SyncRosterOperator
from airflow_provider_logto.operators.users import CreateUserOperator, UpdateUserOperator
from logto_sandbox import Sandbox

OPERATORS = sorted((Path(airflow_provider_logto.__file__).parent / "operators").glob("[!_]*.py"))


def last_line(operator: Any, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]) -> str:
    caplog.clear()
    caplog.set_level(logging.INFO)
    capsys.readouterr()
    operator.execute({})
    # The former on 2.11, which prints the same with a prefix; the latter on 3.x.
    logged = "\n".join(record.getMessage() for record in caplog.records)
    if "for the pace)" not in logged:
        logged = capsys.readouterr().out
    lines = [line for line in logged.splitlines() if "for the pace)" in line]
    assert len(set(lines)) == 1, logged
    return lines[0]


@pytest.mark.usefixtures("sandbox_tenant")
def test_one_line_says_what_happened(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    def line(operator: Any) -> str:
        before = sandbox.stats()["requests"]
        said = last_line(operator, caplog, capsys)
        counts = re.search(r"(\d+) reads?, (\d+) writes?, waited \d+\.\d s", said)
        assert counts, said
        assert int(counts[1]) + int(counts[2]) == sandbox.stats()["requests"] - before
        assert sandbox.url in said
        assert "mika@" not in said
        return said

    person = {"username": "mika", "primary_email": "mika@example.com"}
    created = line(CreateUserOperator(task_id="create", **person))
    user = sandbox.state()["users"][0]["id"]
    assert f"User {user} in {sandbox.url}: created" in created
    assert ", 1 write, " in created
    again = line(CreateUserOperator(task_id="again", if_exists="update", **person))
    assert f"User {user} in {sandbox.url}: unchanged (1 read, 0 writes, " in again
    assert ": updated (name) (" in line(UpdateUserOperator(task_id="update", user=user, name="Mika"))
    assert "employee added for 1 user (" in line(AssignRolesOperator(task_id="roles", users=[user], roles=["employee"]))
    line(ProvisionOrganizationOperator(task_id="organization", name="Acme"))
    joined = line(ProvisionOrganizationOperator(task_id="members", name="Acme", members=[user]))
    assert ": updated; members: 1 added (" in joined
    assert "unchanged" not in joined
    path = {"path": "/users/{userId}", "path_params": {"userId": user}}
    assert f"GET /users/{{userId}} in {sandbox.url}: done (1 read, 0 writes" in line(
        ManagementApiOperator(task_id="get", **path)
    )


@pytest.mark.usefixtures("sandbox_tenant")
def test_it_says_what_to_look_at_next(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path.as_uri()
    dumped = last_line(SyncRosterOperator(task_id="dump", roster="hr", folder=folder, mode="dump"), caplog, capsys)
    assert f"rows: 0; dumped to {folder}/roster/hr/hr.dump.jsonl (" in dumped
    ProvisionApplicationOperator(task_id="app", name="Importer", application_type="MachineToMachine").execute({})
    rotate = RotateApplicationSecretOperator(
        task_id="rotate", application="Importer", hand_over=lambda secret, about: None, secret_name="one"
    )
    assert "old secrets deleted: 0, kept: 0, others still valid: 1 (" in last_line(rotate, caplog, capsys)


@pytest.mark.parametrize(
    ("report", "said"),
    [
        ({"outcome": "unchanged", "members": {"added": 0, "unchanged": 3}}, "unchanged"),
        ({"outcome": "unchanged", "members": {"added": 1, "roles_added": 1}}, "members: 1 added, 1 role added"),
        ({"outcome": "updated", "jit_roles": {"removed": 2}}, "updated; jit roles: 2 removed"),
        (
            {"outcome": "updated", "changed": ["name"], "members": {"roles_removed": 2}},
            "updated (name); members: 2 roles removed",
        ),
    ],
)
def test_changes_in_words(report: dict[str, Any], said: str) -> None:
    assert changes_of(report) == said


@pytest.mark.parametrize("path", OPERATORS, ids=lambda path: path.stem)
def test_every_operator_says_it(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ClassDef) and node.name.endswith("Operator") and node.name != "LogtoOperator":
            assert "self.log_summary(" in ast.unparse(node), node.name
