"""Users, their roles and organizations, on local disk until all are read: put in order, each once, with flat memory."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

_SCHEMA = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA cache_size = -16000;
CREATE TABLE people (id TEXT PRIMARY KEY, created INTEGER NOT NULL, row TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE roles (person TEXT, role TEXT, PRIMARY KEY (person, role)) WITHOUT ROWID;
CREATE TABLE organizations (person TEXT, id TEXT, about TEXT NOT NULL, PRIMARY KEY (person, id)) WITHOUT ROWID;
"""


class UserSpool:
    """A file without a name, so that nothing stays behind, not even after a kill.

    It lies in SQLite's folder for temporary files: ``SQLITE_TMPDIR``, else ``TMPDIR``, else ``/var/tmp``.

    All methods block: call them in a thread, one at a time.
    """

    def __init__(self) -> None:
        # "" is a temporary database: SQLite takes its file's name away before it writes the first byte.
        self._db = sqlite3.connect("", check_same_thread=False, isolation_level=None)
        self._db.executescript(_SCHEMA)
        # One transaction that is never committed to anything but this file.
        self._db.execute("BEGIN")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._db.close()

    def add_people(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Keep users; whoever is there already is replaced."""
        values = ((row["id"], row["createdAt"], json.dumps(row)) for row in rows)
        self._db.executemany("INSERT OR REPLACE INTO people VALUES (?, ?, ?)", values)

    def add_role(self, name: str, ids: Iterable[str]) -> None:
        """Keep holders of a role."""
        self._db.executemany("INSERT OR IGNORE INTO roles VALUES (?, ?)", ((one, name) for one in ids))

    def add_organization(self, organization: Mapping[str, Any], members: Iterable[Mapping[str, Any]]) -> None:
        """Keep members of an organization and their roles there."""
        values = []
        for member in members:
            roles = sorted(role["name"] for role in member["organizationRoles"])
            about = {"id": organization["id"], "name": organization["name"], "roles": roles}
            values.append((member["id"], organization["id"], json.dumps(about)))
        self._db.executemany("INSERT OR REPLACE INTO organizations VALUES (?, ?, ?)", values)

    def count(self) -> int:
        """How many people are kept."""
        return int(self._db.execute("SELECT count(*) FROM people").fetchone()[0])

    def records(self, size: int) -> Iterator[Sequence[dict[str, Any]]]:
        """Everybody in the order of (createdAt, id), with ``roles`` and ``organizations``, in portions."""
        cursor = self._db.execute("SELECT id, row FROM people ORDER BY created, id")
        while rows := cursor.fetchmany(size):
            yield [
                {**json.loads(row), "roles": self._roles(person), "organizations": self._organizations(person)}
                for person, row in rows
            ]

    def _roles(self, person: str) -> list[str]:
        return [
            name for (name,) in self._db.execute("SELECT role FROM roles WHERE person = ? ORDER BY role", (person,))
        ]

    def _organizations(self, person: str) -> list[Any]:
        rows = self._db.execute("SELECT about FROM organizations WHERE person = ? ORDER BY id", (person,))
        return [json.loads(about) for (about,) in rows]
