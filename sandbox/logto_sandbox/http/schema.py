"""Request bodies and queries described in a few words, with the issues zod reports for what does not fit."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from logto_sandbox.errors import ApiError, invalid_input

Issue = dict[str, Any]
Path = tuple[str | int, ...]

_SOFT = frozenset({"invalid_string", "too_small", "too_big", "custom"})


class _Missing:
    """An absent key (undefined), which is not null."""


MISSING = _Missing()


def type_name(value: Any) -> str:
    """The name zod gives to the type of a JSON value."""
    if value is MISSING:
        return "undefined"
    if value is None:
        return "null"
    names = {bool: "boolean", int: "number", float: "number", str: "string", list: "array", dict: "object"}
    return names[type(value)]


class Schema:
    """One value. ``optional`` lets the key be absent, ``nullable`` lets it be null."""

    expected = "unknown"

    def __init__(self, *, optional: bool = False, nullable: bool = False) -> None:
        self.optional, self.nullable = optional, nullable

    def check(self, value: Any, path: Path, issues: list[Issue]) -> Any:
        """The accepted value (unknown keys stripped); what does not fit is appended to ``issues``."""
        if (value is MISSING and self.optional) or (value is None and self.nullable):
            return value
        if type_name(value) != self.expected:
            received = type_name(value)
            message = "Required" if value is MISSING else f"Expected {self.expected}, received {received}"
            issues.append(
                {
                    "code": "invalid_type",
                    "expected": self.expected,
                    "received": received,
                    "path": list(path),
                    "message": message,
                }
            )
            return value
        return self.inside(value, path, issues)

    def inside(self, value: Any, path: Path, issues: list[Issue]) -> Any:
        """Checks a value whose type is right."""
        return value

    def or_absent(self) -> Schema:
        """The same, but the key may be absent (what PATCH makes of POST)."""
        loose = copy.copy(self)
        loose.optional = True
        return loose


class Bool(Schema):
    expected = "boolean"


class Number(Schema):
    """A JSON number; ``least`` and ``most`` are inclusive bounds; ``whole`` is what the database enforces."""

    expected = "number"

    def __init__(
        self, least: float | None = None, most: float | None = None, *, whole: bool = False, **options: bool
    ) -> None:
        super().__init__(**options)
        self.least, self.most, self.whole = least, most, whole

    def inside(self, value: Any, path: Path, issues: list[Issue]) -> Any:
        _bounds("number", value, self.least, self.most, path, issues)
        if self.whole and value % 1:
            issues.append({"refused": invalid_input()})
        return value


class Text(Schema):
    """A string; ``least`` and ``most`` bound its length in UTF-16 units; ``column`` is the width the database
    enforces, in characters.

    Of ``kind`` ``url`` (or ``custom``, the same told in another way) it is a URL.
    """

    expected = "string"

    def __init__(
        self,
        least: int | None = None,
        most: int | None = None,
        *,
        pattern: re.Pattern[str] | None = None,
        kind: str = "regex",
        column: int | None = None,
        empty: bool = False,
        **options: bool,
    ) -> None:
        super().__init__(**options)
        self.least, self.most, self.pattern, self.kind = least, most, pattern, kind
        self.column, self.empty = column, empty

    def inside(self, value: str, path: Path, issues: list[Issue]) -> Any:
        if self.empty and value == "":
            return value
        _bounds("string", utf16_length(value), self.least, self.most, path, issues)
        good = self.pattern.search(value) if self.pattern else self.kind == "regex" or _is_url(value)
        if not good:
            issues.append({**self._issue(), "path": list(path)})
        if self.column and len(value) > self.column:
            text = f"value too long for type character varying({self.column})"
            issues.append({"refused": ApiError(422, "entity.value_too_long", data={"message": text})})
        return value

    def _issue(self) -> Issue:
        if self.kind == "custom":
            return {"code": "custom", "message": "Invalid input"}
        message = "Invalid" if self.kind == "regex" else f"Invalid {self.kind}"
        return {"validation": self.kind, "code": "invalid_string", "message": message}


def utf16_length(text: str) -> int:
    """The length of a text as JavaScript counts it: characters beyond the basic plane count twice."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def _is_url(value: str) -> bool:
    try:
        parts = urlsplit(value)
    except ValueError:
        return False
    return bool(parts.scheme and (parts.netloc or parts.path)) and not any(c.isspace() for c in value)


_WORDS = {
    "string": ("String must contain at least {} character(s)", "String must contain at most {} character(s)"),
    "array": ("Array must contain at least {} element(s)", "Array must contain at most {} element(s)"),
    "number": ("Number must be greater than or equal to {}", "Number must be less than or equal to {}"),
}


def _bounds(kind: str, size: float, least: float | None, most: float | None, path: Path, issues: list[Issue]) -> None:
    for code, key, bound, broken, words in (
        ("too_small", "minimum", least, least is not None and size < least, _WORDS[kind][0]),
        ("too_big", "maximum", most, most is not None and size > most, _WORDS[kind][1]),
    ):
        if broken:
            issue = {"code": code, key: bound, "type": kind, "inclusive": True, "exact": False}
            issues.append({**issue, "message": words.format(bound), "path": list(path)})


