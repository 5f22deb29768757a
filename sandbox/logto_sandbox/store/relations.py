"""Tables and relations of the in-memory tenant: rows by id, and sets of id tuples indexed by every column."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from logto_sandbox.errors import ForeignKeyError, UniqueViolationError, constraint_violated

Row = dict[str, Any]
Link = tuple[str, ...]


class Table(dict[str, Row]):
    """Rows by id, in order of creation. A row is exactly what the API shows of it."""

    def __init__(self) -> None:
        super().__init__()
        self._place: dict[str, int] = {}
        self._number: dict[str, int] = {}

    def put(self, row: Row) -> Row:
        """Stores a new or changed row. Like PostgreSQL's heap, a change moves the row within unordered lists."""
        row_id = row["id"]
        self[row_id] = row
        self._place[row_id] = secrets.randbits(32)
        self._number.setdefault(row_id, len(self._number))
        return row

    def remove(self, row_id: str) -> bool:
        """Whether there was such a row."""
        self._place.pop(row_id, None)
        return self.pop(row_id, None) is not None

    def unordered(self, row_ids: Iterable[str] | None = None) -> list[Row]:
        """The rows (or those with these ids) as a query without ORDER BY gives them: in no order to rely on."""
        chosen = self if row_ids is None else row_ids
        return [self[row_id] for row_id in sorted(chosen, key=self._place.__getitem__)]

    def newest(self, row_ids: Iterable[str] | None = None) -> list[Row]:
        """The rows (or those with these ids) by creation, newest first."""
        if row_ids is None:
            return list(self.values())[::-1]
        return [self[row_id] for row_id in sorted(row_ids, key=self._number.__getitem__, reverse=True)]


@dataclass(frozen=True)
class RelationSpec:
    """What the database enforces about one relation.

    :param columns: the table each column points into; an empty name is plain text
    :param kinds: column -> the ``type`` its row must have (a CHECK constraint)
    :param parent: relation whose tuple (a prefix of this one) must exist; its removal removes this
    """

    columns: tuple[str, ...]
    kinds: tuple[tuple[int, str], ...] = ()
    parent: str = ""


_USER, _MACHINE = "User", "MachineToMachine"

RELATIONS: dict[str, RelationSpec] = {
    "users_roles": RelationSpec(("users", "roles"), ((1, _USER),)),
    "applications_roles": RelationSpec(("applications", "roles"), ((1, _MACHINE),)),
    "roles_scopes": RelationSpec(("roles", "scopes")),
    "organization_users": RelationSpec(("organizations", "users")),
    "organization_users_roles": RelationSpec(
        ("organizations", "users", "organization_roles"), ((2, _USER),), "organization_users"
    ),
    "organization_applications": RelationSpec(("organizations", "applications"), ((1, _MACHINE),)),
    "organization_applications_roles": RelationSpec(
        ("organizations", "applications", "organization_roles"), ((2, _MACHINE),), "organization_applications"
    ),
    "organization_roles_scopes": RelationSpec(("organization_roles", "organization_scopes")),
    "organization_roles_resource_scopes": RelationSpec(("organization_roles", "scopes")),
    "organization_jit_roles": RelationSpec(("organizations", "organization_roles")),
    "organization_jit_sso_connectors": RelationSpec(("organizations", "sso_connectors")),
    "organization_jit_email_domains": RelationSpec(("organizations", "")),
    "invitations_roles": RelationSpec(("invitations", "organization_roles")),
    "consent_organization_scopes": RelationSpec(("applications", "organization_scopes")),
    "consent_resource_scopes": RelationSpec(("applications", "scopes")),
    "consent_organization_resource_scopes": RelationSpec(("applications", "scopes")),
    "consent_user_scopes": RelationSpec(("applications", "")),
    "consent_organizations": RelationSpec(("applications", "users", "organizations")),
}


