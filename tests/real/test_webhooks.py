"""A delivery as a real Logto signs it. The sandbox delivers nothing."""

from __future__ import annotations

import queue
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from airflow_provider_logto.exceptions import WebhookRejected
from airflow_provider_logto.webhooks import SIGNATURE_HEADER, sign, verify
from tests.conftest import Tenant
from tests.real.conftest import Corner
from tests.web import serve


def test_a_real_delivery_is_verified(tenant: Tenant, corner: Corner) -> None:
    if tenant.sandbox is not None:
        pytest.skip("only a real Logto delivers webhooks")
    deliveries: queue.Queue[tuple[bytes, str | None]] = queue.Queue()

    async def receive(request: Request) -> Response:
        deliveries.put((await request.body(), request.headers.get(SIGNATURE_HEADER)))
        return PlainTextResponse("fine")

    with serve(Starlette(routes=[Route("/", receive, methods=["POST"])])) as address:
        body = {"name": corner.word, "events": ["User.Created"], "config": {"url": address}}
        hook: dict[str, Any] = corner.hook.request("POST", "/hooks", body=body)
        try:
            user = corner.hook.request(
                "POST", "/users", body={"username": corner.username("hooked"), "name": "佐藤 😀"}
            )
            raw, signature = deliveries.get(timeout=30)
        finally:
            corner.hook.request("DELETE", f"/hooks/{hook['id']}")
    key = hook["signingKey"]
    event = verify(raw, signature, key)
    assert (event["event"], event["hookId"], event["data"]["id"]) == ("User.Created", hook["id"], user["id"])
    assert sign(raw, key) == signature
    for changed, keys in ((raw.replace(b"User.Created", b"User.Deleted"), key), (raw, "another")):
        with pytest.raises(WebhookRejected):
            verify(changed, signature, keys)
