"""What a person says of themselves: the OpenID standard claims.

Source: Logto Management API, ``PATCH /api/users/{id}/profile``; OpenID Connect Core 1.0, section 5.1.
"""

from __future__ import annotations

from typing import Any

from airflow_provider_logto.client.client import LogtoClient, path_of
from airflow_provider_logto.exceptions import InvalidInput
from airflow_provider_logto.management import fields
from airflow_provider_logto.management.json_values import differing_values
from airflow_provider_logto.management.references import find_user
from airflow_provider_logto.management.user_fields import merged_profile


async def read_profile(client: LogtoClient, user: Any) -> dict[str, Any]:
    """A person's claims, e.g. ``{"givenName": "Haruka", "address": {"country": "JP"}}``.

    :param user: a reference to the person.
    :raises InvalidInput: where nobody is meant.
    """
    return dict((await _found(client, user)).get("profile") or {})


async def update_profile(client: LogtoClient, user: Any, claims: Any) -> dict[str, Any]:
    """Change some claims; the others stay, the other parts of an address too. Sends nothing where nothing differs.

    :param claims: OpenID standard claims in Logto's spelling; empty ones are left alone.
    :returns: the claims as they are then.
    :raises InvalidInput: for an unknown claim, or where nobody is meant.
    """
    wanted = fields.profile("claims", claims) or {}
    found = await _found(client, user)
    current = dict(found.get("profile") or {})
    after = merged_profile(current, wanted)
    # Only these: whatever is sent is written, even if the person has changed it since it was read.
    if changed := differing_values(current, after):
        await client.request("PATCH", path_of("/users/{}/profile", found["id"]), body={"profile": changed})
    return after


async def _found(client: LogtoClient, user: Any) -> dict[str, Any]:
    found = await find_user(client, user)
    if found is None:
        raise InvalidInput("user", f"no user {user!r} in Logto")
    return found
