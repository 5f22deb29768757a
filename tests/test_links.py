"""Links to the Logto Console."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_logto.get_provider_info import get_provider_info
from airflow_provider_logto.links import OrganizationLink, UserLink
from airflow_provider_logto.operators.organizations import ProvisionOrganizationOperator
from airflow_provider_logto.operators.users import CreateUserOperator
from tests.clients import Connect


@pytest.fixture
def result(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the task returned; change it in place."""
    kept = {"id": "abc123"}
    monkeypatch.setattr("airflow_provider_logto.compat.XCom.get_value", lambda **_: kept)
    return kept


@pytest.mark.usefixtures("result")
@pytest.mark.parametrize(
    ("operator", "link", "place"),
    [
        (CreateUserOperator(task_id="user", username="a"), UserLink(), "users"),
        (ProvisionOrganizationOperator(task_id="organization", name="a"), OrganizationLink(), "organizations"),
    ],
)
def test_it_leads_to_what_was_made(connect: Connect, operator: Any, link: Any, place: str) -> None:
    connect({"console_url": "https://cloud.example.com/t/"})
    assert type(link) in [type(one) for one in operator.operator_extra_links]
    assert link.get_link(operator, ti_key=None) == f"https://cloud.example.com/t/{place}/abc123"


def test_no_console_or_no_result_means_no_link(connect: Connect, result: dict[str, Any]) -> None:
    operator = CreateUserOperator(task_id="user", username="a")
    connect()
    assert UserLink().get_link(operator, ti_key=None) == ""
    connect({"console_url": "https://cloud.example.com"})
    result.clear()
    assert UserLink().get_link(operator, ti_key=None) == ""


def test_older_airflow_knows_them() -> None:
    known = get_provider_info()["extra-links"]
    assert known == [f"{link.__module__}.{link.__qualname__}" for link in (OrganizationLink, UserLink)]


@pytest.mark.parametrize("conn_id", ["nowhere", "{{ params.tenant }}", None])
def test_a_connection_that_cannot_be_read_costs_the_task_nothing(conn_id: str | None) -> None:
    """Airflow 3.0 asks at the end of a task, before its callbacks; 2.11 asks a mapped task without its arguments."""
    operator = SimpleNamespace(logto_conn_id=conn_id) if conn_id else SimpleNamespace()
    assert UserLink().get_link(operator, ti_key=None) == ""  # type: ignore[arg-type]
