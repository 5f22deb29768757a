"""Whether a person who turned up is the one that this task created.

Being young and having equal fields proves nothing: somebody else may have made an account with the same fields a moment
before. These do, each after an exact search that had found nobody:

- a ``POST`` of this try whose answer was lost;
- a note in the task state store (Airflow 3.3), made right before the ``POST`` of an earlier try, where the person was
  created within the time that the ``POST`` can have taken, and neither signed up nor signed in (the submission of a
  sign-up sets ``lastSignInAt``, its consent ``applicationId``: seen on Logto 1.42);
- a literal password that verifies, where the person was created since the DAG run began.

A sign-up that is not yet submitted has neither of the two. What sets most of them apart is how people sign up: with a
password where this task sent none, without one, or by a social identity.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_logto.client.client import LogtoClient, path_of
from airflow_provider_logto.exceptions import Conflict
from airflow_provider_logto.management.user_fields import User, UserSpec
from airflow_provider_logto.task_state import TaskState

log = logging.getLogger(__name__)

#: Under which the task state store keeps the notes.
KEY = "logto_users_to_create"
#: Notes that are kept: those of the latest tries.
_NOTES = 20
#: Seconds that clocks may disagree by after correction: the server's ``Date`` has a resolution of one.
_CLOCK_SLACK = 2.0
#: Seconds from a note to the last moment in which its ``POST`` can have been executed: three tries of 300 s each.
_POSTING = 1000.0


@dataclass(frozen=True)
class OwnCreation:
    """What this task knows of its own work.

    :param state: where it is noted between retries; None before Airflow 3.3.
    :param run_began: when the DAG run began, epoch seconds by the local clock.
    """

    state: TaskState | None = None
    run_began: float | None = None
    _withdrawn: list[dict[str, Any]] = field(default_factory=list, init=False)

    async def note(self, client: LogtoClient, spec: UserSpec) -> dict[str, Any]:
        """Note that the person is about to be created, after a search that found nobody.

        :returns: the note: the time by the server's clock and a keyed hash of the fields, never the fields. Empty where
            nothing is kept.
        """
        if self.state is None:
            return {}
        note = {"at": await client.server_time(), "spec": _fingerprint(client, spec)}
        await self._keep([*(await self._notes())[1 - _NOTES :], note])
        return note

    async def withdraw(self, note: dict[str, Any]) -> None:
        """Take a note back whose ``POST`` was refused: whoever has the identifiers, that ``POST`` did not make them."""
        if note:
            self._withdrawn.append(note)
            await self._keep(await self._notes())

    async def proven(
        self, client: LogtoClient, spec: UserSpec, user: User, password: Mapping[str, str], lost: bool
    ) -> bool:
        """Whether this task created the user.

        :param password: what was sent as password or digest; empty for none.
        :param lost: a ``POST`` of this try ended without an answer.
        """
        if spec.differences(user) or not _as_sent(spec, user, bool(password)) or user.get("applicationId"):
            return False
        if lost:
            return True
        created = user["createdAt"] / 1000
        if user.get("lastSignInAt") is None and await self._noted(client, spec, created):
            return True
        if "password" not in password or self.run_began is None:
            return False
        skew = await client.server_time() - time.time()
        return created >= self.run_began + skew - _CLOCK_SLACK and await _verifies(client, user, password)

    async def _noted(self, client: LogtoClient, spec: UserSpec, created: float) -> bool:
        return any(
            note["at"] - _CLOCK_SLACK <= created <= note["at"] + _POSTING and note["spec"] == _fingerprint(client, spec)
            for note in await self._notes()
        )

    async def _notes(self) -> list[dict[str, Any]]:
        if self.state is None:
            return []
        try:
            kept = await asyncio.to_thread(self.state.get, KEY)
            notes = [{"at": float(note["at"]), "spec": str(note["spec"])} for note in kept or ()]
            return [note for note in notes if note not in self._withdrawn]
        except Exception as error:
            log.warning("The task state store cannot be read: this task's own user may not be known (%s)", error)
            return []

    async def _keep(self, notes: list[dict[str, Any]]) -> None:
        if self.state is None:
            return
        try:
            await asyncio.to_thread(self.state.set, KEY, notes)
        except Exception as error:
            log.warning("The task state store takes no note: a retry may not know this task's own user (%s)", error)


def _as_sent(spec: UserSpec, user: User, has_password: bool) -> bool:
    """Whether the person looks as right after the ``POST``.

    The e-mail is stored exactly as it was searched for: so the person was not there before. There is a password only
    if one was sent, and no identity, which the ``POST`` cannot give.
    """
    return (
        (spec.primary_email is None or user.get("primaryEmail") == spec.primary_email)
        and user.get("hasPassword", has_password) is has_password
        and not user.get("identities")
    )


def _fingerprint(client: LogtoClient, spec: UserSpec) -> str:
    return client.fingerprint(json.dumps(spec.body(), sort_keys=True).encode())


async def _verifies(client: LogtoClient, user: User, password: Mapping[str, str]) -> bool:
    try:
        await client.request("POST", path_of("/users/{}/password/verify", user["id"]), body=dict(password))
    except Conflict as error:
        if error.code != "session.invalid_credentials":
            raise
        return False
    return True
