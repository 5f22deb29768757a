"""A reference to a user -> the user.

A bare text is an id, an e-mail, a username or a phone number, and is looked up as all four at once: an end user may
choose a username that looks like someone else's id, so more than one match is an error, never a choice. A mapping is
explicit (``{"username": ...}``); one with an ``id``, such as CreateUserOperator returns, means that id alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from airflow_provider_logto.client.client import LogtoClient
from airflow_provider_logto.exceptions import Ambiguous, InvalidInput
from airflow_provider_logto.management import fields, search
from airflow_provider_logto.management.user_fields import User

_KEYS = {
    "id": "id",
    "username": "username",
    "primary_email": "primaryEmail",
    "primaryEmail": "primaryEmail",
    "email": "primaryEmail",
    "primary_phone": "primaryPhone",
    "primaryPhone": "primaryPhone",
    "phone": "primaryPhone",
}
#: What else CreateUserOperator returns; not part of a reference.
_RESULT_KEYS = frozenset({"outcome", "changed"})


@dataclass(frozen=True)
class Reference:
    """A parsed reference: for each searchable field the values that may be meant by it.

    :param field: where it was given, e.g. ``users[3]``.
    :param given: how it was given, for messages.
    :param wanted: field of the user -> accepted values.
    :param joint: whether one of the fields must match (a bare text) or all of them (a mapping).
    """

    field: str
    given: str
    wanted: Mapping[str, tuple[str, ...]]
    joint: str

    @classmethod
    def parse(cls, value: Any, field: str = "user") -> Reference:
        """
        :raises InvalidInput: where the value is no reference.
        """
        if isinstance(value, Reference):
            return value
        if isinstance(value, str) and (text := fields.identifier(field, value)):
            return cls(field, text, _guess(text), "or")
        if isinstance(value, Mapping):
            wanted = _explicit(field, value)
            shown = ", ".join(f"{name}={values[0]}" for name, values in wanted.items())
            return cls(field, shown, wanted, "and")
        raise InvalidInput(field, f'must be an id, e-mail, username or phone, or {{"username": ...}}; got {value!r}')

    def matches(self, user: User) -> bool:
        """Whether this reference means that user."""
        results = [_comparable(name, user.get(name)) in values for name, values in self.wanted.items()]
        return any(results) if self.joint == "or" else all(results)


async def find_user(client: LogtoClient, reference: Any, field: str = "user") -> User | None:
    """The user meant by a reference, or None.

    :raises Ambiguous: where more than one is meant.
    """
    (user,) = await find_users(client, [Reference.parse(reference, field)])
    return user


async def find_users(client: LogtoClient, references: Sequence[Reference]) -> list[User | None]:
    """Look many references up with few searches; the result is in their order.

    :raises Ambiguous: where one means more than one user.
    """
    found: dict[str, User] = {}
    for batch in search.batches(references, lambda reference: reference.wanted):
        values: dict[str, dict[str, None]] = {}
        for reference in batch:
            for name, accepted in reference.wanted.items():
                values.setdefault(name, {}).update(dict.fromkeys(accepted))
        terms = [search.term(name, *accepted) for name, accepted in values.items()]
        async for user in client.iterate("/users", search.query(terms)):
            found[user["id"]] = user
    index = _Index(found.values())
    return [index.only(reference) for reference in references]


async def resolve_users(client: LogtoClient, references: Any, field: str = "users") -> list[User]:
    """Every user meant by a list of references, each once, in order.

    :raises InvalidInput: where a reference means nobody.
    :raises Ambiguous: where one means more than one.
    """
    parsed = [Reference.parse(value, f"{field}[{at}]") for at, value in enumerate(listed(field, references))]
    users: dict[str, User] = {}
    for reference, user in zip(parsed, await find_users(client, parsed), strict=True):
        if user is None:
            raise InvalidInput(reference.field, f"no user {reference.given} in Logto; create it first")
        users[user["id"]] = user
    return list(users.values())


def listed(field: str, value: Any) -> list[Any]:
    """One or many -> a list (any sequence will do, such as the output of a mapped task).

    :raises InvalidInput: where it is no list.
    """
    if isinstance(value, str | Mapping):
        value = [value]
    if not isinstance(value, Iterable):
        raise InvalidInput(field, f"must be a list, not {type(value).__name__}")
    # As one slice: the output of a mapped task fetches its items one by one, and a slice of it all at once.
    return list(value[:] if isinstance(value, Sequence) else value)


class _Index:
    """Users by every value they can be referred to by, so that a lookup does not walk all of them."""

    def __init__(self, users: Iterable[User]) -> None:
        self._by_value: dict[tuple[str, str], list[User]] = {}
        for user in users:
            for name in search.USER_FIELDS:
                key = _comparable(name, user.get(name))
                if key is not None:
                    self._by_value.setdefault((name, key), []).append(user)

    def only(self, reference: Reference) -> User | None:
        candidates = {
            user["id"]: user
            for name, accepted in reference.wanted.items()
            for value in accepted
            for user in self._by_value.get((name, value), ())
        }
        matching = [user for user in candidates.values() if reference.matches(user)]
        if len(matching) > 1:
            ids = ", ".join(sorted(user["id"] for user in matching))
            raise Ambiguous(
                f'{reference.field}: {reference.given} means more than one user ({ids}); say which, e.g. {{"id": ...}}'
            )
        return matching[0] if matching else None


def _guess(value: str) -> dict[str, tuple[str, ...]]:
    wanted: dict[str, tuple[str, ...]] = {"username": (value,), "primaryEmail": (value.lower(),)}
    if re.fullmatch(r"[A-Za-z0-9_-]{1,21}", value):
        wanted["id"] = (value,)
    digits = re.sub(r"[\s().-]", "", value).removeprefix("+")
    if digits.isascii() and digits.isdigit():
        wanted["primaryPhone"] = fields.phone_variants(digits)
    return wanted


def _explicit(field: str, value: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    unknown = sorted(set(value) - set(_KEYS) - _RESULT_KEYS)
    if unknown:
        raise InvalidInput(
            f"{field}.{unknown[0]}", "is no part of a reference; use id, username, primaryEmail, primaryPhone"
        )
    given = {name: value[key] for key, name in _KEYS.items() if value.get(key) not in (None, "")}
    if "id" in given:
        return {"id": (str(given["id"]),)}
    if not given:
        raise InvalidInput(field, "names nobody; give id, username, primaryEmail or primaryPhone")
    wanted: dict[str, tuple[str, ...]] = {}
    for name, raw in given.items():
        if name == "primaryEmail":
            wanted[name] = (fields.email(f"{field}.{name}", raw) or "",)
        elif name == "primaryPhone":
            # As Logto shows it: digits without +.
            number = f"+{raw}" if isinstance(raw, str) and raw.isdigit() else raw
            wanted[name] = fields.phone_variants(fields.phone(f"{field}.{name}", number) or "")
        else:
            wanted[name] = (fields.identifier(f"{field}.{name}", raw) or "",)
    return wanted


def _comparable(name: str, value: Any) -> str | None:
    if not isinstance(value, str):
        return None
    return value.lower() if name == "primaryEmail" else value
