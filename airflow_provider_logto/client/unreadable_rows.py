"""Finding the user whom Logto has stored and cannot read back.

It checks lengths in UTF-16 units when it reads, and its database counts characters: a name of 65 emoji is stored, and
from then on every list that holds the row is a 500 for everybody, without a word about which row it is.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from airflow_provider_logto.client.replies import Reply
from airflow_provider_logto.exceptions import LogtoError, ServerFailed

#: ``send(method, path, query)``: one request.
Send = Callable[[str, str, Mapping[str, Any]], Awaitable[Reply]]

_LISTS = re.compile(r"/users|/(roles|organizations)/[^/]+/users")
#: Sizes of the pages by which the row is found; each divides the one before, so that their borders fall together.
_SIZES = (100, 50, 25, 5, 1)
_FIX = (
    "shorten it with PATCH /api/users/{id}; in the database: select id from users where char_length(name) > 64 or "
    "char_length(avatar) > 1024 (an emoji counts twice, 128 and 2048 fit)"
)


async def explained(
    error: ServerFailed, send: Send, path: str, filters: Mapping[str, Any], page: int, page_size: int
) -> ServerFailed:
    """The error of a page that failed, with a hint at its row where exactly one row makes it fail.

    :param page: number of the page that failed.
    :returns: the same error where nothing more can be said.
    """
    if error.status != 500 or error.code is not None or page_size != _SIZES[0] or not _LISTS.fullmatch(path):
        return error
    neighbours: list[Any] = []
    for larger, size in itertools.pairwise(_SIZES):
        first = (page - 1) * (larger // size) + 1
        failing = []
        for number in range(first, first + larger // size):
            try:
                reply = await send("GET", path, {**filters, "page": number, "page_size": size})
            except ServerFailed:
                failing.append(number)
            except LogtoError:
                return error
            else:
                neighbours += reply.data if isinstance(reply.data, list) else []
            if len(failing) > 1:
                return error  # more than one row, or the server as a whole
        if not failing:
            return error
        (page,) = failing
    near = [str(row["id"]) for row in neighbours[-4:] if isinstance(row, dict) and "id" in row]
    beside = f", beside {' and '.join(near)}" if near else ""
    hint = f"row {page} of this list{beside} is stored but too long for the server to read back: {_FIX}"
    operation, status, code, message, request_id, _, retry_after = error.args
    return ServerFailed(operation, status, code, message, request_id, hint, retry_after)
