"""What a person had before their access was ended, kept in a file, so that it can be given back.

A snapshot is written once and never overwritten: a file of its own for each offboarding. A repeated run finds the file
of the run before, since by then the person has less than they had. It holds names and ids, no secret: neither passwords
nor the values of tokens.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from airflow_provider_logto.client.client import LogtoClient, path_of
from airflow_provider_logto.exceptions import InvalidInput, LogtoApiError
from airflow_provider_logto.management.answers import JOINED, ROLE, checked_list, objects
from airflow_provider_logto.management.credentials import list_identities, list_mfa_factors
from airflow_provider_logto.management.marks import KEY, Mark, end_users_may_edit, stamp
from airflow_provider_logto.management.personal_access_tokens import list_personal_access_tokens
from airflow_provider_logto.management.presence import is_unknown_operation
from airflow_provider_logto.management.user_fields import User

Snapshot = dict[str, Any]

VERSION = 1
FOLDER = "offboarding"
#: What a run can take away, and so must be in the snapshot.
_TAKEN = ("roles", "organizations", "identities", "mfa_factors", "personal_access_tokens")


class Files(Protocol):
    """A folder. All methods block."""

    def names(self, under: str) -> list[str]:
        """Every file below a folder of it, sorted."""

    def read(self, name: str) -> bytes | None:
        """A file's content; None when it is not there."""

    def write(self, name: str, content: bytes) -> None:
        """Write a file whole.

        :raises InvalidInput: when the folder cannot be written.
        """

    def uri(self, name: str) -> str:
        """The full address of a file."""


@dataclass(frozen=True)
class NoFiles:
    """A folder that cannot be opened."""

    error: InvalidInput

    def names(self, under: str) -> list[str]:
        raise self.error

    def read(self, name: str) -> bytes | None:
        raise self.error

    def write(self, name: str, content: bytes) -> None:
        raise self.error

    def uri(self, name: str) -> str:
        raise self.error


@dataclass(frozen=True)
class Kept:
    """A snapshot and where it lies."""

    snapshot: Snapshot
    uri: str
    new: bool


async def take_snapshot(client: LogtoClient, user: User, run: str) -> Snapshot:
    """Read what a person has.

    :param run: which run took it, e.g. the id of the DAG run.
    """
    path = path_of("/users/{}", user["id"])
    identities, sso = await list_identities(client, user["id"])
    joined = await client.request("GET", f"{path}/organizations")
    return {
        "version": VERSION,
        "taken_at": stamp(datetime.now(UTC)),
        "run": run,
        "user": user["id"],
        "was_suspended": user["isSuspended"] and not await _is_ours(client, Mark.of(user)),
        "mark": (user.get("customData") or {}).get(KEY),
        "roles": {role["id"]: role["name"] async for role in objects(client, f"{path}/roles", None, ROLE)},
        "organizations": {
            one["id"]: {"name": one["name"], "roles": _roles_of(f"{path}/organizations", one)}
            for one in checked_list(f"GET /api{path}/organizations", joined, JOINED)
        },
        "identities": identities,
        "sso_connectors": sso,
        "mfa_factors": [factor["type"] for factor in await list_mfa_factors(client, user["id"])],
        "personal_access_tokens": [token["name"] for token in await _tokens(client, user["id"])],
    }


def _roles_of(path: str, joined: Mapping[str, Any]) -> dict[str, str]:
    return {role["id"]: role["name"] for role in checked_list(f"GET /api{path}", joined["organizationRoles"], ROLE)}


async def keep_snapshot(client: LogtoClient, user: User, files: Files, run: str) -> Kept:
    """Take a snapshot and write it, unless the one of this offboarding is there already.

    :raises InvalidInput: when the folder cannot be written.
    """
    now = await take_snapshot(client, user, run)
    for name in reversed(await asyncio.to_thread(files.names, _folder(user["id"]))):
        if not name.endswith(".json"):  # a write that was killed
            continue
        earlier = read_snapshot(await asyncio.to_thread(files.read, name))
        if earlier is not None:
            if _is_the_same_offboarding(earlier, now, user):
                return Kept(earlier, files.uri(name), new=False)
            break
    # By time, so that the latest is the last; by chance, so that two runs at once do not meet.
    name = f"{_folder(user['id'])}/{now['taken_at'].replace(':', '')}-{secrets.token_hex(4)}.json"
    content = json.dumps(now, ensure_ascii=False, indent=1).encode()
    await asyncio.to_thread(files.write, name, content)
    return Kept(now, files.uri(name), new=True)


def read_snapshot(content: bytes | str | None) -> Snapshot | None:
    """A snapshot from a file's content; None for anything else."""
    try:
        snapshot = json.loads(content or "")
    except ValueError:
        return None
    return snapshot if isinstance(snapshot, dict) and snapshot.get("version") == VERSION else None


def checked_snapshot(snapshot: Any) -> Snapshot:
    """
    :param snapshot: as read from its file: bytes, text, or parsed.
    :raises InvalidInput: where it is no snapshot.
    """
    text = json.dumps(snapshot) if isinstance(snapshot, Mapping) else snapshot
    found = read_snapshot(text) if isinstance(text, bytes | str) else None
    if found is None:
        raise InvalidInput(
            "snapshot", "is not a snapshot of an offboarding; give the content of the file in its report"
        )
    return found


async def _is_ours(client: LogtoClient, mark: Mark) -> bool:
    """Whether an earlier run of this offboarding suspended the person, but could write no snapshot.

    Where end users may edit the mark, it proves nothing: the suspension may be an administrator's, and stays.
    """
    begun = mark.ending_at is not None and mark.suspended_at is None and mark.offboarded_at is None
    return begun and not await end_users_may_edit(client)


def _folder(user_id: str) -> str:
    # An id may hold anything; in a name of a file it must not.
    return f"{FOLDER}/{user_id.encode().hex() if not user_id.isalnum() else user_id}"


def _is_the_same_offboarding(earlier: Snapshot, now: Snapshot, user: User) -> bool:
    """Whether an earlier snapshot shows the person as they were before this offboarding began.

    It does where the person got nothing since, and could not get anything: they are suspended, or it is the same run.
    """
    if earlier["run"] == now["run"]:
        return _includes(earlier, now)
    signed_in = user.get("lastSignInAt")
    since = datetime.fromisoformat(earlier["taken_at"]).timestamp()
    active = signed_in is not None and signed_in / 1000 > since + 1
    return bool(user["isSuspended"]) and not active and _includes(earlier, now)


def _includes(earlier: Snapshot, now: Snapshot) -> bool:
    return all(_within(now[name], earlier[name]) for name in _TAKEN)


def _within(part: Any, whole: Any) -> bool:
    if isinstance(part, Mapping) and isinstance(whole, Mapping):
        return all(key in whole and _within(value, whole[key]) for key, value in part.items())
    if isinstance(part, list) and isinstance(whole, list):
        return all(part.count(item) <= whole.count(item) for item in part)
    return bool(part == whole)


async def _tokens(client: LogtoClient, user_id: str) -> list[dict[str, Any]]:
    try:
        return await list_personal_access_tokens(client, user_id)
    except LogtoApiError as error:
        if is_unknown_operation(error):
            return []
        raise
