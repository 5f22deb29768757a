"""Faults: which request they match, how often, and the table of kinds with their fields."""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

from logto_sandbox.api.router import is_route, shape

_TOKEN = {"method": "POST", "path": "/oidc/token"}
_API = {"path": "/api/.*"}
_LISTS = {"method": "GET", "path": "/api/.*", "times": None}
_NUMBER = (int, float)
# Lists whose rows can come and go during a walk.
ROW_LISTS = ("/api/users", "/api/roles", "/api/organizations", "/api/applications", "/api/resources", "/api/logs")
_REGEX_MARKS = set("*+?[]()|^$\\.")


@dataclass(frozen=True)
class Kind:
    """One kind of fault.

    :param defaults: matching fields it has unless told otherwise
    :param fields: its own fields: name -> (accepted types, default, or required if the default is ``...``)
    :param replaces_response: whether it decides the response; only one such fault acts on a request
    """

    defaults: Mapping[str, Any] = field(default_factory=dict)
    fields: Mapping[str, tuple[tuple[type, ...], Any]] = field(default_factory=dict)
    replaces_response: bool = True


_AFTER_COMMIT = {"after_commit": ((bool,), False)}
KINDS: Mapping[str, Kind] = {
    "rate_limited": Kind(fields={"retry_after": ((*_NUMBER, type(None)), None), "retry_after_as": ((str,), "seconds")}),
    "error": Kind(fields={"status": ((int,), 500), **_AFTER_COMMIT}),
    "statement_timeout": Kind(
        _LISTS,
        {
            "min_offset": ((int, type(None)), 10_000),
            "max_count": ((int, type(None)), None),
            "seconds": (_NUMBER, 0),
        },
    ),
    "reset": Kind(fields=_AFTER_COMMIT),
    "lost_answer": Kind(),
    "truncated": Kind(fields={"keep": (_NUMBER, 0.5)}),
    "wrong_content_type": Kind(fields=_AFTER_COMMIT),
    "slow": Kind(fields={"seconds": (_NUMBER, ...), "before_commit": ((bool,), False)}, replaces_response=False),
    "signing_key_rotated": Kind(_API, replaces_response=False),
    "token_without_scope": Kind(_TOKEN, replaces_response=False),
    "secret_expired": Kind(_TOKEN, replaces_response=False),
    "token_quota": Kind(_TOKEN, replaces_response=False),
    "clock_skew": Kind(fields={"offset_ms": (_NUMBER, ...)}, replaces_response=False),
    "rows_inserted": Kind(_LISTS | {"times": 1}, {"count": ((int,), 1)}, replaces_response=False),
    "rows_deleted": Kind(_LISTS | {"times": 1}, {"count": ((int,), 1)}, replaces_response=False),
    "link_absent": Kind(_LISTS, {"total_number": ((bool,), True)}, replaces_response=False),
    "link_mangled": Kind(_LISTS, {"mode": ((str,), "garbage")}, replaces_response=False),
}
_CHOICES = {
    "retry_after_as": ("seconds", "date"),
    "mode": ("garbage", "foreign_host", "no_next", "always_next"),
}
_MATCHING: Mapping[str, tuple[tuple[type, ...], Any]] = {
    "method": ((str, type(None)), None),
    "path": ((str, type(None)), None),
    "query": ((str, type(None)), None),
    "times": ((int, type(None)), 1),
    "after": ((int,), 0),
    "probability": (_NUMBER, 1.0),
    "seed": ((int, type(None)), None),
}
_LOWEST = {
    "times": 1,
    "after": 0,
    "status": 400,
    "seconds": 0,
    "keep": 0,
    "retry_after": 0,
    "count": 1,
    "probability": 0,
}
_HIGHEST = {"status": 599, "keep": 1, "probability": 1}
_ids = itertools.count(1)


