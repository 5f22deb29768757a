"""Desired and observed -> changes."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from airflow_provider_logto.configuration.desired import Desired, Item
from airflow_provider_logto.configuration.kinds import KINDS, RELATIONS
from airflow_provider_logto.configuration.observed import Observed
from airflow_provider_logto.configuration.refusals import (
    refuse_connectors,
    refuse_contradictions,
    refuse_last_connector,
    refuse_locked_out,
    refuse_unknown_targets,
    replaced,
)
from airflow_provider_logto.exceptions import InvalidInput
from airflow_provider_logto.management.json_values import same_json
from airflow_provider_logto.management.kept import as_stored
from airflow_provider_logto.plans.changes import Change

#: What stands in a plan for a value that may be secret.
_CHANGED = "changed"


def changes_of(
    desired: Desired, found: Observed, owned: Mapping[str, Collection[str]], prune: Collection[str], management_api: str
) -> Iterator[Change]:
    """Every change that is due.

    :param owned: kind -> ids that this configuration created.
    :param prune: sections whose owned objects go when they are not listed any more.
    :raises Ambiguous: where a name that is listed belongs to several objects.
    :raises InvalidInput: for what cannot be: a change of type, a reference to nothing, what is never touched.
    """
    refuse_connectors(desired, found)
    refuse_unknown_targets(desired, found)
    for (kind, key), item in desired.items():
        found.refuse_doubled(kind, key)
        row = found.rows.get((kind, key))
        if row is None:
            old = replaced(key, found) if kind == "connector" else None
            yield Change(
                kind=kind,
                action="create",
                key=key,
                after=_shown(item, item.fields),
                reason="" if old is None else f"replaces {KINDS[kind].key_of(old)}, the one of type {old['type']}",
                destructive=_sensitive(item) or old is not None,
            )
        else:
            yield from _update(item, row, found)
        yield from _relations(item, desired, found, management_api)
    gone = list(_pruned(desired, found, owned, prune))
    refuse_contradictions(desired, found, ((change.kind, change.key) for change in gone))
    refuse_last_connector(desired, found, {change.id for change in gone if change.kind == "connector"})
    yield from gone


def _pruned(
    desired: Desired, found: Observed, owned: Mapping[str, Collection[str]], prune: Collection[str]
) -> Iterator[Change]:
    for kind, about in KINDS.items():
        if about.section not in prune:
            continue
        for (other, key), row in found.rows.items():
            gone = other == kind and (kind, key) not in desired and row["id"] in owned.get(kind, ())
            if gone and row["id"] not in found.untouchable:
                yield Change(kind=kind, action="delete", key=key, id=row["id"], destructive=True)


def foreign_in(
    desired: Desired, found: Observed, owned: Mapping[str, Collection[str]], prune: Collection[str]
) -> list[str]:
    """What is listed in these sections and exists, but is not proven to be created by this configuration.

    :returns: kind, key and id of each, for a message. Arguments as of :func:`changes_of`.
    """
    rows = {name: row for name, row in found.rows.items() if name in desired and KINDS[name[0]].section in prune}
    return [f"{kind} {key} ({row['id']})" for (kind, key), row in rows.items() if row["id"] not in owned.get(kind, ())]


def patch_of(item: Item, row: Mapping[str, Any]) -> dict[str, Any]:
    """The fields to send so that an object becomes as it should be; JSON fields whole, since they are replaced."""
    about = KINDS[item.kind]
    patch = {}
    for name, value in item.fields.items():
        if name in (about.at_creation or {}):
            continue
        current, wanted = row.get(name), value
        if name in about.merged and isinstance(current, Mapping) and isinstance(value, Mapping):
            wanted = {**current, **value}
        if not same_json(as_stored(name, current, about.forms), as_stored(name, wanted, about.forms)):
            patch[name] = wanted
    return patch


def _update(item: Item, row: Mapping[str, Any], found: Observed) -> Iterator[Change]:
    about = KINDS[item.kind]
    for name, default in (about.at_creation or {}).items():
        wanted = item.fields.get(name, default)
        if wanted is not None and row.get(name) != wanted and (name in item.fields or default is not None):
            raise InvalidInput(
                f"config.{about.section}", f"{item.key!r} has {name} {row.get(name)!r}, which cannot become {wanted!r}"
            )
    patch = patch_of(item, row)
    if not patch:
        return
    if row["id"] in found.untouchable:
        raise InvalidInput(
            f"config.{about.section}", f"{item.key!r} belongs to the Connection itself; it is never changed"
        )
    if item.kind == "sign_in_experience":
        refuse_locked_out({**row, **patch}, patch)
    before = {name: _differing(item, name, row.get(name), patch[name]) for name in patch}
    after = {name: _differing(item, name, patch[name], row.get(name)) for name in patch}
    yield Change(
        kind=item.kind,
        action="update",
        key=item.key,
        id=row["id"],
        # May hold a secret that an earlier configuration filled in.
        before=_shown(item, before, about.free),
        after=_shown(item, after),
        # Without storage, Logto deletes the tokens of the identity provider that it keeps.
        destructive=_sensitive(item) or bool(row.get("isDefault")) or patch.get("enableTokenStorage") is False,
    )


def _relations(item: Item, desired: Desired, found: Observed, management_api: str) -> Iterator[Change]:
    kinds = dict((KINDS[item.kind].relations or {}).values())
    for relation, keys in item.relations.items():
        held = found.held.get((relation, item.key), set())
        for key in keys:
            target = kinds[relation]
            found.refuse_doubled(target, key)
            target_id = found.id_of(target, key)
            if target_id is None and (target, key) not in desired:
                raise InvalidInput(
                    f"config.{KINDS[item.kind].section}",
                    f"{item.key!r} refers to {target} {key!r}, which does not exist",
                )
            if target_id is not None and target_id in held:
                continue
            if found.id_of(item.kind, item.key) in found.untouchable:
                raise InvalidInput(
                    f"config.{KINDS[item.kind].section}",
                    f"{item.key!r} belongs to the Connection itself; it is never changed",
                )
            yield Change(
                kind=relation,
                action="add",
                key=f"{item.key} | {key}",
                target=item.key,
                after={"adds": key},
                destructive=_gives_much(item, target, key, desired, found, management_api),
            )


def _gives_much(item: Item, target: str, key: str, desired: Desired, found: Observed, management_api: str) -> bool:
    """Whether it gives everything (the Management API's scope, or a role that holds it), or gives to everybody."""
    api = f"{management_api} "
    if target == "role":
        wanted = desired[target, key].relations.get("role_scope", ()) if (target, key) in desired else ()
        held = {found.id_of(target, key), *found.held.get(("role_scope", key), ())}
        return not found.untouchable.isdisjoint(held) or any(one.startswith(api) for one in wanted)
    default = item.kind == "role" and (
        _sensitive(item) or bool(found.rows.get(("role", item.key), {}).get("isDefault"))
    )
    return target == "scope" and (default or key.startswith(api))


def _sensitive(item: Item) -> bool:
    """Whether it decides over who gets in: sign-in, and roles that everybody gets."""
    return item.kind == "sign_in_experience" or bool(item.fields.get("isDefault"))


def _differing(item: Item, name: str, value: Any, other: Any) -> Any:
    """What a plan shows of a field: of one that is merged only the keys that change, since the others are not ours."""
    if name not in KINDS[item.kind].merged or not isinstance(value, Mapping) or not isinstance(other, Mapping):
        return value
    return {key: one for key, one in value.items() if key not in other or not same_json(one, other[key])}


def _shown(item: Item, fields: Mapping[str, Any], also: Collection[str] = ()) -> dict[str, Any]:
    hidden = KINDS[item.kind].secret | item.hidden | set(also)
    return {name: _CHANGED if name in hidden else value for name, value in fields.items()}


def phase_of(kind: str) -> int:
    """When objects of a kind, or relations, are made."""
    return KINDS[kind].phase if kind in KINDS else RELATIONS[kind][2]
