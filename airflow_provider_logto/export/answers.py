"""What an operation answers -> one file: JSON as it came, or JSON lines for a list that is read page by page."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import IO, Any

import msgspec

from airflow_provider_logto.client.client import LogtoClient
from airflow_provider_logto.exceptions import InvalidInput
from airflow_provider_logto.export.folder import Folder
from airflow_provider_logto.export.formats import open_writer
from airflow_provider_logto.export.local_files import spool_file
from airflow_provider_logto.export.stop import StopSwitch
from airflow_provider_logto.management.operations import Call, ResponseFilter, call_operation, iterate_operation

#: Items that are written at once.
_PORTION = 500
_encode = msgspec.json.Encoder().encode


async def save_operation(
    client: LogtoClient, call: Call, folder: Folder, name: str, response_filter: ResponseFilter | None = None
) -> dict[str, Any]:
    """Call an operation and put what it answers into a file, which is there whole or not at all.

    :param folder: where the file goes.
    :param name: its name; ``.gz`` at the end compresses it.
    :returns: ``{"destination": address, "count": items}``; an answer that is no list counts as one.
    """
    stop = StopSwitch()
    file, local = spool_file()
    with file:
        count = await _write(client, call, response_filter, file, "gzip" if name.endswith(".gz") else "none", stop)
        file.flush()
        await stop.to_the_end(folder.upload, local, name, stop)
    return {"destination": folder.uri(name), "count": count}


async def _write(
    client: LogtoClient,
    call: Call,
    response_filter: ResponseFilter | None,
    file: IO[bytes],
    compression: str,
    stop: StopSwitch,
) -> int:
    # Both forms are lines: a single answer is a file of one.
    writer = open_writer(file, "jsonl", compression)
    count = 0
    if call.paginate:
        async for portion in _portions(iterate_operation(client, call, response_filter)):
            await stop.to_the_end(writer.write, portion)
            count += len(portion)
    else:
        answer = await call_operation(client, call, response_filter)
        await stop.to_the_end(writer.write, [_line(answer)])
        count = len(answer) if isinstance(answer, list) else 1
    writer.close()
    return count


async def _portions(items: AsyncIterator[Any]) -> AsyncIterator[list[bytes]]:
    waiting: list[bytes] = []
    async for item in items:
        waiting.append(_line(item))
        if len(waiting) >= _PORTION:
            yield waiting
            waiting = []
    if waiting:
        yield waiting


def _line(value: Any) -> bytes:
    try:
        return _encode(value)
    except (TypeError, ValueError) as error:
        raise InvalidInput("response_filter", f"returned what is no JSON: {error}") from None
