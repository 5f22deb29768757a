"""Routes as a table: what a family declares about each of its operations, and the lookup by method and path."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from logto_sandbox.http.paging import Page, Query
from logto_sandbox.http.schema import Schema
from logto_sandbox.store.relations import Row
from logto_sandbox.store.tenant import Tenant

PAGED, OPTIONAL = "paged", "optional"
MANAGEMENT, USER, ANONYMOUS = "management", "user", ""


@dataclass
class Call:
    """One request on its way to a handler: checked, parsed, authorized.

    :param params: path parameters, decoded
    :param query: the query's keys and values in order
    :param body: validated body (unknown keys gone), None when the operation takes none
    :param page: the asked page, None when the list is not paged
    :param origin: scheme and host the client dialled
    :param access_token: the end user's token (routes with ``auth="user"``): ``userId``, ``clientId``, ``scope``
    """

    tenant: Tenant
    path: str
    params: dict[str, str]
    query: Query = ()
    body: Any = None
    page: Page | None = None
    origin: str = "http://localhost"
    access_token: Row = field(default_factory=dict)

    def __getitem__(self, name: str) -> str:
        return self.params[name]

    def first(self, key: str) -> str | None:
        """The first value of a query key."""
        return next((value for name, value in self.query if name == key), None)


# What a handler may return: JSON (dict, list), Rows or PageOf (a list), None (204), or a Reply.
Handler = Callable[[Call], Any]


@dataclass(frozen=True)
class Reply:
    """An answer with a status of its own. Without a body: ``text/plain`` with the status' phrase, or empty (204)."""

    status: int
    body: Any = None


@dataclass(frozen=True)
class Route:
    """One operation.

    :param path: as in the OpenAPI document, e.g. ``/api/users/{userId}/roles``
    :param status: of a JSON answer
    :param paging: ``paged``, ``optional`` or ""
    :param auth: whose token is needed: ``management`` (an application's), ``user`` (an end user's), or "" (none)
    :param since: difference of :data:`versions.SINCE` that brought the operation
    """

    method: str
    path: str
    handler: Handler
    status: int = 200
    body: Schema | None = None
    query: Schema | None = None
    paging: str = ""
    auth: str = MANAGEMENT
    since: str = ""

    @property
    def label(self) -> str:
        """How statistics call it: the first path parameter is always ``{id}``."""
        return label(self.method, self.path)


def label(method: str, path: str) -> str:
    """``GET`` and ``/api/users/{userId}/roles/{roleId}`` -> ``GET /api/users/{id}/roles/{roleId}``."""
    before, brace, rest = path.partition("{")
    return f"{method} {before}{{id}}{rest.partition('}')[2]}" if brace else f"{method} {path}"


class Routes:
    """The operations of one family; paths are relative to ``prefix``.

    >>> routes = Routes("/api/roles")
    >>> @routes.get("/{id}")
    ... def get_role(call): ...
    """

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.all: list[Route] = []

    def add(self, method: str, path: str, handler: Handler, **options: Any) -> None:
        """Declares one operation; see :class:`Route` for the options."""
        self.all.append(Route(method, self.prefix + path, handler, **options))

    def _decorator(self, method: str, path: str, options: dict[str, Any]) -> Callable[[Handler], Handler]:
        def declare(handler: Handler) -> Handler:
            self.add(method, path, handler, **options)
            return handler

        return declare

    def get(self, path: str = "", **options: Any) -> Callable[[Handler], Handler]:
        """Declares the decorated handler for GET (and HEAD)."""
        return self._decorator("GET", path, options)

    def post(self, path: str = "", **options: Any) -> Callable[[Handler], Handler]:
        """Declares the decorated handler for POST."""
        return self._decorator("POST", path, options)

    def put(self, path: str = "", **options: Any) -> Callable[[Handler], Handler]:
        """Declares the decorated handler for PUT."""
        return self._decorator("PUT", path, options)

    def patch(self, path: str = "", **options: Any) -> Callable[[Handler], Handler]:
        """Declares the decorated handler for PATCH."""
        return self._decorator("PATCH", path, options)

    def delete(self, path: str = "", **options: Any) -> Callable[[Handler], Handler]:
        """Declares the decorated handler for DELETE."""
        return self._decorator("DELETE", path, options)


@dataclass
class _Node:
    steps: dict[str, _Node] = field(default_factory=dict)
    parameter: _Node | None = None
    routes: dict[str, Route] = field(default_factory=dict)


class Router:
    """Finds routes by path segment; a literal segment wins over a parameter."""

    def __init__(self) -> None:
        self._root = _Node()

    def add(self, route: Route) -> None:
        """Adds a route; the first one for a method and path stays."""
        node = self._root
        for step in _steps(route.path):
            if step.startswith("{"):
                node.parameter = node.parameter or _Node()
                node = node.parameter
            else:
                node = node.steps.setdefault(step, _Node())
        node.routes.setdefault(route.method, route)

    def find(self, method: str, path: str) -> tuple[Route | None, dict[str, str], list[str]]:
        """The route for a raw (percent-encoded) path.

        :return: (route or None, decoded parameters, methods the path knows - empty for an unknown path)
        """
        steps = _steps(path)
        nodes = list(_walk(self._root, steps))
        wanted = "GET" if method == "HEAD" else method
        route = next((node.routes[wanted] for node in nodes if wanted in node.routes), None)
        known = dict.fromkeys(name for node in nodes for name in node.routes)
        allowed = [name for one in known for name in (("HEAD", "GET") if one == "GET" else (one,))]
        if route is None:
            return None, {}, allowed
        names = zip(_steps(route.path), steps, strict=True)
        return route, {name[1:-1]: unquote(step) for name, step in names if name.startswith("{")}, allowed


def _walk(node: _Node, steps: list[str]) -> Iterator[_Node]:
    """The ends of all ways through the tree that a path fits, literal ones first."""
    if not steps:
        if node.routes:
            yield node
        return
    if steps[0] in node.steps:
        yield from _walk(node.steps[steps[0]], steps[1:])
    if node.parameter is not None and steps[0]:
        yield from _walk(node.parameter, steps[1:])


def _steps(path: str) -> list[str]:
    return path.removesuffix("/").split("/")[1:]
