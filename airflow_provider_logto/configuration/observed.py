"""The tenant as it is, as far as a configuration speaks of it: one request per list page, and per object whose parts no
list shows (the scopes of a role, the roles of an application)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_logto.client.client import LogtoClient, path_of
from airflow_provider_logto.configuration.desired import Desired
from airflow_provider_logto.configuration.kinds import KINDS, RELATIONS, scope_key
from airflow_provider_logto.exceptions import Ambiguous, InvalidInput, NotFound
from airflow_provider_logto.management.answers import IDENTIFIED, ROLE, checked, objects

Row = Mapping[str, Any]
_FACTORY = {"type": str, "target": str}


@dataclass
class Observed:
    """What there is.

    :param rows: (kind, key) -> the object.
    :param held: (relation, key of the holder) -> ids of what it holds.
    :param doubled: (kind, key) -> ids of several objects that have one key.
    :param factories: key of a connector that does not exist -> what it would be made of.
    :param untouchable: ids that are never changed: the Connection's own application, its roles, the Management API.
    """

    rows: dict[tuple[str, str], Row] = field(default_factory=dict)
    held: dict[tuple[str, str], set[str]] = field(default_factory=dict)
    untouchable: set[str] = field(default_factory=set)
    doubled: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    factories: dict[str, Row] = field(default_factory=dict)

    def id_of(self, kind: str, key: str) -> str | None:
        """Its id; None where it does not exist."""
        row = self.rows.get((kind, key))
        return None if row is None else str(row["id"])

    def add(self, kind: str, key: str, row: Row) -> None:
        """Keep an object; two of one key can be neither meant nor changed, and are kept apart."""
        if (kind, key) in self.doubled:
            self.doubled[kind, key].append(row["id"])
        elif (kind, key) in self.rows:
            self.doubled[kind, key] = [self.rows.pop((kind, key))["id"], row["id"]]
        else:
            self.rows[kind, key] = row

    def refuse_doubled(self, kind: str, key: str) -> None:
        """
        :raises Ambiguous: where several objects of a kind have one key.
        """
        if (kind, key) in self.doubled:
            ids = ", ".join(sorted(self.doubled[kind, key]))
            raise Ambiguous(f"several objects of kind {kind} are named {key!r} ({ids}); rename all but one")


async def observe(
    client: LogtoClient, kinds: Iterable[str], related: Mapping[tuple[str, str], Iterable[str]], management_api: str
) -> Observed:
    """Read the lists of some kinds, and what some objects hold.

    :param related: (kind, key) -> relations of it that matter.
    """
    found = Observed()
    wanted = set(kinds)
    for kind in sorted(wanted - {"scope", "sign_in_experience"}):
        await _read_list(client, kind, found)
    if "sign_in_experience" in wanted:
        shape = {"signIn": (dict, type(None)), "socialSignInConnectorTargets": (list, type(None))}
        row = checked("GET /api/sign-in-exp", await client.request("GET", "/sign-in-exp"), shape)
        found.rows["sign_in_experience", "sign_in_experience"] = {"id": "default", **row}
    found.untouchable.add(client.app_id)
    found.untouchable |= await _ids(client, path_of("/applications/{}/roles", client.app_id))
    _keep_from(found, management_api)
    await observe_held(client, found, related)
    return found


async def observe_held(client: LogtoClient, found: Observed, related: Mapping[tuple[str, str], Iterable[str]]) -> None:
    """Read what some objects hold.

    :param related: (kind, key) -> relations of it that matter.
    """
    for (kind, key), relations in related.items():
        row = found.rows.get((kind, key), {})
        for relation in relations if row else ():
            found.held[relation, key] = await _held(client, kind, relation, row)


async def observe_given_roles(client: LogtoClient, found: Observed, desired: Desired, management_api: str) -> None:
    """Read what the roles hold that applications are about to get, so that it is known how much that gives."""
    given: dict[str, None] = {}
    for (_, key), item in desired.items():
        held = found.held.get(("application_role", key), set()) | found.untouchable
        for role in item.relations.get("application_role", ()):
            if (
                (role_id := found.id_of("role", role))
                and role_id not in held
                and ("role_scope", role) not in found.held
            ):
                given[role] = None
    if given and ("resource", management_api) not in found.rows:
        await _read_list(client, "resource", found)
        _keep_from(found, management_api)
    await observe_held(client, found, {("role", role): ("role_scope",) for role in given})


async def observe_factories(client: LogtoClient, found: Observed, connectors: Mapping[str, str]) -> None:
    """Read what connectors would be made of that do not exist yet.

    :param connectors: key -> factory.
    :raises InvalidInput: for an unknown factory.
    """
    for key, factory in connectors.items():
        if ("connector", key) not in found.rows:
            try:
                path = path_of("/connector-factories/{}", factory)
                found.factories[key] = checked(f"GET /api{path}", await client.request("GET", path), _FACTORY)
            except NotFound:
                hint = f"this Logto has no connector {factory!r}; GET /api/connector-factories lists all"
                raise InvalidInput("config.connectors", hint) from None


def _keep_from(found: Observed, management_api: str) -> None:
    api = found.rows.get(("resource", management_api))
    if api is not None:
        found.untouchable.update((api["id"], *(scope["id"] for scope in api.get("scopes") or ())))


async def _read_list(client: LogtoClient, kind: str, found: Observed) -> None:
    about = KINDS[kind]
    query = {"includeScopes": "true"} if kind == "resource" else None
    async for row in objects(client, about.path, query, about.shape):
        key = about.key_of(row)
        found.add(kind, key, row)
        for scope in (row.get("scopes") or ()) if kind == "resource" else ():
            checked(f"GET /api{about.path}", scope, ROLE)
            found.add("scope", scope_key(key, scope["name"]), scope)


async def _held(client: LogtoClient, kind: str, relation: str, row: Row) -> set[str]:
    # The list of organization roles shows what they hold.
    shown = {"organization_role_scope": "scopes", "organization_role_resource_scope": "resourceScopes"}.get(relation)
    if kind == "organization_role" and shown:
        return {checked("GET /api/organization-roles", one, IDENTIFIED)["id"] for one in row.get(shown) or ()}
    if kind == "application" and row["type"] != "MachineToMachine":
        return set()
    path, _, _ = RELATIONS[relation]
    return await _ids(client, path_of(path, row["id"]))


async def _ids(client: LogtoClient, path: str) -> set[str]:
    return {one["id"] async for one in objects(client, path, None, IDENTIFIED)}
