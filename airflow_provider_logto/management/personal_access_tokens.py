"""Personal access tokens: long-lived secrets that a person exchanges for access tokens.

A suspension does not touch them, and up to Logto 1.42 the exchange does not ask whether the person is suspended.

Source: Logto Management API, ``/api/users/{id}/personal-access-tokens`` (since 1.20).
"""

from __future__ import annotations

from typing import Any

from airflow_provider_logto.client.client import LogtoClient, path_of
from airflow_provider_logto.exceptions import LogtoApiError, NotFound, OutcomeUnknown
from airflow_provider_logto.management.answers import PERSONAL_ACCESS_TOKEN, checked_list
from airflow_provider_logto.management.presence import delete, is_unknown_operation


async def list_personal_access_tokens(client: LogtoClient, user_id: str) -> list[dict[str, Any]]:
    """A person's tokens: ``{"name", "expiresAt"}`` each; Logto's answer holds their values too, which end here."""
    path = path_of("/users/{}/personal-access-tokens", user_id)
    found = checked_list(f"GET /api{path}", await client.request("GET", path), PERSONAL_ACCESS_TOKEN)
    return [{"name": row["name"], "expiresAt": row.get("expiresAt")} for row in found]


async def delete_personal_access_token(client: LogtoClient, user_id: str, name: str) -> bool:
    """Delete a token by its name.

    :returns: whether it was there. True too where the answer was lost and the token is gone: it was there before.
    :raises OutcomeUnknown: where the answer was lost and the token is still there.
    """
    path = path_of("/users/{}/personal-access-tokens", user_id)
    try:
        await client.request("POST", f"{path}/delete", body={"name": name})
    except OutcomeUnknown:
        if any(token["name"] == name for token in await list_personal_access_tokens(client, user_id)):
            raise
    except NotFound as error:
        if not is_unknown_operation(error):
            return False
        return await delete(client, path + path_of("/{}", name))  # before Logto 1.33
    except LogtoApiError as error:
        if not is_unknown_operation(error):
            raise
        return await delete(client, path + path_of("/{}", name))
    return True
