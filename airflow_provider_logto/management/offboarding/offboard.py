"""Ending a person's access: snapshot, the steps in their order, a look whether it is true, a report.

Access ends first, whatever fails later. Every step can be repeated, so a run that was killed anywhere is simply run
again.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from airflow_provider_logto.client.client import LogtoClient, path_of
from airflow_provider_logto.exceptions import (
    InvalidInput,
    LogtoApiError,
    LogtoError,
    NotFound,
    OffboardingIncomplete,
    StillThere,
)
from airflow_provider_logto.management.answers import USER, checked
from airflow_provider_logto.management.fields import switch
from airflow_provider_logto.management.marks import Mark, moment_of, stamp, write_mark
from airflow_provider_logto.management.offboarding.report import (
    ends_at,
    exchanging_applications,
    longest_token_lifetime,
    ways_back,
)
from airflow_provider_logto.management.offboarding.snapshot import Files, Kept, keep_snapshot
from airflow_provider_logto.management.offboarding.steps import STEPS, Leaver, Step
from airflow_provider_logto.management.personal_access_tokens import list_personal_access_tokens
from airflow_provider_logto.management.presence import is_unknown_operation
from airflow_provider_logto.management.protection import Protection
from airflow_provider_logto.management.references import listed
from airflow_provider_logto.management.removal import find_for_removal
from airflow_provider_logto.management.sessions import list_grants, list_sessions
from airflow_provider_logto.management.user_fields import User

Report = dict[str, Any]
#: Told of each step when it is over: its name, and ``{"outcome", ...}``.
OnStep = Callable[[str, dict[str, Any]], None]

REMOVABLE = ("roles", "organizations")
#: What must be empty in the end.
_LISTS = {
    "personal access tokens": list_personal_access_tokens,
    "sessions": list_sessions,
    "grants": list_grants,
}


@dataclass
class Offboarding:
    """One person's offboarding under way.

    :param asked: options that were asked for: ``credentials``, ``roles``, ``organizations``.
    """

    client: LogtoClient
    leaver: Leaver
    asked: frozenset[str]
    on_step: OnStep
    steps: dict[str, dict[str, Any]] = field(default_factory=dict)
    failures: list[Exception] = field(default_factory=list)

    async def run(self) -> None:
        """Do every step that was asked for; nothing is raised for one that fails."""
        for step in STEPS:
            if step.asked_by and step.asked_by not in self.asked:
                continue
            first = step is STEPS[0]
            # Without a snapshot nothing is removed, and after a failure nothing but what ends access.
            reached = first or (self.leaver.kept is not None and (step.ends_access or not self.failures))
            self._note(step.name, await self._entry(step) if reached else {"outcome": "not reached"})
        self._note("verify", await self._verified() if not self.failures else {"outcome": "not reached"})

    async def _entry(self, step: Step) -> dict[str, Any]:
        try:
            count = await step.work(self.client, self.leaver)
        except LogtoApiError as error:
            if step.ends_access and is_unknown_operation(error):
                return {"outcome": "unsupported"}
            return self._failed(error)
        except Exception as error:  # the steps that follow may still end access
            return self._failed(error)
        return {"outcome": "done", "count": count}

    async def _verified(self) -> dict[str, Any]:
        try:
            path = path_of("/users/{}", self.leaver.id)
            user = checked(f"GET /api{path}", await self.client.request("GET", path), USER)
            left = [] if user["isSuspended"] else ["the person is not suspended"]
            for name, listing in _LISTS.items():
                try:
                    left += [f"{name} are left"] if await listing(self.client, self.leaver.id) else []
                except LogtoApiError as error:
                    if not is_unknown_operation(error):
                        raise
            if left:
                raise StillThere(f"after everything was removed, {' and '.join(left)}")
        except Exception as error:
            return self._failed(error)
        return {"outcome": "done"}

    def _failed(self, error: Exception) -> dict[str, Any]:
        self.failures.append(error)
        return {"outcome": "failed", "error": str(error)[:300]}

    def _note(self, name: str, entry: dict[str, Any]) -> None:
        self.steps[name] = entry
        self.on_step(name, entry)


def checked_removals(remove: Any) -> frozenset[str]:
    """
    :raises InvalidInput: for anything but ``roles`` and ``organizations``.
    """
    names = listed("remove", remove) if remove else []
    for at, name in enumerate(names):
        if name not in REMOVABLE:
            raise InvalidInput(f"remove[{at}]", f"{name!r} cannot be removed; use {' and '.join(REMOVABLE)}")
    return frozenset(names)


async def offboard_user(
    client: LogtoClient,
    user: Any,
    files: Files,
    *,
    run: str,
    remove: frozenset[str] = frozenset(),
    reset_credentials: bool = False,
    protection: Protection | None = None,
    if_absent: str = "fail",
    on_step: OnStep = lambda name, entry: None,
) -> Report:
    """End a person's access to everything behind this Logto.

    :param user: a reference to the person.
    :param files: where snapshots lie.
    :param run: which run this is; its retries have the same.
    :param remove: ``roles``, ``organizations``, both or none.
    :param reset_credentials: also a random password, and no social identities and MFA factors.
    :param on_step: told of each step when it is over.
    :returns: see OffboardUserOperator.
    :raises InvalidInput: before any write: nobody meant, or somebody protected.
    :raises OffboardingIncomplete: where a step failed, after all others that end access were tried.
    """
    reset_credentials = switch("reset_credentials", reset_credentials)
    found = await find_for_removal(client, user, protection or Protection({}), if_absent)
    if found is None:
        return {"id": None, "outcome": "absent", "steps": {}, "unsupported": []}
    failures: list[Exception] = []
    kept: Kept | None = None
    try:
        kept = await keep_snapshot(client, found, files, run)
    except Exception as error:  # file systems raise whatever their library raises
        failures.append(error)
    asked = remove | ({"credentials"} if reset_credentials else set())
    work = Offboarding(client, Leaver(found, kept), frozenset(asked), on_step)
    if failures:
        work.failures = failures
        work.steps["snapshot"] = {"outcome": "failed", "error": str(failures[0])[:300]}
        await _note_beginning(client, found)
    elif kept is not None:
        work.steps["snapshot"] = {"outcome": "done", "count": int(kept.new)}
    on_step("snapshot", work.steps.get("snapshot", {"outcome": "absent"}))
    await work.run()
    if await _is_gone(client, found["id"], work.failures):
        return {"id": found["id"], "outcome": "absent", "steps": work.steps, "unsupported": []}
    return await _report(work)


async def _note_beginning(client: LogtoClient, user: User) -> None:
    """So that the snapshot of the next run does not take this run's suspension for somebody else's."""
    if not user["isSuspended"]:
        with suppress(LogtoError):  # access ends all the same
            await write_mark(client, user["id"], Mark.of(user).with_(ending_at=stamp(datetime.now(UTC))))


async def _report(work: Offboarding) -> Report:
    leaver, steps = work.leaver, work.steps
    report: Report = {
        "id": leaver.id,
        "outcome": "incomplete",
        "steps": steps,
        "unsupported": [name for name, entry in steps.items() if entry["outcome"] == "unsupported"],
        "access_ends_at": None,
        "bounded": None,
        "unbounded_by": [],
        "ways_back": [],
        "snapshot": leaver.kept.uri if leaver.kept else None,
    }
    if not work.failures and leaver.kept is not None:
        try:
            snapshot, client = leaver.kept.snapshot, work.client
            report["access_ends_at"] = ends_at(await _ended(work), await longest_token_lifetime(client))
            report["unbounded_by"] = await exchanging_applications(client)
            report["bounded"] = not report["unbounded_by"]
            report["ways_back"] = await ways_back(
                client, snapshot["organizations"], leaver.user.get("primaryEmail"), snapshot["sso_connectors"]
            )
        except Exception as error:
            work.failures.append(error)
            steps["report"] = {"outcome": "failed", "error": str(error)[:300]}
    if work.failures:
        raise OffboardingIncomplete(report, tuple(work.failures)) from work.failures[0]
    report["outcome"] = "offboarded" if _did_something(work) else "unchanged"
    return report


async def _ended(work: Offboarding) -> datetime:
    """When the last token can have been issued: now, or at the run before where nothing was left to do since."""
    if not _did_something(work):
        path = path_of("/users/{}", work.leaver.id)
        user = checked(f"GET /api{path}", await work.client.request("GET", path), USER)
        marked = moment_of(Mark.of(user).offboarded_at)
        if marked is not None:
            return marked
    return datetime.fromtimestamp(await work.client.server_time(), UTC)


def _did_something(work: Offboarding) -> bool:
    # A new random password is set at each run and says nothing.
    return any(entry.get("count") for name, entry in work.steps.items() if name != "credentials")


async def _is_gone(client: LogtoClient, user_id: str, failures: list[Exception]) -> bool:
    """Whether the person was deleted meanwhile: other things that are not there answer the same."""
    if not failures or not all(isinstance(one, NotFound) and one.code == "entity.not_found" for one in failures):
        return False
    try:
        await client.request("GET", path_of("/users/{}", user_id))
    except NotFound:
        return True
    except LogtoError:
        return False
    return False
