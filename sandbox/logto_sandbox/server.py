"""The sandbox as a server in a thread of its own: ``with Sandbox() as sandbox: ... sandbox.url``."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from logto_sandbox.control import dispatch
from logto_sandbox.environment import Environment
from logto_sandbox.http.transport import serve
from logto_sandbox.store.defaults import Settings
from logto_sandbox.store.tenant import Tenant

T = TypeVar("T")
_SAVE_EVERY = 1.0
_START_WITHIN = 10.0


class Sandbox:
    """A local Logto on a loopback port. No identity provider: for tests only.

    :param port: 0 = any free one
    :param seed: starting state: a JSON file or an object (see :func:`seed.apply_seed`)
    :param state_file: keeps the state between runs; when the file exists, it counts instead of the seed
    :param logto_version: whose behaviour to show: 1.36, 1.39, 1.40, 1.42 or 1.43 (the next release)
    :param app_id: M2M application with the Management API role; ``norole_id``: one without a role
    :param resource: indicator of the Management API
    :param endpoint: the issuer's origin; None = the host the client dialled
    :param rate_limit: requests per 10 s; None = unlimited
    :param limiter: ``token_bucket``, ``sliding_window`` or ``fixed_window``
    :param retry_after: what a 429 of the limiter says: ``none``, ``seconds`` or ``date``
    :raises ValueError: a parameter or the seed is wrong; the text names it
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        seed: Path | str | Mapping[str, Any] | None = None,
        state_file: Path | str | None = None,
        logto_version: str = Settings.logto_version,
        app_id: str = Settings.app_id,
        app_secret: str = Settings.app_secret,
        norole_id: str = Settings.norole_id,
        norole_secret: str = Settings.norole_secret,
        resource: str = Settings.resource,
        endpoint: str | None = None,
        rate_limit: int | None = None,
        limiter: str = "token_bucket",
        retry_after: str = "none",
    ) -> None:
        self.host, self.port = host, port
        self.app_id, self.app_secret = app_id, app_secret
        self.norole_id, self.norole_secret = norole_id, norole_secret
        self.resource = resource
        settings = Settings(app_id, app_secret, norole_id, norole_secret, resource, logto_version, endpoint)
        self.environment = Environment(settings, seed, state_file)
        self.environment.injector.limit(rate_limit, limiter, retry_after)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """``http://127.0.0.1:PORT``, the endpoint to put into a Connection."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    @property
    def tenant(self) -> Tenant:
        """The tenant served. While the server runs, change it through the methods or the API only."""
        return self.environment.tenant

    # -- running

    def start(self) -> Sandbox:
        """Listen; returns once requests are answered.

        :raises OSError: the address is taken or not this machine's
        """
        if self._thread is not None:
            raise RuntimeError("the sandbox is running already")
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        listener = socket.create_server((self.host, self.port), family=family, backlog=512)
        self.port = listener.getsockname()[1]
        ready = threading.Event()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._run(listener, ready)), name="logto-sandbox", daemon=True
        )
        self._thread.start()
        if not ready.wait(_START_WITHIN):
            raise RuntimeError("the sandbox did not start")
        return self

    def stop(self) -> None:
        """Close all connections and end the thread; the state file is written. Harmless when not running."""
        if self._thread is None or self._loop is None or self._stop is None:
            return
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        self._thread = self._loop = None

    def __enter__(self) -> Sandbox:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    async def _run(self, listener: socket.socket, ready: threading.Event) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        saving = asyncio.create_task(self._keep_saved())
        self._loop.call_soon(ready.set)
        try:
            await serve(dispatch(self.environment), listener, self._stop)
        finally:
            saving.cancel()
            self.environment.save()

    async def _keep_saved(self) -> None:
        """Write the state file after changes, at most 5 % of the time."""
        saved, took = 0, 0.0
        while True:
            await asyncio.sleep(max(_SAVE_EVERY, 20 * took))
            stats = self.environment.recorder.stats()
            changes = stats["writes"] + stats["tokens"]
            if changes != saved:
                began = time.monotonic()
                self.environment.save()
                saved, took = changes, time.monotonic() - began

    # -- watching and controlling, from any thread

    def stats(self) -> dict[str, Any]:
        """Counts since the start or :meth:`reset_stats`: ``requests``, ``writes`` (no GET, reached the API),
        ``tokens`` (issued), ``routes`` (``{"POST /api/users/{id}/roles": n}``), ``rejections`` (by limiter and
        faults: ``{"429": n, "reset": n}``), ``peak_per_10s``."""
        return self._on_loop(self.environment.recorder.stats)

    def reset_stats(self) -> None:
        """Counts back to zero."""
        self._on_loop(self.environment.recorder.reset)

    def requests(self) -> list[dict[str, Any]]:
        """The last 50,000 requests: method, path, query, route, status (None = no answer was given), at_ms."""
        return self._on_loop(self.environment.recorder.requests)

    def add_fault(self, **fault: Any) -> None:
        """Put a fault in force: ``add_fault(kind="error", status=503, path="/api/users", times=2)``.

        :raises FaultError: naming the field that is wrong
        """
        self._on_loop(lambda: self.environment.injector.add_fault(fault))

    def clear_faults(self) -> None:
        """End all faults and clock skew."""
        self._on_loop(self.environment.injector.clear_faults)

    def sign_in(self, user_id: str, application_id: str) -> dict[str, str]:
        """Let a user sign in to an application and consent: a session, a grant and a refresh token.

        :return: ``{"sessionId", "grantId", "refreshToken"}``; the token endpoint takes the refresh token
        :raises ApiError: for an unknown user or application, and for a suspended user
        """
        return self._on_loop(lambda: self.environment.sign_in(user_id, application_id))

    def insert_logs(self, rows: list[dict[str, Any]] | None = None, /, **spec: Any) -> dict[str, Any]:
        """Insert audit-log rows: a list of rows, or generated ones: ``insert_logs(count=1000, ties=5)``.

        :return: ``{"count", "first", "last"}``
        :raises LogSpecError: naming the field that is wrong
        """
        return self._on_loop(lambda: self.environment.insert_logs(spec if rows is None else rows))

    def seed(self, seed: Mapping[str, Any]) -> dict[str, int]:
        """Add what a seed describes.

        :return: how many of each were created
        :raises SeedError: naming the key or row that is wrong
        """
        return self._on_loop(lambda: self.environment.seed(seed))

    def state(self) -> dict[str, Any]:
        """Everything that exists, for assertions: ``state()["users"][0]["primaryEmail"]``."""
        return self._on_loop(self.environment.state)

    def reset(self) -> None:
        """Back to the starting state; faults and counts are gone, tokens stay good."""
        self._on_loop(self.environment.reset)

    def _on_loop(self, function: Callable[[], T]) -> T:
        """Run a function where the tenant may be touched."""
        loop = self._loop
        if loop is None:
            return function()

        async def call() -> T:
            return function()

        return asyncio.run_coroutine_threadsafe(call(), loop).result()
