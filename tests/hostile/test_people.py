"""Whatever a server says about people and what they have, what leaves is one of our errors."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from upath import UPath

from airflow_provider_logto.exceptions import LogtoError, OffboardingIncomplete, UnreadableAnswer
from airflow_provider_logto.export.folder import Folder
from airflow_provider_logto.export.users import UserExport, export_users
from airflow_provider_logto.management.hr_events import HrEvent, receive_event
from airflow_provider_logto.management.invitation_spec import InviteSpec
from airflow_provider_logto.management.inviting import invite_members
from airflow_provider_logto.management.marks import KEY
from airflow_provider_logto.management.offboarding.offboard import offboard_user
from airflow_provider_logto.management.protection import Protection
from airflow_provider_logto.management.removal import delete_user, suspend_user
from airflow_provider_logto.plans.apply import Applier
from airflow_provider_logto.plans.changes import Change
from airflow_provider_logto.roster.columns import KEYS
from airflow_provider_logto.roster.dump import dump_roster
from airflow_provider_logto.roster.importing import ImportJob, import_users
from airflow_provider_logto.roster.job import KINDS, RosterJob
from airflow_provider_logto.roster.sync import FailedRun, Options, sync_roster
from airflow_provider_logto.roster.writer import RosterWriter
from tests.roster.conftest import local_store, people_of

from .conftest import Ask
from .server import HostileServer, Request, http

USER: dict[str, Any] = {
    **dict.fromkeys(("primaryPhone", "name", "avatar")),
    **{field: {} for field in ("customData", "profile", "identities")},
    "id": "u1",
    "username": "ann",
    "primaryEmail": "ann@example.com",
    "isSuspended": False,
    "createdAt": 1,
}
NOTHING: list[Any] = [None, [], {}, "x", 3, [None], ["x"], [{}], [[]], [{"id": 1}], [{"id": None}]]
ROLES: list[Any] = [3, [None], [{"id": "r"}]]
VALUES: list[Any] = [None, 1, "x", [], {}, [1]]
MARKS: list[Any] = [
    [],
    {"roster": ["hr"]},
    {"roster": "hr", "externalId": "E1", "suspendedAt": "x", "endDate": "0001-01-01"},
]
ODD: list[Any] = [
    *NOTHING,
    *([{**USER, field: value}] for field in USER for value in VALUES),
    *([{**USER, "customData": {"airflow_roster": mark}}] for mark in MARKS),
    *([{**USER, "organizationRoles": value}] for value in ROLES),
]
TRUE: dict[str, Any] = {
    "/api/roles": [{"id": "r1", "name": "staff", "type": "User", "usersCount": 1}],
    "/api/organizations": [{"id": "o1", "name": "Acme", "createdAt": 1}],
    "/api/organization-roles": [{"id": "or1", "name": "member", "type": "User"}],
    "/api/account-center": {"enabled": False, "fields": {}},
}
ROW = {"username": "ann", "primary_email": "ann@example.com", "custom_data.x": 1, "profile.givenName": "A"}
RIGHTS = {
    "external_id": "E1",
    "roles": ["staff"],
    "organizations": ["Acme"],
    "organization_roles": {"Acme": ["member"]},
}
LEAVE = HrEvent.checked("leave", "E1", "ann@example.com", "2026-01-01T00:00:00+00:00")


def job(mode: str = "plan", population: Any = None) -> RosterJob:
    brakes = {"creates": 9, "disables": 9, "identifier_changes": 9}
    given: dict[str, Any] = {"adopt": "matched", "manage": KINDS, "on_missing": "delete", "brakes": brakes}
    return RosterJob.checked(roster="hr", mode=mode, population=population, **given)


def roster(mode: str = "plan", population: Any = None) -> Callable[..., Any]:
    async def run(client: Any, folder: Path) -> None:
        options = Options(local_store(folder), protection=Protection.checked([{"role": "staff"}]), place=[folder])
        await sync_roster(
            client, job(mode, population), people_of([{**ROW, **RIGHTS, "external_id": "E1"}], keys=KEYS), options
        )

    return run


async def imported(client: Any, folder: Path) -> None:
    people = people_of([{**ROW, "identities": {"google": {"userId": "g"}}}], keys=KEYS, secrets=True)
    options = Options(local_store(folder), place=[folder])
    await import_users(client, ImportJob.checked(KEYS, "update", None, 50), people, options)


WORK: dict[str, Callable[..., Any]] = {
    "plan": roster(),
    "apply": roster("apply"),
    "population by role": roster(population={"role": "staff"}),
    "population by organization": roster(population={"organization": "Acme"}),
    "dump": lambda client, folder: dump_roster(client, job(), local_store(folder)),
    "import": imported,
    "offboard": lambda client, folder: offboard_user(
        client, "ann", local_store(folder), run="r", remove=frozenset({"roles"}), reset_credentials=True
    ),
    "invite": lambda client, folder: invite_members(client, "Acme", InviteSpec.checked(["x@example.com"], ["member"])),
    "suspend": lambda client, folder: suspend_user(client, "ann", True, Protection({})),
    "delete": lambda client, folder: delete_user(client, "ann", Protection({}), suspended_for=3),
    "event": lambda client, folder: receive_event(client, LEAVE),
}


def does(ask: Ask, hostile: HostileServer, folder: Path, work: str, where: str, values: Sequence[Any]) -> None:
    """Do some work against a server that says odd things in one place, or wherever it may."""
    for at, value in enumerate(values):

        def answer(asked: Request, value: Any = value) -> list[bytes]:
            path = asked.target.split("?")[0]
            truth = TRUE.get(path, value if not where else [USER] if path.endswith("users") else USER)
            return [http("200 OK", json.dumps(value if path == where else truth).encode())]

        hostile.answer = answer
        with suppress(LogtoError, FailedRun):
            ask(lambda client, at=at: WORK[work](client, folder / str(at)))


USERS, MEMBERS, HOLDERS = "/api/users", "/api/organizations/o1/users", "/api/roles/r1/users"


@pytest.mark.parametrize(
    ("where", "row"),
    [
        (USERS, {"id": "u1", "createdAt": 1}),
        ("/api/roles", {"id": "r1"}),
        ("/api/organizations", {"id": "o1"}),
        (MEMBERS, USER | {"organizationRoles": None}),
        (MEMBERS, USER | {"organizationRoles": [{"id": "x"}]}),
    ],
)
def test_an_odd_row_is_no_raw_error_of_an_export(
    ask: Ask, hostile: HostileServer, tmp_path: Path, where: str, row: dict[str, Any]
) -> None:
    rows = {USERS: USER, HOLDERS: USER, MEMBERS: USER | {"organizationRoles": []}}
    rows |= {"/api/roles": {"id": "r1", "name": "r"}, "/api/organizations": {"id": "o1", "name": "o"}}

    def answer(asked: Request) -> list[bytes]:
        path = asked.target.split("?")[0]
        return [http("200 OK", json.dumps([row if path == where else rows[path]]).encode(), "Total-Number: 1")]

    hostile.answer = answer
    job = UserExport.checked(roles=True, organizations=True)
    with pytest.raises(UnreadableAnswer, match=where):
        ask(lambda client: export_users(client, job, Folder(UPath(tmp_path))))


def says(hostile: HostileServer, odd: dict[str, Any]) -> None:
    """A server on which everything is right and empty but the lists named."""
    user = USER | {"customData": {KEY: {"roster": "hr"}}}
    empty = {"sessions": {"sessions": []}, "grants": {"grants": []}}
    empty |= {"all-identities": {"socialIdentities": [], "ssoIdentities": []}, "users": [user]}
    answers = {**TRUE, **empty, "u1": user, "is-suspended": user, **odd}
    hostile.answer = lambda asked: [
        http("200 OK", json.dumps(answers.get(asked.target.split("?")[0].rpartition("/")[2], [])).encode())
    ]


@pytest.mark.parametrize("value", [None, {"data": []}, "x", [None], [{}], [{"id": "i1"}], [{"status": "Pending"}]])
def test_an_odd_invitation_fails_one_offboarding_of_a_roster(ask: Ask, hostile: HostileServer, value: Any) -> None:
    says(hostile, {"organization-invitations": value})

    async def offboard(client: Any) -> Any:
        writer = RosterWriter(client, "hr", {}, 30, {})
        leaves = Change(kind="user", action="offboard", key="k", id="u1", before={"suspended": False})
        return await Applier(writer.operations()).run([leaves])

    ((_, outcome),) = ask(offboard).failed
    assert outcome.reason == "UnreadableAnswer 200"


@pytest.mark.parametrize("where", ["roles", "organizations"])
@pytest.mark.parametrize("value", [{}, [None], [{"id": "x"}]])
def test_an_odd_answer_to_a_snapshot_is_named(
    ask: Ask, hostile: HostileServer, tmp_path: Path, where: str, value: Any
) -> None:
    says(hostile, {where: value})
    with pytest.raises(OffboardingIncomplete, match=rf"GET /api/users/u1/{where}.*holds") as caught:
        ask(lambda client: offboard_user(client, "ann", local_store(tmp_path), run="r"))
    assert all(isinstance(one, LogtoError) for one in caught.value.causes)


@pytest.mark.parametrize("work", WORK)
def test_odd_people_end_as_errors_of_ours(ask: Ask, hostile: HostileServer, tmp_path: Path, work: str) -> None:
    does(ask, hostile, tmp_path, work, "", ODD[::8])


@pytest.mark.parametrize("work", ["plan", "dump", "import", "invite"])
@pytest.mark.parametrize("where", [*TRUE, "/api/users", "/api/roles/r1/users", "/api/organizations/o1/users"])
def test_odd_lists_end_as_errors_of_ours(
    ask: Ask, hostile: HostileServer, tmp_path: Path, work: str, where: str
) -> None:
    does(ask, hostile, tmp_path, work, where, NOTHING[5:10])


@pytest.mark.slow
@pytest.mark.parametrize("work", WORK)
@pytest.mark.parametrize("where", ["", *TRUE, "/api/users", "/api/roles/r1/users", "/api/organization-invitations"])
def test_every_odd_answer_ends_as_an_error_of_ours(
    ask: Ask, hostile: HostileServer, tmp_path: Path, work: str, where: str
) -> None:
    does(ask, hostile, tmp_path, work, where, ODD)
