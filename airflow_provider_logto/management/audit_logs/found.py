"""The rows of one walk, and when a walk is not worth going on with."""

from __future__ import annotations

from collections.abc import Iterable

from airflow_provider_logto.client.pagination import PAGE_SIZE
from airflow_provider_logto.exceptions import IncompleteList
from airflow_provider_logto.management.audit_logs.pages import OPERATION
from airflow_provider_logto.management.audit_logs.rows import Row

#: Full pages in a row that may bring nothing new.
IDLE_PAGES = 3
#: Full pages beyond those that the count explains: rows of one millisecond come twice, and new ones are written.
SPARE_PAGES = 20


class Found:
    """Rows by id.

    :param total: how many there are by the server's count.
    """

    def __init__(self, total: int = 0) -> None:
        self.rows: dict[str, Row] = {}
        self.total = total
        self._idle = 0
        self._pages = 0

    def add(self, rows: Iterable[Row]) -> None:
        """Add a page."""
        before = len(self.rows)
        self.rows |= {row.id: row for row in rows}
        self._idle = 0 if len(self.rows) > before else self._idle + 1
        self._pages += 1

    def goes_on(self) -> bool:
        """Whether another page is worth asking for; no after several that brought nothing new.

        :raises IncompleteList: when there were more pages than the rows that are counted could fill.
        """
        # Each page brings half of its rows at least: the others are those of a millisecond that a border cut.
        if self._pages > 2 * self.total // PAGE_SIZE + SPARE_PAGES:
            raise IncompleteList(OPERATION, len(self.rows), self.total)
        return self._idle < IDLE_PAGES
