"""A server that does to a client whatever a test says: raw bytes, endless ones, late ones, none."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

#: What is sent after a request, piece by piece; the connection is closed afterwards.
Answer = Iterable[bytes]


@dataclass(frozen=True)
class Request:
    """What a client sent.

    :param headers: names in lower case.
    """

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


def http(status: str = "200 OK", body: bytes = b"", *headers: str, length: bool = True) -> bytes:
    """A response as it goes over the wire, JSON unless a header says otherwise."""
    lines = [f"HTTP/1.1 {status}", "Connection: close", *headers]
    if not any(header.lower().startswith("content-type") for header in headers):
        lines.append("Content-Type: application/json")
    if length:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def token(value: str = "t0ken-of-the-hostile-server", more: str = '"expires_in":3600,"scope":"all"') -> bytes:
    """A token response."""
    return http("200 OK", b'{"access_token":"%s",%s}' % (value.encode(), more.encode()))


class HostileServer:
    """Listens on a port of this machine until it is closed.

    :ivar answer: what the API answers to a request.
    :ivar token_answer: what the token endpoint answers.
    :ivar requests: what was asked of the API, token requests aside.
    """

    def __init__(self) -> None:
        self.answer: Callable[[Request], Answer] = lambda request: [http()]
        self.token_answer: Callable[[Request], Answer] = lambda request: [token()]
        self.requests: list[Request] = []
        self.token_requests = 0
        self._loop = asyncio.new_event_loop()
        self._tasks: set[asyncio.Task[Any]] = set()
        started = threading.Event()
        self._thread = threading.Thread(target=self._serve, args=(started,), daemon=True)
        self._thread.start()
        started.wait(5)

    def close(self) -> None:
        """End every connection and the server."""
        self._loop.call_soon_threadsafe(self._end)
        self._thread.join(5)

    def _serve(self, started: threading.Event) -> None:
        async def listen() -> None:
            self._server = await asyncio.start_server(self._handle, "127.0.0.1", 0)
            self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(listen())
        self._loop.call_soon(started.set)
        self._loop.run_forever()
        for task in self._tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*self._tasks, return_exceptions=True))
        self._loop.close()

    def _end(self) -> None:
        self._server.close()
        self._loop.stop()

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        try:
            request = await _read(reader)
            if request.target.startswith("/oidc/token"):
                self.token_requests += 1
                pieces = self.token_answer(request)
            else:
                self.requests.append(request)
                pieces = self.answer(request)
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass  # the client has seen enough
        finally:
            writer.close()


async def _read(reader: asyncio.StreamReader) -> Request:
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").rstrip().split("\r\n")
    method, target, _ = first.split(" ", 2)
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return Request(method, target, headers, await reader.readexactly(int(headers.get("content-length", 0))))
