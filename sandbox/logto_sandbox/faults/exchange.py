"""One request and its answer, held in memory while faults act on them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any

from logto_sandbox.http import transport

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]


@dataclass
class Answer:
    """A complete HTTP answer."""

    status: int
    headers: Headers = field(default_factory=list)
    body: bytes = b""

    def header(self, name: str) -> str | None:
        """The first header of this name (lower case)."""
        wanted = name.encode()
        return next((value.decode("latin-1") for key, value in self.headers if key.lower() == wanted), None)

    def without(self, *names: str) -> Answer:
        """The same answer without these headers (lower case)."""
        dropped = {name.encode() for name in names}
        return Answer(self.status, [pair for pair in self.headers if pair[0].lower() not in dropped], self.body)


@dataclass
class Exchange:
    """One request whose body was read whole."""

    scope: Scope
    receive: Receive
    send: Send
    method: str
    path: str
    route: str
    query: str
    body: bytes = b""

    async def read_body(self) -> None:
        """Take the whole body from the connection; ends early when the client goes away."""
        parts = []
        while True:
            message = await self.receive()
            if message["type"] != "http.request":
                break
            parts.append(message.get("body", b""))
            if not message.get("more_body"):
                break
        self.body = b"".join(parts)

    async def call(self, app: App) -> Answer:
        """Run the app on this request and keep what it answers, uncompressed."""
        headers = [pair for pair in self.scope["headers"] if pair[0] != b"accept-encoding"]
        return await call(app, {**self.scope, "headers": headers}, self.body)

    async def drop(self, *, with_reset: bool) -> None:
        """End the connection without (the rest of) an answer."""
        wire = transport.transport_of(self.scope)
        if wire is None:
            return
        if with_reset:
            transport.reset(wire)
        else:
            wire.close()
        # The server takes a return before the disconnect for a bug of the app and would answer 500.
        while (await self.receive())["type"] != "http.disconnect":
            pass


async def call(app: App, scope: Scope, body: bytes) -> Answer:
    """Run an ASGI app on a complete request.

    :param scope: an ASGI ``http`` scope
    """
    answer = Answer(500)
    pending = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        return pending.pop() if pending else {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            answer.status, answer.headers = message["status"], list(message.get("headers", ()))
        elif message["type"] == "http.response.body":
            answer.body += message.get("body", b"")

    await app(scope, receive, send)
    return answer
