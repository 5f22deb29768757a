"""A migration: people with their passwords and identities, once, without leavers.

Who was made is proven by a mark that is written with them: after a lost answer or a kill, the next try finds them and
goes on. Passwords and digests go from the source into one request and into no file.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from airflow_provider_logto.client.client import LogtoClient, path_of
from airflow_provider_logto.exceptions import ChangesFailed, Conflict, InvalidInput, LogtoError, OutcomeUnknown
from airflow_provider_logto.management.answers import IDENTIFIED, checked
from airflow_provider_logto.management.marks import IMPORT_KEY, end_users_may_edit
from airflow_provider_logto.management.passwords import checked_password
from airflow_provider_logto.management.protection import Protection
from airflow_provider_logto.plans.apply import Applier, Limits, Operation, Write
from airflow_provider_logto.plans.changes import Change, digest_of
from airflow_provider_logto.plans.journal import Journal, Outcome
from airflow_provider_logto.plans.lock import only_run
from airflow_provider_logto.plans.retention import mark_applied, remove_old
from airflow_provider_logto.roster.cells import without_value
from airflow_provider_logto.roster.columns import KEYS
from airflow_provider_logto.roster.field_changes import creation, field_changes
from airflow_provider_logto.roster.job import several
from airflow_provider_logto.roster.matching import match
from airflow_provider_logto.roster.observe import protected_in
from airflow_provider_logto.roster.people import Person, digest_of_people, ignored_columns
from airflow_provider_logto.roster.sources import Problems
from airflow_provider_logto.roster.state import SEARCHED, Known, State, comparable, identifiers_of, search_users
from airflow_provider_logto.roster.sync import FailedRun, Options
from airflow_provider_logto.roster.writer import creation_body, write_fields

log = logging.getLogger(__name__)

IF_EXISTS = ("fail", "skip", "update")
_OWNER = "import"
_MARK = f"customData.{IMPORT_KEY}"
_NAMED = 1000
#: Failed rows that the task's log explains, and that an error names; the journal has all.
_LOGGED = 20
_SHOWN = 50


@dataclass(frozen=True)
class ImportJob:
    """What an import is asked to do.

    :param if_exists: what becomes of a row whose person exists: ``fail`` the row, ``skip`` or ``update`` it.
    :param only: row numbers and keys; None: all rows.
    :param max_errors: failed rows after which it stops.
    """

    match_on: tuple[str, ...]
    if_exists: str = "skip"
    only: Collection[int | str] | None = None
    max_errors: int = 50

    @classmethod
    def checked(cls, match_on: Any, if_exists: Any, only: Any, max_errors: Any) -> ImportJob:
        """
        :raises InvalidInput: naming the argument and what would be right.
        """
        if if_exists not in IF_EXISTS:
            raise InvalidInput("if_exists", f"{if_exists!r} is unknown; use one of {', '.join(IF_EXISTS)}")
        if only is not None and (isinstance(only, str) or not all(isinstance(one, int | str) for one in only)):
            raise InvalidInput("only", f"{only!r} is no list of row numbers and keys")
        if isinstance(max_errors, bool) or not isinstance(max_errors, int) or max_errors < 1:
            raise InvalidInput("max_errors", f"{max_errors!r} is not a whole number of at least 1")
        return cls(
            several("match_on", match_on, KEYS), if_exists, None if only is None else frozenset(only), max_errors
        )


async def import_users(
    client: LogtoClient, job: ImportJob, people: Sequence[Person], options: Options
) -> dict[str, Any]:
    """Create every person of a source who is not there yet.

    :returns: ``{"counts", "failed": row numbers, "journal": address}``.
    :raises FailedRun: rows failed; the others were made.
    :raises InvalidInput: for a password or identity that cannot be right, before any request.
    """
    check_secrets(people)
    name = f"{_OWNER}/{digest_of_people(people)[:16]}"
    chosen = [one for one in people if job.only is None or one.row in job.only or one.key in job.only]
    if job.only is not None and not chosen:
        raise InvalidInput("only", "names no row of the source")
    for column, rows in ignored_columns(people, ("profile", "custom_data", "suspension"), dates=False).items():
        log.warning("%9d  rows have values of %s, IGNORED: an import does not read it", rows, column)
    async with only_run(options.place, name, client.endpoint.base_url):
        remove_old(options.store, _OWNER, options.keep_days)
        result = await _import(
            client, job, chosen, Journal(options.store, name, options.run, options.journal_values), options
        )
        mark_applied(options.store, name, {})
        return result


async def _import(
    client: LogtoClient, job: ImportJob, people: Sequence[Person], journal: Journal, options: Options
) -> dict[str, Any]:
    changes, left_alone, skipped = await _compare(client, job, people, options.protection)
    operations = _Importer(client, people).operations()
    # Rows that exist already are failures too, and may be many: only the DAG says how many are too many.
    limits = Limits(errors=job.max_errors, share=math.inf)
    applier = Applier(operations, journal, limits, stopped=options.stopped)
    result: dict[str, Any] = {"counts": {"rows": len(people)}, "failed": [], "journal": journal.uri}
    failure: LogtoError | None = None
    try:
        applier.settle(skipped, Outcome("skipped", "exists already"))
        for change, reason in left_alone:
            applier.settle([change], Outcome("failed", reason))
        await applier.run(changes)
    except LogtoError as error:
        failure = error
    finally:
        journal.close()
    report = applier.report
    result["counts"] |= {f"made.{name}": count for name, count in sorted(report.done.items())}
    result["counts"] |= {f"rows.{status}": count for status, count in sorted(report.statuses.items())}
    reasons: dict[int | None, str] = {}
    for change, outcome in report.failed:
        reasons.setdefault(change.row, outcome.reason)
    result["failed"] = list(reasons)[:_NAMED]
    _log_failed(reasons, journal.uri)
    if failure is None and reasons:
        failure = ChangesFailed(_described(list(reasons), journal.uri))
        # What stood in a row's way before any write does so in a retry too.
        failure.transient = len(report.failed) > len(left_alone) + len(report.not_kept)
    if failure is not None:
        raise FailedRun(result, failure)
    return result


def _log_failed(reasons: Mapping[int | None, str], journal: str) -> None:
    for row, reason in islice(reasons.items(), _LOGGED):
        log.warning("row %s failed: %s", row, reason)
    if len(reasons) > _LOGGED:
        log.warning("and %d more; see %s", len(reasons) - _LOGGED, journal)


def _described(rows: Sequence[int | None], journal: str) -> str:
    failed = "1 row" if len(rows) == 1 else f"{len(rows)} rows"
    them = "it" if len(rows) == 1 else "them"
    more = f" and {len(rows) - _SHOWN} more; see the XCom" if len(rows) > _SHOWN else ""
    return f"{failed} failed; the journal says why: {journal}. Run {them} again with only={list(rows[:_SHOWN])}{more}"


def check_secrets(people: Sequence[Person]) -> None:
    """Check every password, digest and identity.

    :raises InvalidSource: naming every row that cannot be right; no value is shown.
    """
    problems = Problems()
    for person in people:
        try:
            _password(person)
            _identities(person)
        except InvalidInput as error:
            # Columns that have slipped may put a digest where the algorithm is told.
            problems.add(f"row {person.row}", without_value(error, person.secrets.get("password_algorithm")))
    problems.refuse()


def _password(person: Person) -> dict[str, str]:
    secrets = person.secrets
    return checked_password(secrets.get("password"), secrets.get("password_digest"), secrets.get("password_algorithm"))


def _identities(person: Person) -> Mapping[str, Mapping[str, Any]]:
    """Target of a social connector -> ``{"userId", "details"}``."""
    given = person.secrets.get("identities") or {}
    hint = 'must be {"google": {"userId": "..."}}'
    if not isinstance(given, Mapping):
        raise InvalidInput("identities", hint)
    for target, identity in given.items():
        known = isinstance(identity, Mapping) and isinstance(identity.get("userId"), str) and identity["userId"]
        if not isinstance(target, str) or not known or set(identity) - {"userId", "details"}:
            raise InvalidInput("identities", hint)
    return given


async def _compare(
    client: LogtoClient, job: ImportJob, people: Sequence[Person], protection: Protection
) -> tuple[list[Change], list[tuple[Change, str]], list[Change]]:
    """Changes to make; rows that cannot be made, and why; rows that are there already."""
    values = {value for person in people for value in identifiers_of(person, job.match_on)}
    state = State({user_id: Known.of(user, None) for user_id, user in (await search_users(client, values)).items()})
    protected = await protected_in(client, state, protection)
    matches = match(people, state, [key for key in job.match_on if key != "external_id"], "")
    changes: list[Change] = []
    failed = [(_change("create", one.key, one.row, one.id), one.reason) for one in matches.conflicts]
    skipped: list[Change] = []
    for person in matches.new:
        if any(person.texts.get(name) for name in ("username", "primaryEmail", "primaryPhone")):
            changes.append(
                _change("create", person.key, person.row, None, {**creation(person), _MARK: import_mark(person)})
            )
            changes += _linked(person, None)
        else:
            failed.append((_change("create", person.key, person.row), "has no username, e-mail or phone"))
    # Where end users can write the mark, it proves nothing.
    proving = not (
        any(IMPORT_KEY in user.custom_data for _, user in matches.found) and await end_users_may_edit(client)
    )
    for person, user in matches.found:
        own = proving and user.custom_data.get(IMPORT_KEY) == import_mark(person)
        if not own and (others := _other_identifiers(person, user)):
            reason = f"the user {user.id}, found by {person.key.partition(':')[0]}, has another {' and '.join(others)}"
            failed.append((_change("create", person.key, person.row, user.id), reason))
            continue
        links = list(_linked(person, user))
        if own or job.if_exists == "update":
            before, after = ({}, {}) if own and job.if_exists != "update" else field_changes(person, user)
            if (after or links) and user.id in protected:
                failed.append((_change("create", person.key, person.row, user.id), protected[user.id]))
                continue
            if after:
                changes.append(_change("update", person.key, person.row, user.id, after, before))
            changes += links
            if not after and not links:
                skipped.append(_change("create", person.key, person.row, user.id))
        elif job.if_exists == "skip":
            skipped.append(_change("create", person.key, person.row, user.id))
        else:
            failed.append((_change("create", person.key, person.row, user.id), f"exists already: {user.id}"))
    return changes, failed, skipped


def import_mark(person: Person) -> dict[str, str]:
    """What says that a user was made from this very row: a key alone may have a new owner by the next import."""
    return {"key": person.key, "digest": digest_of([person.canonical()])[:32]}


def _other_identifiers(person: Person, user: Known) -> list[str]:
    """Identifiers that the user has and the row wants otherwise: a shared phone, a username that has a new owner."""
    wanted = {name: value for name, value in person.texts.items() if name in SEARCHED and value}
    current = {name: user.texts[name] for name in wanted}
    return [
        name
        for name, value in wanted.items()
        if (held := current[name]) and comparable(name, held) != comparable(name, value)
    ]


def _linked(person: Person, user: Known | None) -> Iterator[Change]:
    """Identities that are not there yet, and a suspension."""
    for target, identity in _identities(person).items():
        held = user.identities.get(target) if user else None
        if held is None or held.get("userId") != identity["userId"]:
            yield Change(
                kind="identity",
                action="add",
                key=person.key,
                id=user.id if user else None,
                target=target,
                row=person.row,
            )
    if person.suspended and user is not None and not user.suspended:
        yield _change("suspend", person.key, person.row, user.id)


def _change(
    action: str,
    key: str,
    row: int | None,
    user_id: str | None = None,
    after: dict[str, Any] | None = None,
    before: dict[str, Any] | None = None,
) -> Change:
    return Change(kind="user", action=action, key=key, id=user_id, before=before or {}, after=after or {}, row=row)


class _Importer:
    """Writes people with their passwords, then their identities."""

    def __init__(self, client: LogtoClient, people: Sequence[Person]) -> None:
        self._client = client
        self._people = {person.key: person for person in people}
        self._created: dict[str, str] = {}

    def operations(self) -> dict[tuple[str, str], Operation]:
        return {
            ("user", "create"): Operation(0, self._one(self._create)),
            ("user", "update"): Operation(0, self._one(self._update)),
            ("identity", "add"): Operation(1, self._one(self._link)),
            ("user", "suspend"): Operation(1, self._one(self._suspend)),
        }

    @staticmethod
    def _one(write: Any) -> Write:
        async def batch(changes: Sequence[Change]) -> Sequence[Outcome]:
            return [await write(change) for change in changes]

        return batch

    async def _create(self, change: Change) -> Outcome:
        body = {**creation_body(change.after), **_password(self._people[change.key])}
        try:
            reply = await self._client.send("POST", "/users", body=body)
            user_id, request_id = checked("POST /api/users", reply.data, IDENTIFIED)["id"], reply.request_id
        except OutcomeUnknown:
            found = await self._find(change)
            if found is None:
                # It never took effect: what is asked for again could only be refused.
                reply = await self._client.send("POST", "/users", body=body)
                user_id, request_id = checked("POST /api/users", reply.data, IDENTIFIED)["id"], reply.request_id
            else:
                user_id, request_id = found, None
        self._created[change.key] = user_id
        if self._people[change.key].suspended:
            # At once: were the import to stop in between, they could sign in.
            await self._suspend(change)
        return Outcome(id=user_id, request_id=request_id)

    async def _find(self, change: Change) -> str | None:
        names = ("username", "primaryEmail", "primaryPhone")
        values = [(name, comparable(name, change.after[name])) for name in names if change.after.get(name)]
        for user in (await search_users(self._client, values)).values():
            if (user.get("customData") or {}).get(IMPORT_KEY) == change.after[_MARK]:
                return str(user["id"])
            raise Conflict("POST /api/users", 422, "user.already_exists", "somebody else took an identifier meanwhile")
        return None

    async def _update(self, change: Change) -> Outcome:
        return Outcome(request_id=await write_fields(self._client, str(change.id), change.after))

    async def _link(self, change: Change) -> Outcome:
        identity = _identities(self._people[change.key])[str(change.target)]
        path = path_of("/users/{}/identities/{}", self._id(change), str(change.target))
        reply = await self._client.send("PUT", path, body=dict(identity))
        return Outcome(request_id=reply.request_id)

    async def _suspend(self, change: Change) -> Outcome:
        path = path_of("/users/{}/is-suspended", self._id(change))
        reply = await self._client.send("PATCH", path, body={"isSuspended": True})
        return Outcome(request_id=reply.request_id)

    def _id(self, change: Change) -> str:
        return change.id or self._created[change.key]
