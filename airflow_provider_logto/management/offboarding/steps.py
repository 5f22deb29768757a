"""The steps that end a person's access on Logto, in their order. Each can be repeated, and says how much it did."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from airflow_provider_logto.client.client import LogtoClient, path_of
from airflow_provider_logto.exceptions import Conflict, LogtoApiError, LogtoError, OutcomeUnknown, StillThere
from airflow_provider_logto.management.answers import (
    IDENTIFIED,
    INVITATION,
    USER,
    checked,
    checked_list,
    objects,
)
from airflow_provider_logto.management.credentials import (
    delete_identity,
    delete_mfa_factor,
    list_identities,
    list_mfa_factors,
    scramble_password,
)
from airflow_provider_logto.management.invitations import revoke
from airflow_provider_logto.management.marks import Mark, moment_of, stamp, write_mark
from airflow_provider_logto.management.offboarding.snapshot import Kept
from airflow_provider_logto.management.one_time_tokens import delete_one_time_token, list_one_time_tokens
from airflow_provider_logto.management.personal_access_tokens import (
    delete_personal_access_token,
    list_personal_access_tokens,
)
from airflow_provider_logto.management.presence import delete, is_unknown_operation
from airflow_provider_logto.management.sessions import end_session, list_grants, list_sessions, revoke_grant
from airflow_provider_logto.management.user_fields import User

#: How often a list is read and emptied before its step gives up: somebody makes new ones all the while.
_PASSES = 5


@dataclass(frozen=True)
class Leaver:
    """Whose access ends.

    :param user: as they were found.
    :param kept: their snapshot; None where none could be written, and nothing may be removed.
    """

    user: User
    kept: Kept | None

    @property
    def id(self) -> str:
        return str(self.user["id"])


#: A step: what was there to do, counted.
Work = Callable[[LogtoClient, Leaver], Awaitable[int]]


@dataclass(frozen=True)
class Step:
    """One step.

    :param name: as the report calls it.
    :param work: does it.
    :param ends_access: tried even where an earlier step failed.
    :param asked_by: option without which it is left out.
    """

    name: str
    work: Work
    ends_access: bool = False
    asked_by: str = ""


async def suspend(client: LogtoClient, leaver: Leaver) -> int:
    """Block sign-ins, and end sessions and refresh tokens.

    Sent even where the flag is set: the server sets it first, and a failure afterwards left the tokens alive.
    """
    await client.request("PATCH", path_of("/users/{}/is-suspended", leaver.id), body={"isSuspended": True})
    return 0 if leaver.user["isSuspended"] else 1


async def remove_personal_access_tokens(client: LogtoClient, leaver: Leaver) -> int:
    """Up to Logto 1.42 they go on buying access tokens for a suspended person."""

    async def names() -> Sequence[str]:
        return [token["name"] for token in await list_personal_access_tokens(client, leaver.id)]

    return await _emptied("personal access tokens", names, lambda name: _delete_token(client, leaver.id, name))


async def end_sessions(client: LogtoClient, leaver: Leaver) -> int:
    """What is left of them: a sign-in under way while the person was suspended."""

    async def ids() -> Sequence[str]:
        return [session["id"] for session in await list_sessions(client, leaver.id)]

    return await _emptied("sessions", ids, lambda one: end_session(client, leaver.id, one))


async def revoke_grants(client: LogtoClient, leaver: Leaver) -> int:
    """They survive a suspension, and with them authorization codes."""

    async def ids() -> Sequence[str]:
        return [grant["id"] for grant in await list_grants(client, leaver.id)]

    return await _emptied("grants", ids, lambda one: revoke_grant(client, leaver.id, one))


async def remove_one_time_tokens(client: LogtoClient, leaver: Leaver) -> int:
    """Links for a sign-in that were sent and not used."""
    email = leaver.user.get("primaryEmail")

    async def ids() -> Sequence[str]:
        addresses = dict.fromkeys((email, email.lower())) if email else ()
        return [one["id"] for address in addresses for one in await list_one_time_tokens(client, address)]

    return await _emptied("one-time tokens", ids, lambda one: delete_one_time_token(client, one))


async def revoke_invitations(client: LogtoClient, leaver: Leaver) -> int:
    """A pending invitation would make the person a member again."""
    email = leaver.user.get("primaryEmail")
    if not email:
        return 0
    done = 0
    answer = await client.request("GET", "/organization-invitations", {"invitee": email})
    for invitation in checked_list("GET /api/organization-invitations", answer, INVITATION):
        # Whoever ignores the filter shows everybody's.
        if invitation["status"] != "Pending" or invitation["invitee"].lower() != email.lower():
            continue
        try:
            await revoke(client, invitation)
        except Conflict:
            continue  # accepted in this moment: a membership now, and no invitation any more
        done += 1
    return done


async def reset_credentials(client: LogtoClient, leaver: Leaver) -> int:
    """A password that nobody knows; no social identities and no MFA factors. SSO identities can only be read."""
    await scramble_password(client, leaver.id)
    done = 1
    for target in (await list_identities(client, leaver.id))[0]:
        done += await delete_identity(client, leaver.id, target)
    for factor in await list_mfa_factors(client, leaver.id):
        done += await delete_mfa_factor(client, leaver.id, factor["id"])
    return done


async def remove_roles(client: LogtoClient, leaver: Leaver) -> int:
    """One by one: replacing them all is not transactional on the server."""
    path = path_of("/users/{}/roles", leaver.id)
    held = [role["id"] async for role in objects(client, path, None, IDENTIFIED)]
    return sum([await delete(client, path + path_of("/{}", role)) for role in held])


async def leave_organizations(client: LogtoClient, leaver: Leaver) -> int:
    """The roles in an organization go with the membership."""
    path = path_of("/users/{}/organizations", leaver.id)
    joined = checked_list(f"GET /api{path}", await client.request("GET", path), IDENTIFIED)
    return sum([await delete(client, path_of("/organizations/{}/users/{}", one["id"], leaver.id)) for one in joined])


async def write_date(client: LogtoClient, leaver: Leaver) -> int:
    """Mark the person as offboarded. A repeated run leaves the date of the first."""
    path = path_of("/users/{}", leaver.id)
    user = checked(f"GET /api{path}", await client.request("GET", path), USER)
    mark, now = Mark.of(user), stamp(datetime.now(UTC))
    if leaver.kept is not None and not _is_older(mark.offboarded_at, leaver.kept.snapshot["taken_at"]):
        return 0
    somebody_elses = leaver.kept is not None and leaver.kept.snapshot["was_suspended"]
    since = mark.suspended_at or (None if somebody_elses else now)
    await write_mark(client, leaver.id, mark.with_(offboarded_at=now, suspended_at=since, ending_at=None))
    return 1


#: What hangs on an e-mail address alone: it outlives the person, and takes in whoever uses it.
BY_ADDRESS: tuple[Step, ...] = (
    Step("one_time_tokens", remove_one_time_tokens, ends_access=True),
    Step("invitations", revoke_invitations, ends_access=True),
)

#: In the order in which they are done: what renews access and what goes around a suspension first, the rest afterwards.
STEPS: tuple[Step, ...] = (
    Step("suspend", suspend, ends_access=True),
    Step("personal_access_tokens", remove_personal_access_tokens, ends_access=True),
    Step("sessions", end_sessions, ends_access=True),
    Step("grants", revoke_grants, ends_access=True),
    *BY_ADDRESS,
    Step("credentials", reset_credentials, asked_by="credentials"),
    Step("roles", remove_roles, asked_by="roles"),
    Step("organizations", leave_organizations, asked_by="organizations"),
    Step("mark", write_date),
)


async def do_all(client: LogtoClient, user: Mapping[str, Any], steps: Iterable[Step]) -> None:
    """Do some steps, without a snapshot; the first one that fails ends it.

    What an older server does not know cannot be there.
    """
    leaver = Leaver(dict(user), None)
    for step in steps:
        try:
            await step.work(client, leaver)
        except LogtoApiError as error:
            if not is_unknown_operation(error):
                raise


async def _emptied(
    what: str, listing: Callable[[], Awaitable[Sequence[str]]], removing: Callable[[str], Awaitable[bool]]
) -> int:
    """Empty a list, and look again until it is empty: an answer that was lost is no proof of anything.

    One that cannot be removed does not keep the others alive.
    """
    done: set[str] = set()
    for _ in range(_PASSES):
        failures: list[LogtoError] = []
        left = await listing()
        if not left:
            return len(done)
        for one in left:
            try:
                await removing(one)
                done.add(one)
            except LogtoError as error:
                failures.append(error)
        if failures:
            raise failures[0]
    raise StillThere(f"{what}: the list fills again while it is emptied ({len(done)} were removed)")


async def _delete_token(client: LogtoClient, user_id: str, name: str) -> bool:
    try:
        return await delete_personal_access_token(client, user_id, name)
    except OutcomeUnknown:
        return False  # still in the list, and tried again from there


def _is_older(date: str | None, than: str) -> bool:
    """Whether there is no date, or one of an earlier offboarding."""
    moment, taken = moment_of(date), moment_of(than)
    return moment is None or taken is None or moment < taken
