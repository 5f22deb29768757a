"""One tenant with its faults and its records: what the Python class and the control plane both control."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from logto_sandbox.app import create_app
from logto_sandbox.faults.middleware import FaultInjector
from logto_sandbox.faults.recorder import Recorder
from logto_sandbox.seed import SeedError, apply_seed, read_seed
from logto_sandbox.store import access
from logto_sandbox.store.defaults import Settings
from logto_sandbox.store.logs.spec import insert_logs
from logto_sandbox.store.tenant import Tenant

_LOGS_SHOWN = 10_000


class Environment:
    """Used on the server's event loop only (or before it runs).

    :param settings: what the tenant is founded with
    :param seed: JSON file or object that describes the starting state
    :param state_file: where the state is kept between runs; when it exists, it counts instead of the seed
    :raises SeedError: for a seed or state file that cannot be applied
    """

    def __init__(
        self,
        settings: Settings,
        seed: Path | str | Mapping[str, Any] | None = None,
        state_file: Path | str | None = None,
    ) -> None:
        self.tenant = Tenant(settings)
        self.recorder = Recorder()
        self.injector = FaultInjector(create_app(self.tenant), self.tenant, self.recorder)
        self._seed = None if seed is None else read_seed(seed)
        self._state_file = None if state_file is None else Path(state_file)
        if self._state_file is not None and self._state_file.exists():
            self._load(self._state_file)
        elif self._seed is not None:
            apply_seed(self.tenant, self._seed)

    def _load(self, path: Path) -> None:
        try:
            self.tenant.load(read_seed(path))
        except SeedError:
            raise
        except (KeyError, TypeError, ValueError) as error:
            raise SeedError(f"{path}: no state of a sandbox: {error!r}") from error

    def save(self) -> None:
        """Write the state file, if there is to be one, in one step."""
        if self._state_file is None:
            return
        beside = self._state_file.with_name(self._state_file.name + ".new")
        beside.write_text(json.dumps(self.tenant.dump(), ensure_ascii=False), "utf-8")
        os.replace(beside, self._state_file)

    def reset(self) -> None:
        """Back to the start: the seed's state, no faults, counts at zero; tokens stay good."""
        self.injector.clear_faults()
        self.tenant.clear()
        if self._seed is not None:
            apply_seed(self.tenant, self._seed)
        self.recorder.reset()

    def seed(self, seed: Mapping[str, Any]) -> dict[str, int]:
        """Add what a seed describes; see :func:`seed.apply_seed`."""
        return apply_seed(self.tenant, seed)

    def sign_in(self, user_id: str, application_id: str) -> dict[str, str]:
        """A sign-in with consent; see :func:`access.sign_in`."""
        return access.sign_in(self.tenant, user_id, application_id)

    def insert_logs(self, rows: Mapping[str, Any] | Sequence[Any]) -> dict[str, Any]:
        """Insert log rows; see :func:`spec.insert_logs`."""
        return insert_logs(self.tenant.logs, rows, self.tenant.now_ms())

    def state(self) -> dict[str, Any]:
        """Everything the tenant holds, for assertions; of more than 10,000 log rows only ``{"count": n}``."""
        if len(logs := self.tenant.logs) <= _LOGS_SHOWN:
            return self.tenant.dump()
        self.tenant.logs = type(logs)(logs.tenant_id)
        try:
            return self.tenant.dump() | {"logs": {"count": len(logs)}}
        finally:
            self.tenant.logs = logs
