"""How each change of a person is made: the table of operations for the engine.

The phases say in which order: suspensions first, what gives access before what takes it away, deletions last.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from airflow_provider_logto.client.client import LogtoClient, path_of
from airflow_provider_logto.exceptions import LogtoError, NotFound, OutcomeUnknown
from airflow_provider_logto.management import access
from airflow_provider_logto.management.answers import IDENTIFIED, PERSON, checked
from airflow_provider_logto.management.bulk import PER_WRITE
from airflow_provider_logto.management.json_values import differing_values
from airflow_provider_logto.management.marks import KEY, Mark, stamp, write_mark
from airflow_provider_logto.management.offboarding.steps import BY_ADDRESS, do_all
from airflow_provider_logto.management.removal import is_by_task
from airflow_provider_logto.plans.apply import Operation, Write
from airflow_provider_logto.plans.changes import Change
from airflow_provider_logto.plans.journal import Outcome
from airflow_provider_logto.roster.ending import end_access
from airflow_provider_logto.roster.identifiers import IDENTIFIERS
from airflow_provider_logto.roster.state import Known, comparable, search_users

#: Tries of a creation whose answer was lost.
_TRIES = 3

_One = Callable[[Change], Awaitable[Outcome]]
_Many = Callable[[str, Sequence[str]], Awaitable[None]]


class RosterWriter:
    """Writes changes of people.

    :param roster: whose mark is written.
    :param users: what is known of people before the run: e-mails are taken from it.
    :param delete_after_days: days that a suspension must be old when somebody is deleted.
    :param protected: ids of people who must not be touched.
    """

    def __init__(
        self,
        client: LogtoClient,
        roster: str,
        users: Mapping[str, Known],
        delete_after_days: float,
        protected: Mapping[str, str],
    ) -> None:
        self._client = client
        self._roster = roster
        self._users = users
        self._delete_after_days = delete_after_days
        self._protected = protected
        self._created: dict[str, str] = {}

    def operations(self) -> dict[tuple[str, str], Operation]:
        """``(kind, action)`` -> how it is made."""
        many = PER_WRITE
        return {
            ("user", "suspend"): Operation(0, _each(self._suspend)),
            ("user", "offboard"): Operation(0, _each(self._suspend)),
            ("user", "adopt"): Operation(1, _each(self._own)),
            ("user", "mark"): Operation(1, _each(self._own)),
            ("user", "note"): Operation(1, _each(self._note)),
            ("user", "release"): Operation(2, _each(self._update)),
            ("user", "update"): Operation(3, _each(self._update)),
            ("user", "create"): Operation(4, _each(self._create)),
            ("user", "reactivate"): Operation(5, _each(self._reactivate)),
            ("role", "add"): Operation(6, self._all(self._grant_role), many),
            ("member", "add"): Operation(6, self._all(self._add_members), many),
            ("organization_role", "add"): Operation(7, self._all(self._grant_organization_role), many),
            ("organization_role", "remove"): Operation(8, _each(self._revoke_organization_role)),
            ("role", "remove"): Operation(8, _each(self._revoke_role)),
            ("member", "remove"): Operation(9, _each(self._remove_member)),
            ("user", "delete"): Operation(10, _each(self._delete)),
        }

    # -- people

    async def _create(self, change: Change) -> Outcome:
        body = creation_body(change.after)
        mark = Mark.read({KEY: change.after["mark"]}) or Mark()
        for last in (False,) * (_TRIES - 1) + (True,):
            try:
                reply = await self._client.send("POST", "/users", body=body)
                made = checked("POST /api/users", reply.data, IDENTIFIED)
                return self._made(change, made["id"], reply.request_id)
            except OutcomeUnknown:
                # The mark proves whose work it is: nobody else writes it.
                found = await self._find(change)
                if len(found) == 1 and Mark.of(found[0]) == mark:
                    return self._made(change, found[0]["id"], None)
                if found:
                    raise
                if last:
                    raise
        raise AssertionError

    def _made(self, change: Change, user_id: str, request_id: str | None) -> Outcome:
        self._created[change.key] = user_id
        return Outcome(id=user_id, request_id=request_id)

    async def _find(self, change: Change) -> list[Mapping[str, Any]]:
        values = [(name, comparable(name, change.after[name])) for name in IDENTIFIERS if change.after.get(name)]
        return list((await search_users(self._client, values)).values())

    async def _update(self, change: Change) -> Outcome:
        user_id = str(change.id)
        try:
            return Outcome(request_id=await write_fields(self._client, user_id, change.after))
        except LogtoError:
            await self._give_back(change)
            raise

    async def _give_back(self, change: Change) -> None:
        """Who gave an identifier up for a moment and then could not get the new one has the old one again."""
        given_up = {name: old for name, old in change.before.items() if name in IDENTIFIERS and old}
        if not given_up or change.action != "update":
            return
        try:
            user = await self._user(change)
            lost = {name: old for name, old in given_up.items() if user.get(name) is None}
            if lost:
                await self._client.request("PATCH", path_of("/users/{}", str(change.id)), body=lost)
        except LogtoError:  # somebody has taken it meanwhile; the failure that led here is reported
            return

    async def _own(self, change: Change) -> Outcome:
        mark = Mark.of(await self._user(change))
        if "gone" in change.after:
            if mark.roster != self._roster or not mark.offboarded_at:
                return Outcome("skipped", "is not offboarded, or does not belong to this roster, any more")
            mark = mark.with_(gone_at=stamp(datetime.now(UTC)))
        else:
            before, wanted = (Mark.read({KEY: side["mark"]}) or Mark() for side in (change.before, change.after))
            if mark.roster not in (before.roster, wanted.roster) or mark.external_id not in (
                before.external_id,
                wanted.external_id,
            ):
                return Outcome("conflict", "was marked by somebody else meanwhile")
            mark = mark.with_(roster=wanted.roster, external_id=wanted.external_id)
        await self._write_mark(change, mark)
        return Outcome()

    async def _note(self, change: Change) -> Outcome:
        """The suspension that a roster made is the source's own from now on."""
        user, refusal = await self._look(change)
        if refusal or user is None or not user["isSuspended"]:
            return refusal or Outcome("skipped", "is not there, or not suspended, any more")
        await self._write_mark(change, Mark.of(user).with_(by_source=stamp(datetime.now(UTC))))
        return Outcome()

    async def _suspend(self, change: Change) -> Outcome:
        """The mark says whose suspension it is, and is written first: a suspension without it would stand for ever."""
        user, refusal = await self._look(change)
        if refusal or user is None:
            return refusal or Outcome("skipped", "is not there any more")
        mark, now = Mark.of(user), stamp(datetime.now(UTC))
        if user["isSuspended"] and not mark.ending_at and change.action == "suspend":
            return Outcome("skipped", "is suspended already")
        if not user["isSuspended"]:
            mark = mark.with_(suspended_at=now, by_source=None)
        if change.after.get("bySource"):
            mark = mark.with_(by_source=now)
        if change.action == "offboard":
            mark = mark.with_(offboarded_at=now, gone_at=now)
        # The server sets the flag before it ends sessions, so the flag alone is no proof: what fails is repeated.
        await self._write_mark(change, mark.with_(ending_at=now))
        if change.action == "offboard":
            await end_access(self._client, user)
        else:
            await self._set_suspended(change, True)
        await self._write_mark(change, Mark.of(await self._user(change)).with_(ending_at=None))
        return Outcome()

    async def _reactivate(self, change: Change) -> Outcome:
        """Looked at again in this moment: who was dismissed or suspended meanwhile stays out."""
        user = await self._user(change)
        mark = Mark.of(user)
        if mark.roster != self._roster:
            return Outcome("conflict", "does not belong to this roster any more")
        if mark.offboarded_at and not change.before.get("offboarded"):
            return Outcome("conflict", "was offboarded meanwhile")
        if user["isSuspended"] and (not mark.suspended_at or is_by_task(user)):
            return Outcome("conflict", "was suspended by somebody else meanwhile")
        if user["isSuspended"]:
            await self._set_suspended(change, False)
        await self._write_mark(change, mark.back(datetime.now(UTC)))
        return Outcome()

    async def _delete(self, change: Change) -> Outcome:
        """Looked at again in this moment: still suspended by this roster, long enough ago.

        What hangs on their address goes first, since afterwards nobody knows it; where that fails, they stay for the
        next run.
        """
        for steps in (BY_ADDRESS, ()):
            user, refusal = await self._look(change)
            if refusal or user is None:
                return refusal or Outcome("skipped", "is not there any more")
            days = Mark.of(user).suspended_days(datetime.now(UTC))
            if not user["isSuspended"] or days is None or days < self._delete_after_days:
                return Outcome("skipped", "is not suspended by this roster for long enough any more")
            await do_all(self._client, user, steps)
        await self._client.request("DELETE", path_of("/users/{}", str(change.id)))
        return Outcome()

    async def _look(self, change: Change) -> tuple[Mapping[str, Any] | None, Outcome | None]:
        """The user as they are now, and why they must not be touched after all."""
        try:
            user = await self._user(change)
        except NotFound:
            return None, None
        if Mark.of(user).roster != self._roster:
            return user, Outcome("skipped", "does not belong to this roster any more")
        # An offboarding ends what a suspension leaves, whoever it is by; the suspension stays theirs.
        if user["isSuspended"] and not Mark.of(user).suspended_at and change.action != "offboard":
            return user, Outcome("skipped", "was suspended by somebody else meanwhile")
        if user["id"] in self._protected:
            return user, Outcome("held", self._protected[user["id"]])
        return user, None

    async def _set_suspended(self, change: Change, suspended: bool) -> None:
        path = path_of("/users/{}/is-suspended", str(change.id))
        await self._client.request("PATCH", path, body={"isSuspended": suspended})

    async def _user(self, change: Change) -> Mapping[str, Any]:
        """As they are now: an HR event, or an offboarding, may have written since the run began."""
        return await read_user(self._client, str(change.id))

    async def _write_mark(self, change: Change, mark: Mark) -> None:
        await write_mark(self._client, str(change.id), mark)

    # -- relations

    def _all(self, write: _Many) -> Write:
        """One request for many people; those who were just created get their id here."""

        async def batch(changes: Sequence[Change]) -> Sequence[Outcome]:
            ids = [change.id or self._created.get(change.key) for change in changes]
            there = [user_id for user_id in ids if user_id]
            if there:
                await write(str(changes[0].target), there)
            return [
                Outcome(id=user_id) if user_id else Outcome("skipped", "the user was not created") for user_id in ids
            ]

        return batch

    async def _grant_role(self, role_id: str, user_ids: Sequence[str]) -> None:
        await access.grant_role(self._client, role_id, user_ids)

    async def _add_members(self, organization_id: str, user_ids: Sequence[str]) -> None:
        await access.add_members(self._client, organization_id, user_ids)

    async def _grant_organization_role(self, target: str, user_ids: Sequence[str]) -> None:
        organization_id, _, role_id = target.partition("/")
        await access.grant_organization_role(self._client, organization_id, role_id, user_ids)

    async def _revoke_role(self, change: Change) -> Outcome:
        await access.revoke_role(self._client, str(change.target), str(change.id))
        return Outcome()

    async def _revoke_organization_role(self, change: Change) -> Outcome:
        organization_id, _, role_id = str(change.target).partition("/")
        await access.revoke_organization_role(self._client, organization_id, role_id, str(change.id))
        return Outcome()

    async def _remove_member(self, change: Change) -> Outcome:
        user = self._users.get(str(change.id))
        email = user.texts["primaryEmail"] if user else None
        await access.remove_member(self._client, str(change.target), str(change.id), email)
        return Outcome()