class Enum(Schema):
    """One of some strings."""

    def __init__(self, *options_: str, **options: bool) -> None:
        super().__init__(**options)
        self.options = options_
        self.expected = " | ".join(f"'{option}'" for option in options_)

    def check(self, value: Any, path: Path, issues: list[Issue]) -> Any:
        if not isinstance(value, (str, int)) or isinstance(value, bool):
            return super().check(value, path, issues)
        if value not in self.options:
            issues.append(
                {
                    "received": value,
                    "code": "invalid_enum_value",
                    "options": list(self.options),
                    "path": list(path),
                    "message": f"Invalid enum value. Expected {self.expected}, received '{value}'",
                }
            )
        return value


class Array(Schema):
    """A list of values of one kind; ``least`` bounds its length."""

    expected = "array"

    def __init__(self, item: Schema, least: int | None = None, **options: bool) -> None:
        super().__init__(**options)
        self.item, self.least = item, least

    def inside(self, value: list[Any], path: Path, issues: list[Issue]) -> Any:
        _bounds("array", len(value), self.least, None, path, issues)
        return [self.item.check(item, (*path, index), issues) for index, item in enumerate(value)]


class Obj(Schema):
    """An object with known keys; others are stripped, or kept with ``others``. Without keys: any object, its values
    like ``values``."""

    expected = "object"

    def __init__(
        self,
        shape: Mapping[str, Schema] | None = None,
        *,
        values: Schema | None = None,
        others: bool = False,
        **options: bool,
    ) -> None:
        super().__init__(**options)
        self.shape, self.values, self.others = shape, values, others

    def inside(self, value: dict[str, Any], path: Path, issues: list[Issue]) -> Any:
        if self.shape is None:
            each = self.values
            return {key: each.check(item, (*path, key), issues) for key, item in value.items()} if each else value
        checked = {
            key: schema.check(value.get(key, MISSING), (*path, key), issues) for key, schema in self.shape.items()
        }
        kept = {key: item for key, item in checked.items() if item is not MISSING}
        return kept | {key: item for key, item in value.items() if self.others and key not in self.shape}


class No(Schema):
    """The literal false."""

    def check(self, value: Any, path: Path, issues: list[Issue]) -> Any:
        if value is not False:
            message = "Invalid literal value, expected false"
            issue = {"received": value, "code": "invalid_literal", "expected": False, "path": list(path)}
            issues.append(issue | {"message": message})
        return value


class Union(Schema):
    """A value that one of several schemas takes."""

    def __init__(self, *choices: Schema, **options: bool) -> None:
        super().__init__(**options)
        self.choices = choices

    def check(self, value: Any, path: Path, issues: list[Issue]) -> Any:
        if value is MISSING and self.optional:
            return value
        refused = []
        for choice in self.choices:
            found: list[Issue] = []
            accepted = choice.check(value, path, found)
            if not found:
                return accepted
            if _SOFT.issuperset(issue["code"] for issue in found):
                # Of the right type throughout: this choice was meant, and its issues are told.
                issues.extend(found)
                return value
            refused.append({"issues": found, "name": "ZodError"})
        union = {"code": "invalid_union", "unionErrors": refused, "path": list(path), "message": "Invalid input"}
        issues.append(union)
        return value


class Tagged(Schema):
    """An object whose key ``tag`` says which of several shapes it has."""

    expected = "object"

    def __init__(self, tag: str, shapes: Mapping[str, Obj]) -> None:
        super().__init__()
        self.tag, self.shapes = tag, shapes

    def inside(self, value: dict[str, Any], path: Path, issues: list[Issue]) -> Any:
        kind = value.get(self.tag)
        if not isinstance(kind, str) or kind not in self.shapes:
            expected = " | ".join(f"'{name}'" for name in self.shapes)
            issue = {"code": "invalid_union_discriminator", "options": list(self.shapes), "path": [*path, self.tag]}
            issues.append(issue | {"message": f"Invalid discriminator value. Expected {expected}"})
            return value
        return {self.tag: kind, **self.shapes[kind].inside(value, path, issues)}


def ids(least: int | None = None, **options: bool) -> Array:
    """A list of non-empty ids."""
    return Array(Text(1), least, **options)


def validate(schema: Schema, value: Any, part: str = "body") -> Any:
    """The accepted value.

    :param part: ``body``, ``query`` or ``parameters``, for the message.
    :raises ApiError: 400 ``guard.invalid_input`` with zod's issues, or what the database would refuse (422).
    """
    issues: list[Issue] = []
    accepted = schema.check(value, (), issues)
    told = [issue for issue in issues if "refused" not in issue]
    if told:
        raise guard_error(told, part)
    if issues:
        raise issues[0]["refused"]
    return accepted


def guard_error(
    issues: Sequence[Issue], part: str = "body", code: str = "guard.invalid_input", status: int = 400
) -> ApiError:
    """400 with zod's issues in ``data`` and a readable list of them in ``details``."""
    lines = [f'Error in key path "{_dotted(issue)}": ({issue["code"]}) {_words(issue)}' for issue in issues]
    return ApiError(
        status,
        code,
        f"The request {part} is invalid.",
        data={"issues": list(issues), "name": "ZodError"},
        details="\n".join(lines),
    )


def _dotted(issue: Issue) -> str:
    return ".".join(str(step) for step in issue["path"])


def _words(issue: Issue) -> str:
    if issue["code"] == "invalid_type":
        return f"Expected {issue['expected']} but received {issue['received']}."
    return str(issue["message"])
