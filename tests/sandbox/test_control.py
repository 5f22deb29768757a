"""The control plane and what it controls: statistics, faults, state, seed, reset."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from logto_sandbox import Sandbox
from logto_sandbox.control import dispatch
from logto_sandbox.environment import Environment
from logto_sandbox.seed import SeedError
from logto_sandbox.store.defaults import Settings

SEED = {
    "resources": [{"name": "Orders", "indicator": "https://orders.example.com", "scopes": ["read", "write"]}],
    "roles": [{"name": "employee", "description": "Everybody", "isDefault": True, "scopes": ["read"]}],
    "organizationScopes": [{"name": "invite"}],
    "organizationRoles": [{"name": "member", "scopes": ["invite"]}, {"name": "admin"}],
    "users": [
        {"username": "ada", "primaryEmail": "ada@example.com", "roles": ["employee"], "customData": {"team": 1}},
        {"username": "bob", "isSuspended": True},
    ],
    "organizations": [
        {"name": "Acme", "members": ["bob", {"user": "ada@example.com", "roles": ["admin"]}]},
        {"name": "Beta", "jitEmailDomains": ["beta.example.com"]},
    ],
    "applications": [{"name": "importer", "type": "MachineToMachine", "roles": ["Logto Management API access"]}],
    "logs": {"count": 12},
}


def test_statistics_by_route(logto_sandbox: Sandbox, api: httpx.Client) -> None:
    user = api.post("/api/users", json={"username": "ada"}).json()
    role = api.post("/api/roles", json={"name": "employee", "description": "x"}).json()
    api.post(f"/api/users/{user['id']}/roles", json={"roleIds": [role["id"]]})
    api.delete(f"/api/users/{user['id']}/roles/{role['id']}")
    api.get("/api/users/nobody")
    api.head("/api/users")
    api.get("/api/no-such-thing")
    api.post("/api/users", json={"username": "ada"})
    over_http = api.get("/sandbox/stats").json()
    assert over_http == logto_sandbox.stats()
    assert over_http == {
        "requests": 8,
        "writes": 5,
        "tokens": 0,
        "routes": {
            "DELETE /api/users/{id}/roles/{roleId}": 1,
            "GET /api/no-such-thing": 1,
            "GET /api/users/{id}": 1,
            "HEAD /api/users": 1,
            "POST /api/roles": 1,
            "POST /api/users": 2,
            "POST /api/users/{id}/roles": 1,
        },
        "rejections": {},
        "peak_per_10s": 8,
    }
    statuses = [request["status"] for request in api.get("/sandbox/requests").json()]
    assert statuses == [200, 200, 201, 204, 404, 200, 404, 422]
    assert api.delete("/sandbox/stats").status_code == 204
    assert logto_sandbox.stats()["requests"] == 0


def test_faults_over_http(api: httpx.Client) -> None:
    (made,) = api.post("/sandbox/faults", json={"kind": "error", "status": 503, "times": 2}).json()
    assert api.get("/api/users").status_code == 503
    (shown,) = api.get("/sandbox/faults").json()
    assert shown == made | {"seen": 1, "fired": 1}
    wrong = api.post("/sandbox/faults", json=[{"kind": "reset"}, {"kind": "rest"}])
    assert (wrong.status_code, wrong.json()["error"][:6]) == (400, "kind: ")
    assert len(api.get("/sandbox/faults").json()) == 1
    assert api.delete("/sandbox/faults").status_code == 204
    assert api.get("/api/users").status_code == 200


def test_logs_over_http(api: httpx.Client) -> None:
    spec = {"count": 30, "start": "2026-01-01T00:00:00Z", "end": "2026-01-01T00:01:00+00:00", "pattern": "even"}
    assert api.post("/sandbox/logs", json=spec).json() == {
        "count": 30,
        "first": 1_767_225_600_000,
        "last": 1_767_225_660_000,
    }
    rows = [{"key": "RevokeToken", "createdAt": 5, "payload": {"userId": "u"}}]
    assert api.post("/sandbox/logs", json=rows).json() == {"count": 1, "first": 5, "last": 5}
    assert api.get("/api/logs", params={"userId": "u"}).json()[0]["createdAt"] == 5


@pytest.mark.parametrize(
    ("method", "name", "body", "status", "text"),
    [
        ("GET", "nothing", None, 404, "there is no /sandbox/nothing"),
        ("PUT", "stats", None, 405, "takes DELETE, GET"),
        ("POST", "faults", b"{", 400, "the body is no JSON"),
        ("POST", "faults", b"", 400, "the body is no JSON"),
        ("POST", "faults", b'"error"', 400, "fault: expected an object"),
        ("POST", "logs", b'{"count": "x"}', 400, "count: "),
        ("POST", "logs", b"3", 400, "logs: "),
        ("POST", "seed", b"[]", 400, "seed: expected an object"),
        ("POST", "seed", b'{"user": []}', 400, "user: unknown key"),
        ("PUT", "limit", b"5", 400, "limit: "),
        ("PUT", "limit", b'{"rate": 5}', 400, "limit: "),
        ("PUT", "limit", b'{"rate_limit": "5"}', 400, "rate_limit: "),
        ("POST", "logs", b'\xff\xfe"', 400, "the body is no JSON"),
    ],
)
def test_bad_input_gets_a_clear_error(
    api: httpx.Client, method: str, name: str, body: bytes | None, status: int, text: str
) -> None:
    answer = api.request(method, f"/sandbox/{name}", content=body)
    assert answer.status_code == status
    assert text in answer.json()["error"]


@pytest.mark.parametrize(
    ("client", "status"), [("203.0.113.9", 403), ("testclient", 403), ("127.0.0.1", 200), ("::1", 200)]
)
def test_the_control_plane_answers_this_machine_only(client: str, status: int) -> None:
    app: Any = dispatch(Environment(Settings()))

    async def ask() -> list[int]:
        transport = httpx.ASGITransport(app, client=(client, 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
            return [(await http.get(path)).status_code for path in ("/sandbox/stats", "/api/status")]

    assert asyncio.run(ask()) == [status, 204]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "localhost:{port}"}, 204),
        ({"Host": "[::1]:{port}"}, 204),
        ({"Host": "127.0.0.2"}, 204),
        ({"Origin": "http://127.0.0.1:{port}"}, 204),
        ({"Host": "attacker.example"}, 403),
        ({"Host": "localhost.attacker.example:{port}"}, 403),
        ({"Host": "[bad"}, 403),
        ({"Host": ""}, 403),
        ({"Origin": "https://attacker.example"}, 403),
        ({"Origin": "http://localhost:8080"}, 403),
        ({"Origin": "null"}, 403),
        ({"X-Forwarded-For": "127.0.0.1"}, 403),
        ({"Forwarded": "for=127.0.0.1"}, 403),
        ({"X-Real-IP": "127.0.0.1"}, 403),
    ],
)
def test_no_page_and_no_proxy_reaches_the_control_plane(
    logto_sandbox: Sandbox, headers: dict[str, str], status: int
) -> None:
    filled = {name: value.format(port=logto_sandbox.port) for name, value in headers.items()}
    assert httpx.post(f"{logto_sandbox.url}/sandbox/reset", headers=filled).status_code == status


def test_forwarded_headers_do_not_change_whom_a_request_is_from(
    logto_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "*")
    with Sandbox() as sandbox:
        forged = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https"}
        form = {"grant_type": "client_credentials", "resource": sandbox.resource}
        answer = httpx.post(f"{sandbox.url}/oidc/token", data=form, auth=(sandbox.app_id, "wrong"), headers=forged)
        assert answer.status_code == 401
        (row,) = sandbox.state()["logs"]
        assert row["payload"]["ip"] == "127.0.0.1"


@pytest.mark.logto_sandbox(seed=SEED)
def test_seed_and_state(logto_sandbox: Sandbox, api: httpx.Client) -> None:
    state = logto_sandbox.state()
    users = {user["username"]: user for user in state["users"]}
    assert users["ada"]["customData"] == {"team": 1}
    assert users["bob"]["isSuspended"] is True
    held = api.get(f"/api/users/{users['ada']['id']}/roles").json()
    assert [role["name"] for role in held] == ["employee"]
    (acme,) = (row for row in state["organizations"] if row["name"] == "Acme")
    members = api.get(f"/api/organizations/{acme['id']}/users").json()
    assert {user["username"]: [role["name"] for role in user["organizationRoles"]] for user in members} == {
        "ada": ["admin"],
        "bob": [],
    }
    assert len(state["logs"]) == 13
    assert api.get("/sandbox/state").json()["users"] == state["users"]


@pytest.mark.logto_sandbox(seed=SEED)
def test_reset_goes_back_to_the_seed_and_keeps_tokens(logto_sandbox: Sandbox, api: httpx.Client) -> None:
    api.post("/api/users", json={"username": "eve"})
    api.post("/sandbox/faults", json={"kind": "error", "times": None})
    assert api.post("/sandbox/reset").status_code == 204
    assert logto_sandbox.stats()["requests"] == 0
    answer = api.get("/api/users")
    assert (answer.status_code, len(answer.json())) == (200, 2)


def test_seeding_adds_to_what_is_there(logto_sandbox: Sandbox, api: httpx.Client) -> None:
    api.post("/api/users", json={"username": "eve"})
    made = api.post("/sandbox/seed", json=SEED).json()
    assert made == {key: len(rows) for key, rows in SEED.items() if key != "logs"} | {"logs": 12}
    assert len(api.get("/api/users").json()) == 3
    assert logto_sandbox.stats()["writes"] == 1


def test_a_dump_is_a_seed(logto_sandbox: Sandbox) -> None:
    logto_sandbox.seed(SEED)
    dump = json.loads(json.dumps(logto_sandbox.state()))
    again = Sandbox(seed=dump).state()
    for table in ("users", "roles", "organizations", "relations", "logs"):
        assert again[table] == dump[table]


def test_many_logs_are_counted_in_the_state(logto_sandbox: Sandbox) -> None:
    logto_sandbox.insert_logs(count=10_001)
    assert logto_sandbox.state()["logs"] == {"count": 10_001}


@pytest.mark.parametrize(
    ("seed", "where"),
    [
        ({"people": []}, "people"),
        ({"users": {}}, "users"),
        ({"users": ["ada"]}, r"users\[0\]"),
        ({"users": [{"username": "ada"}, {"usernam": "bob"}]}, r"users\[1\].usernam"),
        ({"users": [{"username": "ada!"}]}, r"users\[0\]: .*username"),
        ({"users": [{"username": "ada"}, {"username": "ada"}]}, r"users\[1\]: .*username_already_in_use"),
        ({"users": [{"username": "ada", "roles": ["boss"]}]}, r"users\[0\].roles"),
        ({"users": [{"username": "ada", "isSuspended": "no"}]}, r"users\[0\].isSuspended"),
        ({"roles": [{"name": "a"}]}, r"roles\[0\]"),
        ({"roles": [{"name": "a", "description": "b", "scopes": ["c"]}]}, r"roles\[0\].scopes"),
        ({"organizations": [{"name": "Acme", "members": ["eve"]}]}, r"organizations\[0\].members"),
        ({"resources": [{"name": "a", "indicator": "b", "scopes": "read"}]}, r"resources\[0\].scopes"),
        ({"logs": {"cuont": 1}}, "logs.cuont"),
        ({"logs": [{"key": "RevokeToken"}]}, r"logs\[0\].createdAt"),
        ({"relations": {"odd": []}}, "state"),
    ],
)
def test_a_wrong_seed_names_the_row(seed: dict[str, Any], where: str) -> None:
    with pytest.raises(SeedError, match=f"^{where}"):
        Sandbox(seed=seed)


def test_state_file(tmp_path: Path, authorize: Callable[[Sandbox], httpx.Client]) -> None:
    path = tmp_path / "state.json"
    with Sandbox(state_file=path, seed=SEED) as sandbox:
        authorize(sandbox).post("/api/users", json={"username": "eve"})
        before = sandbox.state()
    with Sandbox(state_file=path, seed={"users": [{"username": "not-read"}]}) as sandbox:
        assert sandbox.state()["users"] == before["users"]
        assert sandbox.state()["relations"] == before["relations"]
    assert [entry.name for entry in tmp_path.iterdir()] == ["state.json"]


@pytest.mark.parametrize("text", ["{", "[]", '{"users": [{}]}', '{"users": 3}', '{"userz": []}'])
def test_a_broken_state_file_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "state.json"
    path.write_text(text)
    with pytest.raises(SeedError, match=r"state\.json: "):
        Sandbox(state_file=path)
    assert path.read_text() == text


def test_start_and_stop() -> None:
    sandbox = Sandbox()
    sandbox.stop()
    threads = threading.active_count()
    with sandbox:
        port = sandbox.port
        assert httpx.get(f"{sandbox.url}/api/status").status_code == 204
        with pytest.raises(RuntimeError, match="running already"):
            sandbox.start()
        with pytest.raises(OSError, match="in use"):
            Sandbox(port=port).start()
    assert threading.active_count() == threads
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.1:{port}/api/status")
    with sandbox:
        assert sandbox.port == port
    assert sandbox.stats()["requests"] == 1


def test_stopping_does_not_wait_for_a_slow_answer(
    authorize: Callable[[Sandbox], httpx.Client], capfd: pytest.CaptureFixture[str]
) -> None:
    sandbox = Sandbox().start()
    api = authorize(sandbox)
    sandbox.add_fault(kind="slow", seconds=60)
    with pytest.raises(httpx.ReadTimeout):
        api.get("/api/users", timeout=0.1)
    failed: list[Exception] = []

    def ask() -> None:
        try:
            api.get("/api/users")
        except httpx.TransportError as error:
            failed.append(error)

    sandbox.add_fault(kind="slow", seconds=60)
    waiting = threading.Thread(target=ask)
    waiting.start()
    while sandbox.stats()["requests"] < 2:
        pass
    sandbox.stop()
    waiting.join(5)
    assert len(failed) == 1
    assert capfd.readouterr().err == ""
