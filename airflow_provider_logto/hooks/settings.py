"""What a Connection of type ``logto`` says, checked."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_logto.client.auth.credentials import Credentials
from airflow_provider_logto.client.endpoint import Endpoint
from airflow_provider_logto.client.sharing.fallback import warn_once
from airflow_provider_logto.client.sharing.pacing import CLOUD_LIMIT
from airflow_provider_logto.connection_fields import EXTRA_FIELDS, RATE_LIMIT_SHARE, SHARED_STATE, TIMEOUT
from airflow_provider_logto.exceptions import ConfigurationError

if TYPE_CHECKING:
    from airflow_provider_logto.compat import Connection


@dataclass(frozen=True)
class ConnectionSettings:
    """What a Connection says, checked."""

    endpoint: Endpoint
    credentials: Credentials
    timeout: float
    verify: bool | str
    rate_limit: float | None
    rate_limit_share: float
    shared_state: str

    @classmethod
    def of(cls, connection: Connection, extra: Mapping[str, Any], tolerant: bool = True) -> ConnectionSettings:
        """
        :param tolerant: what tasks can do without (a wrong share or Console URL, an unknown extra) is warned of
            instead of refused.
        :raises ConfigurationError: naming the field and how to fix it.
        """
        extra = checked_extra(extra)
        _check_names(extra, tolerant)
        checked_console_url(extra, tolerant)
        allow_http = _boolean("allow_http", extra.get("allow_http"), default=False)
        endpoint = Endpoint.parse(connection.host, connection.port, _text("resource", extra), allow_http)
        if not connection.login:
            raise ConfigurationError("login is missing: set it to the App ID of a machine-to-machine application")
        if not connection.password:
            raise ConfigurationError("password is missing: set it to the application's App secret")
        return cls(
            endpoint=endpoint,
            credentials=Credentials(connection.login.strip(), connection.password),
            timeout=_number("timeout", extra.get("timeout")) or TIMEOUT,
            verify=_verify(extra.get("verify")),
            rate_limit=_number("rate_limit", extra.get("rate_limit")) or (CLOUD_LIMIT if endpoint.is_cloud else None),
            rate_limit_share=_share(extra, tolerant),
            shared_state=_text("shared_state", extra) or SHARED_STATE,
        )


def checked_extra(extra: Any) -> Mapping[str, Any]:
    """The extra of a Connection as Airflow parsed it.

    :raises ConfigurationError: where it is JSON, but no object.
    """
    if not isinstance(extra, Mapping):
        raise ConfigurationError(f"extra must be a JSON object, not a {type(extra).__name__}")
    return extra


def checked_console_url(extra: Any, tolerant: bool) -> str | None:
    """The extra ``console_url`` without a slash at its end; None where it is empty.

    :param tolerant: a wrong one is warned of and None.
    :raises ConfigurationError: where it is no http(s) address.
    """
    value = extra.get("console_url") if isinstance(extra, Mapping) else None
    if value is None or value == "":
        return None
    if isinstance(value, str) and re.fullmatch(r"https?://[^\s/?#]+[^\s?#]*", value.strip()):
        return value.strip().rstrip("/")
    _refuse(f"extra.console_url: {value!r} is not an address that starts with https:// or http://", tolerant)
    return None


def _check_names(extra: Mapping[str, Any], tolerant: bool) -> None:
    for name in sorted(set(extra) - set(EXTRA_FIELDS)):
        close = difflib.get_close_matches(name, EXTRA_FIELDS, n=1)
        hint = f"did you mean {close[0]}?" if close else f"known are {', '.join(EXTRA_FIELDS)}"
        _refuse(f"extra.{name} is unknown and has no effect; {hint}", tolerant)


def _refuse(text: str, tolerant: bool) -> None:
    if not tolerant:
        raise ConfigurationError(text)
    warn_once(text)


def _text(name: str, extra: Mapping[str, Any]) -> str | None:
    value = extra.get(name)
    if value is not None and not isinstance(value, str):
        raise ConfigurationError(f"extra.{name} must be text, not {type(value).__name__}")
    return value.strip() or None if value else None


def _number(name: str, value: Any, most: float | None = None) -> float | None:
    if value is None or value == "":
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = -1.0
    # A boolean is a number to Python, and nan to none of the comparisons.
    if isinstance(value, bool) or not (0 < number <= (most or 1e9)):
        limit = f" and at most {most:g}" if most else ""
        raise ConfigurationError(f"extra.{name} must be a number above 0{limit}, not {value!r}")
    return number


def _share(extra: Mapping[str, Any], tolerant: bool) -> float:
    try:
        return _number("rate_limit_share", extra.get("rate_limit_share"), most=1.0) or RATE_LIMIT_SHARE
    except ConfigurationError as error:
        _refuse(f"{error}; until then {RATE_LIMIT_SHARE} is used", tolerant)
        return RATE_LIMIT_SHARE


def _boolean(name: str, value: Any, default: bool) -> bool:
    if value is None or value == "":
        return default
    if isinstance(value, str) and value.strip().lower() in ("true", "false"):
        return value.strip().lower() == "true"
    if not isinstance(value, bool):
        raise ConfigurationError(f"extra.{name} must be true or false, not {value!r}")
    return value


def _verify(value: Any) -> bool | str:
    if isinstance(value, str) and value.strip().lower() not in ("", "true", "false"):
        if not Path(value.strip()).is_file():
            raise ConfigurationError(f"extra.verify: there is no CA bundle at {value!r}; give its path, true or false")
        return value.strip()
    return _boolean("verify", value, default=True)


def why_missing(conn_id: str) -> str:
    """Why Airflow finds no Connection: it passes over an environment variable that it cannot read.

    The text of the error only names keys and positions; the value, with its secret, is never shown.
    """
    name = f"AIRFLOW_CONN_{conn_id.upper()}"
    value = os.environ.get(name, "").strip()
    if not value:
        return f"add it in Admin > Connections, or set {name}"
    from airflow.models.connection import Connection

    try:
        if value.startswith("{"):
            Connection.from_json(value, conn_id=conn_id)
    except (TypeError, ValueError) as error:
        return f"{name} cannot be read: {error}; its keys are conn_type, host, port, login, password, extra"
    try:
        if not value.startswith("{"):
            Connection(conn_id=conn_id, uri=value)
    except Exception:  # its text may show a part of the URI, and so of the secret
        return (
            f"{name} cannot be read as a URI: write /, : and @ in login and password as %2F, %3A and %40, or use JSON"
        )
    return f"add it in Admin > Connections, or set {name}"
