"""Who or what is looked for, as a plain dict that reads well in YAML, turned into Logto's search parameters.

    where:
      primaryEmail: {like: "%@acme.example"}
      username: [ada, bob]
      joint: or

A text means exactly that, a list any of them, ``{mode: value}`` a pattern. Several fields must all match unless
``joint`` is ``or``. Source: Logto docs, "Advanced user search"; PostgreSQL for the patterns.
"""

from __future__ import annotations

import difflib
import re
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Literal, cast
from urllib.parse import urlencode

from airflow_provider_logto.exceptions import InvalidInput
from airflow_provider_logto.management import phone_numbers, search
from airflow_provider_logto.management.json_values import wrong_type

#: Characters of a URL that a server with 16 kB of headers takes with certainty.
_LONGEST = 12_000
_OBJECT_FIELDS = ("id", "name", "description")
_OPTIONS = ("joint", "case_sensitive")
#: ``any`` looks at every searchable field at once.
_ANY = "any"
_MODES = ("exact", "like", "similar_to", "posix")
#: Lists of people; every other list with a search is one of objects with id, name and description.
_OF_PEOPLE = re.compile(r"/users|/roles/[^/]+/users")
#: In these lists, conditions joined by "or" escape the list's own filter and show objects of others.
_LEAKING = re.compile(r"/roles|/(users|applications)/[^/]+/roles|/(roles|resources)/[^/]+/scopes|/applications")


def search_query(where: Any, path: str = "/users") -> dict[str, Any]:
    """The query parameters that a ``where`` stands for.

    :param where: field -> text, list of texts, or ``{mode: text}`` with mode ``exact``, ``like``, ``similar_to`` or
        ``posix``; ``any`` instead of a field looks at all of them. Besides, ``joint`` (``and``, ``or``) and
        ``case_sensitive``. None and {} look for everybody.
    :param path: path of the list without ``/api``: people have ``id``, ``username``, ``primaryEmail``, ``primaryPhone``
        and ``name``, everything else ``id``, ``name`` and ``description``.
    :raises InvalidInput: for what the server would refuse, fail at, or silently read otherwise.
    """
    if where is None or where == {}:
        return {}
    if not isinstance(where, Mapping):
        raise InvalidInput("where", wrong_type('an object, e.g. {"username": "ada"}', where))
    joint, case_sensitive = _joint(where.get("joint", "and")), _flag(where.get("case_sensitive", False))
    people = _OF_PEOPLE.fullmatch(path) is not None
    query: dict[str, Any] = {}
    for name, wanted in where.items():
        if name not in _OPTIONS:
            query |= _parameters(_field(name, people), wanted, case_sensitive)
    names = [name for name in query if name.startswith("search")]
    if not names:
        raise InvalidInput("where", "names no field; leave it out to look for everybody")
    if joint == "or" and len(names) > 1 and _LEAKING.fullmatch(path):
        raise InvalidInput("where.joint", f"GET /api{path} shows objects that do not belong there with or; use and")
    query["joint"] = joint
    if case_sensitive:
        query["isCaseSensitive"] = "true"
    if (length := len(urlencode(query, doseq=True))) > _LONGEST:
        raise InvalidInput("where", f"is {length} characters long as part of a URL; at most {_LONGEST} fit: split it")
    return query


def _field(name: Any, people: bool) -> str:
    """The parameter of a field in either spelling: ``search.primaryEmail`` for ``primary_email``."""
    if name == _ANY:
        return "search"
    known = search.USER_FIELDS if people else _OBJECT_FIELDS
    by_plain = {_plain(one): one for one in known}
    if _plain(name) not in by_plain:
        near = difflib.get_close_matches(_plain(name), by_plain, n=1)
        meant = f"; did you mean {by_plain[near[0]]}?" if near else ""
        raise InvalidInput(f"where.{name}", f"cannot be searched; {', '.join((*known, _ANY))} can{meant}")
    return f"search.{by_plain[_plain(name)]}"


