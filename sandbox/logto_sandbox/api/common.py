"""What the families share: reading rows, changing them, searching lists."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from logto_sandbox.errors import ApiError, invalid_input, not_exists_with_id, not_found
from logto_sandbox.http.bodies import jsonb
from logto_sandbox.http.routing import Call, Reply
from logto_sandbox.http.search import SearchError, parse_search, refuse
from logto_sandbox.store.relations import Relation, Row, Table
from logto_sandbox.store.rows import new_id
from logto_sandbox.store.state import TENANT_ID

_NOT_FOUND = frozenset({"users", "organization_roles", "connectors"})
CREATED, OK, NO_CONTENT = Reply(201), Reply(200), Reply(204)
JSON_COLUMNS = frozenset({"customData", "profile", "branding", "color", "config", "headers", "metadata"})

View = Callable[[Row], Row]


def read(call: Call, table: str, row_id: str) -> Row:
    """A row by id.

    :raises ApiError: 404 ``entity.not_exists_with_id``; for some tables ``entity.not_found``
    """
    row = call.tenant.tables[table].get(row_id)
    if row is None:
        raise not_found() if table in _NOT_FOUND else not_exists_with_id(table, row_id)
    return row


def stored(values: Mapping[str, Any]) -> Row:
    """Column values as the database gives them back: JSON columns with jsonb's order of keys, an empty text as null."""
    return {
        key: jsonb(value) if key in JSON_COLUMNS else None if value == "" else value for key, value in values.items()
    }


def change(table: Table, row: Row, values: Mapping[str, Any]) -> Row:
    """Writes columns of a row; the changed row.

    :raises ApiError: 422 ``entity.invalid_input`` when there is nothing to write
    """
    if not values:
        raise invalid_input()
    return table.put(row | stored(values))


def search_rows(
    call: Call, rows: Iterable[Row], fields: Sequence[str], keep: Callable[[Row], bool] | None = None
) -> list[Row]:
    """The rows a ``search`` query finds, with the missing parentheses of every list but the users'.

    :param keep: the list's own filters
    :raises ApiError: 400 ``request.invalid_input``
    """
    try:
        search = parse_search(call.query, fields)
    except SearchError as error:
        raise refuse(error) from error
    return [row for row in rows if search.matches_after(row, keep is None or keep(row))]


def delete_row(call: Call, table: str, row_id: str) -> Reply:
    """204, or 404 ``entity.not_found`` when nothing was deleted."""
    if not call.tenant.delete(table, row_id):
        raise not_found()
    return NO_CONTENT


def unlink(relation: Relation, *link: str) -> Reply:
    """204, or 404 ``entity.not_found`` when the tuple did not exist."""
    if not relation.remove(link):
        raise not_found()
    return NO_CONTENT


def by_name(rows: Iterable[Row]) -> list[Row]:
    """Rows in the order of their names."""
    return sorted(rows, key=lambda row: str(row["name"]))


def unique(table: Table, column: str, value: Any, row_id: str | None = None) -> None:
    """Guards a unique column of the organization tables.

    :raises ApiError: 422 ``entity.unique_integrity_violation``
    """
    if any(row[column] == value and row["id"] != row_id for row in table.values()):
        raise ApiError(422, "entity.unique_integrity_violation")


def insert(call: Call, table: str, values: Row, id_length: int = 21, *, unique_name: bool = False) -> Row:
    """Adds a row with a fresh id; see :func:`unique` for ``unique_name``."""
    rows = call.tenant.tables[table]
    if unique_name:
        unique(rows, "name", values["name"])
    return rows.put({"tenantId": TENANT_ID, "id": new_id(id_length)} | stored(values))
