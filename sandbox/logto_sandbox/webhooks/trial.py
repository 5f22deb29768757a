"""``POST /hooks/{id}/test``: made-up payloads to a webhook that is being set up; no log row."""

from __future__ import annotations

import asyncio
from typing import Any

import h11

from logto_sandbox.errors import ApiError
from logto_sandbox.store.relations import Row
from logto_sandbox.webhooks.delivery import post

_PEOPLE = ("PostRegister", "PostSignIn", "PostSignInAdaptiveMfaTriggered", "PostResetPassword")


def payload(hook_id: str, event: str, now_iso: str, now_ms: int) -> Row:
    """What a webhook gets to see: invented data in the shape of the event."""
    shown: Row = {"event": event, "hookId": hook_id, "createdAt": now_iso, "userAgent": "sandbox-user-agent"}
    if event not in _PEOPLE:
        about = {"path": "/sandbox/:id", "method": "POST", "status": 200, "params": {"id": "sandbox-id"}}
        return shown | about | {"data": {"result": "success"}}
    user: dict[str, Any] = {"id": "sandbox-id", "username": "sandbox_user", "primaryEmail": "user@example.com"}
    user |= {"primaryPhone": "15550100", "name": "Sandbox User", "avatar": None, "customData": {}, "identities": {}}
    user |= {"profile": {}, "applicationId": "sandbox-app", "cimdClientId": None, "isSuspended": False}
    user |= dict.fromkeys(("lastSignInAt", "createdAt", "updatedAt"), now_ms)
    application = {"id": "sandbox-app", "type": "SPA", "name": "Sandbox Application", "description": "For tests"}
    shown |= {"sessionId": "sandbox-session", "userIp": "203.0.113.1", "userId": user["id"]}
    return shown | {"user": user, "application": application}


async def send(config: Row, signing_key: str, payloads: list[Row]) -> None:
    """Send all of them at once.

    :raises ApiError: 422 when an endpoint does not answer, or not with success
    """
    try:
        answers = await asyncio.gather(*(post(config, signing_key, one) for one in payloads))
    except (OSError, ValueError, TimeoutError, h11.ProtocolError) as error:
        raise ApiError(422, "hook.send_test_payload_failed", f"{type(error).__name__}: {error}") from error
    for status, text in answers:
        if not 200 <= status < 300:
            data = {"responseStatus": status, "responseBody": text}
            raise ApiError(422, "hook.endpoint_responded_with_error", data=data)
