"""A configuration as it is written -> what is wanted, checked before anything is sent.

    resources:
      - indicator: https://orders.example.com
        name: Orders
        scopes: [{name: read, description: Read orders}, write]
    roles:
      - name: employee
        description: Everybody
        scopes: {https://orders.example.com: [read]}
    organization_scopes: [invite]
    organization_roles:
      - {name: admin, scopes: [invite]}

Fields have Logto's own names. What is not given is left alone.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_logto.configuration.kinds import HARMLESS, KINDS, MANAGEMENT_API, SECRET, Kind, scope_key
from airflow_provider_logto.exceptions import InvalidInput
from airflow_provider_logto.management.fields import text
from airflow_provider_logto.management.json_values import json_object

#: How like a known word (0 to 1) another one has to be to count as a slip.
_NEAR = 0.9
_SECTIONS = {kind.section: name for name, kind in KINDS.items() if name != "scope"}


@dataclass(frozen=True)
class Item:
    """One object as it should be.

    :param key: what it is known by.
    :param name: what stands in the field of that name: of a scope and of a connector not the whole key.
    :param fields: fields that are given, secrets filled in.
    :param relations: relation -> keys of what it is to hold.
    :param parent: of a scope: the key of its resource.
    :param hidden: fields that a secret was filled into: their values appear in no plan.
    """

    kind: str
    key: str
    name: str = ""
    fields: Mapping[str, Any] = field(default_factory=dict, repr=False)
    relations: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    parent: str | None = None
    hidden: frozenset[str] = frozenset()


#: (kind, key) -> the object as it should be.
Desired = Mapping[tuple[str, str], Item]


def read_config(content: bytes, name: str) -> Any:
    """The configuration in a YAML or JSON file.

    :param name: the file's, for messages.
    :raises InvalidInput: where it is neither.
    """
    import yaml

    try:
        return json.loads(content) if name.endswith(".json") else yaml.safe_load(content)
    except (ValueError, yaml.YAMLError) as error:
        raise InvalidInput("config", f"{name} cannot be read: {error}") from None


def desired_items(config: Any, secrets: Mapping[str, Any], management_api: str) -> dict[tuple[str, str], Item]:
    """Everything that a configuration wants, by (kind, key).

    :param secrets: name -> value, for ``{"$secret": name}``.
    :param management_api: indicator of the tenant's Management API.
    :raises InvalidInput: naming the place and what would be right.
    """
    if not isinstance(config, Mapping) or not config:
        raise InvalidInput("config", f"must be an object with at least one of {', '.join(_SECTIONS)}")
    for section in config:
        if section not in _SECTIONS:
            raise InvalidInput(f"config.{section}", f"is unknown{_meant(section, _SECTIONS)}")
    # A copy without what JSON cannot hold, such as the dates of YAML.
    config = json_object("config", config) or {}
    reader = _Reader(json_object("secrets", secrets) or {}, management_api)
    items: dict[tuple[str, str], Item] = {}
    for section, kind in _SECTIONS.items():
        if section not in config:
            continue
        for item in reader.section(kind, f"config.{section}", config[section]):
            if (item.kind, item.key) in items:
                raise InvalidInput(f"config.{section}", f"{item.kind} {item.key!r} is listed twice")
            items[item.kind, item.key] = item
    return items


@dataclass(frozen=True)
class _Reader:
    secrets: Mapping[str, Any]
    management_api: str

    def section(self, kind: str, where: str, value: Any) -> Iterator[Item]:
        if kind == "sign_in_experience":
            if not isinstance(value, Mapping) or not value:
                raise InvalidInput(where, "must be an object with the fields of PATCH /api/sign-in-exp")
            yield Item(kind, kind, fields=self._filled(where, value), hidden=_hidden(value))
            return
        if not isinstance(value, Sequence) or isinstance(value, str):
            raise InvalidInput(where, f"must be a list, not {type(value).__name__}")
        for at, entry in enumerate(value):
            yield from self._entry(kind, f"{where}[{at}]", entry)

    def _entry(self, name: str, where: str, entry: Any) -> Iterator[Item]:
        kind = KINDS[name]
        entry = {kind.key: entry} if isinstance(entry, str) else entry
        if not isinstance(entry, Mapping):
            raise InvalidInput(where, f"must be an object, not {type(entry).__name__}")
        given = entry.get(kind.key)
        if not isinstance(given, str) or not given.strip():
            raise InvalidInput(f"{where}.{kind.key}", "missing")
        for one, longest in kind.longest.items():
            text(f"{where}.{one}", entry.get(one), longest)
        if name == "resource" and given in (MANAGEMENT_API, self.management_api):
            raise InvalidInput(f"{where}.indicator", "the Management API cannot be changed; only refer to it")
        known = {kind.key, *kind.fields, *(kind.at_creation or {}), *(kind.relations or {})}
        known |= {"scopes"} if name == "resource" else set()
        for one in entry:
            if one not in known:
                raise InvalidInput(f"{where}.{one}", f"is unknown{_meant(one, known)}")
        for one in kind.required:
            if entry.get(one) in (None, ""):
                raise InvalidInput(f"{where}.{one}", "missing")
        if name == "application" and entry.get("roles") and entry["type"] != "MachineToMachine":
            raise InvalidInput(f"{where}.roles", f"only a MachineToMachine application has roles, not {entry['type']}")
        fields = {one: entry[one] for one in (*kind.fields, *(kind.at_creation or {})) if one in entry}
        filled = self._filled(where, fields)
        for one in kind.merged & set(fields):
            for value in (fields[one], filled[one]):
                if not isinstance(value, Mapping):
                    raise InvalidInput(f"{where}.{one}", f"must be an object, not {type(value).__name__}")
        for one in kind.words.keys() & fields.keys():
            _check_words(f"{where}.{one}", filled[one], kind.words[one])
        for one in kind.secret & set(fields):
            _refuse_plain_secrets(f"{where}.{one}", fields[one])
        relations = self._relations(kind, where, entry)
        yield Item(name, kind.key_of(entry), given, filled, relations, hidden=_hidden(fields))
        if name == "resource":
            for at, scope in enumerate(_list(f"{where}.scopes", entry.get("scopes") or ())):
                yield self._scope(given, f"{where}.scopes[{at}]", scope)

    def _scope(self, indicator: str, where: str, entry: Any) -> Item:
        entry = {"name": entry} if isinstance(entry, str) else entry
        if (
            not isinstance(entry, Mapping)
            or not isinstance(entry.get("name"), str)
            or set(entry)
            - {
                "name",
                "description",
            }
        ):
            raise InvalidInput(where, 'must be a name, or {"name", "description"}')
        if not entry["name"] or any(c.isspace() for c in entry["name"]):
            raise InvalidInput(where, f"{entry['name']!r} is not a scope name: it must not contain spaces")
        text(f"{where}.name", entry["name"], KINDS["scope"].longest["name"])
        fields = {"description": entry["description"]} if entry.get("description") else {}
        return Item("scope", scope_key(indicator, entry["name"]), entry["name"], fields, parent=indicator)

    def _relations(self, kind: Kind, where: str, entry: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
        found = {}
        for name, (relation, target) in (kind.relations or {}).items():
            if name not in entry:
                continue
            keys = (
                self._scope_keys(f"{where}.{name}", entry[name])
                if target == "scope"
                else _list(f"{where}.{name}", entry[name])
            )
            if not all(isinstance(one, str) and one for one in keys):
                raise InvalidInput(f"{where}.{name}", f"must be a list of names; got {entry[name]!r}")
            found[relation] = tuple(dict.fromkeys(keys))
        return found

    def _scope_keys(self, where: str, value: Any) -> list[str]:
        if not isinstance(value, Mapping):
            raise InvalidInput(where, f"must be an object of indicator -> names of scopes; got {value!r}")
        keys = []
        for indicator, names in value.items():
            resource = self.management_api if indicator == MANAGEMENT_API else indicator
            keys += [scope_key(resource, name) for name in _list(f"{where}.{indicator}", names)]
        return keys

    def _filled(self, where: str, value: Any) -> Any:
        """With every ``{"$secret": name}`` replaced."""
        if isinstance(value, Mapping):
            if set(value) == {SECRET}:
                if value[SECRET] not in self.secrets:
                    known = ", ".join(sorted(self.secrets)) or "none is given"
                    raise InvalidInput(where, f"there is no secret {value[SECRET]!r} in secrets ({known})")
                return self.secrets[value[SECRET]]
            return {name: self._filled(f"{where}.{name}", one) for name, one in value.items()}
        if isinstance(value, list | tuple):
            return [self._filled(f"{where}[{at}]", one) for at, one in enumerate(value)]
        return value


def _hidden(fields: Mapping[str, Any]) -> frozenset[str]:
    return frozenset(name for name, value in fields.items() if _holds_secret(value))


def _holds_secret(value: Any) -> bool:
    if isinstance(value, Mapping):
        return set(value) == {SECRET} or any(map(_holds_secret, value.values()))
    return isinstance(value, list | tuple) and any(map(_holds_secret, value))


def is_plain(name: str, value: Any) -> bool:
    """Whether a value of a connector or webhook may stand in a configuration as it is."""
    return name in HARMLESS or value is None or isinstance(value, bool | int | float)


def _refuse_plain_secrets(where: str, value: Mapping[str, Any]) -> None:
    """
    :raises InvalidInput: for a text that may be secret and is not given by reference.
    """
    for name, one in value.items():
        if is_plain(name, one) or (isinstance(one, Mapping) and set(one) == {SECRET}):
            continue
        if isinstance(one, Mapping):
            _refuse_plain_secrets(f"{where}.{name}", one)
        else:
            raise InvalidInput(f"{where}.{name}", f'may be secret: give it as {{"{SECRET}": "a name"}}, and in secrets')


def _check_words(where: str, value: Any, known: Sequence[str]) -> None:
    """
    :raises InvalidInput: for a list that holds what is nearly one of the known words.
    """
    plain = {_plain(word): word for word in known}
    for at, one in enumerate(_list(where, value)):
        if not isinstance(one, str):
            raise InvalidInput(f"{where}[{at}]", f"must be a text, not {type(one).__name__}")
        if one not in known and (near := difflib.get_close_matches(_plain(one), plain, n=1, cutoff=_NEAR)):
            raise InvalidInput(f"{where}[{at}]", f"{one!r} is unknown; did you mean {plain[near[0]]}?")


def _plain(word: str) -> str:
    return "".join(filter(str.isalnum, word)).casefold()


def _list(where: str, value: Any) -> list[Any]:
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise InvalidInput(where, f"must be a list, not {type(value).__name__}")
    return list(value)


def _meant(name: Any, known: Any) -> str:
    found = difflib.get_close_matches(str(name), list(known), n=1)
    return f"; did you mean {found[0]}?" if found else f"; use {', '.join(sorted(known))}"
