"""Every DAG on a page runs on an Airflow, twice, and its second run changes nothing."""

from __future__ import annotations

import ast
import copy
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from logto_sandbox import Sandbox
from tests.conftest import RunDag, Tenant
from tests.docs.pages import PAGES, Example, examples

EXAMPLES = [example for page in PAGES for example in examples(page)]
DAGS = [example for example in EXAMPLES if example.dag_id]

#: What the pages ask for beyond an empty tenant.
SEED: dict[str, Any] = {
    "roles": [{"name": "employee", "description": "e"}, {"name": "engineer", "description": "e"}],
    "organizationRoles": [{"name": "member"}],
}


@dataclass(frozen=True)
class Scenario:
    """What an example needs, and what comes of it.

    :param seed: the tenant before the run.
    :param signed_in: usernames of the seed that have signed in.
    :param conf, date: of the run.
    :param files: name -> text of what lies in ``/data``.
    :param users, organizations: usernames and names that are there afterwards.
    :param failed: tasks that are meant to fail.
    :param writes: operations without which the first run has done nothing.
    :param writes_again: operations of the second run that repeat what is done already.
    """

    seed: dict[str, Any] = field(default_factory=lambda: SEED)
    signed_in: tuple[str, ...] = ()
    conf: dict[str, Any] | None = None
    date: datetime | None = None
    files: dict[str, str] = field(default_factory=dict)
    users: tuple[str, ...] = ()
    organizations: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    writes_again: tuple[str, ...] = ()


def first_block(page: str, language: str) -> str:
    """What a page shows as a file."""
    (path,) = (path for path in PAGES if path.name == page)
    return path.read_text("utf-8").partition(f"```{language}\n")[2].partition("```")[0]


SCENARIOS = {
    # The README promises that an empty tenant will do.
    "first_logto_dag": Scenario({}, users=("ada", "grace"), organizations=("Example Trading",)),
    "create_person": Scenario({}, users=("ada",)),
    "create_people": Scenario({}, users=("ada", "grace")),
    "promotion": Scenario(
        {"users": [{"username": "ada", "avatar": "https://example.com/a.png", "customData": {"temporary": 1}}]},
        users=("ada",),
    ),
    "remove_members": Scenario(
        {
            "users": [{"username": "ada"}],
            "organizations": [{"name": "Acme", "customData": {"externalId": "customer-4711"}, "members": ["ada"]}],
        },
        users=("ada",),
        organizations=("Acme",),
        writes_again=("DELETE /api/organizations/{id}/users/{userId}",),
    ),
    "patient": Scenario({}, users=("ada",)),
    "assign_roles": Scenario(users=("ada", "grace")),
    "provision_customer": Scenario(users=("ada", "grace"), organizations=("Example Trading",)),
    "after_first_sign_in": Scenario({**SEED, "users": [{"username": "ada"}]}, ("ada",), users=("ada",)),
    "report": Scenario({"users": [{"username": "ada", "isSuspended": True}]}, users=("ada",)),
    "organization_sizes": Scenario(
        {"users": [{"username": "ada"}], "organizations": [{"name": "Acme", "members": ["ada"]}]},
        users=("ada",),
        organizations=("Acme",),
    ),
    "one_bad_row": Scenario(users=("ada", "grace"), failed=("create_user",)),
    "look_up": Scenario({"users": [{"username": "ada", "primaryEmail": "ada@example.com"}]}, users=("ada",)),
    "hourly_archive": Scenario(
        {"logs": {"count": 50, "start": "2026-03-01T00:00:00Z", "end": "2026-03-01T01:00:00Z"}},
        date=datetime(2026, 3, 1, 1, tzinfo=UTC),
    ),
    "dismissal": Scenario(
        {
            "roles": [{"name": "break-glass", "description": "never"}, {"name": "employee", "description": "e"}],
            "users": [{"username": "ada", "primaryEmail": "ada@example.com", "roles": ["employee"]}],
        },
        users=("ada",),
        # A suspension is sent again: it ends sessions that began since.
        writes_again=("PATCH /api/users/{id}/is-suspended",),
    ),
    "orders_configuration": Scenario(
        {},
        files={"orders.yaml": first_block("configuration.md", "yaml")},
        writes=("POST /api/resources", "POST /api/roles", "POST /api/hooks"),
    ),
    "people": Scenario({}, users=("katherine", "mary"), files={"people.csv": first_block("roster.md", "text")}),
    "migration": Scenario(
        {},
        users=("ada",),
        files={"auth0.jsonl": '{"user_id": "auth0|1", "username": "ada", "email": "ada@example.com"}\n'},
    ),
    "export_by_hand": Scenario(
        {"logs": {"count": 50, "start": "2026-03-01T00:00:00Z", "end": "2026-03-01T01:00:00Z"}},
        conf={"start": "2026-03-01T00:00:00+00:00", "end": "2026-03-01T01:00:00+00:00"},
    ),
}


