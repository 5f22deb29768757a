"""Pages -> items, exactly once.

Logto pages by offset, without a snapshot and often without an order, so a walk can show an item twice and miss another.
Items are told apart by ``id``; the distinct count is held against ``Total-Number``, and a walk that does not add up is
walked again with other page borders. ``Link`` is never read: its URLs lack ``/api`` and join repeated parameters.
"""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator, Mapping, Set
from dataclasses import dataclass
from typing import Any

from airflow_provider_logto.client.arguments import checked_path
from airflow_provider_logto.client.replies import Reply, unreadable
from airflow_provider_logto.client.unreadable_rows import Send, explained
from airflow_provider_logto.exceptions import IncompleteList, InvalidInput, ServerFailed

log = logging.getLogger(__name__)

#: The largest page that the server accepts.
PAGE_SIZE = 100
#: Page sizes of the walks after the first: other borders show what ties hid.
_WALKS = (PAGE_SIZE, 83, 97, 61, 71)
#: Pages in a row without anything new after which a walk ends: rows that move cannot fill as many.
_STALE = 3
#: Lists whose ``Total-Number`` does not count what they show.
_UNRELIABLE_TOTALS = frozenset({"/one-time-tokens", "/sso-connectors"})


@dataclass(frozen=True)
class Page:
    """One answer of a list operation.

    :param total: how many items the list has by the server's count; None where it does not count them to the end.
    """

    items: list[Any]
    total: int | None

    @classmethod
    def of(cls, path: str, reply: Reply) -> Page:
        """
        :raises UnreadableAnswer: where the body holds no list, or the count is no number.
        """
        operation = f"GET /api{path}"
        if reply.total is None and reply.headers.get("total-number", "").strip():
            raise unreadable(operation, reply, "Total-Number is not a number")
        capped = reply.headers.get("total-number-is-capped")
        return cls(_items(operation, reply), None if capped else reply.total)


async def iterate(send: Send, path: str, query: Mapping[str, Any] | None) -> AsyncIterator[Any]:
    """Yield every item of a list operation once.

    :param send: fetches one page.
    :param path: path of the list.
    :param query: filters; must not hold ``page`` or ``page_size``.
    :raises IncompleteList: when fewer items were seen than the server counts, after several walks.
    """
    path = checked_path(path)
    filters = dict(query or {})
    for name in ("page", "page_size"):
        if name in filters:
            raise InvalidInput(f"query.{name}", "paging is done for you; leave it out")
    tally = _Tally()
    for page_size in _WALKS:
        walk = _Walk(page_size)
        while not walk.finished:
            try:
                reply = await send("GET", path, {**filters, "page": walk.number, "page_size": page_size})
            except ServerFailed as error:
                raise await explained(error, send, path, filters, walk.number, page_size) from error
            page = Page.of(path, reply)
            items = {_key(item): item for item in page.items}
            new = tally.new(items.keys(), page.total)
            walk.turn(page, items.keys(), tally.most)
            for key in new:
                yield items[key]
        if tally.complete or path in _UNRELIABLE_TOTALS:
            return
    if tally.seen < tally.total:
        raise IncompleteList(f"GET /api{path}", tally.seen, tally.total)
    log.warning("GET /api%s: rows kept going away while it was read; one that stayed may be missing", path)


class _Tally:
    """What was seen in all walks together, held against the server's count."""

    def __init__(self) -> None:
        self._seen: set[str] = set()
        # What was seen since rows last went away. They pull others over a page border unseen, so that what was seen
        # before proves nothing any more. None: no row ever went away.
        self._seen_since: set[str] | None = None
        self._total: int | None = None
        self._first_total: int | None = None

    @property
    def seen(self) -> int:
        """Distinct items, those that went away included."""
        return len(self._seen)

    @property
    def total(self) -> int:
        """The server's latest count, 0 where it does not count."""
        return self._total or 0

    @property
    def most(self) -> int:
        """Items that a walk may show: a list may grow while it is read, but not for ever."""
        return 2 * (self._first_total or 0) + PAGE_SIZE

    @property
    def complete(self) -> bool:
        """Whether as many items were seen as the server counts."""
        counted = self._seen if self._seen_since is None else self._seen_since
        return len(counted) >= self.total

    def new(self, keys: Set[str], total: int | None) -> list[str]:
        """Note a page; returns those of its keys that no page held before, in their order."""
        if total is not None:
            if total < self.total:
                self._seen_since = set()
            self._total = total
            self._first_total = total if self._first_total is None else self._first_total
        if self._seen_since is not None:
            self._seen_since.update(keys)
        new = [key for key in keys if key not in self._seen]
        self._seen.update(new)
        return new


class _Walk:
    """Where one walk through the pages stands, and when it has come to its end."""

    def __init__(self, page_size: int) -> None:
        self.number = 1
        self.finished = False
        self._page_size = page_size
        self._seen: set[str] = set()
        self._previous: Set[str] = frozenset()
        self._stale = 0

    def turn(self, page: Page, keys: Set[str], most: int) -> None:
        """Judge the page that was asked for, and go on to the next.

        :param most: items that a counted walk may show.
        """
        self._stale = 0 if keys - self._seen else self._stale + 1
        self._seen.update(keys)
        if page.total is None:
            # No trustworthy count: a page that is not exactly full is the last, and a list that repeats itself
            # ignores paging altogether.
            self.finished = len(page.items) != self._page_size or keys == self._previous or self._stale == _STALE
        else:
            # A short page before the counted end is possible (rows filtered after counting), an empty one is not.
            at_end = not page.items or self.number * self._page_size >= min(page.total, most)
            self.finished = at_end or self._stale == _STALE
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
    raise unreadable(operation, reply, "the body holds no list")


def _key(item: Any) -> str:
    if isinstance(item, dict) and isinstance(item.get("id"), str):
        return str(item["id"])
    return json.dumps(item, sort_keys=True)
