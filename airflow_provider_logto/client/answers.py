"""The bytes of an answer, bounded: whatever a server sends or claims, what it costs us has a limit."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator, Iterator
from typing import cast

import httpx

from airflow_provider_logto.exceptions import AnswerCutShort, UnreadableAnswer

#: Bytes after decoding. The largest legitimate answer is a page of 100 users with much customData.
LARGEST = 64 * 1024 * 1024
#: The same for token answers and refusals, which are small.
LARGEST_SMALL = 1024 * 1024
#: What we ask for and accept, beside no coding at all.
ACCEPT_ENCODING = "gzip"
_PIECE = 64 * 1024


def bound(response: httpx.Response, operation: str, small: bool) -> None:
    """Make a response whose body has not been read decode itself, up to a limit.

    httpx's own decoding has none: a kilobyte of nested gzip becomes a gigabyte in one piece.

    :param small: the body is a token's or a refusal.
    :raises UnreadableAnswer: for a coding that was not asked for; a body beyond the limit raises it while being read.
    """
    coding = response.headers.get("content-encoding", "").strip().lower()
    if coding not in ("", "identity", ACCEPT_ENCODING):
        raise UnreadableAnswer(operation, response.status_code, None, "with a content coding that was not asked for")
    response.headers.pop("content-encoding", None)
    limit = LARGEST_SMALL if small or response.status_code >= 400 else LARGEST
    stream = cast("httpx.AsyncByteStream", response.stream)
    response.stream = _Bounded(stream, operation, response.status_code, limit, gzipped=coding == ACCEPT_ENCODING)


class _Bounded(httpx.AsyncByteStream):
    def __init__(
        self, stream: httpx.AsyncByteStream, operation: str, status: int, limit: int, *, gzipped: bool
    ) -> None:
        self._stream = stream
        self._operation = operation
        self._status = status
        self._limit = limit
        self._gzipped = gzipped

    async def __aiter__(self) -> AsyncIterator[bytes]:
        received = decoded = 0
        inflater = zlib.decompressobj(wbits=31) if self._gzipped else None
        async for chunk in self._stream:
            received += len(chunk)
            self._check(received)
            for piece in self._inflated(inflater, chunk) if inflater else (chunk,):
                decoded += len(piece)
                self._check(decoded)
                yield piece
        if inflater is not None and received and not inflater.eof:
            raise AnswerCutShort(self._operation, self._status, None, "the answer broke off")

    def _inflated(self, inflater: zlib._Decompress, chunk: bytes) -> Iterator[bytes]:
        """In pieces of a size of ours, however much a chunk becomes."""
        try:
            while piece := inflater.decompress(chunk, _PIECE):
                yield piece
                chunk = inflater.unconsumed_tail
        except zlib.error:
            raise AnswerCutShort(self._operation, self._status, None, "the body is not the gzip it claims") from None

    async def aclose(self) -> None:
        await self._stream.aclose()

    def _check(self, size: int) -> None:
        if size > self._limit:
            reason = f"with more than the {self._limit // 1024} KB that are read of it"
            raise UnreadableAnswer(self._operation, self._status, None, reason)
