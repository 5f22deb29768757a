"""Export people: read everybody, put them in order, write files, and the manifest last."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from airflow_provider_logto.client.client import LogtoClient, path_of
from airflow_provider_logto.exceptions import ConfigurationError, ExportStopped, InvalidInput
from airflow_provider_logto.export.folder import Folder
from airflow_provider_logto.export.formats import FORMATS, check_format, open_writer
from airflow_provider_logto.export.local_files import sha256_of, spool_file
from airflow_provider_logto.export.stop import StopSwitch
from airflow_provider_logto.export.user_records import (
    DIGESTS,
    FIELDS,
    ORGANIZATIONS,
    ROLES,
    checked_fields,
    flattened,
)
from airflow_provider_logto.export.user_spool import UserSpool
from airflow_provider_logto.management.answers import MEMBER, ROLE, USER, checked, objects, role_ids_of
from airflow_provider_logto.management.audit_logs.rows import json_bytes
from airflow_provider_logto.management.fields import switch
from airflow_provider_logto.management.organization_references import OrganizationReference, resolve_organization
from airflow_provider_logto.management.references import listed
from airflow_provider_logto.management.user_walk import walk_users
from airflow_provider_logto.management.where import search_query

log = logging.getLogger(__name__)

_VERSION = 1
#: Records that are written at once.
_PORTION = 1000
#: Members that are kept at once.
_MEMBERS = 1000
#: Seconds between two lines about how far it came.
_INTERVAL = 5.0


@dataclass(frozen=True)
class UserExport:
    """What to export. Make one with :meth:`checked`.

    :param query: the search, as query parameters.
    :param where: the same as it was given, for the manifest.
    :param suspended: only the suspended (True), only the others (False), or all (None).
    :param organizations: True for all organizations, or which ones; empty for none.
    """

    query: Mapping[str, Any]
    where: Mapping[str, Any]
    fields: tuple[str, ...] = tuple(FIELDS)
    suspended: bool | None = None
    roles: bool = False
    organizations: bool | tuple[OrganizationReference, ...] = False
    digests: bool = False
    file_format: str = "jsonl"
    compression: str = "gzip"
    max_rows_per_file: int = 1_000_000

    @classmethod
    def checked(
        cls,
        where: Any = None,
        fields: Any = None,
        *,
        suspended: Any = None,
        roles: bool = False,
        organizations: Any = False,
        digests: bool = False,
        file_format: str = "jsonl",
        compression: str = "gzip",
        max_rows_per_file: int = 1_000_000,
    ) -> UserExport:
        """
        :raises InvalidInput: naming the argument and what would be right.
        """
        suspended = None if suspended in (None, "") else switch("suspended", suspended)
        roles = switch("include_roles", roles)
        digests = switch("include_password_digests", digests)
        if isinstance(max_rows_per_file, bool) or not isinstance(max_rows_per_file, int) or max_rows_per_file < 1:
            raise InvalidInput("max_rows_per_file", f"{max_rows_per_file!r} is not a whole number of at least 1")
        check_format(file_format, compression)
        wanted: bool | tuple[OrganizationReference, ...] = bool(organizations)
        if organizations and organizations is not True:
            given = enumerate(listed("include_organizations", organizations))
            wanted = tuple(OrganizationReference.parse(one, f"include_organizations[{at}]") for at, one in given)
        return cls(
            search_query(where),
            dict(where or {}),
            checked_fields(fields),
            suspended,
            roles,
            wanted,
            digests,
            file_format,
            compression,
            max_rows_per_file,
        )

    @property
    def columns(self) -> dict[str, str]:
        """Every column and its kind, in order."""
        columns = {name: FIELDS[name] for name in self.fields}
        columns |= ROLES if self.roles else {}
        columns |= ORGANIZATIONS if self.organizations else {}
        return columns | (DIGESTS if self.digests else {})

    def description(self, source: str) -> dict[str, Any]:
        """Everything that decides over the bytes, for the manifest."""
        restricted = not isinstance(self.organizations, bool)
        return {
            "source": source,
            "where": self.where,
            "suspended": self.suspended,
            "columns": list(self.columns),
            "organizations": [one.value for one in self.organizations] if restricted else None,  # type: ignore[union-attr]
            "fileFormat": self.file_format,
            "compression": self.compression,
            "maxRowsPerFile": self.max_rows_per_file,
        }

    def name(self, source: str) -> str:
        """Begins every file's name."""
        digest = hashlib.sha256(json.dumps(self.description(source), sort_keys=True, default=str).encode())
        return f"users-{digest.hexdigest()[:8]}"


