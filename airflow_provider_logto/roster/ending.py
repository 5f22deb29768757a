"""What outlives a suspension and must end with an offboarding."""

from __future__ import annotations

from airflow_provider_logto.client.client import LogtoClient
from airflow_provider_logto.exceptions import LogtoApiError
from airflow_provider_logto.management import one_time_tokens, personal_access_tokens, sessions
from airflow_provider_logto.management.access import revoke_invitations
from airflow_provider_logto.management.presence import is_unknown_operation


async def end_access(client: LogtoClient, user_id: str, email: str | None) -> None:
    """Delete a suspended person's personal access tokens, grants and sessions, one-time tokens and invitations.

    The tokens come first: until Logto 1.43 they buy access tokens for suspended people too. What an older server does
    not know cannot be there.
    """
    try:
        for token in await personal_access_tokens.list_personal_access_tokens(client, user_id):
            await personal_access_tokens.delete_personal_access_token(client, user_id, token["name"])
        for session in await sessions.list_sessions(client, user_id):
            await sessions.end_session(client, user_id, session["id"])
        for grant in await sessions.list_grants(client, user_id):
            await sessions.revoke_grant(client, user_id, grant["id"])
        if email:
            for one in await one_time_tokens.list_one_time_tokens(client, email):
                await one_time_tokens.delete_one_time_token(client, one["id"])
    except LogtoApiError as error:
        if not is_unknown_operation(error):
            raise
    if email:
        await revoke_invitations(client, email)
