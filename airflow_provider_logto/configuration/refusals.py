"""What a configuration must not ask for: refused before the first write.

Each of these would end in a refusal of Logto's half-way, in a plan that is never empty, or in nobody being able to sign
in.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from airflow_provider_logto.configuration.desired import Desired, Item
from airflow_provider_logto.configuration.kinds import KINDS
from airflow_provider_logto.configuration.observed import Observed, Row
from airflow_provider_logto.exceptions import InvalidInput

_EXPERIENCE = ("sign_in_experience", "sign_in_experience")
#: Types of which a tenant has one connector: a new one replaces it.
_ONE_OF = ("Email", "Sms")


def refuse_contradictions(desired: Desired, found: Observed, gone: Iterable[tuple[str, str]]) -> None:
    """
    :param gone: (kind, key) of what would be pruned.
    :raises InvalidInput: where something listed refers to what would be deleted.
    """
    deleted = set(gone)
    wanted = _sign_in_targets(desired)
    for kind, key in deleted:
        if kind == "connector" and (target := found.rows[kind, key].get("target")) in wanted:
            raise InvalidInput(
                "config.sign_in_experience",
                f"socialSignInConnectorTargets names {target!r}, the target of connector {key!r}, which prune would "
                "delete, since it is not listed",
            )
    for (kind, key), item in desired.items():
        for target, name in _referred(item):
            owner = ("resource", name.rpartition(" ")[0])
            lost = next((one for one in ((target, name), owner) if one in deleted), None)
            if lost is not None:
                raise InvalidInput(
                    f"config.{KINDS[kind].section}",
                    f"{key!r} refers to {target} {name!r}, which prune would delete with {lost[0]} {lost[1]!r}, since "
                    f"that is not listed; list it, or drop the reference",
                )


def _referred(item: Item) -> Iterator[tuple[str, str]]:
    targets = dict((KINDS[item.kind].relations or {}).values())
    for relation, keys in item.relations.items():
        yield from ((targets[relation], key) for key in keys)


def refuse_connectors(desired: Desired, found: Observed) -> None:
    """
    :raises InvalidInput: for connectors that cannot be as they are listed: without the target that tells those of one
        factory apart, or two of a type of which there is one.
    """
    types: dict[str, str] = {}
    for kind, key in desired:
        if kind != "connector":
            continue
        item, made_of = desired[kind, key], found.rows.get((kind, key)) or found.factories.get(key) or {}
        metadata = item.fields.get("metadata") or {}
        if made_of.get("isStandard") and not metadata.get("target"):
            raise InvalidInput("config.connectors", f"{key!r} needs metadata.target{_targets(item.name, found)}")
        if made_of.get("type") == "Social" and not made_of.get("isStandard") and metadata:
            raise InvalidInput("config.connectors", f"{key!r} takes no metadata: it is made for one identity provider")
        other = types.setdefault(str(made_of.get("type")), key)
        if made_of.get("type") in _ONE_OF and other != key:
            raise InvalidInput(
                "config.connectors",
                f"{other!r} and {key!r} are both of type {made_of['type']}, of which Logto keeps one; list one of them",
            )


def _targets(factory: str, found: Observed) -> str:
    keys = (key.partition(" ") for kind, key in found.rows if kind == "connector")
    known = sorted(target for name, _, target in keys if name == factory and target)
    return f", one of {', '.join(known)} or a new one" if known else ""


def replaced(key: str, found: Observed) -> Row | None:
    """The connector that goes when a new one is made, since there is one of its type."""
    made_of = found.factories.get(key) or {}
    rows = (row for (kind, _), row in found.rows.items() if kind == "connector")
    return next((row for row in rows if row.get("type") == made_of.get("type") in _ONE_OF), None)


def refuse_unknown_targets(desired: Desired, found: Observed) -> None:
    """
    :raises InvalidInput: where people shall sign in with a social connector that does not exist: Logto leaves it out.
    """
    known = {row.get("target") for (kind, _), row in found.rows.items() if kind == "connector"}
    for kind, key in desired:
        if kind == "connector" and (made_of := found.factories.get(key)) is not None:
            known.add((desired[kind, key].fields.get("metadata") or {}).get("target") or made_of.get("target"))
    for target in _sign_in_targets(desired):
        if target not in known:
            raise InvalidInput(
                "config.sign_in_experience", f"socialSignInConnectorTargets: there is no connector of target {target!r}"
            )


def _sign_in_targets(desired: Desired) -> tuple[Any, ...]:
    fields = desired[_EXPERIENCE].fields if _EXPERIENCE in desired else {}
    return tuple(fields.get("socialSignInConnectorTargets") or ())


def refuse_locked_out(experience: Mapping[str, Any], changed: Collection[str]) -> None:
    """
    :param experience: as it would be.
    :param changed: fields that change; a tenant in which nobody can sign in already may still change the others.
    :raises InvalidInput: where nobody could sign in any more.
    """
    methods = (experience.get("signIn") or {}).get("methods") or ()
    if "signInMode" in changed and experience.get("signInMode") == "Register":
        raise InvalidInput("config.sign_in_experience", "signInMode Register would leave no way to sign in")
    ways = {"signIn", "socialSignInConnectorTargets"}
    if not ways.isdisjoint(changed) and not methods and not experience.get("socialSignInConnectorTargets"):
        raise InvalidInput("config.sign_in_experience", "would leave no way to sign in")


def refuse_last_connector(desired: Desired, found: Observed, gone: Collection[str | None]) -> None:
    """
    :param gone: ids of connectors that would be deleted.
    :raises InvalidInput: where nobody could sign in without them.
    """
    if not gone:
        return
    experience = {**found.rows[_EXPERIENCE], **(desired[_EXPERIENCE].fields if _EXPERIENCE in desired else {})}
    connectors = [row for (kind, _), row in found.rows.items() if kind == "connector"]
    left = [row for row in connectors if row["id"] not in gone]
    if _can_sign_in(experience, connectors) and not _can_sign_in(experience, left):
        raise InvalidInput("prune", "would delete the connector of the last way to sign in; allow another way first")


def _can_sign_in(experience: Mapping[str, Any], connectors: Collection[Mapping[str, Any]]) -> bool:
    """Whether a password, a code that a connector sends, or a social connector lets anybody in."""
    types = {row.get("type") for row in connectors}
    sends = {"email": "Email" in types, "phone": "Sms" in types}
    targets = {row.get("target") for row in connectors if row.get("type") == "Social"}
    methods = (experience.get("signIn") or {}).get("methods")
    for method in methods if isinstance(methods, list) else ():
        if isinstance(method, Mapping):
            by_code = method.get("verificationCode") and sends.get(str(method.get("identifier")))
            if method.get("password") or by_code:
                return True
    return any(str(target) in targets for target in experience.get("socialSignInConnectorTargets") or ())
