"""Applications: finding the right one, creating it once, keeping it as it should be.

Source: Logto Management API, tag "Applications". Names are not unique there and a repeated ``POST`` makes a duplicate,
so an application is known by an ``external_id`` kept in its ``customData``, or by a name that only one of them has.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

from airflow_provider_logto.client.client import LogtoClient, path_of
from airflow_provider_logto.exceptions import AlreadyExists, Ambiguous, Conflict, InvalidInput, NotFound, OutcomeUnknown
from airflow_provider_logto.management.answers import APPLICATION, KIND_OF_ROLE, ROLE, checked, objects
from airflow_provider_logto.management.application_spec import EXTERNAL_ID, Application, ApplicationSpec
from airflow_provider_logto.management.creating_once import create_once, find_settled, ids_of, only
from airflow_provider_logto.management.fields import switch
from airflow_provider_logto.management.kept import refuse_lost
from airflow_provider_logto.management.presence import delete, is_unknown_operation
from airflow_provider_logto.management.where import search_query


async def ensure_application(
    client: LogtoClient, spec: ApplicationSpec, adopt_existing: bool = False
) -> dict[str, Any]:
    """Make sure that an application exists, with these settings and roles.

    :param spec: which application, and as what.
    :param adopt_existing: let an ``external_id`` be written onto the only application of that name that has none.
    :returns: ``{"id", "name", "type", "outcome": "created" | "updated" | "unchanged", "changed": [fields], "roles":
        {"added": [names], "removed": [names], "unchanged": [names]}}``, the last where roles are given.
    :raises InvalidInput: before the first write: an unknown role, a change of the type.
    :raises Ambiguous: where more than one application fits.
    :raises AlreadyExists: where an application of that name without external id stands in the way.
    :raises NotKept: where Logto left out some of the settings.
    """
    adopt_existing = switch("adopt_existing", adopt_existing)
    roles = await resolve_machine_roles(client, spec.roles or ())
    application, created = await find_application(client, spec, adopt_existing), False
    if application is None:
        application, created = await _create(client, spec)
    _check_type(spec, application)
    if spec.exact and spec.roles is not None and application["id"] == client.app_id:
        raise InvalidInput("exact", "this is the Connection's own application, whose roles are never taken away")
    changes = {} if created else spec.changes(application)
    if created:
        refuse_lost("POST /api/applications", spec.body(), application)
    if changes:
        path = path_of("/applications/{}", application["id"])
        answer = await client.request("PATCH", path, body=changes)
        # What is sent along, since columns are replaced whole, may be older than what Logto keeps now.
        given = {name: value for name, value in spec.body().items() if name in changes}
        refuse_lost(f"PATCH /api{path}", given, answer)
    report: dict[str, Any] = {}
    if spec.roles is not None:
        report["roles"] = await _ensure_roles(client, application["id"], roles, spec.exact)
    differs = changes or any(report.get("roles", {}).get(name) for name in ("added", "removed"))
    outcome = "created" if created else "updated" if differs else "unchanged"
    about = {"id": application["id"], "name": spec.name, "type": spec.type}
    return {**about, "outcome": outcome, "changed": sorted(changes), **report}


async def find_application(
    client: LogtoClient, spec: ApplicationSpec, adopt_existing: bool = False
) -> Application | None:
    """The application that a specification means, or None where it certainly does not exist.

    :raises AlreadyExists, Ambiguous: see :func:`ensure_application`.
    """
    return await find_settled(lambda: _find(client, spec, adopt_existing))


async def _find(client: LogtoClient, spec: ApplicationSpec, adopt_existing: bool) -> Application | None:
    namesakes = await _namesakes(client, spec.name)
    if spec.external_id is None:
        return only(namesakes, "application", f"the name {spec.name!r}", "give an external_id, or rename all but one")
    known = [one for one in namesakes if external_id_of(one) == spec.external_id]
    if not known:
        # It may have been renamed.
        known = [one async for one in _all(client) if external_id_of(one) == spec.external_id]
    if known:
        return only(known, "application", f"the external id {spec.external_id!r}", "delete all but one")
    unmarked = [one for one in namesakes if external_id_of(one) is None]
    if unmarked and not adopt_existing:
        raise AlreadyExists(
            f"an application named {spec.name!r} exists without external id ({ids_of(unmarked)})",
            hint="adopt_existing=True makes it this one, or rename it",
        )
    return only(
        unmarked, "application", f"the name {spec.name!r}", "rename all but one, or give one of them the external id"
    )


async def resolve_application(client: LogtoClient, reference: Any, field: str = "application") -> Application:
    """The application meant by a reference: an id or exact name, ``{"id"}``, ``{"name"}`` or ``{"external_id"}``.

    :raises InvalidInput: where there is none, or the reference is none.
    :raises Ambiguous: where more than one is meant.
    """
    kind, value = _parsed(reference, field)
    if kind == "external_id":
        found = [one async for one in _all(client) if external_id_of(one) == value]
    else:
        found = await _namesakes(client, value) if kind != "id" else []
        if kind != "name" and (by_id := await _by_id(client, value)) is not None:
            found = [by_id, *(one for one in found if one["id"] != by_id["id"])]
    application = only(found, "application", f"the reference {value!r}", 'say {"id": ...}')
    if application is None:
        raise InvalidInput(field, f"there is no application {value!r}")
    return application


async def resolve_machine_roles(client: LogtoClient, references: tuple[str, ...]) -> dict[str, str]:
    """Names or ids of machine-to-machine roles -> role id to name. Asks nothing where there is nothing to look up.

    :raises InvalidInput: where one does not exist or is a user role.
    """
    if not references:
        return {}
    roles = [role async for role in objects(client, "/roles", None, KIND_OF_ROLE)]
    resolved: dict[str, str] = {}
    for at, reference in enumerate(references):
        matching = [role for role in roles if reference in (role["id"], role["name"])]
        if not matching:
            raise InvalidInput(f"roles[{at}]", f"there is no role {reference!r}; create it first")
        if len(matching) > 1:
            raise Ambiguous(f"roles[{at}]: {reference!r} is the id of one role and the name of another")
        if matching[0]["type"] != "MachineToMachine":
            raise InvalidInput(f"roles[{at}]", f"{reference!r} is a role for users; applications hold others")
        resolved[matching[0]["id"]] = matching[0]["name"]
    return resolved


def external_id_of(application: Application) -> Any:
    """The external id that an application carries, or None."""
    return (application.get("customData") or {}).get(EXTERNAL_ID)


async def _create(client: LogtoClient, spec: ApplicationSpec) -> tuple[Application, bool]:
    async def post() -> Application:
        answer = await client.request("POST", "/applications", body=spec.body())
        return checked("POST /api/applications", answer, APPLICATION)

    async def same() -> list[Application]:
        return [one for one in await _namesakes(client, spec.name) if external_id_of(one) == spec.external_id]

    return await create_once(
        "application",
        spec.name,
        post=post,
        find=lambda: find_application(client, spec),
        same=same,
        # Nobody can use it yet: its id has not left this task.
        discard=lambda made, _: delete(client, path_of("/applications/{}", made["id"])),
    )


async def _ensure_roles(
    client: LogtoClient, application_id: str, wanted: Mapping[str, str], exact: bool
) -> dict[str, list[str]]:
    path = path_of("/applications/{}/roles", application_id)
    held = {role["id"]: role["name"] async for role in objects(client, path, None, ROLE)}
    missing = [role_id for role_id in wanted if role_id not in held]
    for last in (False, False, True):
        lacking = [role_id for role_id in missing if role_id not in held]
        if not lacking:
            break
        try:
            await client.request("POST", path, body={"roleIds": lacking})
            break
        except (OutcomeUnknown, Conflict):
            # Before 1.41 one that is held already is a conflict; afterwards it is ignored.
            if last:
                raise
            held |= {role["id"]: role["name"] async for role in objects(client, path, None, ROLE)}
    surplus = [role_id for role_id in held if role_id not in wanted] if exact else []
    for role_id in surplus:
        await delete(client, f"{path}/{role_id}")
    return {
        "added": [wanted[role_id] for role_id in missing],
        "removed": [held[role_id] for role_id in surplus],
        "unchanged": [name for role_id, name in wanted.items() if role_id not in missing],
    }


async def _namesakes(client: LogtoClient, name: str) -> list[Application]:
    query = search_query({"name": name, "case_sensitive": True}, "/applications")
    return [one async for one in _all(client, query) if one["name"] == name]


def _all(client: LogtoClient, query: Mapping[str, Any] | None = None) -> AsyncIterator[Application]:
    return objects(client, "/applications", query, APPLICATION)


async def _by_id(client: LogtoClient, application_id: str) -> Application | None:
    path = path_of("/applications/{}", application_id)
    try:
        return checked(f"GET /api{path}", await client.request("GET", path), APPLICATION)
    except NotFound as error:
        if is_unknown_operation(error):
            raise
        return None


def _parsed(reference: Any, field: str) -> tuple[str, str]:
    if isinstance(reference, str) and reference.strip():
        return "text", reference.strip()
    if isinstance(reference, Mapping):
        kind = next((kind for kind in ("id", "external_id", "name") if reference.get(kind) not in (None, "")), "")
        if kind and isinstance(reference[kind], str) and reference[kind].strip():
            return kind, reference[kind].strip()
    raise InvalidInput(
        field, f'must be an id or a name, {{"id": ...}}, {{"name": ...}} or {{"external_id": ...}}; got {reference!r}'
    )


def _check_type(spec: ApplicationSpec, application: Application) -> None:
    if application["type"] != spec.type:
        raise InvalidInput(
            "application_type", f"{application['id']} is of type {application['type']}, which cannot be changed"
        )
