"""People: what should be true of one, and making it true.

Source: Logto Management API, tag "Users".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal, get_args

from airflow_provider_logto.client.client import LogtoClient, path_of
from airflow_provider_logto.exceptions import AlreadyExists, Ambiguous, Conflict, InvalidInput, OutcomeUnknown
from airflow_provider_logto.management.answers import USER, checked
from airflow_provider_logto.management.fields import switch
from airflow_provider_logto.management.json_values import differing_values
from airflow_provider_logto.management.marks import Mark, refuse_forgeable
from airflow_provider_logto.management.own_creation import OwnCreation
from airflow_provider_logto.management.references import Reference, search_users
from airflow_provider_logto.management.user_fields import FIELD, IDENTIFIERS, User, UserSpec, merged_profile

__all__ = [
    "IF_EXISTS",
    "MATCH_ON",
    "IfExists",
    "MatchOn",
    "OwnCreation",
    "User",
    "UserSpec",
    "ensure_user",
    "update_user",
]

IfExists = Literal["fail", "skip", "update"]
IF_EXISTS: tuple[IfExists, ...] = get_args(IfExists)

#: Which identifier says who a person is.
MatchOn = Literal["username", "primary_email", "primary_phone"]
MATCH_ON: tuple[MatchOn, ...] = get_args(MatchOn)

_IN_USE = frozenset({"user.username_already_in_use", "user.email_already_in_use", "user.phone_already_in_use"})
_CREATE_TRIES = 3
#: What came of a ``POST``: an answer may be lost although the user was created.
_Answer = Literal["created", "lost", "in use"]
_NOTHING_KNOWN = OwnCreation()


async def ensure_user(
    client: LogtoClient,
    spec: UserSpec,
    password: Mapping[str, str] | None = None,
    if_exists: IfExists = "fail",
    *,
    match_on: MatchOn | None = None,
    allow_identifier_change: bool = False,
    external_id: str | None = None,
    own: OwnCreation = _NOTHING_KNOWN,
) -> dict[str, Any]:
    """Make sure that a person exists.

    :param spec: who, and as what.
    :param password: as ``passwords.checked_password`` returns it; sent when the user is created, never later.
    :param if_exists: what to do with one who exists already: ``fail``, ``skip`` (leave alone) or ``update``.
    :param match_on: which identifier says who the person is; by default the first given of username, primary_email,
        primary_phone.
    :param allow_identifier_change: let an update overwrite another identifier that the person found has already.
    :param external_id: the person's key at HR. It goes into the mark of whom this creates, by the same request;
        somebody who exists is this person only if their mark has it.
    :param own: how this task knows a person that it created itself; they count as created, whatever ``if_exists`` says.
    :returns: ``{"id", "outcome": "created" | "updated" | "unchanged", "changed": [...], "username", "primaryEmail",
        "primaryPhone"}``.
    :raises InvalidInput: before any request.
    :raises Ambiguous: where another identifier belongs to somebody else.
    :raises AlreadyExists: where the person exists and ``if_exists`` is ``fail``, or has another identifier already, or
        no mark with the external id.
    :raises Refused: where the external id must be looked up, but end users may forge marks.
    """
    allow_identifier_change = switch("allow_identifier_change", allow_identifier_change)
    if if_exists not in IF_EXISTS:
        raise InvalidInput("if_exists", f"{if_exists!r} is unknown; use one of {', '.join(IF_EXISTS)}")
    key = _key(spec, match_on)
    secret = password or {}
    user = await _find(client, spec, key, case_sensitive=True)
    answer: _Answer | None = None
    if user is None:
        note = await own.note(client, spec)
        user, answer = await _create(client, _marked(spec, external_id), key, secret)
        if answer == "in use":
            await own.withdraw(note)
    theirs = external_id is None or Mark.of(user).external_id == external_id
    if answer == "created" or (theirs and await own.proven(client, spec, user, secret, lost=answer == "lost")):
        return _result(user, "created")
    if external_id is not None:
        await _refuse_without_mark(client, user, key, external_id)
    if if_exists == "fail":
        raise AlreadyExists(
            f"the user {user['id']} has this {key} already",
            'if_exists="skip" leaves such a person alone, if_exists="update" brings their fields in line',
        )
    _refuse_other_identifiers(spec, user, key, allow_identifier_change)
    differing = spec.differences(user)
    if if_exists == "skip" or not differing:
        return _result(user, "unchanged")
    return _result(await update_user(client, user, spec, differing), "updated", differing)


def _marked(spec: UserSpec, external_id: str | None) -> UserSpec:
    if external_id is None:
        return spec
    return replace(spec, custom_data={**(spec.custom_data or {}), **Mark(external_id=external_id).custom_data()})


async def _refuse_without_mark(client: LogtoClient, user: User, key: str, external_id: str) -> None:
    """Having the same e-mail proves nothing: somebody may have signed up with it in advance."""
    await refuse_forgeable(client)
    found = Mark.of(user).external_id
    if found != external_id:
        raise AlreadyExists(
            f"the user {user['id']} has this {key}, but {f'the external id {found}' if found else 'no external id'} in "
            f"the mark, not {external_id}: somebody else, or an account that nobody has taken over yet",
            'correct the identifiers, or let a roster with adopt="matched" take the account over first',
        )


def _key(spec: UserSpec, match_on: Any) -> str:
    """The identifier that says who the person is."""
    given = spec.identifiers()
    if match_on is None or match_on == "":
        return next(iter(given))
    if match_on not in MATCH_ON:
        raise InvalidInput("match_on", f"{match_on!r} is unknown; use one of {', '.join(MATCH_ON)}")
    if match_on not in given:
        raise InvalidInput("match_on", f"says {match_on}, which is not given")
    return str(match_on)


async def _find(client: LogtoClient, spec: UserSpec, key: str, *, case_sensitive: bool) -> User | None:
    """Who has the key, by one search over every identifier given.

    :raises Ambiguous: where another identifier belongs to somebody else.
    """
    given = spec.identifiers()
    references = [Reference.parse({name: value}, name) for name, value in given.items()]
    found = dict(zip(given, await search_users(client, references, case_sensitive=case_sensitive), strict=True))
    person = found[key]
    others = {name: user["id"] for name, user in found.items() if user and user != person}
    if others:
        shown = ", ".join(f"{name} of the user {user_id}" for name, user_id in others.items())
        raise Ambiguous(
            f"{key} is that of {'the user ' + person['id'] if person else 'nobody'}, but {shown}; "
            "correct the identifiers, or set match_on to the one that counts"
        )
    return person


async def _create(client: LogtoClient, spec: UserSpec, key: str, password: Mapping[str, str]) -> tuple[User, _Answer]:
    """Create the user -> (the one created, or else the one who turned up, what the server said)."""
    answer: _Answer = "in use"
    for _ in range(_CREATE_TRIES):
        try:
            user = await client.request("POST", "/users", body={**spec.body(), **password})
            return checked("POST /api/users", user, USER), "created"
        except OutcomeUnknown as error:
            failure: Exception = error
            answer = "lost"
        except Conflict as error:
            if error.code not in _IN_USE:
                raise
            failure = error
        # The server compares e-mails without case.
        if (user := await _find(client, spec, key, case_sensitive=False)) is not None:
            return user, answer
        # In use, but not to be found: a username in another case.
        if isinstance(failure, Conflict):
            break
    raise failure


def _refuse_other_identifiers(spec: UserSpec, user: User, key: str, allowed: bool) -> None:
    """A person who has another username, e-mail or phone may be somebody else: a shared phone, a reused username."""
    others = [
        field.argument
        for field in IDENTIFIERS
        if (wanted := spec.value(field)) is not None
        and user.get(field.name)
        and not field.holds(user[field.name], wanted)
    ]
    if others and not allowed:
        raise AlreadyExists(
            f"the user {user['id']}, found by {key}, has another {' and '.join(others)}",
            "correct the identifiers, or allow_identifier_change=True overwrites them",
        )


async def update_user(client: LogtoClient, user: User, spec: UserSpec, differing: list[str]) -> User:
    """Bring some fields of a user in line; nothing is sent for none.

    :param user: as they are.
    :param differing: what to change, by argument: see :meth:`UserSpec.differences`.
    :raises Ambiguous: where a new identifier belongs to somebody else.
    :returns: the user as they are then; of merged fields, as they were before.
    """
    path = path_of("/users/{}", user["id"])
    basic = {FIELD[one].name: spec.value(FIELD[one]) for one in differing if FIELD[one].kind != "merged"}
    if basic:
        try:
            changed = await client.request("PATCH", path, body=basic)
        except Conflict as error:
            if error.code not in _IN_USE:
                raise
            raise Ambiguous(f"an identifier of the user {user['id']} belongs to somebody else: {error}") from error
        user = {**user, **checked(f"PATCH /api{path}", changed, USER)}
    # The two endpoints below merge on the server, so that a concurrent change of another key survives.
    if "custom_data" in differing:
        await client.request("PATCH", f"{path}/custom-data", body={"customData": spec.custom_data})
    if "profile" in differing:
        current = user.get("profile") or {}
        if claims := differing_values(current, merged_profile(current, spec.profile or {})):
            await client.request("PATCH", f"{path}/profile", body={"profile": claims})
    return user


def _result(user: User, outcome: str, changed: list[str] | None = None) -> dict[str, Any]:
    identifiers = {field.name: user.get(field.name) for field in IDENTIFIERS}
    return {"id": user["id"], "outcome": outcome, "changed": changed or [], **identifiers}
