"""Keeps httpx's own lines about our requests out of the logs: their URLs hold e-mails and names that are searched for.

Airflow 3.1 and later silence that logger altogether; 2.11 and 3.0 show it in every task's log. A filter for our own
requests leaves the lines of everybody else's alone.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_ours: ContextVar[bool] = ContextVar("_ours", default=False)


@contextmanager
def no_request_lines() -> Iterator[None]:
    """httpx logs no requests that are sent in this block."""
    token = _ours.set(True)
    try:
        yield
    finally:
        _ours.reset(token)


class _NotOurs(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        return record.levelno > logging.INFO or not _ours.get()


logging.getLogger("httpx").addFilter(_NotOurs())
