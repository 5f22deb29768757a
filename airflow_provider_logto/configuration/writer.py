"""How each change of a configuration is made."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from airflow_provider_logto.client.client import LogtoClient, path_of
from airflow_provider_logto.configuration.desired import Desired, Item
from airflow_provider_logto.configuration.differences import patch_of, phase_of
from airflow_provider_logto.configuration.kinds import KINDS, LAST, RELATIONS
from airflow_provider_logto.configuration.ledger import Ledger
from airflow_provider_logto.configuration.observed import Observed
from airflow_provider_logto.exceptions import Conflict, InvalidInput, OutcomeUnknown, ServerFailed
from airflow_provider_logto.management.answers import IDENTIFIED, checked, objects
from airflow_provider_logto.management.creating_once import keep_one
from airflow_provider_logto.management.kept import refuse_lost
from airflow_provider_logto.management.presence import delete
from airflow_provider_logto.management.where import search_query
from airflow_provider_logto.plans.apply import Operation
from airflow_provider_logto.plans.changes import Change
from airflow_provider_logto.plans.journal import Outcome

_TRIES = 3
#: Ids in one bulk write.
_PER_WRITE = 100


class ConfigurationWriter:
    """Makes changes. Values come from the configuration, not from the plan, which holds no secrets.

    :param found: the tenant as it was observed; ids of what is created are added.
    """

    def __init__(self, client: LogtoClient, desired: Desired, found: Observed, ledger: Ledger) -> None:
        self._client = client
        self._desired = desired
        self._found = found
        self._ledger = ledger

    def operations(self) -> dict[tuple[str, str], Operation]:
        """``(kind, action)`` -> how."""
        operations: dict[tuple[str, str], Operation] = {}
        for kind in KINDS:
            operations[kind, "create"] = Operation(phase_of(kind), self._each(self._create))
            operations[kind, "update"] = Operation(phase_of(kind), self._each(self._update))
            operations[kind, "delete"] = Operation(LAST - phase_of(kind), self._each(self._delete))
        for relation in RELATIONS:
            operations[relation, "add"] = Operation(phase_of(relation), self._add, _PER_WRITE)
        return operations

    @staticmethod
    def _each(
        write: Callable[[Change], Awaitable[str | None]],
    ) -> Callable[[Sequence[Change]], Awaitable[Sequence[Outcome]]]:
        async def write_batch(batch: Sequence[Change]) -> Sequence[Outcome]:
            return [Outcome(id=await write(change)) for change in batch]

        return write_batch

    async def _create(self, change: Change) -> str:
        item, about = self._desired[change.kind, change.key], KINDS[change.kind]
        path = about.path if item.parent is None else path_of(about.path, self._id("resource", item.parent))
        filled = {field: default for field, default in (about.at_creation or {}).items() if default is not None}
        body = await self._ledger.announce(item.kind, item.key, {about.key: item.name, **filled, **item.fields})
        made = False
        for last in (False,) * (_TRIES - 1) + (True,):
            try:
                row = checked(f"POST /api{path}", await self._client.request("POST", path, body=body), IDENTIFIED)
                made = True
                break
            except (OutcomeUnknown, Conflict, ServerFailed):
                # A lost answer, or somebody was faster: what is there now is not made again.
                found = await self._look(path, item)
                if found is not None:
                    row, made = found, self._announced(item, found)
                    break
                if last:
                    raise
        if made and not about.unique:
            row, made = await self._keep_one(path, item, row)
        self._found.rows[change.kind, change.key] = row
        if made or self._announced(item, row):
            # What may be somebody else's is not ours to prune.
            await self._ledger.add(item.kind, item.key, row["id"])
        # What cannot be given at creation, or is not taken there, follows.
        if patch := patch_of(item, row):
            await self._patch(item, f"{path}/{path_of('{}', row['id'])}", patch)
        return str(row["id"])

    async def _keep_one(self, path: str, item: Item, made: Any) -> tuple[Any, bool]:
        async def same() -> list[Any]:
            query = search_query({"name": item.name, "case_sensitive": True}, path) if path == "/applications" else None
            rows = objects(self._client, path, query, KINDS[item.kind].shape)
            return [row async for row in rows if row["name"] == item.name]

        return await keep_one(
            item.kind,
            item.name,
            made,
            same,
            lambda made, _: delete(self._client, f"{path}/{path_of('{}', made['id'])}"),
        )

    async def _look(self, path: str, item: Item) -> dict[str, Any] | None:
        """An object of that key; the one announced rather than another."""
        key = item.key if item.parent is None else item.name
        rows = objects(self._client, path, None, KINDS[item.kind].shape)
        found = [row async for row in rows if KINDS[item.kind].key_of(row) == key]
        return next((row for row in found if self._announced(item, row)), found[0] if found else None)

    def _announced(self, item: Item, row: Mapping[str, Any]) -> bool:
        return self._ledger.announced(item.kind, item.key, row)

    async def _update(self, change: Change) -> None:
        item = self._desired[change.kind, change.key]
        patch = patch_of(item, self._found.rows[change.kind, change.key])
        if patch:
            await self._patch(item, self._path_of(item, change.id or ""), patch)

    async def _patch(self, item: Item, path: str, patch: Mapping[str, Any]) -> None:
        """
        :raises NotKept: where Logto left out something that the configuration gives; what is merged may be older.
        """
        answer = await self._client.request("PATCH", path, body=patch)
        given = {name: item.fields[name] for name in patch}
        refuse_lost(f"PATCH /api{path}", given, answer, KINDS[item.kind].forms)

    async def _delete(self, change: Change) -> None:
        parent = change.key.rpartition(" ")[0] if change.kind == "scope" else None
        await delete(self._client, self._path_of(Item(change.kind, change.key, parent=parent), change.id or ""))
        await self._ledger.remove(change.kind, change.id or "")

    async def _add(self, batch: Sequence[Change]) -> Sequence[Outcome]:
        """Let one holder hold more; what it holds already is left out, since some lists refuse it."""
        relation, holder = batch[0].kind, batch[0].target or ""
        path, key, _ = RELATIONS[relation]
        kind, target = next(
            (name, about.relations[field][1])
            for name, about in KINDS.items()
            for field in about.relations or {}
            if about.relations and about.relations[field][0] == relation
        )
        path = path_of(path, self._id(kind, holder))
        wanted = [self._id(target, change.after["adds"]) for change in batch]
        for last in (False,) * (_TRIES - 1) + (True,):
            try:
                await self._client.request("POST", path, body={key: wanted})
                break
            except (OutcomeUnknown, Conflict, ServerFailed):
                held = {row["id"] async for row in objects(self._client, path, None, IDENTIFIED)}
                wanted = [one for one in wanted if one not in held]
                if not wanted:
                    break
                if last:
                    raise
        return [Outcome() for _ in batch]

    def _path_of(self, item: Item, object_id: str) -> str:
        if item.kind == "sign_in_experience":
            return KINDS[item.kind].path
        path = KINDS[item.kind].path
        path = path if item.parent is None else path_of(path, self._id("resource", item.parent))
        return f"{path}/{path_of('{}', object_id)}"

    def _id(self, kind: str, key: str) -> str:
        found = self._found.id_of(kind, key)
        if found is None:
            raise InvalidInput(f"config.{KINDS[kind].section}", f"{kind} {key!r} was not created")
        return found
