"""A reference to a user -> the user.

A bare text is an id, an e-mail, a username or a phone number, and is looked up as all four at once: an end user may
choose a username that looks like someone else's id, so more than one match is an error, never a choice. A mapping is
explicit (``{"username": ...}``); one with an ``id``, such as CreateUserOperator returns, means that id alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from airflow_provider_logto.client.client import LogtoClient
from airflow_provider_logto.exceptions import Ambiguous, InvalidInput
from airflow_provider_logto.management import fields, phone_numbers, search
from airflow_provider_logto.management.answers import USER, objects
from airflow_provider_logto.management.json_values import refuse_rendered, wrong_type
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
OnMissing = Literal["fail", "skip"]
ON_MISSING: tuple[OnMissing, ...] = get_args(OnMissing)
#: References named in one error beside the first.
_SHOWN = 20
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
        refuse_rendered(field, value)
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

    Exact case comes first: it uses the server's indexes. Who is not found by it is looked for once more ignoring the
    case of e-mails, which the server stores as somebody typed them.

    :raises Ambiguous: where one means more than one user.
    """
    found = await search_users(client, references, case_sensitive=True)
    again = [at for at, user in enumerate(found) if user is None and "primaryEmail" in references[at].wanted]
    if again:
        others = await search_users(client, [references[at] for at in again], case_sensitive=False)
        for at, user in zip(again, others, strict=True):
            found[at] = user
    return found


async def search_users(
    client: LogtoClient, references: Sequence[Reference], *, case_sensitive: bool
) -> list[User | None]:
    """One look for each reference, by one way of comparing.

    :param case_sensitive: False ignores the case of e-mails; nothing else is ever compared without case.
    :raises Ambiguous: where one means more than one user.
    """

    found: dict[str, User] = {}
    for batch in search.batches(references, lambda reference: reference.wanted):
        values: dict[str, dict[str, None]] = {}
        for reference in batch:
            for name, accepted in reference.wanted.items():
                values.setdefault(name, {}).update(dict.fromkeys(accepted))
        terms = [search.term(name, *accepted) for name, accepted in values.items()]
        async for user in objects(client, "/users", search.query(terms, case_sensitive=case_sensitive), USER):
            found[user["id"]] = user
    index = _Index(found.values())
    return [index.only(reference) for reference in references]


async def resolve_users(
    client: LogtoClient, references: Any, field: str = "users", on_missing: OnMissing = "fail"
) -> tuple[list[User], list[str]]:
    """Every user meant by a list of references.

    :param on_missing: what to do where a reference means nobody: ``fail``, or ``skip``.
    :returns: the users, each once, in order; and the references that mean nobody, as they were given.
    :raises InvalidInput: with ``fail``, naming up to 21 references that mean nobody.
    :raises Ambiguous: where one means more than one.
    """
    check_on_missing(on_missing)
    parsed = [Reference.parse(value, f"{field}[{at}]") for at, value in enumerate(listed(field, references))]
    found = await find_users(client, parsed)
    missing = [reference for reference, user in zip(parsed, found, strict=True) if user is None]
    if missing and on_missing == "fail":
        raise nobody(missing)
    return list({user["id"]: user for user in found if user is not None}.values()), [one.given for one in missing]


def check_on_missing(value: Any) -> None:
    """
    :raises InvalidInput: for an unknown choice.
    """
    if value not in ON_MISSING:
        raise InvalidInput("on_missing", f"{value!r} is unknown; use one of {', '.join(ON_MISSING)}")


def nobody(references: Sequence[Reference]) -> InvalidInput:
    """The error for references that mean nobody; it names up to 21 of them."""
    first, *others = references
    also = "".join(f", none for {one.field} ({one.given})" for one in others[:_SHOWN])
    more = f" and {len(others) - _SHOWN} more" if len(others) > _SHOWN else ""
    return InvalidInput(
        first.field,
        f'no user {first.given} in Logto{also}{more}; create them first, or set on_missing="skip"',
    )


def listed(field: str, value: Any) -> list[Any]:
    """One or many -> a list (any sequence will do, such as the output of a mapped task).

    :raises InvalidInput: where it is no list, but perhaps the text of one.
    """
    if isinstance(value, str) and value.lstrip().startswith("[") and value.rstrip().endswith("]"):
        raise InvalidInput(field, wrong_type("a list", value))
    if isinstance(value, str | Mapping):
        value = [value]
    if not isinstance(value, Iterable):
        raise InvalidInput(field, wrong_type("a list", value))
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
    wanted: dict[str, tuple[str, ...]] = {"username": (value,)}
    if "@" in value:
        wanted["primaryEmail"] = (value.lower(),)
    if re.fullmatch(r"[A-Za-z0-9_-]{1,21}", value):
        wanted["id"] = (value,)
    digits = re.sub(r"[\s().-]", "", value).removeprefix("+")
    if digits.isascii() and digits.isdigit():
        wanted["primaryPhone"] = phone_numbers.variants(digits)
    return wanted


def _explicit(field: str, value: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    # An id decides; the rest of a user, or of a row of a table, only describes.
    if user_id := fields.identifier(f"{field}.id", _as_text(value.get("id"))):
        return {"id": (user_id,)}
    unknown = sorted(str(key) for key in set(value) - set(_KEYS) - _RESULT_KEYS)
    if unknown:
        raise InvalidInput(
            f"{field}.{unknown[0]}", "is no part of a reference; use id, username, primaryEmail, primaryPhone"
        )
    given = {name: value[key] for key, name in _KEYS.items() if value.get(key) not in (None, "")}
    if not given:
        raise InvalidInput(field, "names nobody; give id, username, primaryEmail or primaryPhone")
    wanted: dict[str, tuple[str, ...]] = {}
    for name, raw in given.items():
        if name == "primaryEmail":
            wanted[name] = (fields.email(f"{field}.{name}", raw) or "",)
        elif name == "primaryPhone":
            # As Logto shows it: digits without +.
            shown = isinstance(raw, str) and raw.isdigit()
            number = fields.phone(f"{field}.{name}", f"+{raw}" if shown else raw)
            wanted[name] = phone_numbers.variants(raw if shown else number or "")
        else:
            wanted[name] = (fields.identifier(f"{field}.{name}", raw) or "",)
    return wanted


def _as_text(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _comparable(name: str, value: Any) -> str | None:
    if not isinstance(value, str):
        return None
    return value.lower() if name == "primaryEmail" else value
