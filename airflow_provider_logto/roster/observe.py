"""Reading what a run needs to know, and comparing: rows and a tenant -> changes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from airflow_provider_logto.client.client import LogtoClient
from airflow_provider_logto.exceptions import ConfigurationError
from airflow_provider_logto.management.concurrency import for_each
from airflow_provider_logto.management.marks import Mark, end_users_may_edit
from airflow_provider_logto.management.protection import Protection
from airflow_provider_logto.plans.changes import Change, in_order
from airflow_provider_logto.roster.differences import Differences
from airflow_provider_logto.roster.identifiers import ordered
from airflow_provider_logto.roster.job import RosterJob
from airflow_provider_logto.roster.matching import Notice, match
from airflow_provider_logto.roster.people import Person
from airflow_provider_logto.roster.state import (
    Directory,
    Known,
    State,
    comparable,
    identifiers_of,
    read_holders,
    read_members,
    read_population,
    resolve_names,
    search_users,
)


@dataclass(frozen=True)
class Found:
    """What comparing gave.

    :param changes: in the order of a plan.
    :param notices: rows and people that are left alone.
    :param base: managed and unsuspended people before the run.
    :param protected: ids of protected people -> why.
    """

    changes: Sequence[Change]
    notices: Sequence[Notice]
    base: int
    users: Mapping[str, Known]
    protected: Mapping[str, str]


async def observe(
    client: LogtoClient, job: RosterJob, people: Sequence[Person], protection: Protection, as_of: datetime
) -> Found:
    """Read the tenant and compare.

    :raises InvalidSource: naming every unknown role and organization.
    :raises ConfigurationError: where end users can rewrite marks and the job relies on them.
    """
    forgeable = await refuse_forgeable_marks(client, job, people)
    directory = await _names(client, job, people)
    state = await _state(client, job, people, directory)
    protected = await protected_in(client, state, protection)
    return compare(job, people, directory, state, protected, as_of, forgeable)


def compare(
    job: RosterJob,
    people: Sequence[Person],
    directory: Directory,
    state: State,
    protected: Mapping[str, str],
    as_of: datetime,
    forgeable: bool = False,
) -> Found:
    """Compare rows with a state; asks nobody."""
    differences = Differences(job, directory, state, protected, as_of, forgeable)
    matches = match(people, state, job.match_on, job.roster)
    changes = in_order(ordered(differences.changes(matches)))
    base = sum(not user.suspended for user in differences.managed())
    return Found(changes, differences.notices, base, state.users, protected)


async def refuse_forgeable_marks(client: LogtoClient, job: RosterJob, people: Sequence[Person]) -> bool:
    """Where end users may edit customData, a mark proves nothing.

    :returns: whether they may.
    :raises ConfigurationError: naming what relies on marks.
    """
    if not await end_users_may_edit(client):
        return False
    reliant = []
    if "external_id" in job.match_on and any(person.external_id for person in people):
        reliant.append("match_on external_id")
    if job.adopt == "none":
        reliant.append('adopt="none" (ownership)')
    if job.may_take_away or any(person.end_date for person in people):
        reliant.append("everything that takes access away")
    if reliant:
        raise ConfigurationError(
            "End users may edit customData in this tenant's account centre and could rewrite the mark that says whose "
            f"somebody is. Refused: {', '.join(reliant)}. Set the field customData to ReadOnly or Off in the account "
            "centre, or leave these out"
        )
    return True


async def _names(client: LogtoClient, job: RosterJob, people: Sequence[Person]) -> Directory:
    exact = job.exact or {}
    kind, name = job.population or ("", "")
    # Name -> where it stands first.
    roles = dict.fromkeys(exact.get("roles", ()), "exact.roles")
    organizations = dict.fromkeys(exact.get("organizations", ()), "exact.organizations")
    organization_roles: dict[str, str] = {}
    if kind:
        (roles if kind == "role" else organizations).setdefault(name, "population")
    for person in people:
        row = f"row {person.row}"
        if "roles" in job.manage:
            _add(roles, person.roles or (), row)
        if "organizations" in job.manage:
            _add(organizations, person.organizations or (), row)
        if "organization_roles" in job.manage:
            for organization, named in (person.organization_roles or {}).items():
                _add(organizations, (organization,), row)
                _add(organization_roles, named, row)
    return await resolve_names(client, roles, organizations, organization_roles)


def _add(places: dict[str, str], names: Iterable[str], place: str) -> None:
    for name in names:
        places.setdefault(name, place)


async def _state(client: LogtoClient, job: RosterJob, people: Sequence[Person], directory: Directory) -> State:
    values = {value for person in people for value in identifiers_of(person, job.match_on)}
    data_keys = {key for person in people for key in person.custom_data}

    def wanted(user: Mapping[str, Any]) -> bool:
        mark = Mark.read(user.get("customData"))
        return (mark is not None and mark.roster == job.roster) or not values.isdisjoint(_values_of(user))

    state = await read_population(client, job.population, directory, wanted, data_keys)
    if job.population is not None:
        known = {value for user in state.users.values() for value in _values_of(user.api())}
        # Who is matched by the mark may still want an identifier that somebody outside has.
        for user_id, user in (await search_users(client, values - known)).items():
            state.users.setdefault(user_id, Known.of(user, data_keys))
    await _relations(client, directory, state)
    return state


def _values_of(user: Mapping[str, Any]) -> set[tuple[str, str]]:
    names = ("username", "primaryEmail", "primaryPhone")
    found = {(name, comparable(name, user[name])) for name in names if user.get(name)}
    return {*found, ("id", user["id"])}


async def _relations(client: LogtoClient, directory: Directory, state: State) -> None:
    ids = list(state.users)
    if not ids:
        return
    # The population's own role or organization was read with it.
    held = [one for one in sorted(set(directory.roles.values())) if one not in state.holders]

    async def holders(role_id: str) -> set[str]:
        return await read_holders(client, role_id, directory.holders.get(role_id), ids)

    state.holders.update(zip(held, await for_each(held, holders), strict=True))
    organizations = [one for one in sorted(set(directory.organizations.values())) if one not in state.members]
    members = await for_each(organizations, lambda one: read_members(client, one, ids))
    state.members.update(zip(organizations, members, strict=True))


async def protected_in(client: LogtoClient, state: State, protection: Protection) -> dict[str, str]:
    """Ids of the protected people of a state -> why."""
    if not protection:
        return {}
    holders = await protection.holders(client)
    protected = {user_id: f"protected by the role {holders[user_id]}" for user_id in state.users if user_id in holders}
    for user in state.users.values():
        if user.id not in protected and (reason := protection.reason(user.api())):
            protected[user.id] = reason
    return protected
