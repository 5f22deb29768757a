"""Routes Logto generates from a description too: the five of an organization entity, the four of a relation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from logto_sandbox.api.common import (
    CREATED,
    NO_CONTENT,
    change,
    delete_row,
    insert,
    read,
    unique,
    unlink,
)
from logto_sandbox.errors import ApiError, invalid_input
from logto_sandbox.http.paging import Rows
from logto_sandbox.http.routing import PAGED, Call, Reply, Routes
from logto_sandbox.http.schema import Obj, ids
from logto_sandbox.http.search import keyword_filter
from logto_sandbox.store.relations import Row


@dataclass(frozen=True)
class Entity:
    """One table of the organization families.

    :param shape: body of POST; PATCH takes the same with every key optional
    :param defaults: the columns of a new row, without id
    :param search: columns ``q`` looks at
    :param singular: the entity's name in messages
    :param unique_name: names are unique, and the list is ordered by them
    :param view: what the list shows of a row
    :param own: methods on the collection that the family declares itself, e.g. ``GET POST``
    """

    table: str
    singular: str
    shape: Obj
    defaults: Callable[[Call], Row]
    search: Sequence[str]
    id_length: int = 21
    unique_name: bool = False
    paging: str = PAGED
    view: Callable[[Call, Row], Row] | None = None
    own: str = ""

    def declare(self, routes: Routes) -> None:
        """Adds the routes to a family."""
        partial = Obj({key: schema.or_absent() for key, schema in (self.shape.shape or {}).items()})
        if "GET" not in self.own:
            routes.add("GET", "", self._list, paging=self.paging)
        if "POST" not in self.own:
            routes.add("POST", "", self._create, status=201, body=self.shape)
        routes.add("GET", "/{id}", lambda call: read(call, self.table, call["id"]))
        routes.add("PATCH", "/{id}", self._update, body=partial)
        routes.add("DELETE", "/{id}", lambda call: delete_row(call, self.table, call["id"]))

    def _list(self, call: Call) -> Rows:
        rows, view = call.tenant.tables[self.table], self.view
        chosen = sorted(rows.values(), key=lambda row: row["name"]) if self.unique_name else rows.unordered()
        matches = keyword_filter(call.first("q"), self.search)
        return Rows([row for row in chosen if matches(row)], (lambda row: view(call, row)) if view else None)

    def _create(self, call: Call) -> Row:
        values = self.defaults(call) | call.body
        return insert(call, self.table, values, self.id_length, unique_name=self.unique_name)

    def _update(self, call: Call) -> Row:
        rows = call.tenant.tables[self.table]
        if not call.body:
            raise invalid_input()
        row = rows.get(call["id"])
        if row is None:
            raise ApiError(404, "entity.not_exists", f"The {self.singular} does not exist.")
        if self.unique_name and "name" in call.body:
            unique(rows, "name", call.body["name"], row["id"])
        return change(rows, row, call.body)


@dataclass(frozen=True)
class Link:
    """One relation under an entity.

    :param path: below the family's prefix, e.g. ``/{id}/scopes``
    :param relation: its name in the tenant
    :param key: of the body, e.g. ``organizationScopeIds``
    :param parameter: of the DELETE path
    :param table: of the rows listed
    :param owner: table that must hold ``{id}`` for the list ("" = an unknown owner has an empty list)
    :param own: methods the family declares itself, e.g. ``GET PUT``
    """

    path: str
    relation: str
    key: str
    parameter: str
    table: str
    owner: str = ""
    paging: str = PAGED
    own: str = ""

    def declare(self, routes: Routes) -> None:
        """Adds the routes to a family."""
        if "GET" not in self.own:
            routes.add("GET", self.path, self._list, paging=self.paging)
        if "POST" not in self.own:
            routes.add("POST", self.path, self._add, body=Obj({self.key: ids(1)}))
        if "PUT" not in self.own:
            routes.add("PUT", self.path, self._replace, body=Obj({self.key: ids()}))
        routes.add("DELETE", f"{self.path}/{{{self.parameter}}}", self._remove)

    def _list(self, call: Call) -> Rows:
        if self.owner:
            read(call, self.owner, call["id"])
        linked = call.tenant.relations[self.relation].ids(1, call["id"])
        return Rows(call.tenant.tables[self.table].unordered(linked))

    def _add(self, call: Call) -> Reply:
        call.tenant.relations[self.relation].insert((call["id"], other) for other in call.body[self.key])
        return CREATED

    def _replace(self, call: Call) -> Reply:
        # A plain INSERT: an id given twice is a unique violation.
        relation = call.tenant.relations[self.relation]
        relation.replace((call["id"],), call.body[self.key], ignore_held=False)
        return NO_CONTENT

    def _remove(self, call: Call) -> Reply:
        return unlink(call.tenant.relations[self.relation], call["id"], call[self.parameter])
