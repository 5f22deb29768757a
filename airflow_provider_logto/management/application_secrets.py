"""Secrets of applications: a new one, handed on before an old one goes.

Source: Logto Management API, tag "Applications" (secrets); audit logs, whose payload names the secret that a token was
fetched with. A secret's name is unique in its application, so a ``POST`` that is repeated is refused, not doubled.
An application made before Logto 1.19 has a legacy secret besides: in its own row, without a name, valid until it is
deleted.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

import msgspec

from airflow_provider_logto.client.client import LogtoClient, path_of
from airflow_provider_logto.exceptions import AlreadyExists, Conflict, InvalidInput, LogtoApiError, OutcomeUnknown
from airflow_provider_logto.management import fields
from airflow_provider_logto.management.answers import SECRET, checked, objects
from airflow_provider_logto.management.application_spec import Application
from airflow_provider_logto.management.applications import resolve_application
from airflow_provider_logto.management.audit_logs.walk import LateRows, LogFilter, LogPages, Window, walk
from airflow_provider_logto.management.presence import delete
from airflow_provider_logto.management.task_notes import TaskNotes
from airflow_provider_logto.task_state import TaskState

#: What the Console calls the secret that has no name.
LEGACY = "Legacy secret"
#: What such a secret does not begin with; one that does is for the server's own use.
_INTERNAL = "#internal:"
_MAX_NAME = 256
_CREATE_TRIES = 3
#: Seconds that clocks may disagree by after correction, and that a ``POST`` can take, its repetitions included.
_NOTE_SLACK = 2.0
_POSTING = 1000.0
#: Requests for audit logs in flight.
_READERS = 4
#: Seconds that the server's clock may be ahead of what is known of it.
_CLOCK_SLACK = 60.0
#: Readings of a stretch in which rows keep appearing.
_READINGS = 4
#: How the keys of token requests begin.
_EXCHANGE = "ExchangeTokenBy."


@dataclass(frozen=True)
class NewSecret:
    """A secret that is to be handed on. Its value is not shown.

    :param application: without its legacy secret.
    :param created: False where an earlier try of the task made it.
    :param legacy: the application's legacy secret.
    """

    application: Application
    name: str
    value: str = field(repr=False)
    created: bool = True
    legacy: str | None = field(default=None, repr=False)


class _UsedSecret(msgspec.Struct):
    name: str = ""


class _Payload(msgspec.Struct, rename="camel"):
    key: str = ""
    result: str = ""
    application_secret: _UsedSecret | None = None

    def secret_name(self) -> str:
        """The secret that a token was fetched with; the legacy one is not named. Empty where it was none."""
        if self.application_secret is not None:
            return self.application_secret.name
        return LEGACY if self.key.startswith(_EXCHANGE) and self.result == "Success" else ""


async def new_secret(
    client: LogtoClient, application: Any, name: Any, expires_in: float | None = None, state: TaskState | None = None
) -> NewSecret:
    """Make a secret, or take up the one that an earlier try of the task made, by its note.

    :param application: reference to the application.
    :param name: the secret's name, another one for each rotation.
    :param expires_in: seconds; None makes one that never expires.
    :param state: keeps the note between tries; without it no secret counts as an earlier try's.
    :raises AlreadyExists: where a secret of that name is not proven to be this task's.
    """
    wanted = checked_name(name)
    found = await resolve_application(client, application)
    legacy = _legacy_secret(found)
    found = {name: one for name, one in found.items() if name != "secret"}
    path = path_of("/applications/{}/secrets", found["id"])
    notes = TaskNotes(state, "secret")
    existing = await _secret(client, path, wanted)
    if existing is not None:
        if not _is_noted(client, await notes.get(found["id"], wanted), existing):
            raise _taken(found, wanted, notes.kept)
        return NewSecret(found, wanted, existing["value"], created=False, legacy=legacy)
    now = await client.server_time()
    await notes.set({"at": now}, found["id"], wanted)
    body: dict[str, Any] = {"name": wanted}
    if expires_in is not None:
        body["expiresAt"] = int((now + expires_in) * 1000)
    value = await _made(client, path, body, _taken(found, wanted, kept=True))
    await notes.set({"at": now, "value": client.fingerprint(value.encode())}, found["id"], wanted)
    return NewSecret(found, wanted, value, legacy=legacy)


def _legacy_secret(application: Application) -> str | None:
    secret = application.get("secret")
    return secret if isinstance(secret, str) and secret and not secret.startswith(_INTERNAL) else None


async def _made(client: LogtoClient, path: str, body: dict[str, Any], taken: AlreadyExists) -> str:
    """The value of a new secret. It did not exist a moment ago: after a lost answer, the one of that name is ours."""
    lost = False
    for last in (False,) * (_CREATE_TRIES - 1) + (True,):
        try:
            return str(checked(f"POST /api{path}", await client.request("POST", path, body=body), SECRET)["value"])
        except OutcomeUnknown:
            lost = True
            if (kept := await _secret(client, path, body["name"])) is not None:
                return str(kept["value"])
            if last:
                raise
        except Conflict as error:
            if error.code != "application.secret_name_exists":
                raise
            kept = await _secret(client, path, body["name"]) if lost else None
            if kept is None:
                raise taken from error
            return str(kept["value"])
    raise AssertionError("the last try returns or raises")


def _is_noted(client: LogtoClient, note: dict[str, Any], secret: dict[str, Any]) -> bool:
    """Whether a note proves that an earlier try made a secret: by its value; where that try was killed before it had
    one, by the time that its request can have taken, since there was none of that name before."""
    if "value" in note:
        return bool(note["value"] == client.fingerprint(secret["value"].encode()))
    return "at" in note and note["at"] - _NOTE_SLACK <= secret["createdAt"] / 1000 <= note["at"] + _POSTING


def _taken(application: Application, name: str, kept: bool) -> AlreadyExists:
    retry = "" if kept else "; if an earlier try made it, delete it: before Airflow 3.3 nothing tells"
    hint = f"name each rotation's secret anew, e.g. airflow-{{{{ run_id }}}}{retry}"
    return AlreadyExists(f"application {application['id']} has a secret {name!r} already", hint=hint)


async def retire_secrets(
    client: LogtoClient,
    application: Application,
    current: str,
    old: Sequence[str],
    grace: float,
    legacy: str | None = None,
) -> dict[str, Any]:
    """Delete old secrets that nobody uses any more.

    :param current: name of the secret that stays; it must exist and not have expired.
    :param old: names of those to delete, or patterns with ``*``; :data:`LEGACY` is the legacy secret's, which no
        pattern means.
    :param grace: seconds; one that fetched a token within them stays, and so does one made within them that only a
        pattern means.
    :param legacy: the application's legacy secret, which is in the answer whether it is to be deleted or not.
    :returns: ``{"deleted": [names], "kept": [{"name", "reason"}], "others": [names]}``; ``others`` are valid and meant
        by no entry of ``old``. Names that do not exist are nowhere.
    """
    path = path_of("/applications/{}/secrets", application["id"])
    now = await client.server_time()
    secrets = await _secrets(client, path)
    kept_one = secrets.get(current)
    if kept_one is None or _has_expired(kept_one, now):
        raise InvalidInput("secret_name", f"the secret {current!r} is gone or has expired; the old ones stay")
    values = {name: secrets[name]["value"] for name in _named(old, secrets) if name != current}
    stays: dict[str, str] = {}
    if legacy is not None:
        if LEGACY in secrets:
            stays[LEGACY] = "two secrets are meant; give the one that has this name another one"
        elif LEGACY not in old:
            stays[LEGACY] = "still valid; it goes where old_secrets names it"
        values[LEGACY] = legacy
    # What fits a pattern may be the secret that another run has just handed over, and nobody has used yet.
    young = [name for name in values if name not in (*old, LEGACY) and _is_younger(secrets[name], now - grace)]
    stays |= dict.fromkeys(young, f"made within the last {grace:g} s")
    stays |= {name: "the Connection itself uses it" for name, value in values.items() if client.is_own_secret(value)}
    kept = [{"name": name, "reason": reason} for name, reason in stays.items()]
    candidates = [name for name in values if name not in stays]
    used = await _used_since(client, application["id"], candidates, now - grace, now)
    deleted = []
    for name in candidates:
        if name in used:
            kept.append({"name": name, "reason": f"used within the last {grace:g} s"})
            continue
        if name == LEGACY and legacy is not None:
            await _delete_legacy(client, application["id"])
        else:
            await delete(client, f"{path}/{path_of('{}', name)}")
        deleted.append(name)
    others = [
        name for name, one in secrets.items() if name not in values and name != current and not _has_expired(one, now)
    ]
    return {"deleted": deleted, "kept": kept, "others": others}


def _named(entries: Sequence[str], names: Iterable[str]) -> list[str]:
    """The names that entries mean, each once. Case counts: Logto keeps ``a`` and ``A`` apart."""
    there = list(names)
    fitting = (
        name
        for one in entries
        for name in there
        if name == one or ("*" in one and name != LEGACY and fnmatchcase(name, one))
    )
    return list(dict.fromkeys(fitting))


def _is_younger(secret: Mapping[str, Any], moment: float) -> bool:
    return bool(secret["createdAt"] > moment * 1000)


def _has_expired(secret: Mapping[str, Any], now: float) -> bool:
    return (secret.get("expiresAt") or math.inf) <= now * 1000


async def _delete_legacy(client: LogtoClient, application_id: str) -> None:
    try:
        await client.request("DELETE", path_of("/applications/{}/legacy-secret", application_id))
    except LogtoApiError as error:
        # Gone already: a try whose answer was lost, or somebody else, did it.
        if error.code != "application.no_legacy_secret_found":
            raise


def checked_name(name: Any, where: str = "secret_name") -> str:
    """A secret's name.

    :raises InvalidInput: where it is none.
    """
    given = fields.text(where, name, _MAX_NAME)
    if given is None or not given.strip() or given in (".", ".."):
        raise InvalidInput(where, f"{name!r} is not the name of a secret")
    return given


async def _secret(client: LogtoClient, path: str, name: str) -> dict[str, Any] | None:
    return (await _secrets(client, path)).get(name)


async def _secrets(client: LogtoClient, path: str) -> dict[str, dict[str, Any]]:
    return {one["name"]: one async for one in objects(client, path, None, SECRET)}


async def _used_since(
    client: LogtoClient, application_id: str, names: Sequence[str], start: float, end: float
) -> set[str]:
    """Those of some secrets that fetched a token, by the audit log."""
    used: set[str] = set()
    if not names:
        return used
    # Into the future: what is known of the server's clock is good to a second.
    window = Window(int(start * 1000), int((end + _CLOCK_SLACK) * 1000))
    for last in (False,) * (_READINGS - 1) + (True,):
        try:
            await _read_uses(client, application_id, window, set(names), used)
            break
        except LateRows as late:
            if last:
                raise
            window = Window(late.from_ms, window.high)
    return used & set(names)


async def _read_uses(client: LogtoClient, application_id: str, window: Window, names: set[str], used: set[str]) -> None:
    """Add the secrets that audit logs name to ``used``, until all of ``names`` are among them."""
    decode = msgspec.json.Decoder(_Payload).decode
    rows = walk(LogPages(client, _READERS), window, LogFilter(application_id=application_id))
    async with aclosing(rows):
        async for batch in rows:
            for row in batch:
                try:
                    payload = decode(row.payload)
                except msgspec.DecodeError:
                    continue
                used.add(payload.secret_name())
            if names <= used:
                return
