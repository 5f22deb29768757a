"""What a sensor waits for in a person: one judgement for the worker and the triggerer."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal, get_args

from airflow_provider_logto.client.client import LogtoClient
from airflow_provider_logto.exceptions import InvalidInput
from airflow_provider_logto.management.references import Reference, find_user
from airflow_provider_logto.management.user_fields import User

Condition = Literal["exists", "absent", "suspended", "not_suspended", "signed_in"]
CONDITIONS: tuple[Condition, ...] = get_args(Condition)


def check_condition(user: Any, condition: Any, since: Any = None) -> int | None:
    """Check a sensor's arguments before the first request.

    :param since: aware datetime or ISO 8601 text with an offset; only with ``signed_in``.
    :returns: ``since`` in epoch milliseconds, or None.
    :raises InvalidInput: naming the field and what would be right.
    """
    Reference.parse(user)
    if condition not in CONDITIONS:
        raise InvalidInput("condition", f"{condition!r} is unknown; use one of {', '.join(CONDITIONS)}")
    if since is None or since == "":
        return None
    if condition != "signed_in":
        raise InvalidInput("since", "only goes with condition signed_in")
    try:
        moment = datetime.fromisoformat(since) if isinstance(since, str) else since
    except ValueError:
        raise InvalidInput("since", f"{since!r} is not a date; write 2026-01-31T08:00:00+00:00") from None
    if not isinstance(moment, datetime) or moment.tzinfo is None:
        raise InvalidInput("since", f"{since!r} has no time zone; write 2026-01-31T08:00:00+00:00")
    return int(moment.timestamp() * 1000)


def holds(user: User | None, condition: str, since_ms: int | None = None) -> bool:
    """Whether the condition is true of a user (None: there is none)."""
    if condition == "absent" or user is None:
        return condition == "absent" and user is None
    if condition == "signed_in":
        last = user.get("lastSignInAt")
        return last is not None and (since_ms is None or last >= since_ms)
    return bool({"exists": True, "suspended": user["isSuspended"], "not_suspended": not user["isSuspended"]}[condition])


async def check_user(client: LogtoClient, user: Any, condition: str, since_ms: int | None = None) -> bool:
    """Look the user up and judge.

    :raises Ambiguous: where the reference means more than one user.
    """
    return holds(await find_user(client, user), condition, since_ms)
