"""Objects as the server sends them, checked for what is going to be read from them.

A server that answers null, or a user without an id, is an error of its own kind; it must not end as a KeyError.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

from airflow_provider_logto.client.client import LogtoClient
from airflow_provider_logto.exceptions import UnreadableAnswer

#: Name of a field -> what its value has to be.
Shape = Mapping[str, type | tuple[type, ...]]

USER: Shape = {"id": str, "isSuspended": bool, "createdAt": (int, float)}
_TEXT = (str, type(None))
_OBJECT = (dict, type(None))
#: A user of whom everything is read.
PERSON: Shape = {
    "id": str,
    "isSuspended": bool,
    **dict.fromkeys(("username", "primaryEmail", "primaryPhone", "name", "avatar"), _TEXT),
    **dict.fromkeys(("customData", "profile", "identities"), _OBJECT),
}
#: Whatever only its id is read of.
IDENTIFIED: Shape = {"id": str}
ROLE: Shape = {"id": str, "name": str}
#: A role with its kind of holder, and how many hold it, where the server says so.
KIND_OF_ROLE: Shape = {**ROLE, "type": _TEXT, "usersCount": (int, type(None))}
INVITATION: Shape = {"id": str, "invitee": str, "status": str, "expiresAt": (int, float)}
#: An organization of which somebody is a member.
JOINED: Shape = {"id": str, "name": str, "organizationRoles": list}
MEMBER: Shape = {"id": str, "organizationRoles": list}
APPLICATION: Shape = {
    **dict.fromkeys(("id", "name", "type"), str),
    "createdAt": (int, float),
    **dict.fromkeys(("customData", "oidcClientMetadata", "customClientMetadata"), _OBJECT),
}
ORGANIZATION: Shape = {"id": str, "name": str, "createdAt": (int, float), "customData": _OBJECT}
#: What may be left out of a list.
_ROWS = (list, type(None))
_MOMENT = (int, float, type(None))
STATUS: Shape = {"id": str, "status": str}
ONE_TIME_TOKEN: Shape = {"id": str, "email": str, "status": str, "expiresAt": (int, float)}
NEW_ONE_TIME_TOKEN: Shape = {"id": str, "token": str, "email": str, "expiresAt": (int, float)}
SESSION: Shape = {"payload": dict, "expiresAt": _MOMENT}
GRANT: Shape = {"id": str, "payload": _OBJECT, "expiresAt": _MOMENT}
PERSONAL_ACCESS_TOKEN: Shape = {"name": str, "expiresAt": _MOMENT}
MFA_FACTOR: Shape = {"id": str, "type": str}
ALL_IDENTITIES: Shape = {"socialIdentities": _ROWS, "ssoIdentities": _ROWS}
SECRET: Shape = {"name": str, "value": str, "createdAt": (int, float), "expiresAt": (int, float, type(None))}
DOMAIN: Shape = {"emailDomain": str}


def checked(operation: str, value: Any, shape: Shape) -> dict[str, Any]:
    """An object with the fields of a shape.

    :param operation: method and path, e.g. ``GET /api/users``.
    :raises UnreadableAnswer: naming what is missing or of another type.
    """
    if not isinstance(value, dict):
        raise UnreadableAnswer(operation, 200, None, f"holds {_named(value)} where an object belongs")
    for name, kinds in shape.items():
        # To Python, true is a number.
        if not isinstance(value.get(name), kinds) or (kinds is not bool and isinstance(value.get(name), bool)):
            raise UnreadableAnswer(operation, 200, None, f"holds {_named(value.get(name))} as {name} of an object")
    return value


def checked_list(operation: str, value: Any, shape: Shape) -> list[dict[str, Any]]:
    """The rows of an answer that is a list in one piece, each with the fields of a shape.

    :raises UnreadableAnswer: where it is no list, or one row is not what the shape says.
    """
    if not isinstance(value, list):
        raise UnreadableAnswer(operation, 200, None, f"holds {_named(value)} where a list belongs")
    return [checked(operation, row, shape) for row in value]


async def objects(
    client: LogtoClient, path: str, query: Mapping[str, Any] | None, shape: Shape
) -> AsyncIterator[dict[str, Any]]:
    """Every item of a list operation, see ``LogtoClient.iterate``.

    :raises UnreadableAnswer: where one is not what the shape says.
    """
    async for item in client.iterate(path, query):
        yield checked(f"GET /api{path}", item, shape)


def role_ids_of(path: str, holder: Mapping[str, Any]) -> set[str]:
    """Ids of the organization roles of a member or an invitation, as a list at ``path`` shows them.

    :raises UnreadableAnswer: where there is no list of them, or one is no role.
    """
    operation = f"GET /api{path}"
    return {role["id"] for role in checked_list(operation, holder.get("organizationRoles"), ROLE)}


def _named(value: Any) -> str:
    return "null" if value is None else f"a value of type {type(value).__name__}"
