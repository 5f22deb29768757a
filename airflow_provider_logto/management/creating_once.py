"""Objects of which Logto lets several have one name: finding the only one, creating it once.

A repeated ``POST`` makes a duplicate, and so do tasks that look and create at the same moment.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from airflow_provider_logto.exceptions import Ambiguous, OutcomeUnknown

Row = dict[str, Any]

_TRIES = 3
#: Seconds before each look for duplicates. A row shows when its transaction ends, so that another task may see ours
#: late, and delete its own a moment later.
_SETTLING = (0.0, 0.3, 1.0, 2.0)


def only(rows: list[Row], noun: str, what: str, hint: str) -> Row | None:
    """The only one of some; None where there is none.

    :param noun: what one of them is.
    :param what: what they have in common.
    :raises Ambiguous: where there are several.
    """
    if len(rows) > 1:
        raise Ambiguous(f"{len(rows)} {noun}s have {what} ({ids_of(rows)}); {hint}")
    return rows[0] if rows else None


def ids_of(rows: list[Row]) -> str:
    """Their ids, for a message."""
    return ", ".join(sorted(row["id"] for row in rows))


async def find_settled(find: Callable[[], Awaitable[Row | None]]) -> Row | None:
    """Look again while several fit: tasks that created at the same moment are about to delete their duplicates."""
    for seconds in _SETTLING[1:]:
        try:
            return await find()
        except Ambiguous:
            await asyncio.sleep(seconds)
    return await find()


async def create_once(
    noun: str,
    name: str,
    post: Callable[[], Awaitable[Row]],
    find: Callable[[], Awaitable[Row | None]],
    same: Callable[[], Awaitable[list[Row]]],
    discard: Callable[[Row, list[Row]], Awaitable[Any]],
) -> tuple[Row, bool]:
    """Create an object that was not found.

    :param noun: what it is, for messages; ``name`` which one.
    :param find: looks whether a ``POST`` whose answer was lost made it.
    :param same: all that are alike.
    :param discard: deletes the one made here, given all that are alike.
    :returns: the object that stays, and whether it was made here.
    :raises Ambiguous: where several stay.
    """
    for _ in range(_TRIES):
        try:
            made = await post()
        except OutcomeUnknown as error:
            lost = error
            if (found := await find()) is not None:
                return found, True
        else:
            return await keep_one(noun, name, made, same, discard)
    raise lost


async def keep_one(
    noun: str,
    name: str,
    made: Row,
    same: Callable[[], Awaitable[list[Row]]],
    discard: Callable[[Row, list[Row]], Awaitable[Any]],
) -> tuple[Row, bool]:
    """After a creation: whoever made a later one deletes it again. Arguments and results as of :func:`create_once`."""
    rows: list[Row] = []
    for seconds in _SETTLING:
        await asyncio.sleep(seconds)
        rows = sorted(await same(), key=lambda row: (row["createdAt"], row["id"]))
        if len(rows) == 1:
            return rows[0], bool(rows[0]["id"] == made["id"])
        if made["id"] in [row["id"] for row in rows[1:]]:
            await discard(made, rows)
    if not rows:
        raise Ambiguous(f"the {noun} {name!r} was created but is not to be found; somebody deleted it")
    raise Ambiguous(f"{len(rows)} {noun}s {name!r} were made at once ({ids_of(rows)}); delete all but one")
