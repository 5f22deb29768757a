"""People: what should be true of one, and making it true.

Source: Logto Management API, tag "Users".
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Literal, get_args

from airflow_provider_logto.client.client import LogtoClient, path_of
from airflow_provider_logto.exceptions import AlreadyExists, Ambiguous, Conflict, InvalidInput, OutcomeUnknown
from airflow_provider_logto.management.references import Reference, find_users
from airflow_provider_logto.management.user_fields import FIELD, IDENTIFIERS, User, UserSpec, merged_profile

__all__ = ["IF_EXISTS", "IfExists", "User", "UserSpec", "ensure_user", "update_user"]

IfExists = Literal["fail", "skip", "update"]
IF_EXISTS: tuple[IfExists, ...] = get_args(IfExists)

_IN_USE = frozenset({"user.username_already_in_use", "user.email_already_in_use", "user.phone_already_in_use"})
#: Seconds that clocks may disagree by after correction: the server's ``Date`` has a resolution of one.
_CLOCK_SLACK = 2.0


async def ensure_user(
    client: LogtoClient,
    spec: UserSpec,
    password: Mapping[str, str] | None = None,
    if_exists: IfExists = "fail",
    own_since: float | None = None,
) -> dict[str, Any]:
    """Make sure that a person exists.

    :param spec: who, and as what.
    :param password: as ``passwords.checked_password`` returns it; sent when the user is created, never later.
    :param if_exists: what to do with one who exists already: ``fail``, ``skip`` (leave alone) or ``update``.
    :param own_since: epoch seconds by the local clock; a user created since then with the same fields is an earlier
        try's own work and counts as created, whatever ``if_exists`` says.
    :returns: ``{"id", "outcome": "created" | "updated" | "unchanged", "changed": [...], "username", "primaryEmail",
        "primaryPhone"}``.
    :raises Ambiguous: where the identifiers given belong to different people.
    :raises AlreadyExists: where the person exists and ``if_exists`` is ``fail``.
    """
    if if_exists not in IF_EXISTS:
        raise InvalidInput("if_exists", f"{if_exists!r} is unknown; use one of {', '.join(IF_EXISTS)}")
    existing = await _find(client, spec)
    started = time.time()
    if existing is None:
        created, user = await _create(client, spec, password or {})
        if created:
            return _result(user, "created")
        # Somebody made the user meanwhile: an own try whose answer was lost, or a stranger.
        existing, own_since = user, min(own_since or started, started)
    return await _settle(client, existing, spec, if_exists, own_since)


async def _create(client: LogtoClient, spec: UserSpec, password: Mapping[str, str]) -> tuple[bool, User]:
    """Create the user, or find the one who turned up meanwhile -> (created here for certain, user)."""
    for last in (False, False, True):
        try:
            return True, await client.request("POST", "/users", body={**spec.body(), **password})
        except OutcomeUnknown as error:
            failure: Exception = error
            hopeless = last
        except Conflict as error:
            # Where the search below finds nobody, an identifier is taken in another form: a username in another case.
            failure = error
            hopeless = True
            if error.code not in _IN_USE:
                raise
        if (user := await _find(client, spec)) is not None:
            return False, user
        if hopeless:
            raise failure
    raise RuntimeError("unreachable: the last try returns or raises")


async def _settle(
    client: LogtoClient, user: User, spec: UserSpec, if_exists: IfExists, own_since: float | None
) -> dict[str, Any]:
    differing = spec.differences(user)
    if own_since is not None and not differing and await _created_since(client, user, own_since):
        return _result(user, "created")
    if if_exists == "fail":
        raise AlreadyExists(
            f"the user {user['id']} has one of these identifiers already",
            hint='if_exists="skip" leaves it alone, if_exists="update" brings its fields in line',
        )
    if if_exists == "skip" or not differing:
        return _result(user, "unchanged")
    return _result(await update_user(client, user, spec, differing), "updated", differing)


async def update_user(client: LogtoClient, user: User, spec: UserSpec, differing: list[str]) -> User:
    """Bring some fields of a user in line; nothing is sent for none.

    :param user: as they are.
    :param differing: what to change, by argument: see :meth:`UserSpec.differences`.
    :returns: the user as they are then; of merged fields, as they were before.
    """
    path = path_of("/users/{}", user["id"])
    basic = {FIELD[one].name: spec.value(FIELD[one]) for one in differing if FIELD[one].kind != "merged"}
    if basic:
        user = {**user, **await client.request("PATCH", path, body=basic)}
    # The two endpoints below merge on the server, so that a concurrent change of another key survives.
    if "custom_data" in differing:
        await client.request("PATCH", f"{path}/custom-data", body={"customData": spec.custom_data})
    if "profile" in differing:
        wanted = merged_profile(user.get("profile") or {}, spec.profile or {})
        await client.request("PATCH", f"{path}/profile", body={"profile": wanted})
    return user


async def _find(client: LogtoClient, spec: UserSpec) -> User | None:
    """One exact search over every identifier given."""
    given = spec.identifiers()
    references = [Reference.parse({name: value}, name) for name, value in given.items()]
    found = {user["id"]: user for user in await find_users(client, references) if user is not None}
    if len(found) > 1:
        raise Ambiguous(
            f"{' and '.join(given)} belong to different users ({', '.join(sorted(found))}); correct the identifiers"
        )
    return next(iter(found.values()), None)


async def _created_since(client: LogtoClient, user: User, since: float) -> bool:
    skew = await client.server_time() - time.time()
    return bool(user["createdAt"] / 1000 >= since + skew - _CLOCK_SLACK)


def _result(user: User, outcome: str, changed: list[str] | None = None) -> dict[str, Any]:
    identifiers = {field.name: user.get(field.name) for field in IDENTIFIERS}
    return {"id": user["id"], "outcome": outcome, "changed": changed or [], **identifiers}
