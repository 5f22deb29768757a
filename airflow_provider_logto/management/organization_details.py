"""What an organization has besides its members: applications with roles, and who joins just in time.

Source: Logto Management API, tags "Organizations" and "Organization JIT provisioning".
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from airflow_provider_logto.client.client import LogtoClient, path_of
from airflow_provider_logto.exceptions import Ambiguous, Conflict, InvalidInput, OutcomeUnknown
from airflow_provider_logto.management import fields
from airflow_provider_logto.management.answers import DOMAIN, IDENTIFIED, MEMBER, objects, role_ids_of
from airflow_provider_logto.management.applications import resolve_application
from airflow_provider_logto.management.organization_roles import checked_roles, resolve_organization_roles
from airflow_provider_logto.management.presence import delete
from airflow_provider_logto.management.references import listed

#: How many of something were ``added``, ``removed``, ``unchanged``.
Counts = dict[str, int]

_TRIES = 3


@dataclass(frozen=True)
class Details:
    """As they should be; None means "leave it alone". Make one with :meth:`checked`.

    :param applications: (reference to the application, organization roles) of each.
    :param exact_jit: domains, roles and connectors become exactly those given, instead of only growing.
    """

    applications: tuple[tuple[Any, tuple[str, ...]], ...] | None = None
    prune_applications: bool = False
    jit_email_domains: tuple[str, ...] | None = None
    jit_roles: tuple[str, ...] | None = None
    jit_sso_connectors: tuple[str, ...] | None = None
    exact_jit: bool = False

    @classmethod
    def checked(
        cls,
        applications: Any = None,
        prune_applications: bool = False,
        jit_email_domains: Any = None,
        jit_roles: Any = None,
        jit_sso_connectors: Any = None,
        exact_jit: bool = False,
    ) -> Details:
        """
        :raises InvalidInput: naming the argument and what would be right.
        """
        prune_applications = fields.switch("prune_applications", prune_applications)
        exact_jit = fields.switch("exact_jit", exact_jit)
        checked_applications = None
        if applications not in (None, ""):
            given = enumerate(listed("applications", applications))
            checked_applications = tuple(_application(f"applications[{at}]", one) for at, one in given)
        if prune_applications and not checked_applications:
            raise InvalidInput("applications", "is empty: pruning by it would remove all of them; list what stays")
        domains = None
        if jit_email_domains not in (None, ""):
            names = enumerate(listed("jit_email_domains", jit_email_domains))
            domains = tuple(dict.fromkeys(fields.domain(f"jit_email_domains[{at}]", one) for at, one in names))
        details = cls(
            checked_applications,
            prune_applications,
            domains,
            _names("jit_roles", jit_roles),
            _names("jit_sso_connectors", jit_sso_connectors),
            exact_jit,
        )
        for name in ("jit_email_domains", "jit_roles", "jit_sso_connectors"):
            if exact_jit and getattr(details, name) == ():
                raise InvalidInput(
                    name, "is empty: exact_jit would remove all of them; leave it out, or list what stays"
                )
        return details


@dataclass(frozen=True)
class ResolvedDetails:
    """The same with ids, settled before the first write.

    :param applications: application id -> ids of its organization roles.
    """

    wanted: Details
    applications: Mapping[str, frozenset[str]] | None = None
    jit_roles: tuple[str, ...] | None = None
    jit_sso_connectors: tuple[str, ...] | None = None


async def resolve_details(client: LogtoClient, details: Details) -> ResolvedDetails:
    """Look everything up.

    :raises InvalidInput: where something does not exist, or is of another kind.
    """
    applications: dict[str, frozenset[str]] | None = None
    if details.applications is not None:
        names = list(dict.fromkeys(name for _, roles in details.applications for name in roles))
        ids = await resolve_organization_roles(client, names, "MachineToMachine", "applications.roles")
        applications = {}
        for at, (reference, roles) in enumerate(details.applications):
            found = await resolve_application(client, reference, f"applications[{at}]")
            if found["type"] != "MachineToMachine":
                raise InvalidInput(f"applications[{at}]", f"{found['id']} is not a machine-to-machine application")
            wanted = frozenset(ids[name] for name in roles)
            applications[found["id"]] = applications.get(found["id"], frozenset()) | wanted
    jit_roles = None
    if details.jit_roles is not None:
        role_ids = await resolve_organization_roles(client, details.jit_roles, "User", "jit_roles")
        jit_roles = tuple(dict.fromkeys(role_ids.values()))
    return ResolvedDetails(details, applications, jit_roles, await _connectors(client, details.jit_sso_connectors))


async def ensure_details(client: LogtoClient, organization_id: str, resolved: ResolvedDetails) -> dict[str, Any]:
    """Bring them in line: additions first, removals last.

    :returns: counts by ``applications``, ``jit_email_domains``, ``jit_roles`` and ``jit_sso_connectors``, those given.
    """
    wanted, base = resolved.wanted, path_of("/organizations/{}", organization_id)
    report: dict[str, Any] = {}
    if resolved.applications is not None:
        report["applications"] = await _ensure_applications(
            client, f"{base}/applications", resolved.applications, wanted.prune_applications
        )
    if wanted.jit_email_domains is not None:
        path = f"{base}/jit/email-domains"
        present = {row["emailDomain"] async for row in objects(client, path, None, DOMAIN)}

        async def add_domains(domains: list[str]) -> None:
            for domain in domains:
                await _add_domain(client, path, domain)

        report["jit_email_domains"] = await _ensure_set(
            client, path, wanted.jit_email_domains, present, wanted.exact_jit, add_domains
        )
    for name, key in (("jit_roles", "organizationRoleIds"), ("jit_sso_connectors", "ssoConnectorIds")):
        ids: tuple[str, ...] | None = getattr(resolved, name)
        if ids is None:
            continue
        path = f"{base}/jit/{name.removeprefix('jit_').replace('_', '-')}"
        present = {row["id"] async for row in objects(client, path, None, IDENTIFIED)}
        report[name] = await _ensure_set(client, path, ids, present, wanted.exact_jit, _poster(client, path, key))
    return report


def _poster(client: LogtoClient, path: str, key: str) -> Callable[[list[str]], Awaitable[None]]:
    async def add(ids: list[str]) -> None:
        await client.request("POST", path, body={key: ids})

    return add


async def _ensure_set(
    client: LogtoClient,
    path: str,
    wanted: Iterable[str],
    present: set[str],
    exact: bool,
    add: Callable[[list[str]], Awaitable[None]],
) -> Counts:
    wanted = list(wanted)
    missing = [one for one in wanted if one not in present]
    if missing:
        await add(missing)
    surplus = sorted(present - set(wanted)) if exact else []
    for one in surplus:
        await delete(client, f"{path}/{path_of('{}', one)}")
    return {"added": len(missing), "removed": len(surplus), "unchanged": len(wanted) - len(missing)}


async def _add_domain(client: LogtoClient, path: str, domain: str) -> None:
    for last in (False,) * (_TRIES - 1) + (True,):
        try:
            await client.request("POST", path, body={"emailDomain": domain})
            return
        except (Conflict, OutcomeUnknown) as error:
            if isinstance(error, Conflict) and error.code != "entity.unique_integrity_violation":
                raise
            if domain in {row["emailDomain"] async for row in objects(client, path, None, DOMAIN)}:
                return
            if last:
                raise


async def _ensure_applications(
    client: LogtoClient, path: str, wanted: Mapping[str, frozenset[str]], prune: bool
) -> Counts:
    present = {row["id"]: role_ids_of(path, row) async for row in objects(client, path, None, MEMBER)}
    missing = [one for one in wanted if one not in present]
    if missing:
        await client.request("POST", path, body={"applicationIds": missing})
    roles_added = roles_removed = 0
    for application_id, roles in wanted.items():
        held = present.get(application_id, set())
        if lacking := sorted(roles - held):
            await client.request(
                "POST", path_of(path + "/{}/roles", application_id), body={"organizationRoleIds": lacking}
            )
            roles_added += len(lacking)
        for role_id in sorted(held - roles) if prune else ():
            await delete(client, path_of(path + "/{}/roles/{}", application_id, role_id))
            roles_removed += 1
    surplus = sorted(set(present) - set(wanted)) if prune else []
    for application_id in surplus:
        await delete(client, path_of(path + "/{}", application_id))
    counts = {"added": len(missing), "removed": len(surplus), "unchanged": len(wanted) - len(missing)}
    return {**counts, "roles_added": roles_added, "roles_removed": roles_removed}


async def _connectors(client: LogtoClient, references: tuple[str, ...] | None) -> tuple[str, ...] | None:
    """Names or ids of SSO connectors -> ids."""
    if references is None:
        return None
    shape = {"id": str, "connectorName": str}
    known = [one async for one in objects(client, "/sso-connectors", None, shape)] if references else []
    ids = []
    for at, reference in enumerate(references):
        matching = [one["id"] for one in known if reference in (one["id"], one["connectorName"])]
        if not matching:
            raise InvalidInput(f"jit_sso_connectors[{at}]", f"there is no SSO connector {reference!r}")
        if len(matching) > 1:
            raise Ambiguous(f"jit_sso_connectors[{at}]: {reference!r} is the id of one and the name of another")
        ids += matching
    return tuple(dict.fromkeys(ids))


def _application(field: str, entry: Any) -> tuple[Any, tuple[str, ...]]:
    if isinstance(entry, Mapping) and "application" in entry:
        unknown = sorted(set(entry) - {"application", "roles"})
        if unknown:
            raise InvalidInput(f"{field}.{unknown[0]}", 'is unknown; give {"application": ..., "roles": [...]}')
        return entry["application"], checked_roles(f"{field}.roles", entry.get("roles"))
    if not entry or not isinstance(entry, str | Mapping):
        raise InvalidInput(field, 'must be a reference to an application, or {"application": ..., "roles": [...]}')
    return entry, ()


def _names(field: str, value: Any) -> tuple[str, ...] | None:
    return None if value in (None, "") else checked_roles(field, listed(field, value))
