"""Changing a person who exists: fields, with clearing said explicitly, and nothing sent where nothing differs.

Source: Logto Management API, ``PATCH /api/users/{id}`` (replaces customData and profile whole), ``/custom-data`` and
``/profile`` (merge their top-level keys on the server, so that a concurrent change of another key survives).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from airflow_provider_logto.client.client import LogtoClient, path_of
from airflow_provider_logto.exceptions import Ambiguous, InvalidInput
from airflow_provider_logto.management.answers import USER, checked
from airflow_provider_logto.management.fields import CLAIMS
from airflow_provider_logto.management.json_values import differing_values, same_json
from airflow_provider_logto.management.marks import OWN_KEYS
from airflow_provider_logto.management.references import Reference, find_user, listed, search_users
from airflow_provider_logto.management.user_fields import FIELD, FIELDS, IDENTIFIERS, User, UserSpec, merged_profile

MergeMode = Literal["merge", "deep_merge", "replace"]
MERGE_MODES: tuple[MergeMode, ...] = get_args(MergeMode)

#: Field -> the endpoint that merges it.
_MERGED_AT = {"custom_data": "custom-data", "profile": "profile"}


@dataclass(frozen=True)
class UserChanges:
    """What to change in a person. Make one with :meth:`checked`.

    :param spec: the fields given.
    :param modes: ``custom_data`` and ``profile`` -> how each is brought together with what is there.
    :param clear: fields to empty, and keys to remove: ``custom_data.key``, ``profile.claim``.
    """

    spec: UserSpec
    modes: Mapping[str, MergeMode]
    clear: frozenset[str]

    @classmethod
    def checked(
        cls, spec: UserSpec, custom_data_mode: Any = "merge", profile_mode: Any = "merge", clear: Any = ()
    ) -> UserChanges:
        """
        :raises InvalidInput: for an unknown mode or field, and for a field that is given and cleared.
        """
        modes: dict[str, MergeMode] = {"custom_data": custom_data_mode, "profile": profile_mode}
        for name, mode in modes.items():
            if mode not in MERGE_MODES:
                raise InvalidInput(f"{name}_mode", f"{mode!r} is unknown; use one of {', '.join(MERGE_MODES)}")
        names = listed("clear_fields", clear) if clear else []
        for at, name in enumerate(names):
            _check_cleared(f"clear_fields[{at}]", name, spec)
        for key in OWN_KEYS:
            if f"custom_data.{key}" in names:
                raise InvalidInput("clear_fields", f"the key {key} is this package's own; leave it out")
        return cls(spec, modes, frozenset(names))

    def wanted(self, field: str, user: User) -> Any:
        """What one field of a user should be."""
        current = user.get(FIELD[field].name)
        given = self.spec.value(FIELD[field])
        if FIELD[field].kind != "merged":
            if field in self.clear:
                return None
            return current if given is None or FIELD[field].holds(current, given) else given
        return self._wanted_object(field, dict(current or {}), given)

    def _wanted_object(self, field: str, current: dict[str, Any], given: Mapping[str, Any] | None) -> dict[str, Any]:
        if field in self.clear:
            wanted: dict[str, Any] = {}
        elif given is None:
            wanted = current
        elif self.modes[field] == "replace":
            wanted = dict(given)
        elif self.modes[field] == "deep_merge":
            wanted = deep_merged(current, given)
        else:
            wanted = merged_profile(current, given) if field == "profile" else {**current, **given}
        removed = {name.partition(".")[2] for name in self.clear if name.startswith(f"{field}.")}
        kept = {key: current[key] for key in OWN_KEYS if key in current} if field == "custom_data" else {}
        return {**{key: value for key, value in wanted.items() if key not in removed}, **kept}


def deep_merged(current: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Objects merged at every depth; anything else, lists too, is replaced."""
    result = dict(current)
    for key, value in wanted.items():
        below = result.get(key)
        both = isinstance(below, Mapping) and isinstance(value, Mapping)
        result[key] = deep_merged(below, value) if both else value  # type: ignore[arg-type]
    return result


