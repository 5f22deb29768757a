"""Who may never be suspended, deleted or lose access through this package.

An entry is a text (an id, username, e-mail or phone number, or a pattern with ``*`` over them), or an object with one
of ``id``, ``username``, ``email``, ``phone``, ``pattern`` and ``role``; ``{"role": name}`` protects everybody who holds
the role. A Connection's extra ``protect`` holds entries too, and DAGs can only add to them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import translate
from functools import lru_cache
from typing import Any

from airflow_provider_logto.client.client import LogtoClient, path_of
from airflow_provider_logto.exceptions import InvalidInput
from airflow_provider_logto.management import fields, phone_numbers
from airflow_provider_logto.management.answers import IDENTIFIED, objects
from airflow_provider_logto.management.json_values import refuse_rendered
from airflow_provider_logto.management.references import listed
from airflow_provider_logto.management.roles import resolve_roles

_FIELDS = {"id": "id", "username": "username", "email": "primaryEmail", "phone": "primaryPhone"}
_FORMS = 'give an id, username, e-mail or phone (+...), a pattern with *, {"role": ...} or {"pattern": ...}'
#: In no identifier as Logto keeps it: several entries in one text, the text of a list, a phone number with its +.
_IN_NOBODY = re.compile(r"""[\s,;"{}<>()\[\]?]|^'|'$|^\+[^@]*$""")


@dataclass(frozen=True)
class Protection:
    """Entries, parsed.

    :param exact: field of the user -> protected values, in the form of :func:`_comparable`.
    :param patterns: as given, with ``*`` and ``?``; matched without regard to case.
    :param roles: names or ids of roles whose holders are protected.
    """

    exact: Mapping[str, frozenset[str]]
    patterns: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()

    @classmethod
    def checked(cls, *lists: Any, field: str = "protect") -> Protection:
        """Parse lists of entries, together.

        :param lists: each None, one entry, many, or a Protection.
        :raises InvalidInput: naming the entry and what would be right.
        """
        exact: dict[str, set[str]] = {}
        patterns: list[str] = []
        roles: list[str] = []
        for entries in lists:
            if isinstance(entries, Protection):
                patterns += entries.patterns
                roles += entries.roles
                for kind, values in entries.exact.items():
                    exact.setdefault(kind, set()).update(values)
                continue
            for at, entry in enumerate(listed(field, entries) if entries else ()):
                for kind, given in _parsed(f"{field}[{at}]", entry):
                    value = _comparable(kind, given)
                    if kind == "pattern":
                        patterns.append(value)
                    elif kind == "role":
                        roles.append(value)
                    else:
                        exact.setdefault(kind, set()).add(value)
        return cls(
            {name: frozenset(values) for name, values in exact.items()},
            tuple(dict.fromkeys(patterns)),
            tuple(dict.fromkeys(roles)),
        )

    def __bool__(self) -> bool:
        return bool(self.exact or self.patterns or self.roles)

    def reason(self, user: Mapping[str, Any]) -> str | None:
        """Why a user is protected by an identifier or a pattern; None where neither protects them.

        :param user: as the API shows them: ``id``, ``username``, ``primaryEmail``, ``primaryPhone``.
        """
        for name, values in self.exact.items():
            value = user.get(name)
            if isinstance(value, str) and _comparable(name, value) in values:
                return f"protected by {name}"
        for pattern in self.patterns:
            matches = _compiled(pattern).match
            if any(isinstance(user.get(name), str) and matches(user[name]) for name in _FIELDS.values()):
                return f"protected by the pattern {pattern}"
        return None

    async def holders(self, client: LogtoClient) -> dict[str, str]:
        """Everybody who holds a protected role: user id -> name of the role. Costs holders/100 requests.

        :raises InvalidInput: where a role does not exist: a misspelt name must not protect nobody.
        """
        found: dict[str, str] = {}
        for role_id, name in (await resolve_roles(client, self.roles, "protect")).items() if self.roles else ():
            async for user in objects(client, path_of("/roles/{}/users", role_id), None, IDENTIFIED):
                found.setdefault(user["id"], name)
        return found

    async def reasons(self, client: LogtoClient, users: Iterable[Mapping[str, Any]]) -> dict[str, str]:
        """Why each of a few users is protected: user id -> reason; one request a user where roles are protected.

        :raises InvalidInput: where a protected role does not exist.
        """
        roles = await resolve_roles(client, self.roles, "protect") if self.roles else {}
        found: dict[str, str] = {}
        for user in users:
            reason = self.reason(user)
            if reason is None and roles:
                path = path_of("/users/{}/roles", user["id"])
                held = {role["id"] async for role in objects(client, path, None, IDENTIFIED)}
                names = sorted(roles[role_id] for role_id in held & set(roles))
                reason = f"protected by the role {names[0]}" if names else None
            if reason is not None:
                found[user["id"]] = reason
        return found

    async def refuse(self, client: LogtoClient, users: Iterable[Mapping[str, Any]], field: str = "user") -> None:
        """Refuse to go on where one of a few users is protected.

        :raises InvalidInput: naming them by id, and why.
        """
        reasons = await self.reasons(client, users)
        if reasons:
            shown = "; ".join(f"{user_id} is {reason}" for user_id, reason in sorted(reasons.items()))
            raise InvalidInput(field, f"{shown}. Take them out of protect, or out of this task")


