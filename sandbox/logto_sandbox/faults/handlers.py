"""What each kind of fault does: one small function a kind."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Callable
from email.utils import formatdate
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs

from logto_sandbox.faults.exchange import Answer, Exchange
from logto_sandbox.faults.injection import Handler, Injection
from logto_sandbox.faults.spec import Fault
from logto_sandbox.store.defaults import ACCESS_ROLE, MANAGEMENT_API
from logto_sandbox.store.tenant import Tenant

_JSON = (b"content-type", b"application/json; charset=utf-8")
_HTML = (b"content-type", b"text/html; charset=utf-8")
_TEXT = (b"content-type", b"text/plain; charset=utf-8")


def too_many_requests(tenant: Tenant, wait: float | None, retry_after: str = "seconds") -> Answer:
    """What a firewall in front of the tenant says: 429 without a JSON body.

    :param wait: seconds until a request may pass; None = do not tell
    :param retry_after: ``none``, ``seconds`` (rounded up) or ``date`` (HTTP-date, by the tenant's clock)
    """
    headers = [_TEXT]
    if wait is not None and retry_after != "none":
        seconds = int(-(-wait // 1))
        date = formatdate(tenant.now_ms() / 1000 + seconds, usegmt=True)
        headers.append((b"retry-after", (date if retry_after == "date" else str(seconds)).encode()))
    return Answer(429, headers, b"Too Many Requests")


def _server_error(status: int) -> Answer:
    """500 as Logto answers the unexpected (no code), 404 and 405 as it answers where it has no such operation, anything
    else as a gateway in front of it does (HTML)."""
    request_id = (b"logto-core-request-id", secrets.token_urlsafe(12).encode())
    if status == 500:
        return Answer(500, [_JSON, request_id], b'{"message":"Internal server error."}')
    try:
        title = f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        title = str(status)
    if status in (404, 405):
        return Answer(status, [_TEXT, request_id], HTTPStatus(status).phrase.encode())
    return Answer(status, [_HTML], f"<html><head><title>{title}</title></head></html>".encode())


async def _rate_limited(fault: Fault, injection: Injection) -> Answer:
    return injection.replace(too_many_requests(injection.tenant, fault["retry_after"], fault["retry_after_as"]))


async def _error(fault: Fault, injection: Injection) -> Answer:
    if fault["after_commit"]:
        await injection.run()
    return injection.replace(_server_error(fault["status"]))


async def _statement_timeout(fault: Fault, injection: Injection) -> Answer | None:
    deep = fault.too_deep(injection.exchange.query)
    answer = None if deep else await injection.run()
    if not deep and not _counted_too_far(fault, injection.exchange, answer):
        fault.fired -= 1
        return answer
    await asyncio.sleep(fault["seconds"])
    return injection.replace(_server_error(500))


def _counted_too_far(fault: Fault, exchange: Exchange, answer: Answer | None) -> bool:
    """Whether an uncapped ``count(*)`` passed ``max_count`` rows."""
    capped = parse_qs(exchange.query).get("enableCap", [""])[0] in ("1", "true", "y", "yes", "yep", "yeah")
    total = answer and answer.header("total-number")
    return bool(total) and not capped and fault["max_count"] is not None and int(total or 0) > fault["max_count"]


async def _reset(fault: Fault, injection: Injection) -> None:
    if fault["after_commit"]:
        await injection.run()
    await injection.drop("reset", with_reset=True)


async def _lost_answer(_: Fault, injection: Injection) -> None:
    await injection.run()
    await injection.drop("lost_answer", with_reset=False)


async def _truncated(fault: Fault, injection: Injection) -> Answer | None:
    answer = await injection.run()
    if answer is None:
        return None
    if answer.status in (204, 304):  # nothing to cut: such an answer is whole after its head
        await injection.drop("truncated", with_reset=False)
        return None
    kept = answer.body[: int(len(answer.body) * fault["keep"])]
    promised = max(len(answer.body), len(kept) + 1)
    headers = [
        *answer.without("content-length").headers,
        (b"content-length", str(promised).encode()),
        *injection.upstream.connection_headers(injection.exchange.scope),
    ]
    injection.record.status = answer.status
    await injection.exchange.send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await injection.exchange.send({"type": "http.response.body", "body": kept, "more_body": True})
    await injection.drop("truncated", with_reset=False)
    return None


async def _wrong_content_type(fault: Fault, injection: Injection) -> Answer:
    if fault["after_commit"]:
        await injection.run()
    page = b"<!DOCTYPE html><html><head><title>Sign in</title></head><body></body></html>"
    return injection.replace(Answer(200, [_HTML], page), "wrong_content_type")


async def _slow(fault: Fault, injection: Injection) -> Answer | None:
    if fault["before_commit"]:
        await asyncio.sleep(fault["seconds"])
        return await injection.run()
    answer = await injection.run()
    await asyncio.sleep(fault["seconds"])
    return answer


async def _signing_key_rotated(_: Fault, injection: Injection) -> Answer | None:
    injection.tenant.rotate_signing_key()
    return await injection.run()


def _token_fault(name: str) -> Handler:
    async def handle(_: Fault, injection: Injection) -> Answer | None:
        injection.tenant.token_faults.add(name)
        try:
            return await injection.run()
        finally:
            injection.tenant.token_faults.discard(name)

    return handle


# Lists into which rows can be inserted during a walk: route -> body of the POST that makes one.
_NEW_ROWS: dict[str, Callable[[str], dict[str, Any]]] = {
    "/api/users": lambda name: {"username": name, "name": name},
    "/api/roles": lambda name: {"name": name, "description": name},
    "/api/organizations": lambda name: {"name": name},
    "/api/applications": lambda name: {"name": name, "type": "MachineToMachine"},
    "/api/resources": lambda name: {"name": name, "indicator": f"https://{name}.example.com"},
}


async def _rows_inserted(fault: Fault, injection: Injection) -> Answer | None:
    answer = await injection.run()
    rows = _rows(answer)
    for _ in range(fault["count"]):
        name = f"inserted_{secrets.token_hex(6)}"
        if injection.exchange.route == "/api/logs" and rows:
            newest = rows[0]
            injection.tenant.logs.append(newest["key"], newest["payload"], newest["createdAt"])
        elif injection.exchange.route in _NEW_ROWS:
            body = json.dumps(_NEW_ROWS[injection.exchange.route](name)).encode()
            await _call_uncounted(injection, "POST", injection.exchange.path, body)
    return answer


async def _rows_deleted(fault: Fault, injection: Injection) -> Answer | None:
    answer = await injection.run()
    own = {injection.tenant.settings.app_id, injection.tenant.settings.norole_id, MANAGEMENT_API, ACCESS_ROLE}
    rows = [row for row in _rows(answer) if not own & {row.get("id"), row.get("name")}]
    for row in rows[: fault["count"]]:
        if injection.exchange.route == "/api/logs":
            injection.tenant.logs.delete(row["createdAt"], row["createdAt"] + 1, limit=1)
        else:
            await _call_uncounted(injection, "DELETE", f"{injection.exchange.path}/{row.get('id')}")
    return answer


def _rows(answer: Answer | None) -> list[dict[str, Any]]:
    if answer is None or answer.status != 200:
        return []
    rows = json.loads(answer.body)
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


async def _call_uncounted(injection: Injection, method: str, path: str, body: bytes = b"") -> None:
    """A request on behalf of the client that walks: the same token, nothing else of it."""
    exchange = injection.exchange
    headers = [pair for pair in exchange.scope["headers"] if pair[0] in (b"authorization", b"host")]
    headers += [_JSON, (b"content-length", str(len(body)).encode())]
    scope = {**exchange.scope, "method": method, "path": path, "raw_path": path.encode()}
    scope |= {"query_string": b"", "headers": headers}
    own = Exchange(scope, exchange.receive, exchange.send, method, path, path, "", body)
    await injection.upstream.call_uncounted(own)


async def _link_absent(fault: Fault, injection: Injection) -> Answer | None:
    answer = await injection.run()
    names = ("link", "total-number") if fault["total_number"] else ("link",)
    return answer and answer.without(*names)


async def _link_mangled(fault: Fault, injection: Injection) -> Answer | None:
    answer = await injection.run()
    if answer is None or answer.header("link") is None:
        return answer
    links = [value for name, value in answer.headers if name.lower() == b"link"]
    first = links[0].partition(b";")[0]
    mangled = {
        "garbage": [b'<http://[>; rel="next', b"rel=next;;,"],
        "foreign_host": [link.replace(b"://", b"://logto.invalid/") for link in links],
        "no_next": [link for link in links if b'rel="next"' not in link],
        "always_next": [*(link for link in links if b'rel="next"' not in link), first + b'; rel="next"'],
    }[fault["mode"]]
    kept = answer.without("link")
    kept.headers.extend((b"link", link) for link in mangled)
    return kept


HANDLERS: dict[str, Handler] = {
    "rate_limited": _rate_limited,
    "error": _error,
    "statement_timeout": _statement_timeout,
    "reset": _reset,
    "lost_answer": _lost_answer,
    "truncated": _truncated,
    "wrong_content_type": _wrong_content_type,
    "slow": _slow,
    "signing_key_rotated": _signing_key_rotated,
    "token_without_scope": _token_fault("without_scope"),
    "secret_expired": _token_fault("secret_expired"),
    "token_quota": _token_fault("token_quota"),
    "rows_inserted": _rows_inserted,
    "rows_deleted": _rows_deleted,
    "link_absent": _link_absent,
    "link_mangled": _link_mangled,
}
