"""Whatever a server sends in place of an object ends as an UnreadableAnswer, never as a KeyError."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from airflow_provider_logto.client.replies import Reply
from airflow_provider_logto.exceptions import UnreadableAnswer
from airflow_provider_logto.management.answers import MEMBER, USER, checked
from airflow_provider_logto.management.conditions import check_user
from airflow_provider_logto.management.members import checked_members
from airflow_provider_logto.management.organization_details import Details
from airflow_provider_logto.management.organizations import OrganizationSpec, ensure_organization
from airflow_provider_logto.management.roles import assign_roles
from airflow_provider_logto.management.users import UserSpec, ensure_user
from logto_sandbox import Sandbox
from tests.clients import Run

GOOD = {"id": "u", "isSuspended": False, "createdAt": 1.5}


@pytest.mark.parametrize(
    "value",
    [None, 5, "u", [], {}, {**GOOD, "id": None}, {**GOOD, "id": 7}, {**GOOD, "isSuspended": 1}]
    + [{**GOOD, "createdAt": wrong} for wrong in (True, None, "1")],
)
def test_what_is_no_user(value: Any) -> None:
    with pytest.raises(UnreadableAnswer, match="GET /api/users"):
        checked("GET /api/users", value, USER)


def test_what_is_one() -> None:
    assert checked("GET /api/users", GOOD, USER) == GOOD
    assert checked("GET /api/x", {"id": "u", "organizationRoles": []}, MEMBER)["id"] == "u"


async def user(client: Any) -> Any:
    return await ensure_user(client, UserSpec.checked(username="mika"), if_exists="update")


async def wait(client: Any) -> Any:
    return await check_user(client, "mika", "suspended")


async def roles(client: Any) -> Any:
    return await assign_roles(client, ["mika"], ["employee"], mode="replace")


async def organization(client: Any) -> Any:
    spec, details = (
        OrganizationSpec.checked("Acme", external_id="c-1"),
        Details.checked(jit_email_domains=["a.example"]),
    )
    return await ensure_organization(client, spec, checked_members(["mika"]), prune_members=True, details=details)


@pytest.mark.parametrize("row", [None, {}, 7, {"id": None}, {"id": "x", "name": "x", "organizationRoles": [None]}])
@pytest.mark.parametrize("call", [user, wait, roles, organization])
def test_a_list_that_holds_something_else(
    run: Run, sandbox: Sandbox, call: Callable[[Any], Awaitable[Any]], row: Any
) -> None:
    """Each list in turn, and each created object, holds one row that is no object of its kind."""
    sandbox.seed(
        {"users": [{"username": "mika"}], "organizations": [{"name": "Acme", "customData": {"externalId": "c-1"}}]}
    )

    async def meddled(client: Any, nth: int) -> int:
        send, seen = client.send, 0

        async def meddling(method: str, path: str, *args: Any, **kwargs: Any) -> Reply:
            nonlocal seen
            reply = await send(method, path, *args, **kwargs)
            if isinstance(reply.data, list):
                seen += 1
                if seen == nth:
                    return Reply(reply.status, [row], {"total-number": "1"})
            return reply

        client.send = meddling
        await call(client)
        return seen

    lists = run(meddled, 10**9)
    assert lists > 0
    for nth in range(1, lists + 1):
        sandbox.reset()
        sandbox.seed(
            {"users": [{"username": "mika"}], "organizations": [{"name": "Acme", "customData": {"externalId": "c-1"}}]}
        )
        try:
            run(meddled, nth)
        except UnreadableAnswer:
            continue
        except Exception as error:
            pytest.fail(f"list {nth} of {lists}: {type(error).__name__}: {error}")


def test_a_created_object_without_an_id(run: Run, sandbox: Sandbox) -> None:
    async def create(client: Any, call: Callable[[Any], Awaitable[Any]]) -> Any:
        request = client.request

        async def empty(method: str, path: str, *args: Any, **kwargs: Any) -> Any:
            return {} if method == "POST" else await request(method, path, *args, **kwargs)

        client.request = empty
        return await call(client)

    async def new_organization(client: Any) -> Any:
        return await ensure_organization(client, OrganizationSpec.checked("Acme"))

    for call in (user, new_organization):
        with pytest.raises(UnreadableAnswer, match="POST /api/"):
            run(create, call)