async def export_users(
    client: LogtoClient, job: UserExport, folder: Folder, stop: StopSwitch | None = None
) -> dict[str, Any]:
    """Export people.

    :returns: ``{"manifest": address, "files": [addresses], "count": people}``.
    :raises IncompleteList: where it cannot be shown that everybody who was there throughout was read.
    :raises ExportStopped: when told to stop.
    """
    stop = stop or StopSwitch()
    stop.carry()
    try:
        with UserSpool() as spool:
            await _read(client, job, spool, stop)
            return await stop.to_the_end(_Files(job, folder, client.endpoint.base_url, stop).write, spool)
    except (asyncio.CancelledError, InterruptedError):
        if stop.asked:
            raise ExportStopped("told to stop; no manifest was written") from None
        raise
    finally:
        stop.release()


async def _read(client: LogtoClient, job: UserExport, spool: UserSpool, stop: StopSwitch) -> None:
    query = {**job.query, **({"includePasswordHash": "true"} if job.digests else {})}
    said = time.monotonic()
    pages = walk_users(client, "/users", query)
    async with aclosing(pages):
        async for rows in pages:
            if job.digests and rows and "passwordDigest" not in rows[0]:
                raise ConfigurationError("this Logto sends no password digests; that takes version 1.38 or newer")
            rows = [checked("GET /api/users", row, USER) for row in rows]
            kept = [row for row in rows if job.suspended in (None, row["isSuspended"])]
            await stop.to_the_end(spool.add_people, kept)
            if time.monotonic() - said > _INTERVAL:
                said = time.monotonic()
                log.info("Export: %d people read", await stop.to_the_end(spool.count))
    if job.roles:
        await _read_roles(client, spool, stop)
    if job.organizations:
        await _read_organizations(client, job, spool, stop)


async def _read_roles(client: LogtoClient, spool: UserSpool, stop: StopSwitch) -> None:
    for role in [one async for one in objects(client, "/roles", {"type": "User"}, ROLE)]:
        # A server that does not say how many hold it is asked for all.
        if role.get("usersCount", 1):
            async for rows in walk_users(client, path_of("/roles/{}/users", role["id"]), {}):
                await stop.to_the_end(spool.add_role, role["name"], [row["id"] for row in rows])


async def _read_organizations(client: LogtoClient, job: UserExport, spool: UserSpool, stop: StopSwitch) -> None:
    if isinstance(job.organizations, bool):
        organizations = [one async for one in objects(client, "/organizations", None, ROLE)]
    else:
        organizations = [await resolve_organization(client, one, one.field) for one in job.organizations]
    for organization in organizations:
        members: list[Any] = []
        path = path_of("/organizations/{}/users", organization["id"])
        async for member in objects(client, path, None, MEMBER):
            role_ids_of(path, member)
            members.append(member)
            if len(members) >= _MEMBERS:
                await stop.to_the_end(spool.add_organization, organization, members)
                members = []
        await stop.to_the_end(spool.add_organization, organization, members)


