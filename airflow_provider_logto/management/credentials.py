"""What a person signs in with besides a session: password, social identities, MFA factors.

Source: Logto Management API, ``PATCH /api/users/{id}/password``, ``/identities/{target}``, ``/mfa-verifications``.
"""

from __future__ import annotations

import secrets
from typing import Any

from airflow_provider_logto.client.client import LogtoClient, path_of
from airflow_provider_logto.exceptions import LogtoApiError
from airflow_provider_logto.management.answers import ALL_IDENTITIES, MFA_FACTOR, PERSON, checked, checked_list
from airflow_provider_logto.management.presence import delete, is_unknown_operation


async def scramble_password(client: LogtoClient, user_id: str) -> None:
    """Set a random password that nobody knows."""
    await client.request("PATCH", path_of("/users/{}/password", user_id), body={"password": secrets.token_urlsafe(48)})


async def list_identities(client: LogtoClient, user_id: str) -> tuple[dict[str, Any], list[str]]:
    """Social identities by target (as :func:`put_identity` takes them), and ids of the enterprise SSO connectors used.

    SSO identities can only be read: they end with the account at the company's own identity provider.
    """
    path = path_of("/users/{}", user_id)
    try:
        found = await client.request("GET", f"{path}/all-identities")
    except LogtoApiError as error:  # before Logto 1.30.1
        if not is_unknown_operation(error):
            raise
        user = checked(f"GET /api{path}", await client.request("GET", path, {"includeSsoIdentities": "true"}), PERSON)
        return dict(user["identities"] or {}), _sso_connectors(path, user.get("ssoIdentities"))
    found = checked(f"GET /api{path}/all-identities", found, ALL_IDENTITIES)
    social = checked_list(
        f"GET /api{path}/all-identities", found.get("socialIdentities") or [], {"target": str, "identity": dict}
    )
    return {row["target"]: row["identity"] for row in social}, _sso_connectors(path, found.get("ssoIdentities"))


def _sso_connectors(path: str, identities: Any) -> list[str]:
    return [row["ssoConnectorId"] for row in checked_list(f"GET /api{path}", identities or [], {"ssoConnectorId": str})]


async def delete_identity(client: LogtoClient, user_id: str, target: str) -> bool:
    """Unlink a social identity.

    :returns: whether it was linked.
    """
    return await delete(client, path_of("/users/{}/identities/{}", user_id, target))


async def put_identity(client: LogtoClient, user_id: str, target: str, identity: dict[str, Any]) -> None:
    """Link a social identity.

    :param identity: ``{"userId", "details"}`` at the other provider.
    :raises Conflict: where somebody else has it.
    """
    await client.request("PUT", path_of("/users/{}/identities/{}", user_id, target), body=identity)


async def list_mfa_factors(client: LogtoClient, user_id: str) -> list[dict[str, Any]]:
    """A person's MFA factors: ``{"id", "type"}`` each."""
    path = path_of("/users/{}/mfa-verifications", user_id)
    found = checked_list(f"GET /api{path}", await client.request("GET", path), MFA_FACTOR)
    return [{"id": row["id"], "type": row["type"]} for row in found]


async def delete_mfa_factor(client: LogtoClient, user_id: str, factor_id: str) -> bool:
    """Take an MFA factor away.

    :returns: whether it was there.
    """
    return await delete(client, path_of("/users/{}/mfa-verifications/{}", user_id, factor_id))
