"""What a sensor and its trigger agree on: how often to look, and the event by which the task resumes."""

from __future__ import annotations

import json
from typing import Any

from airflow_provider_logto import exceptions
from airflow_provider_logto.exceptions import LogtoError

#: Seconds between two looks, at least: the tenant's rate limit serves its users' sign-ins too.
MIN_POKE_INTERVAL = 1.0
#: Seconds that one look may take, even after the deadline.
MIN_LOOK_TIME = 15.0


def event_of(error: LogtoError) -> dict[str, Any]:
    """The event of a trigger that failed.

    :returns: ``{"status": "error", "message": str, "type": class, "args": list, "code": str | None, "retry_after": s |
        None, "transient": bool}``, all of it JSON.
    """
    try:
        args = json.loads(json.dumps(error.args))
    except (TypeError, ValueError):  # of an error that carries another
        args = None
    return {
        "status": "error",
        "message": str(error),
        "type": type(error).__name__,
        "args": args,
        "code": getattr(error, "code", None),
        "retry_after": getattr(error, "retry_after", None),
        "transient": error.transient,
    }


def error_of(event: dict[str, Any]) -> LogtoError:
    """The error that :func:`event_of` was given: a retry policy judges it as if it had been raised by the task."""
    kind = getattr(exceptions, str(event.get("type")), None)
    args = event.get("args")
    if isinstance(kind, type) and issubclass(kind, LogtoError) and isinstance(args, list):
        try:
            error = kind(*args)
        except TypeError:  # written by another version of this package
            pass
        else:
            error.transient = event.get("transient") is True
            return error
    error = LogtoError(str(event.get("message") or f"the trigger sent {event!r}"))
    error.transient = event.get("transient") is True
    return error