class _Files:
    """The files of one export in its folder. Blocks: for a thread."""

    def __init__(self, job: UserExport, folder: Folder, source: str, stop: StopSwitch) -> None:
        self._job = job
        self._folder = folder
        self._stop = stop
        self._name = job.name(source)
        self._manifest = f"{self._name}.manifest.json"
        self._about: dict[str, Any] = {"version": _VERSION, **job.description(source)}
        self._published = self._read_published()

    def write(self, spool: UserSpool) -> dict[str, Any]:
        """Write what differs from an earlier export of the same kind, and the manifest last."""
        entries = []
        for number, portions in enumerate(self._cut(spool), 1):
            entries.append(self._write_file(number, portions))
        surplus = [path for path in self._published if path not in {entry["path"] for entry in entries}]
        if surplus:
            self._unpublish()
        content = {**self._about, "count": sum(entry["rows"] for entry in entries), "files": entries}
        self._folder.write(self._manifest, (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode())
        for path in surplus:
            self._folder.remove(path)
        return {
            "manifest": self._folder.uri(self._manifest),
            "files": [self._folder.uri(entry["path"]) for entry in entries],
            "count": content["count"],
        }

    def _cut(self, spool: UserSpool) -> Iterator[Iterator[Sequence[dict[str, Any]]]]:
        """The records of each file, in portions."""
        portions = spool.records(_PORTION)
        waiting: list[Sequence[dict[str, Any]]] = []

        def one_file() -> Iterator[Sequence[dict[str, Any]]]:
            room = self._job.max_rows_per_file
            while room > 0:
                portion = waiting.pop() if waiting else next(portions, None)
                if portion is None:
                    return
                if len(portion) > room:
                    waiting.append(portion[room:])
                yield portion[:room]
                room -= len(portion[:room])

        while True:
            if not waiting:
                following = next(portions, None)
                if following is None:
                    return
                waiting.append(following)
            yield one_file()

    def _write_file(self, number: int, portions: Iterator[Sequence[dict[str, Any]]]) -> dict[str, Any]:
        job, columns = self._job, self._job.columns
        parquet = job.file_format == "parquet"
        path = self._path(number)
        file, local = spool_file()
        with file:
            writer = open_writer(file, job.file_format, job.compression, columns)
            rows = 0
            for portion in portions:
                if self._stop():
                    raise InterruptedError
                records = [{name: record.get(name) for name in columns} for record in portion]
                writer.write([flattened(one, columns) if parquet else json_bytes(one) for one in records])
                rows += len(records)
            writer.close()
            file.flush()
            size, digest = local.stat().st_size, sha256_of(local)
            entry = {"path": path, "rows": rows, "bytes": size, "sha256": digest}
            known = self._published.get(path, {})
            etag = known.get("etag")
            if known != _with_etag(entry, etag) or not self._folder.holds(path, size, digest, etag):
                self._unpublish()
                self._folder.upload(local, path, self._stop)
                etag = self._folder.etag(path)
        return _with_etag(entry, etag)

    def _unpublish(self) -> None:
        """Files are about to change: until the new manifest is written, there must be none."""
        self._folder.remove(self._manifest)

    def _read_published(self) -> dict[str, dict[str, Any]]:
        """Path -> entry of an earlier export with the same description."""
        body = self._folder.read_json(self._manifest)
        try:
            entries = {str(entry["path"]): entry for entry in body["files"]} if body["version"] == _VERSION else {}
        except (KeyError, TypeError):
            return {}
        # Files that are no longer needed are deleted by this list, and it may have been tampered with.
        if any(path != self._path(number) for number, path in enumerate(entries, 1)):
            log.warning("%s names files of other exports; it is not believed", self._folder.uri(self._manifest))
            return {}
        return entries

    def _path(self, number: int) -> str:
        ending = FORMATS[self._job.file_format].endings[self._job.compression]
        return f"{self._name}-{number:05d}{ending}"


def _with_etag(entry: dict[str, Any], etag: str | None) -> dict[str, Any]:
    return entry if etag is None else {**entry, "etag": etag}
