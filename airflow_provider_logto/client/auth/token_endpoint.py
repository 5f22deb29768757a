"""Fetch one M2M token and judge it.

Source: Logto docs, "Machine-to-machine: fetch an access token"; OAuth 2.0 client credentials (RFC 6749, 4.4).
"""

from __future__ import annotations

import re
import time
from dataclasses import replace

import httpx

from airflow_provider_logto.client.auth.token_cache import Token
from airflow_provider_logto.client.refusals import Context, connection_failed
from airflow_provider_logto.client.replies import Reply, unreadable
from airflow_provider_logto.client.request_lines import no_request_lines
from airflow_provider_logto.exceptions import Forbidden

#: Named in errors.
OPERATION = "POST /oidc/token"
#: Seconds. A longer life than this is no token's; the server refuses it in time, and it is renewed then.
LONGEST_LIFE = 86400.0
#: What a bearer may consist of (RFC 6750, ``b64token``): anything else would break, or smuggle, a header.
_BEARER = re.compile(r"[A-Za-z0-9._~+/-]+=*")


async def fetch_token(http: httpx.AsyncClient, context: Context) -> Token:
    """Fetch a token and refuse one that cannot work.

    The application's secret is announced first, see :class:`~airflow_provider_logto.client.cleaning.Secrets`.

    :param context: of the Management API's requests.
    :returns: a token that carries the scope ``all``.
    :raises AuthFailed, Forbidden, QuotaExhausted, RateLimited, ServerFailed, ConnectionFailed, UnreadableAnswer:
        each with the sentence that says how to fix it, where the cause is known.
    """
    context = replace(context, token_request=True)
    await context.secrets.announce_own()
    asked_at = time.time()
    try:
        request = http.build_request(
            "POST",
            context.endpoint.token_url,
            data={"grant_type": "client_credentials", "resource": context.endpoint.resource, "scope": "all"},
            headers={"Authorization": f"Basic {context.credentials.basic}"},
        )
        with no_request_lines():
            response = await http.send(request, auth=None)
    except httpx.HTTPError as error:
        # Nothing that the caller wanted was sent: a token may be asked for again.
        raise connection_failed(OPERATION, error, context, sent=False) from None
    reply = Reply.of(OPERATION, response, context)
    body = reply.data if isinstance(reply.data, dict) else {}
    value, lifetime = body.get("access_token"), body.get("expires_in")
    if not isinstance(value, str) or not _BEARER.fullmatch(value):
        raise unreadable(OPERATION, reply, "without an access token: is host a Logto endpoint?")
    if not isinstance(lifetime, int | float) or not lifetime > 0:
        raise unreadable(OPERATION, reply, "without the token's life (`expires_in`)")
    if "all" not in str(body.get("scope", "")).split():
        raise Forbidden(
            OPERATION,
            reply.status,
            None,
            f"the token for application {context.credentials.app_id} carries no scope",
            reply.request_id,
            "give the application a machine-to-machine role that holds the Management API permission `all` "
            "(Console > Applications > the app > Roles; the seeded one is `Logto Management API access`)",
        )
    # Times are the server's, as far as it shows its clock: ours may be off.
    skew = reply.server_time + 0.5 - time.time() if reply.server_time is not None else 0.0
    return Token(value, asked_at + skew, asked_at + skew + float(min(lifetime, LONGEST_LIFE)), skew)
