"""E-mails and text messages: nothing leaves the sandbox, what would have been sent is kept and can be read back."""

from __future__ import annotations

from typing import Any

from logto_sandbox.errors import ApiError
from logto_sandbox.store.tenant import Tenant

_WINDOW_MS = 600_000
_LIMIT = 10


def send(tenant: Tenant, kind: str, recipient: str, usage: str, payload: dict[str, Any]) -> None:
    """Sends one message.

    :param kind: ``Email`` or ``Sms``, the connector needed
    :param usage: template, e.g. ``OrganizationInvitation``
    :raises ApiError: 501 ``connector.not_found`` without a connector; 429, see :func:`refuse_flood`
    """
    refuse_flood(tenant, recipient)
    if not any(row["type"] == kind for row in tenant.tables["connectors"].values()):
        raise ApiError(501, "connector.not_found", f"There is no {kind} connector.")
    keep(tenant, kind, recipient, usage, payload)


def keep(tenant: Tenant, kind: str, recipient: str, usage: str, payload: dict[str, Any]) -> None:
    """What would have been sent."""
    message = {"type": kind, "recipient": recipient, "usageType": usage, "payload": payload}
    tenant.messages.append(message | {"sentAt": tenant.now_ms()})


def refuse_flood(tenant: Tenant, recipient: str) -> None:
    """Guards a recipient against more than ten messages within ten minutes.

    :raises ApiError: 429 ``request.message_rate_limited``
    """
    start = tenant.now_ms() - _WINDOW_MS
    recent = [one for one in tenant.messages if one["recipient"] == recipient and one["sentAt"] > start]
    if tenant.has("message_throttle") and len(recent) >= _LIMIT:
        raise ApiError(429, "request.message_rate_limited", "Too many messages to this recipient.")
