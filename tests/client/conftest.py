"""A server that answers with whatever bytes a test wants."""

from __future__ import annotations

import asyncio
import socketserver
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from airflow_provider_logto.client.auth.credentials import Credentials
from airflow_provider_logto.client.auth.token_cache import ProcessTokenCache
from airflow_provider_logto.client.client import LogtoClient
from airflow_provider_logto.client.endpoint import Endpoint
from tests.clients import QUICK, Run


class Scripted:
    """Answers each request with the next of some raw responses (the last one for ever) and keeps what it was asked.

    :param url: where it listens.
    """

    TOKEN = (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 67\r\n\r\n"
        b'{"access_token":"t0ken","expires_in":3600,"scope":"all","token":""}'
    )

    def __init__(self) -> None:
        self.answers: list[bytes] = []
        self.requests: list[bytes] = []
        script = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                script._serve(self)

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def _serve(self, handler: Any) -> None:
        while head := _head(handler.rfile):
            length = next((int(h.split(b":")[1]) for h in head.split(b"\r\n") if h.lower().startswith(b"content-l")), 0)
            body = handler.rfile.read(length)
            if head.startswith(b"POST /oidc/token"):
                handler.wfile.write(self.TOKEN)
                continue
            self.requests.append(head + body)
            answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
            handler.wfile.write(answer)
            if b"Content-Length" not in answer or answer.endswith(b"\r\n\r\n"):
                return
            declared = int(answer.split(b"Content-Length: ")[1].split(b"\r\n")[0])
            if len(answer.split(b"\r\n\r\n", 1)[1]) < declared:
                return

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def _head(stream: Any) -> bytes:
    lines = []
    while line := stream.readline():
        lines.append(line)
        if line == b"\r\n":
            break
    return b"".join(lines)


def raw(status: str, body: bytes = b"", *headers: str, length: int | None = None) -> bytes:
    """A response as it goes over the wire; ``length`` lies about the body's."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body) if length is None else length}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@pytest.fixture
def scripted() -> Iterator[Scripted]:
    """A server that answers what the test says."""
    server = Scripted()
    yield server
    server.close()


@pytest.fixture
def ask(scripted: Scripted) -> Run:
    """One request to ``scripted``: ``ask("GET", "/users", answers=[raw("200 OK")])``."""

    def run(method: str, path: str, body: Any = None, *, answers: list[bytes], **options: Any) -> Any:
        scripted.answers = answers

        async def call() -> Any:
            endpoint, credentials = Endpoint.parse(scripted.url), Credentials("app", "secret")
            settings = {"token_cache": ProcessTokenCache(), "retry": QUICK, **options}
            async with LogtoClient(endpoint, credentials, **settings) as client:
                return await client.request(method, path, body=body)

        return asyncio.run(call())

    return run
