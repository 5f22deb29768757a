"""One-time tokens: a secret for one sign-in without a password, bound to an e-mail address.

Source: Logto Management API, tag "One-time tokens" (since 1.27); Logto docs, "Magic link".
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from airflow_provider_logto.client.client import LogtoClient, path_of
from airflow_provider_logto.exceptions import InvalidInput
from airflow_provider_logto.management import fields
from airflow_provider_logto.management.answers import NEW_ONE_TIME_TOKEN, ONE_TIME_TOKEN, checked, checked_list
from airflow_provider_logto.management.presence import delete

#: Source: ``emailRegEx`` in Logto's core-kit.
_SEARCHABLE = re.compile(r"\S+@\S+\.\S+")


async def create_one_time_token(
    client: LogtoClient, email: str, expires_in: int = 600, organization_ids: Sequence[str] = ()
) -> dict[str, Any]:
    """Make a token for one sign-in. Each call makes another one, so a lost answer is not repeated.

    :param email: for whom: their primary e-mail in Logto, or a new one, who is then signed up.
    :param expires_in: seconds that it stays good.
    :param organization_ids: organizations that the person joins when they use it.
    :returns: ``{"id", "token", "email", "expiresAt"}``. The token is a secret: no XCom, no log.
    :raises InvalidInput: before any request.
    :raises OutcomeUnknown: where the answer was lost; calling again makes a second token, which does no harm.
    """
    address = fields.email("email", email)
    if address is None:
        raise InvalidInput("email", "missing")
    if isinstance(expires_in, bool) or not isinstance(expires_in, int) or expires_in < 1:
        raise InvalidInput("expires_in", f"must be a number of seconds, at least 1; got {expires_in!r}")
    body: dict[str, Any] = {"email": address, "expiresIn": expires_in}
    if organization_ids:
        body["context"] = {"jitOrganizationIds": list(organization_ids)}
    made = await client.request("POST", "/one-time-tokens", body=body)
    made = checked("POST /api/one-time-tokens", made, NEW_ONE_TIME_TOKEN)
    return {name: made[name] for name in ("id", "token", "email", "expiresAt")}


def magic_link(page: str, token: str, email: str) -> str:
    """The link to send: your page, which passes both parameters on to Logto's sign-in.

    :param page: e.g. ``https://app.example.com/welcome``.
    :raises InvalidInput: where the page is no https address (http is for localhost only).
    """
    parts = fields.url_parts(page)
    if not parts.hostname or not (
        parts.scheme == "https" or (parts.scheme == "http" and parts.hostname == "localhost")
    ):
        raise InvalidInput("page", f"{page!r} is not an https address; write https://app.example.com/welcome")
    query = urlencode({"one_time_token": token, "login_hint": email})
    return f"{page}{'&' if parts.query else '?'}{query}"


async def list_one_time_tokens(client: LogtoClient, email: str) -> list[dict[str, Any]]:
    """The tokens of an e-mail address that can still be used: ``{"id", "expiresAt"}`` each, without the tokens.

    :raises LogtoApiError: before Logto 1.27, see :func:`presence.is_unknown_operation`.
    """
    # In one answer: its pages are counted without the filter. An address without a dot, as a connector may bring it, is
    # refused there.
    query = {"email": email} if _SEARCHABLE.fullmatch(email) else {"status": "active"}
    answer = await client.request("GET", "/one-time-tokens", query)
    return [
        {"id": row["id"], "expiresAt": row["expiresAt"]}
        for row in checked_list("GET /api/one-time-tokens", answer, ONE_TIME_TOKEN)
        if row["status"] == "active" and row["email"].lower() == email.lower()
    ]


async def delete_one_time_token(client: LogtoClient, token_id: str) -> bool:
    """Delete a token.

    :returns: whether it was there.
    """
    return await delete(client, path_of("/one-time-tokens/{}", token_id))
