"""Pages -> items, exactly once.

Logto pages by offset, without a snapshot and often without an order, so a walk can show an item twice and miss another.
Items are told apart by ``id``; the distinct count is held against ``Total-Number``, and a walk that does not add up is
walked again with other page borders. ``Link`` is never read: its URLs lack ``/api`` and join repeated parameters.
"""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from airflow_provider_logto.client.replies import Reply
from airflow_provider_logto.exceptions import IncompleteList, InvalidInput, UnreadableAnswer

log = logging.getLogger(__name__)

#: The largest page that the server accepts.
PAGE_SIZE = 100
#: Page sizes of the walks after the first: other borders show what ties hid.
_WALKS = (PAGE_SIZE, 83, 97, 61, 71)
#: Lists whose ``Total-Number`` does not count what they show.
_UNRELIABLE_TOTALS = frozenset({"/one-time-tokens", "/sso-connectors"})

FetchPage = Callable[[Mapping[str, Any]], Awaitable[Reply]]


@dataclass(frozen=True)
class Page:
    """One answer of a list operation: ``items``, and ``total`` where the server counted reliably."""

    items: list[Any]
    total: int | None

    @classmethod
    def of(cls, operation: str, reply: Reply) -> Page:
        """
        :raises UnreadableAnswer: where the body holds no list.
        """
        raw, capped = reply.headers.get("total-number"), reply.headers.get("total-number-is-capped")
        total = int(raw) if raw and raw.strip().isdigit() and not capped else None
        return cls(_items(operation, reply), total)


async def iterate(operation: str, path: str, query: Mapping[str, Any] | None, fetch: FetchPage) -> AsyncIterator[Any]:
    """Yield every item of a list operation once.

    :param operation: for error messages, e.g. ``GET /api/users``.
    :param path: path of the list, without ``/api``.
    :param query: filters; must not hold ``page`` or ``page_size``.
    :param fetch: fetches one page for the given query.
    :raises IncompleteList: when fewer items were seen than the server counts, after several walks.
    """
    filters = dict(query or {})
    for name in ("page", "page_size"):
        if name in filters:
            raise InvalidInput(f"query.{name}", "paging is done for you; leave it out")
    seen: set[str] = set()
    # What was seen since rows last went away: those pull others over a page border unseen, and no longer count.
    current = seen
    total: int | None = None
    for page_size in _WALKS:
        walk = _Walk(page_size)
        while not walk.finished:
            page = Page.of(operation, await fetch({**filters, "page": walk.number, "page_size": page_size}))
            keys = [_key(item) for item in page.items]
            if page.total is not None and total is not None and page.total < total:
                current = set()
            current.update(key for key in keys if current is not seen)
            total = page.total if page.total is not None else total
            walk.turn(page, set(keys))
            for key, item in zip(keys, page.items, strict=True):
                if key not in seen:
                    seen.add(key)
                    yield item
        if total is None or path in _UNRELIABLE_TOTALS or len(current) >= total:
            return
    if len(seen) < (total or 0):
        raise IncompleteList(operation, len(seen), total or 0)
    log.warning("%s: rows kept going away while it was read; one that stayed may be missing", operation)


class _Walk:
    """Where one walk through the pages stands, and when it has come to its end."""

    def __init__(self, page_size: int) -> None:
        self.number = 1
        self.finished = False
        self._page_size = page_size
        self._previous: set[str] = set()

    def turn(self, page: Page, keys: set[str]) -> None:
        if page.total is None:
            # No trustworthy count: a page that is not exactly full is the last, and a list that repeats itself
            # ignores paging altogether.
            self.finished = len(page.items) != self._page_size or keys == self._previous
        else:
            # A short page before the counted end is possible (rows filtered after counting), an empty one is not.
            self.finished = not page.items or self.number * self._page_size >= page.total
        self._previous = keys
        self.number += 1


def _items(operation: str, reply: Reply) -> list[Any]:
    if isinstance(reply.data, list):
        return reply.data
    if isinstance(reply.data, dict):
        # A few lists come wrapped: {"organizations": [...]}.
        lists = [value for value in reply.data.values() if isinstance(value, list)]
        if len(lists) == 1:
            return lists[0]
    raise UnreadableAnswer(operation, reply.status, None, "the answer holds no list", reply.request_id)


def _key(item: Any) -> str:
    if isinstance(item, dict) and isinstance(item.get("id"), str):
        return str(item["id"])
    return json.dumps(item, sort_keys=True)
