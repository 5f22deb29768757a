"""Reading everybody, page by page, so that nobody who is there throughout is left out.

``GET /api/users`` and ``GET /api/roles/{id}/users`` are ordered by creation, newest first, and cut into pages by
position. Three things move rows over a page's border:

- somebody is created: rows move back and are seen twice, which does no harm;
- somebody is deleted: rows move forward, unseen. The count that comes with each page shows it, and the walk steps back.
  Where somebody was created at the same time it does not; the sum at the end does, and the walk begins again;
- people were created at the very same moment (imports by SQL): the database orders them differently each time. A border
  that two such rows straddle is visible, but most often harmless: the list shows milliseconds, the database orders by
  microseconds. So such groups are read again, each in one piece, only where the sum at the end shows that somebody is
  missing; a group too large for one page makes the walk repeat with other borders until everybody was seen.
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
#: Positions around a group that may have moved by the time it is read: as many as a page has room for.
_MARGINS = (40, 20, 10, 3)
#: Pages read in all, as a multiple of those there are, before deletions are called too frequent.
_PATIENCE = 4


async def walk_users(client: LogtoClient, path: str, query: Mapping[str, Any]) -> AsyncGenerator[list[User], None]:
    """The people of a list, a page at a time; somebody may come again, and the later row is the newer one.

    :param path: ``/users`` or ``/roles/{id}/users``.
    :raises IncompleteList: where it cannot be shown that everybody was seen.
    """
    walk = _Walk(client, path, query)
    await walk.begin()
    for size in (PAGE_SIZE, *_OTHER_SIZES):
        async for rows in walk.pages(size):
            yield rows
        if await walk.noticed_deletions():
            async for rows in walk.groups():
                yield rows
            if not walk.crowded:
                return
        log.info("GET /api%s: the list changed, or many people are of one moment; reading again", path)
    raise IncompleteList(f"GET /api{path}", len(walk.seen), walk.total)


@dataclass(frozen=True)
class _Group:
    """Where people of one moment stood, through whom a border ran.

    :param start: position of the first.
    :param end: position behind the last.
    :param total: the list's count at that time.
    """

    start: int
    end: int
    total: int


@dataclass
class _Walk:
    """One list, and what is known of it so far.

    The count that comes with a page hides a deletion where somebody was created at the same time. So those created
    since :meth:`begin` are counted too: who was there then, and who came, is who should be there now.

    :param seen: ids since :meth:`begin`, as bytes since these are smaller.
    :param total: the server's latest count.
    :param crowded: whether a border ran through a group too large to be read in one piece.
    """

    client: LogtoClient
    path: str
    query: Mapping[str, Any]
    seen: set[bytes] = field(default_factory=set)
    total: int = 0
    crowded: bool = False
    _newest: int = 0
    _total_at_begin: int = 0
    _created: set[bytes] = field(default_factory=set)
    _deleted: int = 0
    _fallen: int = 0
    _groups: dict[int, _Group] = field(default_factory=dict)

    async def begin(self) -> None:
        """What is seen from now on is counted together."""
        rows = await self._read(1, 1)
        self._newest = max(map(_moment, rows), default=0)
        # After the row, and before anybody counts as seen: who comes in between is counted twice, never not at all.
        self._total_at_begin = await self._count()
        self.seen, self._created, self._deleted, self._fallen = set(), set(), 0, 0

    async def noticed_deletions(self) -> bool:
        """Whether everybody deleted since :meth:`begin` was noticed in time; begins anew where not."""
        # In this order: who was created before the count is on the pages that are read after it.
        total = await self._count()
        await self._read_created()
        deleted = self._total_at_begin + len(self._created) - total
        # Where the count has fallen since, somebody created may be gone before they were read.
        if deleted == self._deleted and self.total >= total:
            return True
        await self.begin()
        return False

    async def _read_created(self) -> None:
        number, rows = 1, await self._read(1, PAGE_SIZE)
        while self._note_created(rows) == PAGE_SIZE:
            number += 1
            rows = await self._read(number, PAGE_SIZE)

    async def pages(self, size: int) -> AsyncGenerator[list[User], None]:
        """One walk from the newest to the oldest.

        :raises IncompleteList: where people are deleted faster than pages can be read again.
        """
        number, requests = 1, 0
        before: list[User] | None = None
        self.crowded, self._groups = False, {}
        while True:
            rows = await self._page(number, size)
            requests += 1
            if requests > _PATIENCE * (self.total // size + 10):
                raise IncompleteList(f"GET /api{self.path}", len(self.seen), self.total)
            yield rows
            if not rows or number * size >= self.total:
                # The last page's count may be older than its rows.
                await self._count()
            if before and rows and _moment(before[-1]) == _moment(rows[0]):
                self._note_group(before, rows, (number - 1) * size, size)
            # Behind every request of this turn: any of them may show that somebody is gone.
            gone, self._fallen = self._fallen, 0
            if gone:
                self._deleted += gone
                # One page more than they moved: the count may be older than the rows of its page.
                number, before = max(1, number - ceil(gone / size) - 1), None
                continue
            if not rows or number * size >= self.total:
                return
            number, before = number + 1, rows

    def _note_group(self, before: list[User], after: list[User], border: int, size: int) -> None:
        """Keep in mind that a border runs through people of one moment."""
        moment = _moment(after[0])
        behind = sum(_moment(row) == moment for row in before)
        ahead = sum(_moment(row) == moment for row in after)
        if behind == len(before) or (ahead == len(after) and len(after) == size):
            self.crowded = True
        else:
            self._groups[moment] = _Group(border - behind, border + ahead, self.total)

    async def groups(self) -> AsyncGenerator[list[User], None]:
        """The groups that borders ran through, each in one piece; none where the sum shows that all were seen."""
        # Those created since begin are on top: they move groups, and prove nothing about those who were there.
        if len(self.seen) - len(self.seen & self._created) >= self._total_at_begin:
            self.crowded = False
            return
        for moment, group in self._groups.items():
            moved = self.total - group.total
            place = _window(group.start + moved, group.end + moved)
            if place is None:
                self.crowded = True
                continue
            number, size = place
            rows = await self._page(number, size)
            yield rows
            # It stands there whole where a newer and an older moment surround it.
            begun = number == 1 or (rows and _moment(rows[0]) > moment)
            ended = len(rows) < size or _moment(rows[-1]) < moment
            if not (begun and ended):
                self.crowded = True
        if self.crowded and self._deleted:
            # Some of those not seen may be gone: the sum will not tell any more.
            await self.begin()

    async def _page(self, number: int, size: int) -> list[User]:
        rows = await self._read(number, size)
        self.seen.update(row["id"].encode() for row in rows)
        self._note_created(rows)
        return rows

    async def _read(self, number: int, size: int) -> list[User]:
        reply = await self.client.send("GET", self.path, {**self.query, "page": number, "page_size": size})
        page = Page.of(self.path, reply)
        if page.total is None:
            raise unreadable(f"GET /api{self.path}", reply, "Total-Number is missing")
        try:
            for row in page.items:
                row["id"].encode()
                _moment(row)
        except (TypeError, KeyError, AttributeError, ValueError):
            raise unreadable(f"GET /api{self.path}", reply, "the list holds what is no user") from None
        self._note_total(page.total)
        return page.items

    def _note_created(self, rows: list[User]) -> int:
        created = [row["id"].encode() for row in rows if _moment(row) > self._newest]
        self._created.update(created)
        return len(created)

    async def _count(self) -> int:
        self._note_total(await self.client.count(self.path, self.query) or 0)
        return self.total

    def _note_total(self, total: int) -> None:
        # Each fall counts: one of 274 to 273 is not made good by a rise from 214 before.
        self._fallen += max(self.total - total, 0)
        self.total = total


def _moment(row: User) -> int:
    return int(row["createdAt"])


def _window(start: int, end: int) -> tuple[int, int] | None:
    """Number and size of a page that holds the positions from ``start`` to ``end`` and some around them, if one can."""
    for margin in _MARGINS:
        low, high = max(0, start - margin), end + margin
        for size in range(PAGE_SIZE, high - low - 1, -1):
            number = low // size + 1
            if number * size >= high:
                return number, size
    return None
