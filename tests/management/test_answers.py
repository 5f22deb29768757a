"""Whatever a server sends in place of an object ends as an UnreadableAnswer, never as a KeyError."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from airflow_provider_logto.client.replies import Reply
from airflow_provider_logto.exceptions import UnreadableAnswer
from airflow_provider_logto.management.access import remove_member
from airflow_provider_logto.management.answers import MEMBER, USER, checked
from airflow_provider_logto.management.conditions import check_user
from airflow_provider_logto.management.credentials import list_identities, list_mfa_factors
from airflow_provider_logto.management.hr_events import HrEvent, record_event
from airflow_provider_logto.management.invitation_spec import InviteSpec
from airflow_provider_logto.management.invitations import check_invitation
from airflow_provider_logto.management.inviting import invite_members
from airflow_provider_logto.management.members import checked_members
from airflow_provider_logto.management.offboarding.restore import restore_user
from airflow_provider_logto.management.one_time_tokens import create_one_time_token, list_one_time_tokens
from airflow_provider_logto.management.organization_details import Details
from airflow_provider_logto.management.organizations import OrganizationSpec, ensure_organization
from airflow_provider_logto.management.personal_access_tokens import list_personal_access_tokens
from airflow_provider_logto.management.roles import assign_roles
from airflow_provider_logto.management.sessions import list_grants, list_sessions
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


EVENT = HrEvent.checked("leave", "e1", "mika@example.com", "2026-01-01T00:00:00+00:00")
SNAPSHOT = {
    "version": 1,
    "taken_at": "2026-01-01T00:00:00Z",
    "run": "r",
    "user": "u1",
    "was_suspended": False,
    "mark": None,
    "roles": {},
    "organizations": {},
    "identities": {},
    "sso_connectors": [],
    "mfa_factors": [],
    "personal_access_tokens": [],
}
#: Functions that read an answer in one piece.
READERS: dict[str, Callable[[Any], Awaitable[Any]]] = {
    "record_event": lambda client: record_event(client, "u1", EVENT),
    "create_one_time_token": lambda client: create_one_time_token(client, "mika@example.com"),
    "list_one_time_tokens": lambda client: list_one_time_tokens(client, "mika@example.com"),
    "check_invitation": lambda client: check_invitation(client, "i1", "accepted"),
    "list_sessions": lambda client: list_sessions(client, "u1"),
    "list_grants": lambda client: list_grants(client, "u1"),
    "list_personal_access_tokens": lambda client: list_personal_access_tokens(client, "u1"),
    "list_identities": lambda client: list_identities(client, "u1"),
    "list_mfa_factors": lambda client: list_mfa_factors(client, "u1"),
    "remove_member": lambda client: remove_member(client, "o1", "u1", "mika@example.com"),
    "restore_user": lambda client: restore_user(client, SNAPSHOT),
}
ROW = [{"sessions": [{"payload": {}}]}, {"sessions": [None]}, {"grants": [{"id": 5}]}, {"socialIdentities": [{}]}]


@pytest.mark.parametrize("data", [None, 7, "text", [None], [{}], [[]], *ROW], ids=str)
@pytest.mark.parametrize("name", READERS)
def test_an_answer_that_is_something_else(run: Run, name: str, data: Any) -> None:
    async def read(client: Any) -> None:
        async def send(*args: Any, **kwargs: Any) -> Reply:
            return Reply(200, data, {})

        client.send = send
        await READERS[name](client)

    if name == "list_identities" and isinstance(data, dict) and "socialIdentities" not in data:
        assert run(read) is None  # both lists may be left out
        return
    with pytest.raises(UnreadableAnswer):
        run(read)


def test_a_pending_invitation_without_its_roles(run: Run, sandbox: Sandbox) -> None:
    sandbox.seed({"organizations": [{"name": "Acme"}]})

    async def invite(client: Any) -> Any:
        send = client.send

        async def meddling(method: str, path: str, *args: Any, **kwargs: Any) -> Reply:
            if path != "/organization-invitations":
                return await send(method, path, *args, **kwargs)
            row = {"id": "i", "invitee": "mika@example.com", "status": "Pending", "expiresAt": 9e12}
            return Reply(200, [row], {})

        client.send = meddling
        return await invite_members(client, "Acme", InviteSpec.checked("mika@example.com"))

    (row,) = run(invite)
    assert row["outcome"] == "failed"
    assert "holds null where a list belongs" in row["error"]


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
