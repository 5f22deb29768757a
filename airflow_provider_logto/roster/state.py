"""What Logto holds of the people a roster is about: the users themselves, their roles and memberships.

Everything is read with as few requests as the API allows: a population by its role or organization, people outside it
by exact searches over many values at once, roles by their holders or by searches among them, whichever is fewer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar
from urllib.parse import quote_plus

import msgspec

from airflow_provider_logto.client.client import LogtoClient, path_of
from airflow_provider_logto.exceptions import InvalidSource
from airflow_provider_logto.management import phone_numbers, search
from airflow_provider_logto.management.answers import (
    IDENTIFIED,
    KIND_OF_ROLE,
    MEMBER,
    PERSON,
    ROLE,
    checked,
    objects,
    role_ids_of,
)
from airflow_provider_logto.management.concurrency import for_each
from airflow_provider_logto.management.marks import Mark
from airflow_provider_logto.management.removal import is_by_task
from airflow_provider_logto.roster.columns import TEXTS
from airflow_provider_logto.roster.people import Person

T = TypeVar("T")

#: Bytes of search values in one URL: Logto answers up to 13 kB of URL, and 431 from 16 kB of headers on.
_QUERY = 12_000
_PAGE = 100
#: Names that are looked up one by one; more are found by walking the list.
_FEW = 25

Value = tuple[str, str]
#: Identifiers that people may share a search by, besides the id.
SEARCHED = ("username", "primaryEmail", "primaryPhone")
_NOTHING: Mapping[str, Any] = {}


class Known(msgspec.Struct, kw_only=True, gc=False):
    """A user as Logto holds them, as far as a roster needs it.

    :param by_task: whether a task of its own suspended them, which no roster takes back.
    """

    id: str
    texts: dict[str, str | None]
    profile: Mapping[str, Any]
    custom_data: Mapping[str, Any]
    mark: Mark
    suspended: bool
    by_task: bool
    identities: Mapping[str, Any]

    @classmethod
    def of(cls, user: Mapping[str, Any], data_keys: Iterable[str] | None = ()) -> Known:
        """
        :param data_keys: keys of customData to keep; None: all.
        """
        data = user.get("customData") or {}
        kept = data if data_keys is None else {key: data[key] for key in data_keys if key in data}
        # Nothing is kept as one and the same nothing: there may be a hundred thousand of them.
        return cls(
            id=user["id"],
            texts={name: user.get(name) for name in TEXTS.values()},
            profile=user.get("profile") or _NOTHING,
            custom_data=kept or _NOTHING,
            mark=Mark.read(data) or Mark(),
            suspended=bool(user.get("isSuspended")),
            by_task=bool(user.get("isSuspended")) and is_by_task(user),
            identities=user.get("identities") or _NOTHING,
        )

    def api(self) -> dict[str, Any]:
        """The identifiers as the API names them."""
        return {"id": self.id, **self.texts}


@dataclass
class Directory:
    """Names of roles, organizations and organization roles -> ids, all of them checked."""

    roles: dict[str, str] = field(default_factory=dict)
    organizations: dict[str, str] = field(default_factory=dict)
    organization_roles: dict[str, str] = field(default_factory=dict)
    holders: dict[str, int | None] = field(default_factory=dict)


@dataclass
class State:
    """What is known.

    :param users: by id.
    :param holders: role id -> ids of users who hold it.
    :param members: organization id -> user id -> ids of the organization roles.
    """

    users: dict[str, Known] = field(default_factory=dict)
    holders: dict[str, set[str]] = field(default_factory=dict)
    members: dict[str, dict[str, frozenset[str]]] = field(default_factory=dict)

    def index(self) -> Index:
        """Every identifier -> ids of the users who have it."""
        return Index(self.users.values())


class Index:
    """Users by identifier; e-mails in lower case, phones in one form. Holds no more than strings: it may be large."""

    def __init__(self, users: Iterable[Known]) -> None:
        self._one: dict[str, dict[str, str]] = {name: {} for name in SEARCHED}
        self._more: dict[Value, list[str]] = {}
        for user in users:
            for name in SEARCHED:
                value = user.texts[name]
                if value and self._one[name].setdefault(comparable(name, value), user.id) != user.id:
                    self._more.setdefault((name, comparable(name, value)), []).append(user.id)

    def holders(self, name: str, value: str) -> Iterator[str]:
        """Ids of the users who have an identifier, given in the form of :func:`comparable`."""
        one = self._one[name].get(value)
        if one is not None:
            yield one
            yield from self._more.get((name, value), ())


def comparable(name: str, value: str) -> str:
    """An identifier in the form in which Logto compares it."""
    if name == "primaryEmail":
        return value.lower()
    return phone_numbers.canonical(value) if name == "primaryPhone" and value.isdigit() else value


async def resolve_names(
    client: LogtoClient,
    roles: Mapping[str, str],
    organizations: Mapping[str, str],
    organization_roles: Mapping[str, str],
) -> Directory:
    """Look every name or id up; each is given with the place where it stands, e.g. ``row 7``.

    :raises InvalidSource: naming all that are unknown, ambiguous, or for machine-to-machine applications.
    """
    wanted = {"role": roles, "organization": organizations, "organization role": organization_roles}
    directory = Directory()
    problems: list[str] = []
    if wanted["role"]:
        found = [one async for one in objects(client, "/roles", None, KIND_OF_ROLE)]
        directory.roles = _resolved("role", wanted["role"], found, problems)
        directory.holders = {role["id"]: role.get("usersCount") for role in found}
    if wanted["organization"]:
        found = await _organizations(client, set(organizations))
        directory.organizations = _resolved("organization", wanted["organization"], found, problems)
    if wanted["organization role"]:
        found = [one async for one in objects(client, "/organization-roles", None, KIND_OF_ROLE)]
        directory.organization_roles = _resolved("organization role", wanted["organization role"], found, problems)
    if problems:
        raise InvalidSource("source", problems[:100], max(0, len(problems) - 100))
    return directory


async def read_population(
    client: LogtoClient,
    population: tuple[str, str] | None,
    directory: Directory,
    wanted: Callable[[Mapping[str, Any]], bool],
    data_keys: Iterable[str] | None,
) -> State:
    """The people of a population, or those of the whole tenant that are wanted.

    :param data_keys: keys of customData that count; None: all.
    """
    state = State()
    if population is None:
        async for user in objects(client, "/users", None, PERSON):
            if wanted(user):
                state.users[user["id"]] = Known.of(user, data_keys)
        return state
    kind, name = population
    if kind == "role":
        role_id = directory.roles[name]
        async for user in objects(client, path_of("/roles/{}/users", role_id), None, PERSON):
            state.users[user["id"]] = Known.of(user, data_keys)
        state.holders[role_id] = set(state.users)
        return state
    organization_id = directory.organizations[name]
    members = state.members.setdefault(organization_id, {})
    path = path_of("/organizations/{}/users", organization_id)
    async for user in objects(client, path, None, {**PERSON, **MEMBER}):
        state.users[user["id"]] = Known.of(user, data_keys)
        members[user["id"]] = roles_of(path, user)
    return state


async def search_users(client: LogtoClient, values: Iterable[Value]) -> dict[str, Mapping[str, Any]]:
    """Everybody who has one of these identifiers, by id.

    Exact case first, which uses the server's indexes; without regard to case only for e-mails that were not found.
    """
    wanted = dict.fromkeys(values)
    found: dict[str, Mapping[str, Any]] = {}
    for sensitive in (True, False):
        for users in await for_each(_chunks(list(wanted)), partial(_search, client, sensitive)):
            found |= users
        seen = {("primaryEmail", (user.get("primaryEmail") or "").lower()) for user in found.values()}
        wanted = {value: None for value in wanted if value[0] == "primaryEmail" and value not in seen}
    return found


async def read_holders(client: LogtoClient, role_id: str, count: int | None, user_ids: Sequence[str]) -> set[str]:
    """Which of these users hold a role: by walking its holders, or by searching among them, whichever is fewer."""
    path = path_of("/roles/{}/users", role_id)
    if count is not None and count <= max(len(user_ids), _PAGE):
        wanted = set(user_ids)
        return {user["id"] async for user in objects(client, path, None, IDENTIFIED) if user["id"] in wanted}

    async def some(chunk: Sequence[Value]) -> set[str]:
        query = search.query([search.term("id", *(value for _, value in chunk))], case_sensitive=True)
        return {user["id"] async for user in objects(client, path, query, IDENTIFIED)}

    chunks = _chunks([("id", user_id) for user_id in user_ids])
    return set().union(*await for_each(chunks, some))


async def read_members(client: LogtoClient, organization_id: str, user_ids: Sequence[str]) -> dict[str, frozenset[str]]:
    """Which of these users are members, with their organization roles: by walking, or one by one if that is fewer."""
    path = path_of("/organizations/{}/users", organization_id)
    if len(user_ids) * _PAGE < (await client.count(path) or 0):

        async def one(user_id: str) -> dict[str, frozenset[str]]:
            theirs = path_of("/users/{}/organizations", user_id)
            held = [checked(f"GET /api{theirs}", entry, MEMBER) for entry in await client.collect(theirs)]
            roles = next((roles_of(theirs, entry) for entry in held if entry["id"] == organization_id), None)
            return {} if roles is None else {user_id: roles}

        found: dict[str, frozenset[str]] = {}
        for members in await for_each(user_ids, one):
            found |= members
        return found
    wanted = set(user_ids)
    listed = objects(client, path, None, MEMBER)
    return {member["id"]: roles_of(path, member) async for member in listed if member["id"] in wanted}


def roles_of(path: str, member: Mapping[str, Any]) -> frozenset[str]:
    """Ids of the organization roles of a member as the list at ``path`` shows them."""
    return frozenset(role_ids_of(path, member))


def identifiers_of(person: Person, keys: Iterable[str]) -> Iterator[Value]:
    """What a person can be searched by."""
    for key in keys:
        if key != "external_id" and (value := person.value(key)):
            name = "id" if key == "id" else TEXTS[key]
            yield name, comparable(name, value)


async def _search(client: LogtoClient, sensitive: bool, chunk: Sequence[Value]) -> dict[str, Mapping[str, Any]]:
    fields: dict[str, dict[str, None]] = {}
    for name, value in chunk:
        variants = phone_numbers.variants(value) if name == "primaryPhone" else (value,)
        fields.setdefault(name, {}).update(dict.fromkeys(variants))
    query = search.query([search.term(name, *values) for name, values in fields.items()], case_sensitive=sensitive)
    return {user["id"]: user async for user in objects(client, "/users", query, PERSON)}


def _chunks(values: Sequence[Value]) -> Iterator[Sequence[Value]]:
    """Pieces whose search fits into one URL."""
    start = size = 0
    for at, (name, value) in enumerate(values):
        # A phone is asked for in up to three forms.
        length = (len(f"search.{name}=&") + len(quote_plus(value))) * (3 if name == "primaryPhone" else 1)
        if at > start and size + length > _QUERY:
            yield values[start:at]
            start, size = at, 0
        size += length
    if start < len(values):
        yield values[start:]


async def _organizations(client: LogtoClient, names: set[str]) -> list[dict[str, Any]]:
    if len(names) > _FEW:
        return [one async for one in objects(client, "/organizations", None, ROLE)]
    found: dict[str, dict[str, Any]] = {}
    for name in sorted(names):
        async for one in objects(client, "/organizations", {"q": search.literal(name)}, ROLE):
            found[one["id"]] = one
    return list(found.values())


def _resolved(
    what: str, wanted: Mapping[str, str], found: Sequence[Mapping[str, Any]], problems: list[str]
) -> dict[str, str]:
    by_name: dict[str, list[Mapping[str, Any]]] = {}
    for one in found:
        for key in dict.fromkeys((one["id"], one["name"])):
            by_name.setdefault(key, []).append(one)
    resolved: dict[str, str] = {}
    for name in sorted(wanted):
        matching = by_name.get(name, [])
        if len(matching) == 1 and matching[0].get("type", "User") == "User":
            resolved[name] = matching[0]["id"]
        elif len(matching) == 1:
            problems.append(f"{wanted[name]}: {what} {name!r} is for machine-to-machine applications")
        elif matching:
            problems.append(f"{wanted[name]}: {what} {name!r} is there {len(matching)} times; give its id")
        else:
            problems.append(f"{wanted[name]}: there is no {what} {name!r}; create it first (names are case-sensitive)")
    return resolved
