"""The fields of one person: what a row wants of them, beside what is there.

Fields are named as Logto does: ``name``, ``profile.givenName``, ``customData.department``.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from airflow_provider_logto.management.json_values import same_json
from airflow_provider_logto.management.user_fields import FIELD
from airflow_provider_logto.roster.columns import TEXTS
from airflow_provider_logto.roster.people import Person
from airflow_provider_logto.roster.state import Known

_HOLDS = {FIELD[argument].name: FIELD[argument].holds for argument in TEXTS}


def field_changes(
    person: Person, user: Known, manage: Collection[str] = ("profile", "custom_data")
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The fields of a user that are not as a row wants them, before and after.

    Fields are named as Logto does: ``name``, ``profile.givenName``, ``customData.department``.
    """
    before: dict[str, Any] = {}
    after: dict[str, Any] = {}

    def compare(name: str, current: Any, wanted: Any, same: bool) -> None:
        if not same:
            before[name], after[name] = current, wanted

    if "profile" in manage:
        for name, value in person.texts.items():
            current = user.texts[name] or None
            compare(name, current, value, current is None if value is None else _HOLDS[name](current, value))
        for name, value in person.profile.items():
            current = claim(user.profile, name)
            compare(f"profile.{name}", current, value, current == value)
    if "custom_data" in manage:
        for name, value in person.custom_data.items():
            current = user.custom_data.get(name)
            same = same_json(current, value) and (name in user.custom_data or value is None)
            compare(f"customData.{name}", current, value, same)
    return before, after


def creation(person: Person, manage: Collection[str] = ("profile", "custom_data")) -> dict[str, Any]:
    """The fields of a new person, named as in :func:`field_changes`.

    The values of ``profile`` are there even where it is not managed: somebody must be found by them.
    """
    after: dict[str, Any] = {name: value for name, value in person.texts.items() if value is not None}
    after |= {f"profile.{name}": value for name, value in person.profile.items() if value is not None}
    if "custom_data" in manage:
        after |= {f"customData.{name}": value for name, value in person.custom_data.items() if value is not None}
    return after


def claim(profile: Mapping[str, Any], name: str) -> Any:
    """A claim of a profile; ``address.country`` is one inside the address."""
    outer, _, inner = name.partition(".")
    value = profile.get(outer)
    return (value.get(inner) if isinstance(value, Mapping) else None) if inner else value
