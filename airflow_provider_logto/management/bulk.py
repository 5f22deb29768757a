"""Writes about relations between many objects."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

#: Users in one bulk write: a body far below the server's limit, answered in half a second.
PER_WRITE = 500


def batched(items: Sequence[str], size: int) -> Iterator[list[str]]:
    """Lists of at most ``size`` items."""
    return (list(items[start : start + size]) for start in range(0, len(items), size))
