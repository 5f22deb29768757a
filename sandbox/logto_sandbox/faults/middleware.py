"""The way a request takes to the tenant and back: counted, limited, met by faults."""

from __future__ import annotations

import time
from collections.abc import Mapping
from email.utils import formatdate
from typing import Any

from logto_sandbox.app import route_of
from logto_sandbox.faults import handlers
from logto_sandbox.faults.exchange import Answer, App, Exchange, Message, Receive, Scope, Send
from logto_sandbox.faults.limiters import LIMITERS, Limiter
from logto_sandbox.faults.recorder import Record, Recorder
from logto_sandbox.faults.spec import Fault
from logto_sandbox.store.tenant import Tenant

RETRY_AFTER = ("none", "seconds", "date")


class Weather:
    """ASGI middleware round the tenant's app.

    :param app: the tenant's app
    :param tenant: what it serves (its clock sets the ``Date`` header)
    :param recorder: counts what arrives
    """

    def __init__(self, app: App, tenant: Tenant, recorder: Recorder) -> None:
        self._app = app
        self.tenant = tenant
        self.recorder = recorder
        self.faults: list[Fault] = []
        self._limiter: Limiter | None = None
        self._retry_after = "none"

    def limit(self, per_10s: int | None, model: str = "token_bucket", retry_after: str = "none") -> None:
        """Start, change or (None) end the tenant's request limit.

        :param per_10s: requests per 10 s, 1 or more; token requests count too
        :param model: one of :data:`limiters.LIMITERS`
        :param retry_after: what a 429 says: ``none``, ``seconds`` or ``date``
        :raises ValueError: for anything else
        """
        if model not in LIMITERS:
            raise ValueError(f"limiter: {model!r} is not one of {', '.join(LIMITERS)}")
        if retry_after not in RETRY_AFTER:
            raise ValueError(f"retry_after: {retry_after!r} is not one of {', '.join(RETRY_AFTER)}")
        if per_10s is not None and (type(per_10s) is not int or per_10s < 1):
            raise ValueError(f"rate_limit: expected requests per 10 s, 1 or more, got {per_10s!r}")
        self._limiter = None if per_10s is None else LIMITERS[model](per_10s)
        self._retry_after = retry_after

    def add_fault(self, spec: Mapping[str, Any]) -> Fault:
        """Put a fault in force.

        :raises FaultError: see :class:`faults.Fault`
        """
        fault = Fault(spec)
        self.faults.append(fault)
        if fault.kind == "clock_skew":
            self.tenant.clock_offset_ms = int(fault["offset_ms"])
        return fault

    def clear_faults(self) -> None:
        """End all faults; a skewed clock is right again, a rotated key stays rotated."""
        self.faults.clear()
        self.tenant.clock_offset_ms = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        method, path = scope["method"], scope["path"]
        query = scope["query_string"].decode("latin-1")
        raw_path = scope.get("raw_path", path.encode()).decode("latin-1")
        route = route_of(method, raw_path).partition(" ")[2]
        record = self.recorder.arrived(method, path, query, route)
        if (wait := self._limiter and self._limiter.allow(time.monotonic())) and wait > 0:
            self.recorder.rejected("429")
            refusal = handlers.too_many_requests(self.tenant, wait, self._retry_after)
            await self._answer(refusal, record, scope, send)
            return
        faults = [fault for fault in self.faults if fault.matches(method, path, route, query)]
        if not faults:
            self.recorder.reached_app(record)
            await self._app(scope, receive, self._finishing(send, scope, record))
            return
        exchange = Exchange(scope, receive, send, method, path, route, query)
        await exchange.read_body()
        answer = await _Storm(self, exchange, record, faults).run()
        if answer is not None:
            await self._answer(answer, record, scope, send)

    async def call_app(self, exchange: Exchange, record: Record) -> Answer:
        """Run the tenant's app, counting that the request got so far."""
        self.recorder.reached_app(record)
        answer = await exchange.call(self._app)
        self.recorder.answered_by_app(record, answer.status)
        return answer

    async def call_quietly(self, exchange: Exchange) -> Answer:
        """Run the tenant's app on a request nobody sent: counted nowhere."""
        return await exchange.call(self._app)

    def _finishing(self, send: Send, scope: Scope, record: Record) -> Send:
        async def finish(message: Message) -> None:
            if message["type"] == "http.response.start":
                record.status = message["status"]
                self.recorder.answered_by_app(record, record.status)
                message["headers"] = [*message.get("headers", ()), *self.connection_headers(scope)]
            await send(message)

        return finish

    async def _answer(self, answer: Answer, record: Record, scope: Scope, send: Send) -> None:
        record.status = answer.status
        headers = [*answer.headers, *self.connection_headers(scope)]
        if answer.status not in (204, 304) and answer.header("content-length") is None:
            headers.append((b"content-length", str(len(answer.body)).encode()))
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": answer.body})

    def connection_headers(self, scope: Scope) -> list[tuple[bytes, bytes]]:
        """What Node's HTTP server adds to every answer: the date and how long an idle connection stays."""
        date = formatdate(self.tenant.now_ms() / 1000, usegmt=True).encode()
        if any(name == b"connection" and value.lower() == b"close" for name, value in scope["headers"]):
            return [(b"date", date)]
        return [(b"date", date), (b"connection", b"keep-alive"), (b"keep-alive", b"timeout=5")]


class _Storm:
    """The faults that meet one request, each wrapped round the next; at most one of each kind, one spoiler."""

    def __init__(self, weather: Weather, exchange: Exchange, record: Record, faults: list[Fault]) -> None:
        self.weather, self.exchange, self.record = weather, exchange, record
        self.tenant = weather.tenant
        self._faults = iter(faults)
        self._kinds: set[str] = set()
        self._spoilt = False

    async def run(self) -> Answer | None:
        """The answer after the remaining faults; None when the connection is gone."""
        for fault in self._faults:
            if fault.kind in self._kinds or (self._spoilt and fault.about.spoils) or not fault.fires():
                continue
            self._kinds.add(fault.kind)
            self._spoilt |= fault.about.spoils
            return await handlers.HANDLERS[fault.kind](fault, self)
        return await self.weather.call_app(self.exchange, self.record)

    async def drop(self, reason: str, *, with_reset: bool) -> None:
        """End the connection and count it."""
        self.weather.recorder.rejected(reason)
        await self.exchange.drop(with_reset=with_reset)

    def spoil(self, answer: Answer, reason: str | None = None) -> Answer:
        """Count an answer that is not the tenant's own."""
        self.weather.recorder.rejected(reason or str(answer.status))
        return answer
