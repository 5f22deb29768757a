"""What the families share: reading rows, changing them, searching lists, and the generic create/read/update/delete."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from airflow_provider_logto.sandbox.bodies import jsonb
from airflow_provider_logto.sandbox.errors import ApiError, invalid_input, not_exists_with_id, not_found
from airflow_provider_logto.sandbox.paging import Rows
from airflow_provider_logto.sandbox.relations import Relation, Row, Table
from airflow_provider_logto.sandbox.routing import PAGED, Call, Reply, Routes
from airflow_provider_logto.sandbox.schema import Obj, ids
from airflow_provider_logto.sandbox.search import SearchError, keyword_filter, parse_search, refuse
from airflow_provider_logto.sandbox.state import TENANT_ID, new_id

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
    """Column values as the database gives them back: JSON columns with jsonb's order of keys."""
    return {key: jsonb(value) if key in JSON_COLUMNS else value for key, value in values.items()}


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


def unique(table: Table, column: str, value: Any, row_id: str | None = None) -> None:
    """Guards a unique column of the organization tables.

    :raises ApiError: 422 ``entity.unique_integrity_violation``
    """
    if any(row[column] == value and row["id"] != row_id for row in table.values()):
        raise ApiError(422, "entity.unique_integrity_violation")


def crud(
    routes: Routes,
    table: str,
    shape: Obj,
    defaults: Callable[[Call], Row],
    *,
    search: Sequence[str],
    singular: str,
    id_length: int = 21,
    unique_name: bool = False,
    paging: str = PAGED,
    view: Callable[[Call, Row], Row] | None = None,
    own_list: bool = False,
    own_create: bool = False,
) -> None:
    """The five routes of the organization families, which Logto itself generates from one description.

    :param shape: body of POST; PATCH takes the same with every key optional
    :param defaults: the columns of a new row, without id
    :param search: columns ``q`` looks at
    :param singular: the entity's name in messages
    :param view: what the list shows of a row
    :param own_list: the family declares its own list
    :param own_create: the family declares its own POST
    """
    partial = Obj({key: schema.or_absent() for key, schema in (shape.shape or {}).items()})

    def listed(call: Call) -> Rows:
        rows = call.tenant.tables[table]
        chosen = sorted(rows.values(), key=lambda row: row["name"]) if unique_name else rows.unordered()
        matches = keyword_filter(call.first("q"), search)
        show = (lambda row: view(call, row)) if view else None
        return Rows([row for row in chosen if matches(row)], show)

    def create(call: Call) -> Row:
        return insert(call, table, defaults(call) | call.body, id_length, unique_name=unique_name)

    def get(call: Call) -> Row:
        return read(call, table, call["id"])

    def update(call: Call) -> Row:
        rows = call.tenant.tables[table]
        if not call.body:
            raise invalid_input()
        row = rows.get(call["id"])
        if row is None:
            raise ApiError(404, "entity.not_exists", f"The {singular} does not exist.")
        if unique_name and "name" in call.body:
            unique(rows, "name", call.body["name"], row["id"])
        return change(rows, row, call.body)

    if not own_list:
        routes.add("GET", "", listed, paging=paging)
    if not own_create:
        routes.add("POST", "", create, status=201, body=shape)
    routes.add("GET", "/{id}", get)
    routes.add("PATCH", "/{id}", update, body=partial)
    routes.add("DELETE", "/{id}", lambda call: delete_row(call, table, call["id"]))


def insert(call: Call, table: str, values: Row, id_length: int = 21, *, unique_name: bool = False) -> Row:
    """Adds a row with a fresh id; see :func:`unique` for ``unique_name``."""
    rows = call.tenant.tables[table]
    if unique_name:
        unique(rows, "name", values["name"])
    return rows.put({"tenantId": TENANT_ID, "id": new_id(id_length)} | stored(values))


def relation_routes(
    routes: Routes,
    path: str,
    name: str,
    key: str,
    parameter: str,
    *,
    table: str,
    owner: str = "",
    paging: str = PAGED,
    own: str = "",
) -> None:
    """The four routes of a relation, which Logto generates too: list, add (idempotent), replace, remove.

    :param path: below the family's prefix, e.g. ``/{id}/scopes``
    :param name: the relation
    :param key: of the body, e.g. ``organizationScopeIds``
    :param parameter: of the DELETE path
    :param table: of the rows listed
    :param owner: table that must hold ``{id}`` for the list ("" = an unknown owner has an empty list)
    :param own: methods the family declares itself, e.g. ``GET PUT``
    """

    def listed(call: Call) -> Rows:
        if owner:
            read(call, owner, call["id"])
        linked = call.tenant.relations[name].ids(1, call["id"])
        return Rows(call.tenant.tables[table].unordered(linked))

    def add(call: Call) -> Reply:
        call.tenant.relations[name].insert((call["id"], other) for other in call.body[key])
        return CREATED

    def replace(call: Call) -> Reply:
        # A plain INSERT: an id given twice is a unique violation.
        call.tenant.relations[name].replace((call["id"],), call.body[key], ignore_held=False)
        return NO_CONTENT

    def remove(call: Call) -> Reply:
        return unlink(call.tenant.relations[name], call["id"], call[parameter])

    declared: dict[str, tuple[str, Callable[[Call], Any], dict[str, Any]]] = {
        "GET": (path, listed, {"paging": paging}),
        "POST": (path, add, {"body": Obj({key: ids(1)})}),
        "PUT": (path, replace, {"body": Obj({key: ids()})}),
        "DELETE": (f"{path}/{{{parameter}}}", remove, {}),
    }
    for method, (where, handler, options) in declared.items():
        if method not in own.split():
            routes.add(method, where, handler, **options)
