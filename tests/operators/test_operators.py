"""What the operators themselves answer for: arguments in, small JSON out, errors that say what to do."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import pytest

from airflow_provider_logto.compat import AirflowFailException
from airflow_provider_logto.exceptions import InvalidInput, LogtoApiError, OutcomeUnknown
from airflow_provider_logto.operators.management_api import ManagementApiOperator
from airflow_provider_logto.operators.organizations import ProvisionOrganizationOperator
from airflow_provider_logto.operators.roles import AssignRolesOperator
from airflow_provider_logto.operators.users import CreateUserOperator
from logto_sandbox import Sandbox
from tests.conftest import execute

pytestmark = pytest.mark.usefixtures("sandbox_tenant")


class Lazy(Sequence[Any]):
    """A sequence that is no list, as the output of a mapped task arrives."""

    def __init__(self, *items: Any) -> None:
        self._items = items

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, at: Any) -> Any:
        return self._items[at]


def test_what_one_returns_goes_into_the_next(sandbox: Sandbox) -> None:
    people = Lazy(*(CreateUserOperator(task_id="create", username=f"u{at}").execute({}) for at in range(3)))
    roles = AssignRolesOperator(task_id="assign", users=people, roles=["employee"]).execute({})
    assert roles["added"] == {"employee": [person["id"] for person in people]}
    organization = ProvisionOrganizationOperator(
        task_id="provision", name="Acme", members=people, member_roles=["member"]
    ).execute({})
    assert organization["members"]["added"] == 3
    for result in (*people, roles, organization):
        json.dumps(result)
    assert set(people[0]) == {"id", "outcome", "changed", "username", "primaryEmail", "primaryPhone"}


@pytest.mark.parametrize(
    ("operator", "arguments", "field"),
    [
        (CreateUserOperator, {"name": "Nobody"}, "username"),
        (CreateUserOperator, {"primary_email": "nonsense"}, "primary_email"),
        (CreateUserOperator, {"primary_phone": "12"}, "primary_phone"),
        (CreateUserOperator, {"username": "a b"}, "username"),
        (CreateUserOperator, {"username": "a", "password": "x", "password_digest": "y"}, "password"),
        (CreateUserOperator, {"username": "a", "custom_data": "text"}, "custom_data"),
        (CreateUserOperator, {"username": "a", "if_exists": "replace"}, "if_exists"),
        (AssignRolesOperator, {"users": ["a"], "roles": [5]}, r"roles\[0\]"),
        (AssignRolesOperator, {"users": ["a"], "roles": ["employee"], "mode": "put"}, "mode"),
        (ProvisionOrganizationOperator, {"name": ""}, "name"),
        (ProvisionOrganizationOperator, {"name": "a", "members": [], "prune_members": True}, "members"),
        (ProvisionOrganizationOperator, {"name": "a", "prune_members": True}, "members"),
        (ManagementApiOperator, {"path": "/users/{id}"}, r"path_params\.id"),
        (ManagementApiOperator, {"path": "https://example.com/users"}, "path"),
    ],
)
def test_bad_input_fails_before_the_first_request(
    sandbox: Sandbox, operator: Any, arguments: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidInput, match=f"^{field}"):
        execute(operator(task_id="task", **arguments))
    assert sandbox.stats()["requests"] == 0


def test_a_lost_write_that_nobody_can_look_up_is_not_repeated_by_a_retry(sandbox: Sandbox) -> None:
    sandbox.add_fault(kind="lost_answer", method="POST", path="/api/hooks")
    body = {"name": "x", "events": ["User.Created"], "config": {"url": "https://example.com/hook"}}
    with pytest.raises(AirflowFailException, match="may or may not have taken effect"):
        ManagementApiOperator(task_id="hook", method="POST", path="/hooks", body=body).execute({})
    assert sandbox.stats()["routes"]["POST /api/hooks"] == 1


def test_operators_that_look_first_leave_the_retry_to_airflow(sandbox: Sandbox) -> None:
    sandbox.add_fault(kind="error", status=500, method="POST", path="/api/users", times=None)
    with pytest.raises(OutcomeUnknown):
        CreateUserOperator(task_id="create", username="mika").execute({})


def test_xcoms_are_resolved_before_the_event_loop(sandbox: Sandbox) -> None:
    class Strict(Lazy):
        """Stands for a lazy sequence of XComs, which asks Airflow synchronously."""

        def __getitem__(self, at: Any) -> Any:
            with pytest.raises(RuntimeError, match="no running event loop"):
                asyncio.get_running_loop()
            return super().__getitem__(at)

    sandbox.seed({"users": [{"username": "ada"}], "roles": [{"name": "reader", "description": "-", "type": "User"}]})
    report = AssignRolesOperator(task_id="assign", users=Strict("ada"), roles=Strict("reader")).execute({})
    assert len(report["added"]["reader"]) == 1


def test_no_members_given_by_a_template_are_no_members(sandbox: Sandbox) -> None:
    report = ProvisionOrganizationOperator(task_id="provision", name="Acme", members="").execute({})
    assert report == {"id": sandbox.state()["organizations"][0]["id"], "outcome": "created"}


def test_an_error_names_operation_status_code_and_request_id() -> None:
    with pytest.raises(LogtoApiError) as caught:
        execute(ManagementApiOperator(task_id="get", path="/users/{id}", path_params={"id": "nosuchuser00"}))
    error = caught.value
    assert (error.status, error.code) == (404, "entity.not_found")
    assert error.request_id
    for part in ("GET /api/users/nosuchuser00", "404", "entity.not_found", error.request_id):
        assert part in str(error)
