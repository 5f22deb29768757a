"""Custom data as JSON: checked before it is sent, and compared as the server will show it."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from airflow_provider_logto.exceptions import InvalidInput

#: The largest integer that the server keeps: its numbers are doubles.
MAX_INTEGER = 2**53 - 1
#: Objects and lists within each other.
MAX_DEPTH = 100
_RENDERED = re.compile(r"""\s*(\{\s*["'].*\}|\[\s*["'{].*\])\s*""", re.DOTALL)


def json_object(field: str, value: Any) -> dict[str, Any] | None:
    """A JSON object in the form in which the server will return it, or None where it is absent or empty.

    :raises InvalidInput: naming the path of what JSON or the server cannot hold: dates and other types, NUL
        characters, lone surrogates, integers beyond 2^53, NaN and infinity.
    """
    if value is None or value == "":
        return None
    if not isinstance(value, Mapping):
        raise InvalidInput(field, wrong_type("an object with text keys", value))
    checked: dict[str, Any] = _checked(field, value, MAX_DEPTH)
    return checked or None


def wrong_type(expected: str, value: Any) -> str:
    """What to say about a value of another type; a text is most often what an Airflow template made of the value.

    :param expected: e.g. ``an object``.
    """
    hint = "; a template gives text, unless the DAG has render_template_as_native_obj=True"
    return f"must be {expected}, not {type(value).__name__}{hint if isinstance(value, str) else ''}"


def refuse_rendered(field: str, value: Any) -> None:
    """Refuse a text that an Airflow template made of an object, of a list of texts or objects, or of nothing at all.

    As a reference it would mean nobody, which a task may take for done.

    :raises InvalidInput: for such a text.
    """
    if not isinstance(value, str):
        return
    if value.strip() == "None":
        raise InvalidInput(field, "'None' is not a value; a template wrote it where a task has no XCom")
    if _RENDERED.fullmatch(value):
        raise InvalidInput(field, wrong_type("a reference", value))


def same_json(one: Any, other: Any) -> bool:
    """Whether two JSON values are the same; unlike ``==``, true is not 1."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(same_json(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same_json, one, other))
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def differing_values(current: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Those values of an object that are not there already."""
    return {key: one for key, one in wanted.items() if key not in current or not same_json(current[key], one)}


def unstorable(text: str) -> str:
    """Why a text cannot be stored; empty where it can."""
    if "\x00" in text:
        return "must not contain a NUL character"
    try:
        text.encode()
    except UnicodeEncodeError:
        return "contains half of a surrogate pair; it was decoded wrongly somewhere"
    return ""


def _checked(path: str, value: Any, depth: int) -> Any:
    if depth < 0:
        raise InvalidInput(path, f"is nested more than {MAX_DEPTH} levels deep")
    if isinstance(value, Mapping):
        return {_key(path, key): _checked(f"{path}.{key}", one, depth - 1) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_checked(f"{path}[{at}]", one, depth - 1) for at, one in enumerate(value)]
    if isinstance(value, str):
        # A subclass of str, such as a member of an enumeration, is sent as its text.
        return str.__str__(_storable(path, value))
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return _number(path, value)
    hint = "; write it as text, e.g. with isoformat()" if hasattr(value, "isoformat") else ""
    raise InvalidInput(path, f"{type(value).__name__} is no JSON{hint}")


def _key(path: str, key: Any) -> str:
    if not isinstance(key, str):
        raise InvalidInput(path, f"must be an object with text keys, not {key!r}")
    return _storable(path, key)


def _storable(path: str, text: str) -> str:
    if problem := unstorable(text):
        raise InvalidInput(path, problem)
    return text


def _number(path: str, value: int | float) -> int | float:
    if isinstance(value, float):
        if not math.isfinite(value):
            raise InvalidInput(path, f"{value} is no JSON number; leave it out, or write null")
        # The server returns 1.0 as 1.
        return int(value) if value.is_integer() and abs(value) <= MAX_INTEGER else float(value)
    if abs(value) > MAX_INTEGER:
        raise InvalidInput(path, f"the server rounds integers beyond {MAX_INTEGER}; write it as text")
    return int(value)
