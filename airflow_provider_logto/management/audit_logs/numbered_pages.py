"""Reading the log by numbered pages, for servers that ignore time bounds (Logto before 1.40)."""

from __future__ import annotations

from collections.abc import Mapping

from airflow_provider_logto.exceptions import IncompleteList
from airflow_provider_logto.management.audit_logs.found import Found
from airflow_provider_logto.management.audit_logs.pages import OPERATION, LogPages, Window
from airflow_provider_logto.management.audit_logs.rows import Row
from airflow_provider_logto.management.audit_logs.segments import PAGE_SIZES


async def read_by_pages(pages: LogPages, window: Window, query: Mapping[str, str]) -> dict[str, Row]:
    """All rows of a window, by id. Holds them all: such a server has no cheaper way to its older rows.

    New rows push old ones to later pages, where they are seen again; rows of equal time may change places between two
    pages and be missed. So a walk is believed when its distinct rows add up, or when another one shows nothing new.

    :raises IncompleteList: when every walk still shows new rows.
    """
    rows: dict[str, Row] = {}
    for walk, size in enumerate(PAGE_SIZES):
        before = len(rows)
        adds_up = await _walk(pages, window, query, size, rows)
        if adds_up or (walk > 0 and len(rows) == before):
            return rows
    raise IncompleteList(OPERATION, before, len(rows))


async def _walk(pages: LogPages, window: Window, query: Mapping[str, str], size: int, rows: dict[str, Row]) -> bool:
    """Walk once, add what the window holds, and tell whether as many rows were seen as were passed."""
    found = Found()
    number, first_total = 1, None
    while True:
        page = await pages.numbered(None, query, number, size)
        first_total = page.total if first_total is None else first_total
        rows |= {row.id: row for row in page.rows if window.holds(row)}
        last = len(page.rows) < size or page.rows[-1].created_at < window.low
        found.total = page.total
        found.add(page.rows)
        if last:
            passed = (number - 1) * size + len(page.rows)
            return len(found.rows) == passed - (page.total - first_total)
        if not found.goes_on():
            return False
        number += 1
