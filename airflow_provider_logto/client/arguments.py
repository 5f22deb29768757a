"""What a caller may hand to the client, checked before anything is sent."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote

import httpx

from airflow_provider_logto.exceptions import InvalidInput

Query = Mapping[str, Any]

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
#: The server drops larger JSON bodies with a bare 404.
MAX_BODY = 1024 * 1024
#: Characters of a path, and of a path with its query: what servers take at most (longer ones get a 431).
MAX_PATH = 8 * 1024
MAX_URL = 60 * 1024


@dataclass(frozen=True)
class Call:
    """One operation that is to be called, checked: everything that a request consists of, but for the token."""

    method: str
    path: str
    params: httpx.QueryParams | None = None
    content: bytes | None = None

    @property
    def operation(self) -> str:
        """For messages, e.g. ``POST /api/users``."""
        return f"{self.method} /api{self.path}"

    @classmethod
    def checked(cls, method: str, path: str, query: Query | None = None, body: Any = None) -> Call:
        """
        :raises InvalidInput: naming the argument that is wrong.
        """
        call = cls(checked_method(method), checked_path(path), checked_params(query), checked_content(body))
        if len(call.path) + len(str(call.params or "")) > MAX_URL:
            raise InvalidInput("query", f"longer than the {MAX_URL} characters that fit into a URL; ask in portions")
        return call


def path_of(template: str, *values: str) -> str:
    """Fill ``{}`` places of a path with percent-encoded values: ``path_of("/users/{}/roles", user_id)``.

    :raises InvalidInput: for an empty value, which would name the list instead of one object.
    """
    for value in values:
        if not isinstance(value, str) or not value or value in (".", ".."):
            raise InvalidInput("path", f"{value!r} cannot fill a place in {template}; give an id")
    try:
        return template.format(*(quote(value, safe="") for value in values))
    except UnicodeEncodeError:
        raise InvalidInput("path", f"{values!r} holds half a character (a lone surrogate); give an id") from None


def checked_method(method: str) -> str:
    if method.upper() not in METHODS:
        raise InvalidInput("method", f"{method!r} is unknown; use one of {', '.join(METHODS)}")
    return method.upper()


def checked_path(path: str) -> str:
    hint = "give the operation's path, e.g. /users/{id}: no host, no query, no '..'; values percent-encoded"
    if not path.startswith("/") or path.startswith("//") or any(c in path for c in "?#\\") or not path.isprintable():
        raise InvalidInput("path", f"{path!r}: {hint}")
    if " " in path or any(piece in (".", "..") for piece in re.split(r"[/\\]", unquote(path))):
        raise InvalidInput("path", f"{path!r}: {hint}")
    if len(path) > MAX_PATH:
        raise InvalidInput("path", f"{len(path)} characters; at most {MAX_PATH} are possible")
    stripped = path.removeprefix("/api") if path == "/api" or path.startswith("/api/") else path
    if stripped in ("", "/") or "//" in stripped:
        raise InvalidInput("path", f"{path!r}: {hint}")
    return stripped


def checked_params(query: Query | None) -> httpx.QueryParams | None:
    if query is not None and not isinstance(query, Mapping):
        raise InvalidInput("query", f"must be a mapping of names to values, not {type(query).__name__}")
    pairs: list[tuple[str, str | int | float | bool | None]] = []
    for name, value in (query or {}).items():
        many = isinstance(value, Sequence | set | frozenset) and not isinstance(value, str | bytes)
        for one in value if many else (value,):
            if isinstance(one, bool):
                pairs.append((name, str(one).lower()))
            elif isinstance(one, str | int | float):
                pairs.append((name, str(one)))
            elif one is not None:
                raise InvalidInput(f"query.{name}", f"must be text, a number or a list of them, not {one!r}")
    for name, value in pairs:
        if any("\ud800" <= character <= "\udfff" for character in f"{name}{value}"):
            raise InvalidInput(f"query.{name!a}", f"{value!a} holds half a character (a lone surrogate)")
    return httpx.QueryParams(pairs) if pairs else None


def checked_content(body: Any) -> bytes | None:
    if body is None:
        return None
    if isinstance(body, str | bytes | int | float):
        raise InvalidInput("body", f"must be a JSON object or list, not {type(body).__name__}")
    try:
        content = json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidInput("body", f"cannot be sent as JSON: {error}") from None
    if len(content) > MAX_BODY:
        raise InvalidInput("body", f"{len(content)} bytes; the server takes at most {MAX_BODY}")
    return content
