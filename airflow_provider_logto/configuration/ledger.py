"""What a configuration created: ids, kept in the customData of the Connection's own application.

The value is written whole after creations; what failed to be written is written with the next one.

A connector and an application can carry a random word (``Kind.proof``). It is noted here before they are made, as
``word key`` among the ids, so that they are ours even when a kill or a lost answer follows. Nobody else makes an object
with that word, and a copy of an application has another name. The other kinds have no place for a word: one that was
made right before a kill looks like anybody's, and ``prune`` never deletes it.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from typing import Any

from airflow_provider_logto.client.client import LogtoClient, path_of
from airflow_provider_logto.configuration.kinds import KINDS
from airflow_provider_logto.management.answers import checked

_APPLICATION = {"customData": (dict, type(None))}
#: Key of the word in an application's customData.
MARK = "airflowCreation"


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

    async def announce(self, kind: str, key: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Note that an object is about to be made.

        :returns: the body to make it of, with its word where the kind can carry one.
        """
        proof = KINDS[kind].proof
        if proof is None:
            return dict(body)
        word = secrets.token_hex(10)
        self._replace(kind, key, f"{word} {key}")
        await self.save()
        return {**body, proof: word if proof == "id" else {**body.get(proof, {}), MARK: word}}

    def announced(self, kind: str, key: str, row: Mapping[str, Any]) -> bool:
        """Whether an object is the one that was announced."""
        proof = KINDS[kind].proof
        held = row.get(proof) if proof else None
        word = held.get(MARK) if isinstance(held, Mapping) else held
        return isinstance(word, str) and f"{word} {key}" in self.ids.get(kind, ())

    def recognize(self, rows: Mapping[tuple[str, str], Mapping[str, Any]]) -> None:
        """Take up what earlier runs made and could not note any more; :meth:`save` writes it."""
        for (kind, key), row in rows.items():
            if self.announced(kind, key, row):
                self._replace(kind, key, row["id"])

    async def add(self, kind: str, key: str, object_id: str) -> None:
        """Note an object that was created; where that fails, :meth:`save` tries again."""
        self._replace(kind, key, object_id)
        await self.save()

    def _replace(self, kind: str, key: str, entry: str) -> None:
        # Ids hold no space.
        kept = [one for one in self.ids.get(kind, ()) if one.partition(" ")[2] != key]
        self.ids[kind] = [*kept, entry]
        self._unsaved = True

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
