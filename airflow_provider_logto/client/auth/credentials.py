"""The M2M application that a Connection names."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from dataclasses import dataclass, field
from urllib.parse import quote_plus

from airflow_provider_logto.client.endpoint import Endpoint


@dataclass(frozen=True)
class Credentials:
    """An M2M application's id and secret."""

    app_id: str
    app_secret: str = field(repr=False)

    @property
    def basic(self) -> str:
        """The Basic credentials; each half is form-encoded first, since the server decodes it so (RFC 6749, 2.3.1)."""
        pair = f"{quote_plus(self.app_id)}:{quote_plus(self.app_secret)}"
        return b64encode(pair.encode()).decode()

    def cache_key(self, endpoint: Endpoint) -> str:
        """Names the token: another tenant, application, resource or secret never shares it."""
        secret = hashlib.sha256(self.app_secret.encode()).hexdigest()
        return "|".join((endpoint.token_url, endpoint.resource, self.app_id, secret))
