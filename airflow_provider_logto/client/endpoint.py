"""Where a tenant is: base URL, token URL and API resource indicator.

Source: Logto docs, "Interact with Management API"; the indicator is a constant that does not follow the host.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

import httpx

from airflow_provider_logto.exceptions import ConfigurationError

#: The Management API's indicator on every self-hosted Logto, whatever its address.
OSS_RESOURCE = "https://default.logto.app/api"

_CLOUD_HOST = re.compile(r"([a-z0-9-]+)\.logto\.app")
_CONSOLE_HOST = "cloud.logto.io"


@dataclass(frozen=True)
class Endpoint:
    """A tenant's address.

    :param base_url: origin without a trailing slash, e.g. ``https://tenant.logto.app``.
    :param resource: API resource indicator of the Management API.
    :param is_cloud: True for ``*.logto.app``, where the platform limits requests.
    """

    base_url: str
    resource: str
    is_cloud: bool

    @property
    def token_url(self) -> str:
        return f"{self.base_url}/oidc/token"

    @property
    def api_url(self) -> str:
        return f"{self.base_url}/api"

    @property
    def hostname(self) -> str:
        return urlsplit(self.base_url).hostname or ""

    @property
    def port(self) -> int | None:
        return urlsplit(self.base_url).port

    @property
    def address(self) -> str:
        """Host and port, for messages."""
        parts = urlsplit(self.base_url)
        return parts.netloc if parts.port else f"{parts.netloc}:{443 if parts.scheme == 'https' else 80}"

    @classmethod
    def parse(
        cls,
        host: str | None,
        port: int | None = None,
        resource: str | None = None,
        allow_http: bool = False,
    ) -> Endpoint:
        """Make an endpoint of a Connection's fields.

        :param host: ``https://tenant.logto.app``, ``auth.example.com`` (https is assumed), ``http://localhost:3001``.
        :param port: used where the host names none; 0 counts as not given (Airflow's form sends it for an empty field).
        :param resource: explicit indicator; wins over the derived one.
        :param allow_http: permit plain http to a host that is not loopback.
        :raises ConfigurationError: naming the field and how to fix it.
        """
        if not host or not host.strip():
            raise ConfigurationError("host is missing: set it to the tenant's endpoint, https://<tenant>.logto.app")
        raw = host.strip()
        parts = _split(raw)
        hostname = _hostname(raw, parts.hostname)
        if parts.scheme not in ("http", "https"):
            raise ConfigurationError(f"host: the scheme {parts.scheme!r} is unknown; use https://")
        if parts.username or parts.password:
            raise ConfigurationError("host must not carry credentials: put the App ID in login, the secret in password")
        if hostname == _CONSOLE_HOST:
            raise ConfigurationError(
                f"host: {hostname} is Logto's Console; use the tenant's endpoint, https://<tenant>.logto.app"
            )
        if parts.path.strip("/") or parts.query or parts.fragment:
            raise ConfigurationError(f"host must be the bare endpoint: use {parts.scheme}://{parts.netloc}")
        if parts.scheme == "http" and not (allow_http or is_loopback(hostname)):
            raise ConfigurationError(
                f"host: plain http to {hostname} would show the secret on the wire; use https://, "
                'or set "allow_http": true in extra'
            )
        netloc = f"[{hostname}]" if ":" in hostname else hostname
        effective_port = _port(raw, parts, port)
        if effective_port and effective_port != {"http": 80, "https": 443}[parts.scheme]:
            netloc = f"{netloc}:{effective_port}"
        cloud = _CLOUD_HOST.fullmatch(hostname)
        derived = f"https://{hostname}/api" if cloud else OSS_RESOURCE
        return cls(f"{parts.scheme}://{netloc}", (resource or "").strip() or derived, cloud is not None)


def is_loopback(hostname: str) -> bool:
    """Whether a host name or address stays on this machine."""
    if hostname == "localhost" or hostname.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(hostname).is_loopback
    except ValueError:
        return False


def _split(raw: str) -> SplitResult:
    try:
        return urlsplit(raw if "://" in raw else f"https://{raw}")
    except ValueError:
        raise _no_address(raw) from None


def _hostname(raw: str, hostname: str | None) -> str:
    # "https:/auth.example.com" is read as a host named https.
    if not hostname or hostname in ("http", "https") or not re.fullmatch(r"[\w.:-]+", hostname):
        raise _no_address(raw)
    if not hostname.isascii():
        try:
            # As the HTTP library reads it later, where it would raise an error of its own.
            httpx.URL(f"https://{hostname.lower()}")
        except httpx.InvalidURL:
            raise _no_address(raw) from None
    return hostname.lower()


def _port(raw: str, parts: SplitResult, given: int | None) -> int | None:
    try:
        port = parts.port
    except ValueError:
        port = 0
    port = (given or None) if port is None else port
    if port is not None and not 0 < port < 65536:
        raise ConfigurationError(f"host: {raw!r} has an impossible port ({port}); use 1 to 65535, or none")
    return port


def _no_address(raw: str) -> ConfigurationError:
    return ConfigurationError(f"host: {raw!r} is not an address; use https://<tenant>.logto.app")