async def read_user(client: LogtoClient, user_id: str) -> Mapping[str, Any]:
    """A user as they are now.

    :raises NotFound: where there is none.
    """
    path = path_of("/users/{}", user_id)
    return checked(f"GET /api{path}", await client.request("GET", path), PERSON)


async def write_fields(client: LogtoClient, user_id: str, after: Mapping[str, Any]) -> str | None:
    """Write fields of a user as a change names them: ``name``, ``profile.givenName``, ``customData.department``.

    Values go through the endpoints that merge, so that a concurrent change of another key survives (an address is one
    key); only what is to be cleared replaces the whole, read in this moment.

    :returns: the request id of the last write.
    """
    path = path_of("/users/{}", user_id)
    body: dict[str, Any] = {name: value for name, value in after.items() if "." not in name}
    profile = {name.removeprefix("profile."): value for name, value in after.items() if name.startswith("profile.")}
    data = {name.removeprefix("customData."): value for name, value in after.items() if name.startswith("customData.")}
    clears = [value for value in (*profile.values(), *data.values()) if value is None]
    if clears or any(name.startswith("address.") for name in profile):
        user = await read_user(client, user_id)
        claims = user.get("profile") or {}
        wanted = _with_claims(claims, profile)
        if None in profile.values():
            body["profile"], profile = wanted, {}
        else:
            profile = differing_values(claims, wanted)
        if any(value is None for value in data.values()):
            merged = {**(user.get("customData") or {}), **data}
            body["customData"] = {name: value for name, value in merged.items() if value is not None}
            data = {}
    reply = None
    if body:
        reply = await client.send("PATCH", path, body=body)
    if data:
        reply = await client.send("PATCH", f"{path}/custom-data", body={"customData": data})
    if profile:
        reply = await client.send("PATCH", f"{path}/profile", body={"profile": profile})
    return reply.request_id if reply else None


def creation_body(after: Mapping[str, Any]) -> dict[str, Any]:
    """The body of ``POST /api/users``."""
    body: dict[str, Any] = {name: value for name, value in after.items() if "." not in name and name != "mark"}
    profile = {name.removeprefix("profile."): value for name, value in after.items() if name.startswith("profile.")}
    data = {name.removeprefix("customData."): value for name, value in after.items() if name.startswith("customData.")}
    if profile:
        body["profile"] = _with_claims({}, profile)
    if after.get("mark"):
        data[KEY] = after["mark"]
    return {**body, "customData": data} if data else body


def _with_claims(current: Mapping[str, Any], changes: Mapping[str, str | None]) -> dict[str, Any]:
    profile = {name: dict(value) if isinstance(value, Mapping) else value for name, value in current.items()}
    for name, value in changes.items():
        outer, _, inner = name.partition(".")
        place: dict[str, Any] = profile.setdefault(outer, {}) if inner else profile
        if value is None:
            place.pop(inner or outer, None)
        else:
            place[inner or outer] = value
    return profile


def _each(write: _One) -> Write:
    async def batch(changes: Sequence[Change]) -> Sequence[Outcome]:
        return [await write(change) for change in changes]

    return batch