class Relation:
    """A set of id tuples in order of insertion."""

    def __init__(self, spec: RelationSpec, tables: dict[str, Table], parent: Relation | None) -> None:
        self.spec, self.parent = spec, parent
        self._tables = tables
        self._links: dict[Link, None] = {}
        self._by: list[dict[str, dict[Link, None]]] = [{} for _ in spec.columns]
        self._children: list[Relation] = []
        if parent is not None:
            parent._children.append(self)

    def __contains__(self, link: Link) -> bool:
        return link in self._links

    def __iter__(self) -> Iterator[Link]:
        return iter(self._links)

    def insert(self, links: Iterable[Link], *, ignore_held: bool = True) -> list[Link]:
        """Adds all tuples or none.

        :param ignore_held: False: a tuple that exists (or comes twice) is an error
        :return: those that were new
        :raises ApiError: 422 ``entity.db_constraint_violated``, a row of the wrong type
        :raises ForeignKeyError: a row or a parent tuple does not exist
        :raises UniqueViolationError: see ``ignore_held``
        """
        new: dict[Link, None] = {}
        # Row by row, as the database does: the type first, then uniqueness; foreign keys when all are in.
        for link in links:
            self._check_kinds(link)
            if link not in self._links and link not in new:
                new[link] = None
            elif not ignore_held:
                raise UniqueViolationError
        for link in new:
            self._check_keys(link)
        for link in new:
            self._links[link] = None
            for index, row_id in zip(self._by, link, strict=True):
                index.setdefault(row_id, {})[link] = None
        return list(new)

    def _check_kinds(self, link: Link) -> None:
        for column, kind in self.spec.kinds:
            row = self._tables[self.spec.columns[column]].get(link[column])
            if row is not None and row["type"] != kind:
                raise constraint_violated()

    def _check_keys(self, link: Link) -> None:
        for table, row_id in zip(self.spec.columns, link, strict=True):
            if table and row_id not in self._tables[table]:
                raise ForeignKeyError
        if self.parent is not None and link[: len(self.parent.spec.columns)] not in self.parent:
            raise ForeignKeyError

    def remove(self, link: Link) -> bool:
        """Whether there was such a tuple; what depends on it goes too."""
        if link not in self._links:
            return False
        del self._links[link]
        for index, row_id in zip(self._by, link, strict=True):
            del index[row_id][link]
            if not index[row_id]:
                del index[row_id]
        for child in self._children:
            for dependent in child.where(*link):
                child.remove(dependent)
        return True

    def where(self, *prefix: str | None) -> list[Link]:
        """Tuples whose first columns have these values; None stands for any."""
        given = [(column, value) for column, value in enumerate(prefix) if value is not None]
        if not given:
            return list(self._links)
        smallest = min((self._by[column].get(value, {}) for column, value in given), key=len)
        return [link for link in smallest if all(link[column] == value for column, value in given)]

    def ids(self, column: int, *prefix: str | None) -> list[str]:
        """Values of one column among the tuples :meth:`where` finds."""
        return [link[column] for link in self.where(*prefix)]

    def count(self, column: int, value: str) -> int:
        """Number of tuples with this value in this column."""
        return len(self._by[column].get(value, {}))

    def replace(self, prefix: Link, last: Iterable[str], *, ignore_held: bool = True) -> None:
        """Makes the tuples that begin with ``prefix`` exactly ``prefix + (value,)``, or changes nothing."""
        held = self.where(*prefix)
        for link in held:
            self._forget(link)
        try:
            self.insert([(*prefix, value) for value in last], ignore_held=ignore_held)
        except Exception:
            self.insert(held)
            raise
        for link in held:
            if link not in self._links:
                self._drop_dependents(link)

    def _forget(self, link: Link) -> None:
        children, self._children = self._children, []
        self.remove(link)
        self._children = children

    def _drop_dependents(self, link: Link) -> None:
        for child in self._children:
            for dependent in child.where(*link):
                child.remove(dependent)

    def drop_row(self, table: str, row_id: str) -> None:
        """Removes every tuple that points at a row (ON DELETE CASCADE)."""
        for column, name in enumerate(self.spec.columns):
            if name == table:
                for link in list(self._by[column].get(row_id, {})):
                    self.remove(link)


def build_relations(tables: dict[str, Table]) -> dict[str, Relation]:
    """One relation for each entry of :data:`RELATIONS`."""
    relations: dict[str, Relation] = {}
    for name, spec in RELATIONS.items():
        relations[name] = Relation(spec, tables, relations.get(spec.parent))
    return relations
