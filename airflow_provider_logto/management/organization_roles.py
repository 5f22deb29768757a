"""Organization roles by name or id.

Source: Logto Management API, tag "Organization roles".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from airflow_provider_logto.client.client import LogtoClient
from airflow_provider_logto.exceptions import Ambiguous, InvalidInput
from airflow_provider_logto.management.answers import ROLE, objects

#: Who may hold a role: members of an organization, or machine-to-machine applications in it.
Holder = Literal["User", "MachineToMachine"]
_WRONG_HOLDER = {
    "User": "is for machine-to-machine applications; members hold user roles",
    "MachineToMachine": "is for members; applications hold machine-to-machine roles",
}


def checked_roles(field: str, value: Any) -> tuple[str, ...]:
    """Names or ids of organization roles, one or many; None and "" mean none.

    :raises InvalidInput: where it is no list of texts.
    """
    if value is None or value == "":
        return ()
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, Sequence) or not all(isinstance(name, str) and name.strip() for name in value):
        raise InvalidInput(field, f"must be a list of organization role names or ids; got {value!r}")
    return tuple(dict.fromkeys(value))


async def resolve_organization_roles(
    client: LogtoClient, references: Sequence[str], holder: Holder = "User", field: str = "roles"
) -> dict[str, str]:
    """Name or id of each organization role -> its id. Asks nothing where there is nothing to look up.

    :raises InvalidInput: where one does not exist or is for the other kind of holder.
    :raises Ambiguous: where a text is the id of one role and the name of another.
    """
    if not references:
        return {}
    roles = [role async for role in objects(client, "/organization-roles", None, {**ROLE, "type": (str, type(None))})]
    resolved: dict[str, str] = {}
    for reference in references:
        matching = [role for role in roles if reference in (role["id"], role["name"])]
        if not matching:
            known = ", ".join(sorted(role["name"] for role in roles)) or "none"
            raise InvalidInput(field, f"there is no organization role {reference!r}; the template has: {known}")
        if len(matching) > 1:
            raise Ambiguous(f"{field}: {reference!r} is the id of one organization role and the name of another")
        if matching[0].get("type", "User") != holder:
            raise InvalidInput(field, f"{reference!r} {_WRONG_HOLDER[holder]}")
        resolved[reference] = matching[0]["id"]
    return resolved
