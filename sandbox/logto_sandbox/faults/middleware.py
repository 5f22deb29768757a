"""The path of a request to the tenant and back: counted, limited, subjected to faults."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from logto_sandbox.api.router import route_of
from logto_sandbox.faults.exchange import Answer, App, Exchange, Message, Receive, Scope, Send
from logto_sandbox.faults.handlers import HANDLERS, too_many_requests
from logto_sandbox.faults.injection import Injection, Upstream
from logto_sandbox.faults.limiters import LIMITERS, Limiter
from logto_sandbox.faults.recorder import Record, Recorder
from logto_sandbox.faults.spec import Fault
from logto_sandbox.store.tenant import Tenant

RETRY_AFTER = ("none", "seconds", "date")


class FaultInjector:
    """ASGI middleware around the tenant's app.

    :param app: the tenant's app
    :param tenant: what it serves (its clock sets the ``Date`` header)
    :param recorder: counts what arrives
    """

    def __init__(self, app: App, tenant: Tenant, recorder: Recorder) -> None:
        self.tenant = tenant
        self.recorder = recorder
        self._upstream = Upstream(app, tenant, recorder)
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

        :raises FaultError: see :class:`spec.Fault`
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
            refusal = too_many_requests(self.tenant, wait, self._retry_after)
            await self._answer(refusal, record, scope, send)
            return
        faults = [fault for fault in self.faults if fault.matches(method, path, route, query)]
        if not faults:
            self.recorder.reached_app(record)
            await self._upstream.app(scope, receive, self._finishing(send, scope, record))
            return
        exchange = Exchange(scope, receive, send, method, path, route, query)
        await exchange.read_body()
        answer = await Injection(self._upstream, exchange, record, faults, HANDLERS).run()
        if answer is not None:
            await self._answer(answer, record, scope, send)

    def _finishing(self, send: Send, scope: Scope, record: Record) -> Send:
        async def finish(message: Message) -> None:
            if message["type"] == "http.response.start":
                record.status = message["status"]
                self.recorder.answered_by_app(record, record.status)
                message["headers"] = [*message.get("headers", ()), *self._upstream.connection_headers(scope)]
            await send(message)

        return finish

    async def _answer(self, answer: Answer, record: Record, scope: Scope, send: Send) -> None:
        record.status = answer.status
        headers = [*answer.headers, *self._upstream.connection_headers(scope)]
        if answer.status not in (204, 304) and answer.header("content-length") is None:
            headers.append((b"content-length", str(len(answer.body)).encode()))
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": answer.body})
