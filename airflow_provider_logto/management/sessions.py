"""Sessions and grants of a person: where they are signed in, and which applications they let act for them.

A suspension ends sessions and refresh tokens; grants survive it.

Source: Logto Management API, ``GET /api/users/{id}/sessions`` and ``/grants`` (since 1.38).
"""

from __future__ import annotations

from typing import Any

from airflow_provider_logto.client.client import LogtoClient, path_of
from airflow_provider_logto.management.answers import GRANT, SESSION, checked, checked_list
from airflow_provider_logto.management.presence import delete


async def list_sessions(client: LogtoClient, user_id: str) -> list[dict[str, Any]]:
    """Where a person is signed in.

    :returns: ``{"id", "application", "expiresAt"}`` each; the rest of a session (addresses, devices) is left out.
    :raises LogtoApiError: before Logto 1.38, see :func:`presence.is_unknown_operation`.
    """
    path = path_of("/users/{}/sessions", user_id)
    operation = f"GET /api{path}"
    found = checked(operation, await client.request("GET", path), {"sessions": list})
    return [
        {
            "id": checked(operation, row["payload"], {"uid": str})["uid"],
            "application": row.get("clientId"),
            "expiresAt": row.get("expiresAt"),
        }
        for row in checked_list(operation, found["sessions"], SESSION)
    ]


async def end_session(client: LogtoClient, user_id: str, session_id: str) -> bool:
    """End a session and revoke the grants that came with it, and so its refresh tokens.

    :returns: whether there was such a session.
    """
    return await delete(client, path_of("/users/{}/sessions/{}", user_id, session_id), {"revokeGrantsTarget": "all"})


async def list_grants(client: LogtoClient, user_id: str) -> list[dict[str, Any]]:
    """Which applications may act for a person.

    :returns: ``{"id", "application", "expiresAt"}`` each.
    :raises LogtoApiError: before Logto 1.38, see :func:`presence.is_unknown_operation`.
    """
    path = path_of("/users/{}/grants", user_id)
    found = checked(f"GET /api{path}", await client.request("GET", path), {"grants": list})
    return [
        {
            "id": row["id"],
            "application": (row.get("payload") or {}).get("clientId"),
            "expiresAt": row.get("expiresAt"),
        }
        for row in checked_list(f"GET /api{path}", found["grants"], GRANT)
    ]


async def revoke_grant(client: LogtoClient, user_id: str, grant_id: str) -> bool:
    """Revoke a grant with every token and authorization code that rests on it.

    :returns: whether there was such a grant.
    """
    return await delete(client, path_of("/users/{}/grants/{}", user_id, grant_id))
