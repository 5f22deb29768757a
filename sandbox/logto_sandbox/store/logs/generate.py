"""The columns of generated log rows: random choices among the names that a spec lists, as numbers of those names."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import NamedTuple

from logto_sandbox.store.logs import rows


class Columns(NamedTuple):
    """Some generated rows, one list for each column; names are given by number, 0 = none."""

    keys: list[int]
    users: list[int]
    applications: list[int]
    hooks: list[int]
    details: list[int]


class Generator:
    """Generates the rows of one spec in chunks; the same seed gives the same rows.

    :param number_of: name -> its number
    """

    def __init__(self, spec: rows.LogSpec, number_of: Callable[[str | None], int]) -> None:
        names, self._weights = spec.weights()
        self._keys = [number_of(name) for name in names]
        self._webhook_keys = {number_of(name) for name in names if rows.series(name) == rows.WEBHOOK}
        self._user_keys = {number_of(name) for name in names if rows.names_user(name)}
        self._users = [number_of(user) for user in spec.user_ids()] or [0]
        self._applications = [number_of(name) for name in spec.applications] or [0]
        self._hook = number_of(spec.hook_id)
        self._error_share = spec.error_share
        self._random = random.Random(spec.seed + 1)  # noqa: S311 - test data

    def columns(self, start: int, size: int) -> Columns:
        """The rows numbered ``start`` to ``start + size - 1``."""
        keys = self._random.choices(self._keys, self._weights, k=size)
        failed = [self._random.random() < self._error_share for _ in range(size)]
        users = self._random.choices(self._users, k=size)
        return Columns(
            keys=keys,
            users=[user if key in self._user_keys else 0 for user, key in zip(users, keys, strict=True)],
            applications=self._random.choices(self._applications, k=size),
            hooks=[self._hook] * size,
            details=[(start + n) << 1 | bad for n, bad in enumerate(failed)],
        )

    def series(self, key: int) -> int:
        """The series that rows with this key (by number) belong to."""
        return rows.WEBHOOK if key in self._webhook_keys else rows.AUDIT
