"""Reading request bodies the way koa-body does, limits and oddities included."""

from __future__ import annotations

import gzip
import json
import math
import zlib
from collections.abc import Mapping
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl

from logto_sandbox.errors import BareError, MalformedJsonError, PlainNotFoundError

JSON_LIMIT = 1024 * 1024
FORM_LIMIT = 56 * 1024
_WHOLE_BELOW = 1e21


def parse_body(raw: bytes, headers: Mapping[str, str]) -> Any:
    """What the schema gets to see: the JSON, a form as an object, a text as a string, ``{}`` for anything else.

    :raises MalformedJsonError: 400 without a code
    :raises PlainNotFoundError: 404, what a body over the limit ends in
    """
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    is_json = kind == "application/json" or kind.endswith("+json")
    is_text = kind.startswith("text/")
    is_form = kind == "application/x-www-form-urlencoded"
    if not (is_json or is_text or is_form):
        return {}
    raw = _inflated(raw, headers.get("content-encoding", ""))
    if len(raw) > (JSON_LIMIT if is_json else FORM_LIMIT):
        raise PlainNotFoundError
    text = raw.decode("utf-8", "replace")
    if is_json:
        return _parse_json(text)
    return parse_form(text) if is_form else text


def _inflated(raw: bytes, encoding: str) -> bytes:
    try:
        if encoding == "gzip":
            return gzip.decompress(raw)
        if encoding == "deflate":
            return zlib.decompress(raw)
    except (OSError, zlib.error, EOFError) as error:
        raise BareError from error
    return raw


def _parse_json(text: str) -> Any:
    if not text.strip():
        return {}
    # Strict mode of the parser: a bare string or number is refused before it is looked at.
    if text.lstrip()[0] not in "[{":
        raise MalformedJsonError("only objects and arrays are taken as JSON")
    try:
        return json.loads(text, parse_constant=_refuse_constant, parse_int=_number, parse_float=_number)
    except (ValueError, RecursionError) as error:
        raise MalformedJsonError(f"the body is no JSON: {error}") from error


def _number(text: str) -> float | int | None:
    """A number as JavaScript keeps it: a double, so integers beyond 2^53 are rounded, and infinity becomes null."""
    number = float(text)
    if math.isinf(number):
        return None
    if abs(number) < _WHOLE_BELOW and number.is_integer():
        # Written with the fewest digits that mean this double, and zeros.
        return int(number) if abs(number) <= 2**53 else int(Decimal(repr(number)))
    return number


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def parse_form(text: str) -> dict[str, Any]:
    """A form as an object; a repeated key becomes a list."""
    form: dict[str, Any] = {}
    for key, value in parse_qsl(text, keep_blank_values=True):
        if key in form:
            form[key] = [*(form[key] if isinstance(form[key], list) else [form[key]]), value]
        else:
            form[key] = value
    return form


def refuse_nul(value: Any) -> None:
    """PostgreSQL stores no NUL character, neither in text nor in jsonb: a bare 500.

    :raises BareError: if a string in the value holds one
    """
    if isinstance(value, str):
        if "\x00" in value:
            raise BareError
    elif isinstance(value, list):
        for item in value:
            refuse_nul(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            refuse_nul(key)
            refuse_nul(item)


def jsonb(value: Any) -> Any:
    """A JSON value as jsonb gives it back: keys by length, then by bytes."""
    if isinstance(value, dict):
        keys = sorted(value, key=lambda key: (len(key.encode("utf-8", "replace")), key.encode("utf-8", "replace")))
        return {key: jsonb(value[key]) for key in keys}
    if isinstance(value, list):
        return [jsonb(item) for item in value]
    return value