def _parameters(parameter: str, wanted: Any, case_sensitive: bool) -> dict[str, Any]:
    name = parameter.removeprefix("search.")
    where = f"where.{_ANY if parameter == 'search' else name}"
    mode, values = _mode_and_values(where, wanted)
    if mode == "similar_to" and not case_sensitive:
        raise InvalidInput(where, "similar_to needs case_sensitive: true")
    if parameter == "search" and len(values) > 1:
        raise InvalidInput(where, "takes one value; name the fields to look for several")
    if mode == "exact" and name == "primaryPhone":
        values = [form for value in values for form in _phone_forms(where, value)]
    for value in values:
        _check_pattern(where, mode, value)
    key = "mode" if parameter == "search" else f"mode.{name}"
    return {parameter: values[0] if len(values) == 1 else list(dict.fromkeys(values)), key: mode}


def _mode_and_values(where: str, wanted: Any) -> tuple[search.Mode, list[str]]:
    mode: Any = "exact"
    if isinstance(wanted, Mapping):
        if len(wanted) != 1:
            raise InvalidInput(where, f"must be one mode and its value; modes are {', '.join(_MODES)}")
        ((mode, wanted),) = wanted.items()
        if mode not in _MODES:
            raise InvalidInput(f"{where}.{mode}", f"is not a mode; use one of {', '.join(_MODES)}")
    many = isinstance(wanted, Sequence) and not isinstance(wanted, str)
    if many and mode != "exact":
        raise InvalidInput(where, f"{mode} takes one value; only exact takes several")
    values = [_text(where, value) for value in (wanted if many else (wanted,))]
    if not values:
        raise InvalidInput(where, "is an empty list, which would mean nobody; leave it out or give values")
    return cast("search.Mode", mode), values


def _text(where: str, value: Any) -> str:
    # YAML makes numbers of phone numbers and of some names.
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not value:
        raise InvalidInput(where, f"must be a text that is not empty, not {value!r}")
    if "\x00" in value:
        raise InvalidInput(where, "must not contain a NUL character")
    return value


def _phone_forms(where: str, value: str) -> tuple[str, ...]:
    """Logto stores bare digits without national prefix, older versions with it."""
    digits = re.sub(r"[\s().-]", "", value).removeprefix("+")
    if not digits.isascii() or not digits.isdigit():
        raise InvalidInput(where, f"{value!r} is not a phone number; use like for a part of one")
    return phone_numbers.variants(digits)


def _check_pattern(where: str, mode: str, value: str) -> None:
    """
    :raises InvalidInput: for a pattern at which the database fails: Logto answers 500 without a word.
    """
    if mode in ("like", "similar_to") and (len(value) - len(value.rstrip("\\"))) % 2:
        raise InvalidInput(where, f"{value!r} ends in a backslash, which must be followed by what it escapes")
    if mode in ("similar_to", "posix") and not value.startswith("***"):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                re.compile(value)
        except re.error as error:
            # Not every escape of PostgreSQL's is one of Python's; the rest of what fails here fails there too.
            if "escape" not in str(error):
                raise InvalidInput(where, f"{value!r} is not a regular expression: {error}") from None


def _joint(value: Any) -> Literal["and", "or"]:
    if value not in ("and", "or"):
        raise InvalidInput("where.joint", f"{value!r} is unknown; use and (all fields must match) or or")
    return cast("Literal['and', 'or']", value)


def _flag(value: Any) -> bool:
    # What a template renders is text.
    known = {True: True, False: False, "true": True, "false": False, "True": True, "False": False}
    if not isinstance(value, bool | str) or value not in known:
        raise InvalidInput("where.case_sensitive", f"{value!r} is neither true nor false")
    return known[value]


def _plain(name: Any) -> str:
    return str(name).replace("_", "").lower()