class FaultError(ValueError):
    """A fault that cannot be understood; ``field`` names what is wrong."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(f"{name}: {message}")
        self.field = name


class Fault:
    """One fault in force.

    :param spec: ``{"kind": ..., "method", "path" (route template or regular expression over the whole path),
        "query" (regular expression found in the query string), "times" (None = for ever), "after" (matches
        passed over first), "probability", "seed"}`` and the kind's own fields
    :raises FaultError: for an unknown kind or field, or a wrong value
    """

    def __init__(self, spec: Mapping[str, Any]) -> None:
        self.kind = _kind_name(spec)
        self.about = KINDS[self.kind]
        self.values = _values(spec, self.about)
        self.id = next(_ids)
        self.seen = self.fired = 0
        self._random = random.Random(self.values["seed"])  # noqa: S311 - test data
        self._path = _path_pattern(self.values["path"])
        self._query = _compiled("query", self.values["query"])
        self._moves_rows = self.kind in ("rows_inserted", "rows_deleted")
        if self._moves_rows and self["path"] and is_route(self["path"]) and self["path"] not in ROW_LISTS:
            raise FaultError("path", f"rows can come and go in {', '.join(ROW_LISTS)} only, not in {self['path']}")

    def __getitem__(self, name: str) -> Any:
        return self.values[name]

    @property
    def spent(self) -> bool:
        """Whether it has fired as often as it may."""
        return self["times"] is not None and self.fired >= self["times"]

    def matches(self, method: str, path: str, route: str, query: str) -> bool:
        """Whether a request is one that this fault matches; changes nothing."""
        if self.spent or self.kind == "clock_skew" or (self._moves_rows and route not in ROW_LISTS):
            return False
        if self["method"] is not None and self["method"] != method:
            return False
        if isinstance(self._path, str):
            if self._path != shape(route):
                return False
        elif self._path is not None and not self._path.fullmatch(path):
            return False
        if self._query is not None and not self._query.search(query):
            return False
        return self.kind != "statement_timeout" or self["max_count"] is not None or self.too_deep(query)

    def too_deep(self, query: str) -> bool:
        """Whether a list request's offset reaches ``min_offset`` (kind ``statement_timeout``)."""
        asked = parse_qs(query)
        try:
            page, size = (int(asked.get(name, [str(default)])[0]) for name, default in _PAGING)
        except ValueError:
            return False
        return self["min_offset"] is not None and (page - 1) * size >= self["min_offset"]

    def fires(self) -> bool:
        """Count one match and say whether the fault happens this time."""
        self.seen += 1
        if self.spent or self.seen <= self["after"] or self._random.random() >= self["probability"]:
            return False
        self.fired += 1
        return True

    def describe(self) -> dict[str, Any]:
        """The fault as the control plane shows it, with ``seen`` (matches) and ``fired``."""
        return {"id": self.id, "kind": self.kind, **self.values, "seen": self.seen, "fired": self.fired}


_PAGING = (("page", 1), ("page_size", 20))


def _kind_name(spec: Any) -> str:
    if not isinstance(spec, Mapping):
        raise FaultError("fault", f'expected an object such as {{"kind": "error"}}, got {spec!r}')
    kind = spec.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        raise FaultError("kind", f"{kind!r} is not one of {', '.join(KINDS)}")
    return kind


def _values(spec: Mapping[str, Any], about: Kind) -> dict[str, Any]:
    fields = {**_MATCHING, **about.fields}
    if unknown := sorted(set(spec) - set(fields) - {"kind"}):
        raise FaultError(unknown[0], f"unknown field of {spec['kind']}; known: {', '.join(fields)}")
    values = {}
    for name, (types, default) in fields.items():
        value = spec[name] if name in spec else about.defaults.get(name, default)
        if value is ...:
            raise FaultError(name, f"required by {spec['kind']}")
        values[name] = _checked(name, value, types)
    return values


def _checked(name: str, value: Any, types: tuple[type, ...]) -> Any:
    good = isinstance(value, types) and (bool in types or not isinstance(value, bool))
    if not good:
        names = " or ".join("null" if t is type(None) else t.__name__ for t in types)
        raise FaultError(name, f"expected {names}, got {value!r}")
    if value is None:
        return None
    if name in _CHOICES and value not in _CHOICES[name]:
        raise FaultError(name, f"{value!r} is not one of {', '.join(_CHOICES[name])}")
    if value in ("",) or (name in _LOWEST and value < _LOWEST[name]) or (name in _HIGHEST and value > _HIGHEST[name]):
        raise FaultError(name, f"{value!r} is out of range")
    return value.upper() if name == "method" else value


def _path_pattern(path: str | None) -> str | re.Pattern[str] | None:
    """A route's shape, a compiled expression, or None for every path."""
    if path is None:
        return None
    if "{" in path and is_route(path):
        return shape(path)
    if not set(path) & _REGEX_MARKS and not is_route(path):
        raise FaultError("path", f"{path!r} is neither a route (such as /api/users/{{id}}) nor an expression")
    return _compiled("path", path)


def _compiled(name: str, text: str | None) -> re.Pattern[str] | None:
    try:
        return None if text is None else re.compile(text)
    except re.error as error:
        raise FaultError(name, f"{text!r} is not a regular expression: {error}") from error
