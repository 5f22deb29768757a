"""A tenant -> the configuration that would make it: the next plan from it is empty."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from airflow_provider_logto.client.client import LogtoClient
from airflow_provider_logto.configuration.desired import is_plain
from airflow_provider_logto.configuration.kinds import KINDS, MANAGEMENT_API, SECRET
from airflow_provider_logto.configuration.ledger import MARK
from airflow_provider_logto.configuration.observed import Observed, observe, observe_held
from airflow_provider_logto.exceptions import InvalidInput

SECTIONS = tuple(kind.section for name, kind in KINDS.items() if name != "scope")
#: Fields of the sign-in experience that a plain ``PATCH`` cannot carry to another tenant.
_OF_THE_TENANT = frozenset({"id", "tenantId", "customUiAssets"})
#: What a flag is where nothing is given; False for all others.
_DEFAULTS = {"enabled": True}
#: Kinds of application that have an API of their own.
_MADE_ELSEWHERE = frozenset({"SAML", "Protected"})


async def export_configuration(client: LogtoClient, sections: Any = None) -> dict[str, Any]:
    """Read a tenant as a configuration.

    The Connection's own application, its roles and the Management API are left out; secrets become placeholders.

    :param sections: which; None means all but ``sign_in_experience``.
    :returns: the configuration.
    :raises InvalidInput: for an unknown section.
    :raises Ambiguous: where several objects have one name, which a configuration cannot express.
    """
    wanted = checked_sections(sections)
    api = client.endpoint.resource
    kinds = [name for name, kind in KINDS.items() if kind.section in wanted]
    # What is referred to is read too, for its names.
    targets = {target for name in kinds for _, target in (KINDS[name].relations or {}).values()}
    targets = {"resource" if one == "scope" else one for one in targets}
    found = await observe(client, {*kinds, *targets}, {}, api)
    related = {
        (kind, key): tuple(relation for relation, _ in (KINDS[kind].relations or {}).values())
        for kind, key in found.rows
        if kind in kinds and KINDS[kind].relations
    }
    await observe_held(client, found, related)
    for kind, key in found.doubled:
        if kind in kinds:
            found.refuse_doubled(kind, key)
    names = {row["id"]: key for (kind, key), row in found.rows.items()}
    config: dict[str, Any] = {}
    for kind in kinds:
        about = KINDS[kind]
        if kind == "sign_in_experience":
            row = found.rows[kind, kind]
            config[about.section] = {name: value for name, value in row.items() if name not in _OF_THE_TENANT}
            continue
        rows = [(key, row) for (other, key), row in found.rows.items() if other == kind]
        rows = [(key, row) for key, row in rows if row["id"] not in found.untouchable and _is_ours(kind, row)]
        if rows:
            config[about.section] = [_entry(kind, key, row, found, names, api) for key, row in sorted(rows)]
    return config


def checked_sections(sections: Any) -> tuple[str, ...]:
    """
    :raises InvalidInput: for an unknown section.
    """
    if sections is None or sections == "":
        return tuple(one for one in SECTIONS if one != "sign_in_experience")
    given: Collection[str] = (sections,) if isinstance(sections, str) else sections
    for one in given:
        if one not in SECTIONS:
            raise InvalidInput("sections", f"{one!r} is unknown; use {', '.join(SECTIONS)}")
    return tuple(given)


def _is_ours(kind: str, row: Mapping[str, Any]) -> bool:
    return kind != "application" or row["type"] not in _MADE_ELSEWHERE


def _entry(
    kind: str, key: str, row: Mapping[str, Any], found: Observed, names: Mapping[str, str], api: str
) -> dict[str, Any]:
    about = KINDS[kind]
    entry: dict[str, Any] = {about.key: row[about.key]}
    for name in (*(about.at_creation or {}), *about.fields):
        value = row.get(name)
        if name == "customData" and isinstance(value, Mapping):
            value = {inner: one for inner, one in value.items() if inner != MARK}
        if value in (None, {}) or value is _DEFAULTS.get(name, False):
            continue
        entry[name] = _without_secrets(f"{key}.{name}", name, value) if name in about.secret else value
    if kind == "resource" and row.get("scopes"):
        entry["scopes"] = [_scope(scope) for scope in sorted(row["scopes"], key=lambda one: str(one["name"]))]
    for field, (relation, target) in (about.relations or {}).items():
        held = sorted(names[one] for one in found.held.get((relation, key), ()) if one in names)
        if held:
            entry[field] = _by_indicator(held, api) if target == "scope" else held
    return entry


def _scope(row: Mapping[str, Any]) -> Any:
    return {"name": row["name"], "description": row["description"]} if row.get("description") else row["name"]


def _by_indicator(keys: list[str], api: str) -> dict[str, list[str]]:
    scopes: dict[str, list[str]] = {}
    for key in keys:
        indicator, _, name = key.rpartition(" ")
        scopes.setdefault(MANAGEMENT_API if indicator == api else indicator, []).append(name)
    return scopes


def _without_secrets(place: str, name: str, value: Any) -> Any:
    if is_plain(name, value) and not isinstance(value, Mapping):
        return value
    if isinstance(value, Mapping):
        return {inner: _without_secrets(f"{place}.{inner}", inner, one) for inner, one in value.items()}
    return {SECRET: place}
