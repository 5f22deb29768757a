"""Organizations: finding the right one, creating it once, keeping it as it should be.

Source: Logto Management API, tag "Organizations". Names are not unique there and a repeated ``POST`` makes a duplicate,
so an organization is known by an ``external_id`` kept in its ``customData``, or by a name that only one of them has.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_logto.client.client import LogtoClient, path_of
from airflow_provider_logto.exceptions import AlreadyExists, Ambiguous, InvalidInput
from airflow_provider_logto.management import search
from airflow_provider_logto.management.answers import ORGANIZATION, checked, objects
from airflow_provider_logto.management.creating_once import create_once, find_settled, ids_of, only
from airflow_provider_logto.management.fields import switch
from airflow_provider_logto.management.members import MemberSpec, apply_members, plan_members, resolve_members
from airflow_provider_logto.management.organization_details import Details, ensure_details, resolve_details
from airflow_provider_logto.management.organization_spec import Organization, OrganizationSpec, external_id_of
from airflow_provider_logto.management.presence import delete
from airflow_provider_logto.management.references import OnMissing, Reference, find_users

if TYPE_CHECKING:
    from airflow_provider_logto.management.protection import Protection

#: What a report counts besides members.
_DETAILS = ("applications", "jit_email_domains", "jit_roles", "jit_sso_connectors")


async def ensure_organization(
    client: LogtoClient,
    spec: OrganizationSpec,
    members: list[MemberSpec] | None = None,
    prune_members: bool = False,
    adopt_existing: bool = False,
    on_missing: OnMissing = "fail",
    max_member_removals: int | None = None,
    protection: Protection | None = None,
    details: Details | None = None,
) -> dict[str, Any]:
    """Make sure that an organization exists, with these members, roles and e-mail domains.

    :param spec: which organization, and as what.
    :param members: who belongs to it, with which organization roles; None leaves the membership alone.
    :param prune_members: make members exact instead of only adding, and the roles of those of whom roles are given.
    :param adopt_existing: let an ``external_id`` be written onto the only organization of that name that has none.
    :param on_missing: what to do with members who do not exist: ``fail``, or ``skip``.
    :param max_member_removals: how many people may lose their membership or a role; None is no limit.
    :param protection: who must not lose their membership or a role.
    :param details: applications and just-in-time provisioning.
    :returns: ``{"id", "outcome": "created" | "updated" | "unchanged", "members": {counts}}``, counts of the details
        given, and ``"missing"``, where members are skipped: their references.
    :raises InvalidInput: before the first write: unknown users or organization roles, more removals than allowed,
        somebody protected who would lose something.
    :raises Ambiguous: where more than one organization fits.
    :raises AlreadyExists: where an organization of that name without external id stands in the way.
    :raises IncompleteList: where the organizations could not all be seen, so that creating might make a duplicate.
    """
    prune_members = switch("prune_members", prune_members)
    adopt_existing = switch("adopt_existing", adopt_existing)
    _check_removals(max_member_removals)
    wanted = None if members is None else await resolve_members(client, members, on_missing)
    if prune_members and not (wanted and wanted.roles):
        raise InvalidInput("members", "is empty, or nobody in it exists: pruning by it would remove everybody")
    resolved = None if details is None else await resolve_details(client, details)
    organization, created = await find_organization(client, spec, adopt_existing), False
    if organization is None:
        organization, created = await _create(client, spec)
    organization_id = organization["id"]
    joining = None
    if wanted is not None:
        joining = await plan_members(client, organization_id, wanted, prune_members, new=created)
        if max_member_removals is not None and len(joining.losing) > max_member_removals:
            raise InvalidInput(
                "members",
                f"would take membership or roles from {len(joining.losing)} people; "
                f"max_member_removals allows {max_member_removals}",
            )
        if protection and joining.losing:
            await _refuse_protected(client, protection, joining.losing)
    changes = {} if created else spec.changes(organization)
    if changes:
        await client.request("PATCH", path_of("/organizations/{}", organization_id), body=changes)
    report: dict[str, Any] = {}
    if joining is not None:
        await apply_members(client, organization_id, joining)
        report["members"] = joining.counts()
    if resolved is not None:
        report |= await ensure_details(client, organization_id, resolved)
    if wanted is not None and wanted.missing:
        report["missing"] = list(wanted.missing)
    updated = changes or joining or any(_changed(report.get(name, {})) for name in _DETAILS)
    outcome = "created" if created else "updated" if updated else "unchanged"
    return {"id": organization_id, "outcome": outcome, **report}


async def _refuse_protected(client: LogtoClient, protection: Protection, user_ids: set[str]) -> None:
    references = [Reference.parse({"id": user_id}, "members") for user_id in sorted(user_ids)]
    await protection.refuse(client, [user for user in await find_users(client, references) if user], "members")


def _check_removals(limit: Any) -> None:
    if limit is not None and (not isinstance(limit, int) or isinstance(limit, bool) or limit < 0):
        raise InvalidInput("max_member_removals", f"must be a number, 0 or more; got {limit!r}")


async def find_organization(client: LogtoClient, spec: OrganizationSpec, adopt_existing: bool) -> Organization | None:
    """The organization that a specification means, or None where it certainly does not exist.

    :raises AlreadyExists, Ambiguous, IncompleteList: see :func:`ensure_organization`.
    """
    return await find_settled(lambda: _find(client, spec, adopt_existing))


async def _find(client: LogtoClient, spec: OrganizationSpec, adopt_existing: bool) -> Organization | None:
    namesakes = await _namesakes(client, spec.name)
    if spec.external_id is None:
        return only(namesakes, "organization", f"the name {spec.name!r}", "give an external_id, or rename all but one")
    known = [one for one in namesakes if external_id_of(one) == spec.external_id]
    if not known:
        # It may have been renamed. The walk fails rather than leave one out, so nothing is created by mistake.
        everybody = [one async for one in objects(client, "/organizations", None, ORGANIZATION)]
        known = [one for one in everybody if external_id_of(one) == spec.external_id]
        if not known and spec.former_external_id:
            known = [one for one in everybody if external_id_of(one) == spec.former_external_id]
    if known:
        return only(known, "organization", f"the external id {spec.external_id!r}", "delete all but one")
    unmarked = [one for one in namesakes if external_id_of(one) is None]
    if unmarked and not adopt_existing:
        raise AlreadyExists(
            f"an organization named {spec.name!r} exists without external id ({ids_of(unmarked)})",
            hint="adopt_existing=True makes it this one, or rename it",
        )
    return only(
        unmarked, "organization", f"the name {spec.name!r}", "rename all but one, or give one of them the external id"
    )


async def _namesakes(client: LogtoClient, name: str) -> list[Organization]:
    # ``q`` is a substring match in which % and _ are wildcards.
    query = {"q": search.literal(name)}
    return [one async for one in objects(client, "/organizations", query, ORGANIZATION) if one["name"] == name]


async def _create(client: LogtoClient, spec: OrganizationSpec) -> tuple[Organization, bool]:
    async def post() -> Organization:
        answer = await client.request("POST", "/organizations", body=spec.body())
        return checked("POST /api/organizations", answer, ORGANIZATION)

    async def same() -> list[Organization]:
        return [one for one in await _namesakes(client, spec.name) if external_id_of(one) == spec.external_id]

    async def discard(made: Organization, alike: list[Organization]) -> None:
        count = await client.count(path_of("/organizations/{}/users", made["id"]))
        if count != 0:
            raise Ambiguous(
                f"{len(alike)} organizations {made['name']!r} were made at once ({ids_of(alike)}), and {made['id']} "
                f"{'may have' if count is None else 'has'} members already; delete all but one"
            )
        await delete(client, path_of("/organizations/{}", made["id"]))

    return await create_once(
        "organization",
        spec.name,
        post=post,
        find=lambda: find_organization(client, spec, adopt_existing=False),
        same=same,
        discard=discard,
    )


def _changed(counts: Mapping[str, int]) -> bool:
    return any(count for name, count in counts.items() if name != "unchanged")
