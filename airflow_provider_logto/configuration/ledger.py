"""What a configuration created: ids, kept in the customData of the Connection's own application.

Roles, resources and the organization template have no place of their own for a mark. The value is written whole after
creations; what failed to be written is written with the next one. An object that was made right before a kill is not in
it, and so never deleted by ``prune``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from airflow_provider_logto.client.client import LogtoClient, path_of
from airflow_provider_logto.management.answers import checked

_APPLICATION = {"customData": (dict, type(None))}


class Ledger:
    """The ids of one configuration.

    :param configuration: its name.
    """

    def __init__(self, client: LogtoClient, configuration: str) -> None:
        self._client = client
        self._key = f"airflowConfiguration:{configuration}"
        self._lock = asyncio.Lock()
        self.ids: dict[str, list[str]] = {}
        self._unsaved = False

    async def load(self) -> None:
        """Read it."""
        path = path_of("/applications/{}", self._client.app_id)
        application = checked(f"GET /api{path}", await self._client.request("GET", path), _APPLICATION)
        kept = (application.get("customData") or {}).get(self._key)
        if isinstance(kept, Mapping):
            self.ids = {kind: [str(one) for one in ids] for kind, ids in kept.items() if isinstance(ids, list)}

    async def add(self, kind: str, object_id: str) -> None:
        """Note an object that was created; where that fails, :meth:`save` tries again."""
        self.ids.setdefault(kind, []).append(object_id)
        self._unsaved = True
        await self.save()

    async def remove(self, kind: str, object_id: str) -> None:
        """Forget one that was deleted."""
        if object_id in self.ids.get(kind, ()):
            self.ids[kind].remove(object_id)
            self._unsaved = True
            await self.save()

    async def save(self) -> None:
        """Write what is not written yet; one request for all that came meanwhile."""
        async with self._lock:
            if not self._unsaved:
                return
            self._unsaved = False
            body: dict[str, Any] = {self._key: {kind: list(ids) for kind, ids in self.ids.items() if ids}}
            try:
                await self._client.request(
                    "PATCH", path_of("/applications/{}/custom-data", self._client.app_id), body=body
                )
            except BaseException:
                self._unsaved = True
                raise