def writes(sandbox: Sandbox) -> tuple[str, ...]:
    """What was sent since the counts began, but for reads and token requests."""
    sent = [f"{request['method']} {request['route']}" for request in sandbox.requests()]
    return tuple(one for one in sent if not one.startswith("GET ") and "/oidc/" not in one)


def test_every_dag_on_a_page_has_a_scenario() -> None:
    found = [example.dag_id for example in DAGS]
    assert len(found) == len(set(found))
    assert set(SCENARIOS) <= set(found)


def has_retry_policies() -> bool:
    """Whether this is Airflow 3.3 or later."""
    return bool(find_spec("airflow.sdk") and find_spec("airflow.sdk.definitions.retry_policy"))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_example_is_python(example: Example) -> None:
    ast.parse(example.code)


@pytest.mark.parametrize("dag_id", SCENARIOS)
def test_dag_runs_and_a_second_run_changes_nothing(
    dag_id: str, run_dag: RunDag, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (example,) = (example for example in DAGS if example.dag_id == dag_id)
    if "airflow.sdk" in example.code and not find_spec("airflow.sdk"):
        pytest.skip("its imports are new in Airflow 3; docs/support.md says what 2.11 takes instead")
    if "retry_policy=" in example.code and not has_retry_policies():
        pytest.skip("retry policies are new in Airflow 3.3")
    scenario = SCENARIOS[dag_id]
    file = tmp_path / f"{dag_id}.py"
    code = re.sub(r"s3://aws_default@[\w-]+/logto", f"file://{tmp_path}/out", example.code)
    file.write_text(code.replace("file:///data", f"file://{tmp_path}/data"), "utf-8")
    (tmp_path / "data").mkdir()
    for name, text in scenario.files.items():
        (tmp_path / "data" / name).write_text(text, "utf-8")
    conf = {"destination": f"file://{tmp_path}/out", **scenario.conf} if scenario.conf else None
    start = Sandbox(seed=copy.deepcopy(scenario.seed)).state()
    for user in start["users"]:
        user["lastSignInAt"] = 1 if user["username"] in scenario.signed_in else None
    with Sandbox(seed=start) as sandbox:
        tenant = Tenant(sandbox.url, sandbox.app_id, sandbox.app_secret, sandbox)
        monkeypatch.setenv("AIRFLOW_CONN_LOGTO_DEFAULT", tenant.connection())
        monkeypatch.setenv("AIRFLOW_VAR_ORDERS_HOOK_SECRET", "Bearer-of-the-hook")
        for attempt in (1, 2):
            run = run_dag(file, dag_id, scenario.date, conf)
            states = {task.task_id: task.state for task in run.get_task_instances() if task.state != "success"}
            assert set(states) == set(scenario.failed), states
            there = sandbox.state()
            assert {user["username"] for user in there["users"]} == set(scenario.users)
            assert {organization["name"] for organization in there["organizations"]} == set(scenario.organizations)
            if attempt == 1:
                assert set(scenario.writes) <= set(writes(sandbox))
            if attempt == 2:
                assert writes(sandbox) == scenario.writes_again
            sandbox.reset_stats()
