"""Switches take True and False alone: a text, as a file or a template gives it, would count as true."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from airflow_provider_logto.exceptions import InvalidInput
from airflow_provider_logto.operators.applications import ProvisionApplicationOperator
from airflow_provider_logto.operators.base import LogtoOperator
from airflow_provider_logto.operators.management_api import ManagementApiOperator
from airflow_provider_logto.operators.offboarding import OffboardUserOperator
from airflow_provider_logto.operators.organizations import DeleteOrganizationOperator, ProvisionOrganizationOperator
from airflow_provider_logto.operators.roster import ImportUsersOperator, SyncRosterOperator
from airflow_provider_logto.operators.users import (
    CreateUserOperator,
    DeleteUserOperator,
    ExportUsersOperator,
    SuspendUserOperator,
)
from logto_sandbox import Sandbox
from tests.conftest import execute

pytestmark = pytest.mark.usefixtures("sandbox_tenant")

ORGANIZATION: dict[str, Any] = {"name": "Acme", "members": ["ada"], "applications": ["sandbox-m2m"]}
APPLICATION: dict[str, Any] = {"name": "Web", "application_type": "SPA"}
SWITCHES: list[tuple[type[LogtoOperator], dict[str, Any], str]] = [
    *[
        (ProvisionOrganizationOperator, ORGANIZATION, name)
        for name in ("prune_members", "prune_applications", "exact_jit", "adopt_existing", "mfa_required")
    ],
    *[(ProvisionApplicationOperator, APPLICATION, name) for name in ("exact", "adopt_existing", "third_party")],
    (CreateUserOperator, {"username": "bob"}, "allow_identifier_change"),
    (SuspendUserOperator, {"user": "ada"}, "suspended"),
    (DeleteUserOperator, {"user": "ada"}, "confirm"),
    (DeleteOrganizationOperator, {"organization": "Acme"}, "confirm"),
    (OffboardUserOperator, {"user": "ada", "folder": "FOLDER"}, "reset_credentials"),
    *[
        (ExportUsersOperator, {"destination": "FOLDER"}, name)
        for name in ("suspended", "include_roles", "include_password_digests")
    ],
    (ManagementApiOperator, {"path": "/users"}, "paginate"),
    (SyncRosterOperator, {"roster": "hr", "folder": "FOLDER", "source": [{"username": "ada"}]}, "journal_values"),
    (ImportUsersOperator, {"folder": "FOLDER", "source": [{"username": "ada"}]}, "journal_values"),
]


@pytest.mark.parametrize("value", ["False", "{{ params.really }}", object(), 1])
@pytest.mark.parametrize(("operator", "arguments", "name"), SWITCHES, ids=lambda one: getattr(one, "__name__", None))
def test_only_true_and_false(
    sandbox: Sandbox, tmp_path: Path, operator: type[LogtoOperator], arguments: dict[str, Any], name: str, value: Any
) -> None:
    sandbox.seed({"users": [{"username": "ada"}]})
    given = {key: f"file://{tmp_path}" if one == "FOLDER" else one for key, one in arguments.items()}
    sandbox.reset_stats()
    with pytest.raises(InvalidInput, match=f"^{name}: "):
        execute(operator(task_id="t", **{**given, name: value}))
    assert not sandbox.stats()["routes"]


@pytest.mark.parametrize("value", [None, ""])
def test_an_empty_cell_is_no_order(sandbox: Sandbox, value: Any) -> None:
    sandbox.seed({"users": [{"username": "ada"}, {"username": "bob"}]})
    execute(ProvisionOrganizationOperator(task_id="t", name="Acme", members=["ada", "bob"]))
    empty = dict.fromkeys(("prune_members", "adopt_existing", "exact_jit", "prune_applications"), value)
    report = execute(ProvisionOrganizationOperator(task_id="t", name="Acme", members=["ada"], **empty))
    assert report["outcome"] == "unchanged"
    with pytest.raises(InvalidInput, match=r"^confirm: "):
        execute(DeleteUserOperator(task_id="t", user="ada", confirm=value))
    with pytest.raises(InvalidInput, match=r"^suspended: "):
        execute(SuspendUserOperator(task_id="t", user="ada", suspended=value))


def test_a_template_is_told_from_other_texts() -> None:
    with pytest.raises(InvalidInput, match="True or False; it is no template field; got"):
        execute(DeleteUserOperator(task_id="t", user="ada", confirm="{{ params.really }}"))
