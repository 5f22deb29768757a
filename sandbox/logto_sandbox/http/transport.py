"""uvicorn's HTTP protocol with one addition: the ASGI scope holds the socket's transport, so that faults can reset,
cut or close a connection in the middle of a response."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import Any

from uvicorn.config import Config
from uvicorn.server import ServerState

try:
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol as _Protocol
except ImportError:  # without the C parser
    from uvicorn.protocols.http.h11_impl import H11Protocol as _Protocol  # type: ignore[assignment]

STATE_KEY = "sandbox_transport"
_LINGER_NOTHING = struct.pack("ii", 1, 0)


class SandboxProtocol(_Protocol):
    """One connection; ``scope["state"]["sandbox_transport"]`` is its transport."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        # Whoever configures logging later would hear of every request: /sandbox/requests tells them.
        self.access_log = False
        self.app_state = {**self.app_state, STATE_KEY: transport}
        if wire := transport.get_extra_info("socket"):
            # asyncio leaves this out for sockets made without a protocol number; head and body of an answer are
            # two writes, and the second would wait 40 ms for the client's acknowledgement of the first.
            wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        super().connection_made(transport)


def transport_of(scope: Any) -> asyncio.Transport | None:
    """The transport of a request's connection; None when the app is not run by :func:`serve`."""
    found: asyncio.Transport | None = scope.get("state", {}).get(STATE_KEY)
    return found


def reset(transport: asyncio.Transport) -> None:
    """Drop the connection with a TCP reset (the peer sees ``ECONNRESET``)."""
    peer = transport.get_extra_info("socket")
    if peer is not None:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOTHING)
    transport.abort()


async def serve(app: Any, listener: socket.socket, stop: asyncio.Event) -> None:
    """Serve an ASGI app on a bound socket until ``stop`` is set; requests still running then are cancelled.

    uvicorn's own server is not used: it handles signals and waits in steps of 100 ms, too slow for one server a test.
    """
    # No header changes whom a request is from.
    config = Config(
        app,
        lifespan="off",
        log_config=None,
        access_log=False,
        ws="none",
        timeout_keep_alive=5,
        proxy_headers=False,
    )
    config.load()
    state = ServerState()

    def connection() -> SandboxProtocol:
        return SandboxProtocol(config=config, server_state=state, app_state={})

    server = await asyncio.get_running_loop().create_server(connection, sock=listener, backlog=512)
    await stop.wait()
    server.close()
    for task in list(state.tasks):
        task.cancel()
    for open_connection in list(state.connections):
        if transport := getattr(open_connection, "transport", None):
            transport.abort()
    await asyncio.gather(*state.tasks, return_exceptions=True)
