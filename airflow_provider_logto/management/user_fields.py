"""The fields of a person, in one table: everything that reads or writes people is derived from it.

To add a field: a row in :data:`FIELDS`, an attribute and a parameter of :class:`UserSpec`, and an argument of the
operators; ``tests/management/test_user_fields.py`` says what is missing.

Source: Logto Management API, ``POST /api/users`` and ``PATCH /api/users/{id}``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from airflow_provider_logto.exceptions import InvalidInput
from airflow_provider_logto.management import fields, phone_numbers
from airflow_provider_logto.management.json_values import json_object, same_json
from airflow_provider_logto.management.marks import OWN_KEYS

#: A user as the API shows them.
User = dict[str, Any]

Kind = Literal["identifier", "basic", "merged"]


@dataclass(frozen=True)
class UserField:
    """One field.

    :param argument: how operators and :class:`UserSpec` call it, e.g. ``primary_email``.
    :param name: how Logto calls it, e.g. ``primaryEmail``.
    :param kind: ``identifier`` (a person may be found by it), ``basic`` (plain value), or ``merged`` (an object that
        Logto merges key by key at an endpoint of its own).
    :param check: ``check(field, value)`` -> the form that Logto stores, or None where it is absent.
    :param holds: ``holds(current, wanted)``: whether what is stored is what is wanted already.
    """

    argument: str
    name: str
    kind: Kind
    check: Callable[[str, Any], Any]
    holds: Callable[[Any, Any], bool]


def _same(current: Any, wanted: Any) -> bool:
    return bool(current == wanted)


def _same_email(current: Any, wanted: str) -> bool:
    return isinstance(current, str) and current.lower() == wanted


def _same_phone(current: Any, wanted: str) -> bool:
    return current in phone_numbers.variants(wanted)


def _includes(current: Any, wanted: Mapping[str, Any]) -> bool:
    return isinstance(current, Mapping) and same_json({**current, **wanted}, current)


def _includes_claims(current: Any, wanted: Mapping[str, Any]) -> bool:
    return isinstance(current, Mapping) and same_json(merged_profile(current, wanted), current)


#: In the order in which changes are reported.
FIELDS: tuple[UserField, ...] = (
    UserField("username", "username", "identifier", fields.username, _same),
    UserField("primary_email", "primaryEmail", "identifier", fields.email, _same_email),
    UserField("primary_phone", "primaryPhone", "identifier", fields.phone, _same_phone),
    UserField("name", "name", "basic", fields.name, _same),
    UserField("avatar", "avatar", "basic", fields.avatar, _same),
    UserField("custom_data", "customData", "merged", json_object, _includes),
    UserField("profile", "profile", "merged", fields.profile, _includes_claims),
)
#: By argument.
FIELD: Mapping[str, UserField] = {field.argument: field for field in FIELDS}
#: Those that a person may be found by, in the order in which one of them is taken as the key.
IDENTIFIERS: tuple[UserField, ...] = tuple(field for field in FIELDS if field.kind == "identifier")


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
    def checked(
        cls,
        *,
        username: Any = None,
        primary_email: Any = None,
        primary_phone: Any = None,
        name: Any = None,
        avatar: Any = None,
        custom_data: Any = None,
        profile: Any = None,
        default_region: str | None = None,
        identified: bool = True,
    ) -> UserSpec:
        """Check and normalize: e-mails in lower case, phones as digits, empty means absent.

        :param default_region: two letters (ISO 3166): how a phone number without ``+`` is read.
        :param identified: whether at least one identifier must be given.
        :raises InvalidInput: naming the field and what would be right.
        """
        if default_region:
            primary_phone = fields.international("primary_phone", primary_phone, default_region)
        given = cls(username, primary_email, primary_phone, name, avatar, custom_data, profile)
        spec = replace(given, **{field.argument: field.check(field.argument, given.value(field)) for field in FIELDS})
        if identified and not spec.identifiers():
            raise InvalidInput(
                "username",
                f"missing: give at least one of {', '.join(field.argument for field in IDENTIFIERS)} "
                "(email= is Airflow's own: where to send the task's alerts)",
            )
        for key in OWN_KEYS:
            if key in (spec.custom_data or {}):
                raise InvalidInput("custom_data", f"the key {key} is this package's own; leave it out")
        return spec

    def value(self, field: UserField) -> Any:
        """What a field should be; None where it is to be left alone."""
        return getattr(self, field.argument)

    def identifiers(self) -> dict[str, str]:
        """The identifiers given: argument -> value."""
        return {field.argument: self.value(field) for field in IDENTIFIERS if self.value(field) is not None}

    def body(self) -> dict[str, Any]:
        """The request body of ``POST /api/users``."""
        return {field.name: self.value(field) for field in FIELDS if self.value(field) is not None}

    def differences(self, user: User) -> list[str]:
        """Which fields of the user are not as they should be (argument names)."""
        return [
            field.argument
            for field in FIELDS
            if self.value(field) is not None and not field.holds(user.get(field.name), self.value(field))
        ]


def merged_profile(current: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Claims merged key by key as Logto's endpoint does, but with the other parts of an address, which it drops."""
    result = {**current, **wanted}
    if isinstance(current.get("address"), Mapping) and isinstance(wanted.get("address"), Mapping):
        result["address"] = {**current["address"], **wanted["address"]}
    return result
