"""The tenant a sandbox serves: its state, its clock and its signing key."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from logto_sandbox.store import versions
from logto_sandbox.store.defaults import Settings, fill
from logto_sandbox.store.keys import SigningKey
from logto_sandbox.store.state import State


class Tenant(State):
    """Everything one sandbox holds. Not thread-safe: used on the server's event loop only.

    Attributes others may set: ``endpoint`` (see :class:`Settings`), ``clock_offset_ms`` (skews the server's
    clock), ``token_faults`` (any of ``without_scope``, ``secret_expired``, ``token_quota``; the token endpoint
    then misbehaves so), ``sign_out_failures`` (how often a suspension fails after it has set the flag).
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or Settings()
        self.version = versions.parse(self.settings.logto_version)
        self.endpoint = self.settings.endpoint
        self.clock_offset_ms = 0
        self.token_faults: set[str] = set()
        self.sign_out_failures = 0
        self.key = SigningKey()
        super().__init__()
        self.clear()

    def clear(self) -> None:
        """Back to what a freshly started sandbox holds; the signing key stays, so tokens stay good."""
        self.clock_offset_ms = 0
        self.token_faults.clear()
        self.sign_out_failures = 0
        self.empty()
        fill(self, self.settings, self.version, self.now_ms())

    def has(self, difference: str) -> bool:
        """Whether the version served shows a difference of :data:`versions.SINCE`."""
        return versions.has(self.version, difference)

    def now_ms(self) -> int:
        """The server's clock, epoch ms."""
        return int(time.time() * 1000) + self.clock_offset_ms

    def now_iso(self) -> str:
        """The server's clock as JavaScript writes it: ``2026-03-01T08:00:00.000Z``."""
        moment = datetime.fromtimestamp(self.now_ms() / 1000, UTC)
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def rotate_signing_key(self) -> None:
        """Replaces the signing key; tokens signed with the former one are refused from now on."""
        self.key = SigningKey()
