"""One change of one object, as a plan lists it and a journal reports it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

import msgspec


class Change(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One change.

    :param kind: what is changed, e.g. ``user`` or ``role``.
    :param action: what is done to it, e.g. ``create``.
    :param key: the key of the row that wants it (an external id, an e-mail): the same in every run.
    :param id: the object's id in Logto; None where it does not exist yet.
    :param target: the id at the other end of a relation, e.g. of the role.
    :param before: the fields it depends on, as they are now.
    :param after: the same fields as they shall be.
    :param reason: why, in words without personal data.
    :param destructive: whether somebody loses something.
    :param step: order within one phase: a change waits for those with a lower step.
    :param row: number of the row in the source; differs between runs and therefore counts for nothing.
    """

    kind: str
    action: str
    key: str
    id: str | None = None
    target: str | None = None
    before: dict[str, Any] = msgspec.field(default_factory=dict)
    after: dict[str, Any] = msgspec.field(default_factory=dict)
    reason: str = ""
    destructive: bool = False
    step: int = 0
    row: int | None = None

    @property
    def identity(self) -> tuple[str, str, str, str, str]:
        """What makes two changes the same change: at most one of each is in a plan."""
        return self.kind, self.action, self.key, self.id or "", self.target or ""

    @property
    def fields(self) -> list[str]:
        """The names of the fields that change."""
        return sorted({*self.before, *self.after})

    @property
    def name(self) -> str:
        """Kind and action, for counts: ``user.create``."""
        return f"{self.kind}.{self.action}"


def in_order(changes: Iterable[Change]) -> list[Change]:
    """Changes in the one order that a plan has, whatever order they were found in."""
    return sorted(changes, key=lambda change: change.identity)


_ENCODER = msgspec.json.Encoder(order="deterministic")


def encoded(value: Any) -> bytes:
    """JSON whose bytes depend on the value alone."""
    return _ENCODER.encode(value)


def digest_of(values: Iterable[bytes]) -> str:
    """SHA-256 over lines, hexadecimal."""
    total = hashlib.sha256()
    for value in values:
        total.update(value)
        total.update(b"\n")
    return total.hexdigest()


def digest_line(change: Change) -> bytes:
    """What of a change counts for the plan's id: everything but the row's number."""
    return encoded(
        [*change.identity, change.before, change.after, change.reason, change.destructive, change.step],
    )
