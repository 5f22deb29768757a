"""One audit log as the API shows it; its payload stays the JSON text that came, since most of it is only handed on."""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec
from msgspec.structs import replace

#: Levels of objects and lists in a payload; what lies deeper becomes a text that holds its JSON. Readers of JSON give
#: up at some depth (Python's own at 1,000): one such row would make everything around it unreadable.
MAX_DEPTH = 100


class Row(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """One audit log.

    :param created_at: epoch ms.
    :param payload: JSON in one line; a slice of the page that it came with.
    """

    id: str
    created_at: int
    key: str | None = None
    payload: msgspec.Raw = msgspec.Raw(b"null")

    @classmethod
    def of(cls, value: Any) -> Row:
        """A row from parsed JSON.

        :raises TypeError, KeyError, ValueError: when the value is no audit log.
        """
        row_id, created_at, key = value["id"], value["createdAt"], value.get("key")
        if not isinstance(row_id, str) or not isinstance(key, str | None) or not isinstance(created_at, int | float):
            raise TypeError("no audit log")
        return cls(row_id, int(created_at), key, msgspec.Raw(json_bytes(value.get("payload"))))


_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_page = msgspec.json.Decoder(list[Row])


def json_bytes(value: Any) -> bytes:
    """JSON as JavaScript writes it: compact, in UTF-8."""
    # A lone surrogate has no UTF-8 form; its \uXXXX form is valid JSON.
    return _encode(value).encode("utf-8", "backslashreplace")


def decode_rows(content: bytes) -> Any:
    """The body of ``GET /api/logs``.

    :returns: a list of :class:`Row`; where the body is something else, that.
    :raises ValueError, RecursionError: when the body is no JSON that can be read.
    """
    # A line break between two values may not get into a file of JSON lines, nor may what is no UTF-8.
    if b"\n" not in content and b"\r" not in content and _is_utf8(content):
        try:
            return [_readable(row) for row in _page.decode(content)]
        except (msgspec.DecodeError, RecursionError):
            pass  # broken, something else, too deep, or what only Python's own reader takes
    value = json.loads(flattened(content, MAX_DEPTH + 2))  # a payload is in a row, which is in the list
    try:
        return [Row.of(one) for one in value]
    except (TypeError, KeyError, ValueError, AttributeError, OverflowError):
        return value


def flattened(content: bytes, levels: int) -> bytes:
    """JSON in which objects and lists below some levels are texts that hold their JSON."""
    pieces, depth, done, start = [], 0, 0, 0
    for token in _TOKEN.finditer(content):
        if token.lastgroup == "begin":
            depth += 1
            if depth == levels + 1:
                start = token.start()
        elif token.lastgroup == "end":
            if depth == levels + 1:
                text = content[start : token.end()].decode("utf-8", "backslashreplace")
                pieces += [content[done:start], json_bytes(text)]
                done = token.end()
            depth -= 1
    return b"".join((*pieces, content[done:]))


# Brackets inside a string are none.
_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|(?P<begin>[\[{])|(?P<end>[]}])', re.DOTALL)


def _readable(row: Row) -> Row:
    payload = bytes(row.payload)
    if payload.count(b"{") + payload.count(b"[") <= MAX_DEPTH:
        return row
    return replace(row, payload=msgspec.Raw(flattened(payload, MAX_DEPTH)))


def _is_utf8(content: bytes) -> bool:
    if content.isascii():
        return True
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True
