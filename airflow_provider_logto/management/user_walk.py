"""Reading everybody, page by page, so that nobody who is there throughout is left out.

``GET /api/users`` and ``GET /api/roles/{id}/users`` are ordered by creation, newest first, and cut into pages by
position. Three things move rows over a page's border:

- somebody is created: rows move back and are seen twice, which does no harm;
- somebody is deleted: rows move forward, unseen. The count that comes with each page shows it, and the walk steps back;
- people were created at the very same moment (imports by SQL): the database orders them differently each time. A border
  that two such rows straddle is visible, and the group is read again in one piece; a group too large for one page makes
  the walk repeat with other borders until everybody was seen.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from math import ceil
from typing import Any

from airflow_provider_logto.client.client import LogtoClient
from airflow_provider_logto.client.pagination import PAGE_SIZE, Page
from airflow_provider_logto.client.replies import unreadable
from airflow_provider_logto.exceptions import IncompleteList
from airflow_provider_logto.management.user_fields import User

log = logging.getLogger(__name__)


#: Page sizes of the walks after the first, where large groups were created at the same moment.
_OTHER_SIZES = (83, 97, 61, 71, 89, 67, 79)
#: Positions around a group that may have moved by the time it is read.
_MARGIN = 3
#: Pages read in all, as a multiple of those there are, before deletions are called too frequent.
_PATIENCE = 4


async def walk_users(client: LogtoClient, path: str, query: Mapping[str, Any]) -> AsyncGenerator[list[User], None]:
    """The people of a list, a page at a time; somebody may come again, and the later row is the newer one.

    :param path: ``/users`` or ``/roles/{id}/users``.
    :raises IncompleteList: where it cannot be shown that everybody was seen.
    """
    walk = _Walk(client, path, query)
    async for rows in walk.pages(PAGE_SIZE):
        yield rows
    for size in _OTHER_SIZES:
        if walk.is_complete():
            return
        log.info("GET /api%s: %d of %d seen; reading again in pages of %d", path, len(walk.seen), walk.total, size)
        async for rows in walk.pages(size):
            yield rows
    if not walk.is_complete():
        raise IncompleteList(f"GET /api{path}", len(walk.seen), walk.total)


@dataclass
class _Walk:
    """One list, and what is known of it so far.

    :param seen: ids, as bytes since these are smaller.
    :param total: the server's latest count.
    :param crowded: whether a border ran through a group too large to be read in one piece.
    :param shrank: whether anybody was deleted meanwhile: ids seen may then be of people who are gone.
    """

    client: LogtoClient
    path: str
    query: Mapping[str, Any]
    seen: set[bytes] = field(default_factory=set)
    total: int = 0
    crowded: bool = False
    shrank: bool = False

    def is_complete(self) -> bool:
        """Whether everybody was certainly seen."""
        if not self.crowded:
            return True
        return not self.shrank and len(self.seen) >= self.total

    async def pages(self, size: int) -> AsyncGenerator[list[User], None]:
        """One walk from the newest to the oldest.

        :raises IncompleteList: where people are deleted faster than pages can be read again.
        """
        number, requests, previous_total = 1, 0, 0
        before: list[User] | None = None
        self.crowded = False
        if self.shrank:
            # Whoever an earlier walk saw may be gone: this one counts alone.
            self.seen, self.shrank = set(), False
        while True:
            rows = await self._page(number, size)
            requests += 1
            if requests > _PATIENCE * (self.total // size + 10):
                raise IncompleteList(f"GET /api{self.path}", len(self.seen), self.total)
            yield rows
            if not rows or number * size >= self.total:
                # The last page's count may be older than its rows.
                self.total = await self._count()
            gone, previous_total = previous_total - self.total, self.total
            if gone > 0:
                self.shrank = True
                # One page more than they moved: the count may be older than the rows of its page.
                number, before = max(1, number - ceil(gone / size) - 1), None
                continue
            if before and rows and _moment(before[-1]) == _moment(rows[0]):
                yield await self._group(before, rows, (number - 1) * size, size)
            if not rows or number * size >= self.total:
                return
            number, before = number + 1, rows

    async def _group(self, before: list[User], after: list[User], border: int, size: int) -> list[User]:
        """Everybody created at the moment that a border runs through, in one piece."""
        moment = _moment(after[0])
        behind = sum(_moment(row) == moment for row in before)
        ahead = sum(_moment(row) == moment for row in after)
        place = _window(border - behind, border + ahead)
        if place is None or behind == len(before) or (ahead == len(after) and len(after) == size):
            self.crowded = True
            return []
        rows = await self._page(*place)
        # It stands there whole where other moments surround it.
        begun = place[0] == 1 or not rows or _moment(rows[0]) != moment
        ended = len(rows) < place[1] or _moment(rows[-1]) != moment
        self.crowded |= not (begun and ended)
        return rows

    async def _page(self, number: int, size: int) -> list[User]:
        reply = await self.client.send("GET", self.path, {**self.query, "page": number, "page_size": size})
        page = Page.of(self.path, reply)
        if page.total is None:
            raise unreadable(f"GET /api{self.path}", reply, "Total-Number is missing")
        try:
            self.seen.update(row["id"].encode() for row in page.items)
            for row in page.items:
                _moment(row)
        except (TypeError, KeyError, AttributeError, ValueError):
            raise unreadable(f"GET /api{self.path}", reply, "the list holds what is no user") from None
        self.total = page.total
        return page.items

    async def _count(self) -> int:
        return await self.client.count(self.path, self.query) or 0


def _moment(row: User) -> int:
    return int(row["createdAt"])


def _window(start: int, end: int) -> tuple[int, int] | None:
    """Number and size of a page that holds the positions from ``start`` to ``end`` and some around them, if one can."""
    low, high = max(0, start - _MARGIN), end + _MARGIN
    for size in range(PAGE_SIZE, high - low - 1, -1):
        number = low // size + 1
        if number * size >= high:
            return number, size
    return None
