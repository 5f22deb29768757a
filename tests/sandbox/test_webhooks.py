"""Webhooks are called: signed, once, after the answer, with what happened."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest

from logto_sandbox import Sandbox

Payload = dict[str, Any]


class Receiver:
    """An endpoint that keeps what it is sent; ``status`` and ``answer`` are what it says."""

    def __init__(self) -> None:
        self.requests: list[tuple[dict[str, str], bytes]] = []
        self.status, self.answer = 200, b'{"ok":true}'
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver.requests.append(({name.lower(): value for name, value in self.headers.items()}, body))
                self.send_response(receiver.status)
                self.end_headers()
                self.wfile.write(receiver.answer)

            def log_message(self, *_: Any) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook?source=logto"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def payloads(self) -> list[Payload]:
        return [json.loads(body) for _, body in self.requests]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.server.shutdown()
    receiver.server.server_close()


def wait_for(condition: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + 10
    while not (found := condition()):
        assert time.monotonic() < deadline, "nothing came"
        time.sleep(0.01)
    return found


def add_hook(api: httpx.Client, url: str, *events: str, **fields: Any) -> Payload:
    config = {"url": url, "headers": {"x-tenant": "acme"}}
    hook: Payload = api.post("/api/hooks", json={"events": list(events), "config": config, **fields}).json()
    return hook


def test_a_delivery_is_signed_and_logged(api: httpx.Client, receiver: Receiver) -> None:
    hook = add_hook(api, receiver.url, "User.Created")
    add_hook(api, receiver.url, "User.Created", enabled=False)
    add_hook(api, receiver.url, "User.Deleted")
    user = api.post("/api/users", json={"username": "ada"}).json()
    (row,) = wait_for(lambda: api.get(f"/api/hooks/{hook['id']}/recent-logs").json())
    ((headers, body),) = receiver.requests
    signature = hmac.new(hook["signingKey"].encode(), body, hashlib.sha256).hexdigest()
    assert (headers["logto-signature-sha-256"], headers["x-tenant"]) == (signature, "acme")
    payload = json.loads(body)
    assert payload.pop("createdAt").endswith("Z")
    assert payload == {
        "event": "User.Created",
        "hookId": hook["id"],
        "userAgent": api.headers["user-agent"],
        "ip": "127.0.0.1",
        "path": "/users",
        "method": "POST",
        "status": 200,
        "params": {},
        "matchedRoute": "/users",
        "data": user,
    }
    assert (row["key"], row["payload"]["result"]) == ("TriggerHook.User.Created", "Success")
    assert row["payload"]["response"] == {"statusCode": 200, "body": {"ok": True}}
    stats = api.get(f"/api/hooks/{hook['id']}?includeExecutionStats=1").json()["executionStats"]
    assert stats == {"requestCount": 1, "successCount": 1}
    assert api.get("/api/logs").json()[0]["key"] != row["key"]


def test_what_fails_is_tried_once(api: httpx.Client, receiver: Receiver) -> None:
    receiver.status, receiver.answer = 503, b"later"
    hook = add_hook(api, receiver.url, "Role.Created")
    gone = add_hook(api, "http://127.0.0.1:1/", "Role.Created")
    api.post("/api/roles", json={"name": "a", "description": "b"})
    for one, status in ((hook, 503), (gone, None)):
        path = f"/api/hooks/{one['id']}/recent-logs"
        (row,) = wait_for(lambda path=path: api.get(path).json())  # type: ignore[misc]
        assert row["payload"]["result"] == "Error"
        assert row["payload"].get("response", {}).get("statusCode") == status
    assert len(receiver.requests) == 1


def test_refused_calls_and_lists_cause_no_event(api: httpx.Client, receiver: Receiver) -> None:
    add_hook(api, receiver.url, "User.Created", "User.Data.Updated")
    api.post("/api/users", json={"username": "!"})
    api.patch("/api/users/nobody", json={"name": "x"})
    api.get("/api/users")
    api.post("/api/users", json={"username": "ada"})
    wait_for(lambda: receiver.requests)
    assert [payload["event"] for payload in receiver.payloads()] == ["User.Created"]


def test_a_lost_answer_does_not_lose_the_event(logto_sandbox: Sandbox, api: httpx.Client, receiver: Receiver) -> None:
    add_hook(api, receiver.url, "User.Created")
    logto_sandbox.add_fault(kind="lost_answer", method="POST", path="/api/users")
    with pytest.raises(httpx.RemoteProtocolError):
        api.post("/api/users", json={"username": "ada"})
    wait_for(lambda: receiver.requests)


def test_members_who_join_and_leave_are_named(api: httpx.Client, receiver: Receiver) -> None:
    add_hook(api, receiver.url, "Organization.Membership.Updated", "User.Deleted")
    acme = api.post("/api/organizations", json={"name": "Acme"}).json()["id"]
    ann, bob, eve = (api.post("/api/users", json={"username": name}).json()["id"] for name in ("ann", "bob", "eve"))
    path = f"/api/organizations/{acme}/users"
    calls: list[tuple[str, str, Any, Payload]] = [
        ("POST", path, {"userIds": [ann, bob]}, {"addedUserIds": [ann, bob]}),
        ("POST", path, {"userIds": [ann]}, {}),
        ("PUT", path, {"userIds": [bob, eve]}, {"addedUserIds": [eve], "removedUserIds": [ann]}),
        ("DELETE", f"{path}/{bob}", None, {"removedUserIds": [bob]}),
    ]
    for number, (method, url, body, delta) in enumerate(calls):
        api.request(method, url, json=body).raise_for_status()
        wait_for(lambda number=number: len(receiver.requests) > number)  # type: ignore[misc]
        payload = receiver.payloads()[-1]
        named = {key: value for key, value in payload.items() if key.endswith("UserIds")}
        assert (payload["organizationId"], named) == (acme, delta)
    api.delete(f"/api/users/{eve}")
    wait_for(lambda: len(receiver.requests) == 5)
    last = receiver.payloads()[-1]
    assert (last["event"], last["status"], last["data"]["username"]) == ("User.Deleted", 204, "eve")


def test_a_trial_says_what_the_endpoint_answered(api: httpx.Client, receiver: Receiver) -> None:
    hook = add_hook(api, receiver.url, "User.Created")
    body = {"events": ["User.Created", "PostSignIn"], "config": {"url": receiver.url}}
    assert api.post(f"/api/hooks/{hook['id']}/test", json=body).status_code == 204
    assert {payload["event"] for payload in receiver.payloads()} == set(body["events"])
    receiver.status, receiver.answer = 500, b"no"
    refused = api.post(f"/api/hooks/{hook['id']}/test", json=body).json()
    assert refused["code"] == "hook.endpoint_responded_with_error"
    assert refused["data"] == {"responseStatus": 500, "responseBody": "no"}
    odd = body | {"config": {"url": "not a url"}}
    assert api.post(f"/api/hooks/{hook['id']}/test", json=odd).json()["code"] == "hook.send_test_payload_failed"
    assert api.get(f"/api/hooks/{hook['id']}/recent-logs").json() == []
