"""What remains possible after access was ended, and until when.

Source: Logto Management API, ``GET /api/resources``, ``/applications``, ``/organizations/{id}/jit/...``.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from airflow_provider_logto.client.client import LogtoClient, path_of

#: Seconds that an organization token lives, and any other for which no API resource says how long.
_TOKEN_LIFETIME = 3600


async def longest_token_lifetime(client: LogtoClient) -> int:
    """Seconds that the longest-lived access token lives: one already issued cannot be revoked."""
    resources = await client.request("GET", "/resources")
    return max([_TOKEN_LIFETIME, *(int(one.get("accessTokenTtl") or 0) for one in resources)])


async def exchanging_applications(client: LogtoClient) -> list[str]:
    """Names of the applications that exchange tokens: up to Logto 1.42 a live token buys another one there."""
    return sorted(
        str(application["name"])
        for application in await client.collect("/applications")
        if (application.get("customClientMetadata") or {}).get("allowTokenExchange")
    )


async def ways_back(
    client: LogtoClient, organizations: Mapping[str, Mapping[str, Any]], email: str | None, sso_connectors: list[str]
) -> list[dict[str, str]]:
    """Which of a person's organizations would take them in again by themselves, at a sign-up or an SSO sign-in.

    :param organizations: the person's, as a snapshot holds them.
    :returns: ``{"id", "name", "because"}`` each.
    """
    domain = (email or "").rpartition("@")[2].lower()
    found = []
    for organization_id, about in organizations.items():
        path = path_of("/organizations/{}/jit", organization_id)
        reasons = []
        if domain:
            listed = await client.collect(f"{path}/email-domains")
            reasons += [f"e-mail domain {domain}" for one in listed if one["emailDomain"].lower() == domain]
        if sso_connectors:
            listed = await client.collect(f"{path}/sso-connectors")
            reasons += [f"SSO connector {one['id']}" for one in listed if one["id"] in sso_connectors]
        found += [{"id": organization_id, "name": str(about["name"]), "because": reason} for reason in reasons]
    return found


def ends_at(ended: datetime, lifetime: int) -> str:
    """When the last access token issued before ``ended`` stops working (ISO 8601, UTC)."""
    return (ended + timedelta(seconds=lifetime)).isoformat(timespec="seconds").replace("+00:00", "Z")
