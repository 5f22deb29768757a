"""People: what should be true of one, and making it true.

Source: Logto Management API, tag "Users".
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from airflow_provider_logto.client.client import LogtoClient, path_of
from airflow_provider_logto.exceptions import Ambiguous, Conflict, InvalidInput, OutcomeUnknown
from airflow_provider_logto.management import fields
from airflow_provider_logto.management.references import Reference, User, find_users

IfExists = Literal["fail", "skip", "update"]

#: Argument -> field of the user, in the order in which changes are reported.
_IDENTIFIERS = {"username": "username", "primary_email": "primaryEmail", "primary_phone": "primaryPhone"}
_BASIC = {**_IDENTIFIERS, "name": "name", "avatar": "avatar"}
_MERGED = {"custom_data": "customData", "profile": "profile"}

_IN_USE = frozenset({"user.username_already_in_use", "user.email_already_in_use", "user.phone_already_in_use"})
#: Seconds that clocks may disagree by after correction: the server's ``Date`` has a resolution of one.
_CLOCK_SLACK = 2.0


@dataclass(frozen=True)
class UserSpec:
    """A person as they should be. None means "leave it alone".

    Make one with :meth:`checked`.
    """

    username: str | None = None
    primary_email: str | None = None
    primary_phone: str | None = None
    name: str | None = None
    avatar: str | None = None
    custom_data: Mapping[str, Any] | None = None
    profile: Mapping[str, Any] | None = None

    @classmethod
    def checked(cls, **given: Any) -> UserSpec:
        """Check and normalize: e-mails in lower case, phones as digits, empty means absent.

        :raises InvalidInput: naming the field and what would be right.
        """
        spec = cls(
            username=fields.username("username", given.get("username")),
            primary_email=fields.email("primary_email", given.get("primary_email")),
            primary_phone=fields.phone("primary_phone", given.get("primary_phone")),
            name=fields.text("name", given.get("name")),
            avatar=fields.avatar("avatar", given.get("avatar")),
            custom_data=fields.json_object("custom_data", given.get("custom_data")),
            profile=fields.profile("profile", given.get("profile")),
        )
        if not any(getattr(spec, name) for name in _IDENTIFIERS):
            raise InvalidInput("username", "missing: give at least one of username, primary_email, primary_phone")
        return spec

    def body(self) -> dict[str, Any]:
        """The request body of ``POST /api/users``."""
        named = {field: getattr(self, name) for name, field in {**_BASIC, **_MERGED}.items()}
        return {field: value for field, value in named.items() if value is not None}

    def differences(self, user: User) -> list[str]:
        """Which fields of the user are not as they should be (argument names)."""
        return [name for name, field in {**_BASIC, **_MERGED}.items() if not self._agrees(name, user.get(field))]

    def _agrees(self, name: str, current: Any) -> bool:
        wanted = getattr(self, name)
        if wanted is None:
            return True
        if name == "primary_phone":
            return current in fields.phone_variants(wanted)
        if name == "primary_email":
            return isinstance(current, str) and current.lower() == wanted
        if name in _MERGED:
            return isinstance(current, Mapping) and _merged(current, wanted, deep=name == "profile") == current
        return bool(current == wanted)


def checked_password(password: Any, digest: Any, algorithm: Any) -> dict[str, str]:
    """The password part of ``POST /api/users``.

    :raises InvalidInput: for both password and digest, a digest without algorithm, an unknown algorithm.
    """
    secret = fields.text("password", password, 4096)
    hashed = fields.text("password_digest", digest, 256)
    method = fields.text("password_algorithm", algorithm)
    if secret and hashed:
        raise InvalidInput("password", "give either password or password_digest, not both")
    if hashed and not method:
        raise InvalidInput("password_algorithm", f"missing; one of {', '.join(fields.PASSWORD_ALGORITHMS)}")
    if method and not hashed:
        raise InvalidInput("password_digest", "missing; password_algorithm goes with a digest only")
    if method and method not in fields.PASSWORD_ALGORITHMS:
        raise InvalidInput(
            "password_algorithm", f"{method!r} is unknown; one of {', '.join(fields.PASSWORD_ALGORITHMS)}"
        )
    if secret:
        return {"password": secret}
    return {"passwordDigest": hashed, "passwordAlgorithm": method} if hashed and method else {}


async def ensure_user(
    client: LogtoClient,
    spec: UserSpec,
    password: Mapping[str, str] | None = None,
    if_exists: IfExists = "fail",
    own_since: float | None = None,
) -> dict[str, Any]:
    """Make sure that a person exists.

    :param spec: who, and as what.
    :param password: as :func:`checked_password` returns it; sent when the user is created, never later.
    :param if_exists: what to do with one who exists already: ``fail``, ``skip`` (leave alone) or ``update``.
    :param own_since: epoch seconds by the local clock; a user created since then with the same fields is an earlier
        try's own work and counts as created, whatever ``if_exists`` says.
    :returns: ``{"id", "outcome": "created" | "updated" | "unchanged", "changed": [...], "username", "primaryEmail",
        "primaryPhone"}``.
    :raises Ambiguous: where the identifiers given belong to different people.
    :raises Conflict: where the person exists and ``if_exists`` is ``fail``.
    """
    if if_exists not in ("fail", "skip", "update"):
        raise InvalidInput("if_exists", f"{if_exists!r} is unknown; use fail, skip or update")
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
        raise Conflict(
            "POST /api/users",
            422,
            "user.already_exists",
            f"the user {user['id']} has one of these identifiers already",
            hint='if_exists="skip" leaves it alone, if_exists="update" brings its fields in line',
        )
    if if_exists == "skip" or not differing:
        return _result(user, "unchanged")
    return _result(await _update(client, user, spec, differing), "updated", differing)


async def _update(client: LogtoClient, user: User, spec: UserSpec, differing: list[str]) -> User:
    path = path_of("/users/{}", user["id"])
    basic = {_BASIC[name]: getattr(spec, name) for name in differing if name in _BASIC}
    if basic:
        user = {**user, **await client.request("PATCH", path, body=basic)}
    # The two endpoints below merge on the server, so that a concurrent change of another key survives.
    if "custom_data" in differing:
        await client.request("PATCH", f"{path}/custom-data", body={"customData": spec.custom_data})
    if "profile" in differing:
        wanted = _merged(user.get("profile") or {}, spec.profile or {}, deep=True)
        await client.request("PATCH", f"{path}/profile", body={"profile": wanted})
    return user


async def _find(client: LogtoClient, spec: UserSpec) -> User | None:
    """One exact search over every identifier given."""
    given = {name: getattr(spec, name) for name in _IDENTIFIERS if getattr(spec, name)}
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


def _merged(current: Mapping[str, Any], wanted: Mapping[str, Any], deep: bool) -> dict[str, Any]:
    """What the server's shallow merge would make of it; ``deep`` keeps the other parts of an address."""
    result = {**current, **wanted}
    if deep and isinstance(current.get("address"), Mapping) and isinstance(wanted.get("address"), Mapping):
        result["address"] = {**current["address"], **wanted["address"]}
    return result


def _result(user: User, outcome: str, changed: list[str] | None = None) -> dict[str, Any]:
    identifiers = {field: user.get(field) for field in _IDENTIFIERS.values()}
    return {"id": user["id"], "outcome": outcome, "changed": changed or [], **identifiers}