def _comparable(name: str, value: str) -> str:
    """The form in which a value is compared: rather one person too many is protected than one too few.

    Usernames therefore without regard to case, although a tenant's policy may distinguish it.
    """
    if name == "primaryPhone" and value.isdigit():
        return phone_numbers.canonical(value)
    return value.lower() if name in ("username", "primaryEmail") else value


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(translate(pattern), re.IGNORECASE)


def _parsed(field: str, entry: Any) -> list[tuple[str, str]]:
    """(kind, value) pairs of one entry; a plain text may be any identifier."""
    if isinstance(entry, Mapping) and len(entry) == 1:
        ((kind, value),) = entry.items()
        if kind in (*_FIELDS, "pattern", "role") and isinstance(value, str) and value.strip():
            return _kind(field, kind, value.strip())
    if isinstance(entry, str) and entry.strip():
        refuse_rendered(field, entry)
        value = entry.strip()
        if "*" in value:
            return _kind(field, "pattern", value)
        if "@" in value:
            return _kind(field, "email", value)
        if value.startswith("+"):
            return _kind(field, "phone", value)
        digits = re.sub(r"[\s().-]", "", value)
        if digits.isascii() and digits.isdigit() and (value == digits or not digits.startswith("0")):
            return [("id", value), ("username", value), ("primaryPhone", digits)]
        return [*_kind(field, "id", value), *_kind(field, "username", value)]
    raise InvalidInput(field, f"{entry!r} is not an entry; {_FORMS}")


def _kind(field: str, kind: str, value: str) -> list[tuple[str, str]]:
    if kind == "email":
        return [("primaryEmail", fields.email(field, value) or "")]
    if kind == "phone":
        return [("primaryPhone", fields.phone(field, value) or "")]
    if kind == "pattern":
        if not value.strip("*?"):
            raise InvalidInput(field, f"{value!r} protects everybody; name part of an id, username, e-mail or phone")
        # These stand for characters there.
        _refuse_nobody(field, value, re.sub(r"[?\[\]]", "", value))
    elif kind != "role":
        _refuse_nobody(field, value, value)
    return [(_FIELDS.get(kind, kind), value)]


def _refuse_nobody(field: str, value: str, literal: str) -> None:
    """What matches nobody would protect nobody, without a word."""
    if _IN_NOBODY.search(literal):
        raise InvalidInput(field, f"{value!r} can match nobody; one entry each: {_FORMS}")
