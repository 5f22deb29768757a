"""Requests to webhooks: one attempt each, signed, with a row in the webhook's recent logs."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import ssl
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import h11

from logto_sandbox.http.responses import to_json
from logto_sandbox.store.relations import Row
from logto_sandbox.store.tenant import Tenant
from logto_sandbox.webhooks.events import Event, listeners

_TIMEOUT_S = 10
_LONGEST = 1024 * 1024


class Deliveries:
    """Sends what a tenant's webhooks are to hear, in the background. Used on the server's event loop only."""

    def __init__(self, tenant: Tenant) -> None:
        self._tenant = tenant
        self._running: set[asyncio.Task[None]] = set()

    def send(self, events: Sequence[Event]) -> None:
        """Start the deliveries of some events; there is no order among them."""
        for event in events:
            for hook in listeners(self._tenant, event.name):
                payload = {"event": event.name, "createdAt": self._tenant.now_iso(), **event.context}
                task = asyncio.create_task(self._deliver(hook, payload | {"hookId": hook["id"]}))
                self._running.add(task)
                task.add_done_callback(self._running.discard)

    async def _deliver(self, hook: Row, payload: Row) -> None:
        key = f"TriggerHook.{payload['event']}"
        row: Row = {"key": key, "result": "Success", "hookId": hook["id"], "hookRequest": {"body": payload}}
        try:
            status, text = await post(hook["config"], hook["signingKey"], payload)
            row["response"] = {"statusCode": status, "body": _parsed(text)}
            if not 200 <= status < 300:
                row |= {"result": "Error", "error": f"HTTPError: Request failed with status code {status}"}
        except (OSError, ValueError, TimeoutError, h11.ProtocolError) as error:
            row |= {"result": "Error", "error": f"{type(error).__name__}: {error}"}
        self._tenant.logs.append(key, row, self._tenant.now_ms())


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def sign(signing_key: str, body: bytes) -> str:
    """The signature of a delivery: HMAC-SHA256 over the raw body, in lower-case hexadecimal."""
    return hmac.new(signing_key.encode(), body, hashlib.sha256).hexdigest()


async def post(config: Row, signing_key: str, payload: Row) -> tuple[int, str]:
    """One delivery.

    :param config: ``url`` and ``headers`` of the webhook
    :return: status and body of the response
    :raises ValueError: the URL is none
    :raises OSError: no connection, or TLS fails; :raises TimeoutError: no response within 10 s
    :raises h11.ProtocolError: what comes is no HTTP
    """
    url, body = urlsplit(config["url"]), to_json(payload)
    if url.scheme not in ("http", "https") or not url.hostname:
        raise ValueError(f"Invalid URL: {config['url']}")
    headers = {
        "host": url.netloc.rpartition("@")[2],
        "user-agent": "Logto (https://logto.io/)",
        "content-type": "application/json",
        **{name.lower(): value for name, value in config.get("headers", {}).items()},
        "logto-signature-sha-256": sign(signing_key, body),
        "content-length": str(len(body)),
        "connection": "close",
    }
    secure = url.scheme == "https"
    async with asyncio.timeout(_TIMEOUT_S):
        reader, writer = await asyncio.open_connection(
            url.hostname, url.port or (443 if secure else 80), ssl=ssl.create_default_context() if secure else None
        )
        try:
            target = (url.path or "/") + (f"?{url.query}" if url.query else "")
            return await _exchange(reader, writer, target, list(headers.items()), body)
        finally:
            writer.close()


async def _exchange(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, target: str, headers: list[tuple[str, str]], body: bytes
) -> tuple[int, str]:
    connection = h11.Connection(h11.CLIENT)
    request = h11.Request(method="POST", target=target, headers=headers)
    for event in (request, h11.Data(data=body), h11.EndOfMessage()):
        writer.write(connection.send(event) or b"")
    await writer.drain()
    status, parts, size = 0, [], 0
    while True:
        received = connection.next_event()
        if received is h11.NEED_DATA:
            connection.receive_data(await reader.read(65536))
        elif isinstance(received, h11.Response):
            status = received.status_code
        elif isinstance(received, h11.Data):
            size += len(received.data)
            if size > _LONGEST:
                raise ValueError("the response is longer than 1 MB")
            parts.append(bytes(received.data))
        elif isinstance(received, (h11.EndOfMessage, h11.ConnectionClosed)):
            return status, b"".join(parts).decode("utf-8", "replace")
