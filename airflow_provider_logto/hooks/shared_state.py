"""What a Connection's ``shared_state`` names in this Airflow: a directory, or a Redis connection."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from airflow_provider_logto import compat
from airflow_provider_logto.client.sharing.factory import Mode
from airflow_provider_logto.client.sharing.redis_server import RedisServer
from airflow_provider_logto.exceptions import ConfigurationError

if TYPE_CHECKING:
    from airflow_provider_logto.compat import Connection

_NAME = "airflow-provider-logto"
_TLS = ("ssl", "ssl_cert_reqs", "ssl_ca_certs", "ssl_keyfile", "ssl_certfile", "ssl_check_hostname")


def state_directories() -> list[Path]:
    """Where this host's tasks may share state, the best place first."""
    home = os.environ.get("AIRFLOW_HOME") or "~/airflow"
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    places = [os.path.expanduser(f"{home}/.{_NAME}"), os.path.expanduser(f"{cache}/{_NAME}")]
    # Where a user has no home directory (HOME unset, no entry in passwd), "~" stays as it is: nothing to share there.
    return [Path(place) for place in places if not place.startswith("~")]


def resolve(shared_state: str, get_connection: Callable[[str], Connection]) -> Mode:
    """What ``shared_state`` names.

    :raises ConfigurationError: when it names nothing that can be shared through.
    """
    conn_id = _redis_conn_id(shared_state)
    if conn_id is None:
        return cast("Mode", shared_state)
    try:
        connection = get_connection(conn_id)
    except Exception as error:  # its type depends on Airflow's version and on the secrets backend
        raise _no_redis(conn_id, type(error).__name__) from error
    return redis_server(connection, connection.extra_dejson)


async def resolve_async(shared_state: str) -> Mode:
    """The same inside an event loop, where a Connection must not be resolved synchronously."""
    conn_id = _redis_conn_id(shared_state)
    if conn_id is None:
        return cast("Mode", shared_state)
    try:
        connection = await compat.get_async_connection(compat.BaseHook, conn_id)
    except Exception as error:
        raise _no_redis(conn_id, type(error).__name__) from error
    return redis_server(connection, await compat.get_async_extra(connection))


def _redis_conn_id(shared_state: str) -> str | None:
    if "://" in shared_state:
        # Not repeated in the message: there may be a password in it.
        raise ConfigurationError(
            "extra.shared_state must be process, host or the id of an Airflow Redis connection, not a URL"
        )
    return None if shared_state in ("process", "host") else shared_state


def _no_redis(conn_id: str, reason: object) -> ConfigurationError:
    return ConfigurationError(
        f"extra.shared_state: {conn_id!r} is none of process, host and the id of an Airflow Redis connection ({reason})"
    )


def redis_server(connection: Connection, extra: Mapping[str, Any]) -> RedisServer:
    """The server that a Redis connection leads to, read as Airflow's own Redis hook does.

    :raises ConfigurationError: when the connection is of another type, or a cluster.
    """
    if connection.conn_type != "redis":
        raise _no_redis(str(connection.conn_id), f"it is of type {connection.conn_type}")
    if extra.get("cluster"):
        raise ConfigurationError("extra.shared_state: a Redis cluster is not supported; name a single server")
    try:
        db = int(extra.get("db") or 0)
    except (TypeError, ValueError):
        raise ConfigurationError(f"Redis connection {connection.conn_id!r}: extra.db must be a number") from None
    password = connection.password
    return RedisServer(
        host=connection.host or "localhost",
        port=connection.port or 6379,
        db=db,
        username=connection.login or None,
        password=None if str(password).lower() in ("none", "false", "") else password,
        options={name: extra[name] for name in _TLS if name in extra},
    )


def task_deadline() -> float | None:
    """When the running task's ``execution_timeout`` ends it, by ``time.monotonic()``; None where nothing will."""
    try:
        context = compat.get_current_context()
    except Exception:  # outside a task; which type says so depends on Airflow's version
        return None
    timeout = getattr(context.get("task"), "execution_timeout", None)
    started = compat.timeout_began(context.get("ti"))
    if timeout is None:
        return None
    passed = (datetime.now(UTC) - started).total_seconds() if started else 0.0
    return time.monotonic() + float(timeout.total_seconds()) - passed
