"""One request on its way through the faults that match it to the tenant's app."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from email.utils import formatdate

from logto_sandbox.faults.exchange import Answer, App, Exchange, Scope
from logto_sandbox.faults.recorder import Record, Recorder
from logto_sandbox.faults.spec import Fault
from logto_sandbox.store.tenant import Tenant


@dataclass
class Upstream:
    """The tenant's app behind the faults.

    :param tenant: what the app serves; its clock sets the ``Date`` header
    :param recorder: counts what arrives at the app
    """

    app: App
    tenant: Tenant
    recorder: Recorder

    async def call(self, exchange: Exchange, record: Record) -> Answer:
        """Run the app, counting that the request got this far."""
        self.recorder.reached_app(record)
        answer = await exchange.call(self.app)
        self.recorder.answered_by_app(record, answer.status)
        return answer

    async def call_uncounted(self, exchange: Exchange) -> Answer:
        """Run the app on a request that no client sent."""
        return await exchange.call(self.app)

    def connection_headers(self, scope: Scope) -> list[tuple[bytes, bytes]]:
        """What Node's HTTP server adds to every response: the date, and how long an idle connection stays."""
        date = formatdate(self.tenant.now_ms() / 1000, usegmt=True).encode()
        if any(name == b"connection" and value.lower() == b"close" for name, value in scope["headers"]):
            return [(b"date", date)]
        return [(b"date", date), (b"connection", b"keep-alive"), (b"keep-alive", b"timeout=5")]


class Injection:
    """The faults that match one request, each wrapped around the next.

    At most one fault of each kind acts on a request, and at most one that replaces the response.

    :param handlers: fault kind -> what it does
    """

    def __init__(
        self,
        upstream: Upstream,
        exchange: Exchange,
        record: Record,
        faults: Iterable[Fault],
        handlers: Mapping[str, Handler],
    ) -> None:
        self.upstream, self.exchange, self.record = upstream, exchange, record
        self.tenant = upstream.tenant
        self._faults = iter(faults)
        self._handlers = handlers
        self._kinds: set[str] = set()
        self._replaced = False

    async def run(self) -> Answer | None:
        """The response after the remaining faults; None when the connection is gone."""
        for fault in self._faults:
            if fault.kind in self._kinds or (self._replaced and fault.about.replaces_response) or not fault.fires():
                continue
            self._kinds.add(fault.kind)
            self._replaced |= fault.about.replaces_response
            return await self._handlers[fault.kind](fault, self)
        return await self.upstream.call(self.exchange, self.record)

    async def drop(self, reason: str, *, with_reset: bool) -> None:
        """End the connection and count it."""
        self.upstream.recorder.rejected(reason)
        await self.exchange.drop(with_reset=with_reset)

    def replace(self, answer: Answer, reason: str | None = None) -> Answer:
        """Count a response that is not the tenant's own."""
        self.upstream.recorder.rejected(reason or str(answer.status))
        return answer


Handler = Callable[[Fault, Injection], Awaitable[Answer | None]]