async def change_user(client: LogtoClient, user: Any, changes: UserChanges) -> dict[str, Any]:
    """Bring a person's fields in line.

    :param user: a reference to the person.
    :returns: ``{"id", "outcome": "updated" | "unchanged", "changed": [fields], "username", "primaryEmail",
        "primaryPhone"}``.
    :raises InvalidInput: before any write: where nobody is meant, or nothing would be left to know them by.
    :raises Ambiguous: before any write: where more than one is meant, or somebody else is seen to have an identifier.
    :raises Conflict: where somebody else has one of the identifiers.
    """
    reference = Reference.parse(user)
    found = await find_user(client, reference)
    if found is None:
        raise InvalidInput("user", f"no user {reference.given} in Logto; create the user first")
    wanted = {field.argument: changes.wanted(field.argument, found) for field in FIELDS}
    changed = [name for name, value in wanted.items() if not same_json(value, _current(found, name))]
    if changes.clear and not any(wanted[field.argument] for field in IDENTIFIERS):
        raise InvalidInput(
            "clear_fields", "would leave the user without username, e-mail and phone: nobody finds them then"
        )
    stored = await _send(client, found, {name: wanted[name] for name in changed}) if changed else found
    identifiers = {field.name: stored.get(field.name) for field in IDENTIFIERS}
    return {"id": found["id"], "outcome": "updated" if changed else "unchanged", "changed": changed, **identifiers}


async def _send(client: LogtoClient, user: User, changed: Mapping[str, Any]) -> User:
    """
    :returns: the user as they are then; of merged fields, as they were before.
    """
    path = path_of("/users/{}", user["id"])
    whole: dict[str, Any] = {}
    merged: dict[str, dict[str, Any]] = {}
    for name, value in changed.items():
        current = _current(user, name)
        # Merging on the server cannot remove a key.
        if name not in _MERGED_AT or set(current) - set(value):
            whole[FIELD[name].name] = value
        else:
            merged[name] = differing_values(current, value)
    if merged:
        await _refuse_taken(client, user, whole)
    for name, value in merged.items():
        await client.request("PATCH", f"{path}/{_MERGED_AT[name]}", body={FIELD[name].name: value})
    if not whole:
        return user
    # The identifiers go last: a retry still finds the person by the one that the task names.
    answer = await client.request("PATCH", path, body=whole)
    return {**user, **checked(f"PATCH /api{path}", answer, USER)}


async def _refuse_taken(client: LogtoClient, user: User, whole: Mapping[str, Any]) -> None:
    """Look before the first write what the last one would be refused for, so that no half is left done."""
    new = [field for field in IDENTIFIERS if whole.get(field.name)]
    references = [Reference.parse({field.name: whole[field.name]}, field.argument) for field in new]
    found = await search_users(client, references, case_sensitive=False) if new else []
    for field, other in zip(new, found, strict=True):
        if other is not None and other["id"] != user["id"]:
            raise Ambiguous(f"the {field.argument} is that of another user, {other['id']}; nothing was written")


def _current(user: User, name: str) -> Any:
    value = user.get(FIELD[name].name)
    return dict(value or {}) if FIELD[name].kind == "merged" else value


def _check_cleared(field: str, name: Any, spec: UserSpec) -> None:
    top, _, key = name.partition(".") if isinstance(name, str) else ("", "", "")
    if top not in FIELD or (key and FIELD[top].kind != "merged") or (isinstance(name, str) and name.endswith(".")):
        known = ", ".join(one.argument for one in FIELDS)
        raise InvalidInput(field, f"{name!r} cannot be cleared; use {known}, custom_data.<key> or profile.<claim>")
    if top == "profile" and key and key not in CLAIMS:
        raise InvalidInput(field, f"{key!r} is not a claim of the profile; use {', '.join(sorted(CLAIMS))}")
    given = spec.value(FIELD[top])
    if given is not None and (not key or key in given):
        raise InvalidInput(field, f"{name} is given a value and cleared; do one of both")
