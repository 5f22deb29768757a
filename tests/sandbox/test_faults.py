"""Each kind of fault, as a client meets it over a real socket."""

from __future__ import annotations

import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import pytest

from logto_sandbox import Sandbox
from logto_sandbox.faults.handlers import HANDLERS
from logto_sandbox.faults.spec import KINDS, ROW_LISTS, Fault, FaultError

TokenCall = Callable[[Sandbox, httpx.Client], httpx.Response]


def usernames(sandbox: Sandbox) -> list[str]:
    return [user["username"] for user in sandbox.state()["users"]]


@pytest.mark.parametrize(
    ("fault", "error", "written"),
    [
        ({"kind": "reset"}, httpx.ReadError, False),
        ({"kind": "reset", "after_commit": True}, httpx.ReadError, True),
        ({"kind": "lost_answer"}, httpx.RemoteProtocolError, True),
        ({"kind": "truncated"}, httpx.RemoteProtocolError, True),
        ({"kind": "truncated", "keep": 0}, httpx.RemoteProtocolError, True),
        ({"kind": "truncated", "keep": 1}, httpx.RemoteProtocolError, True),
    ],
)
def test_a_broken_answer(
    logto_sandbox: Sandbox, api: httpx.Client, fault: dict[str, Any], error: type[Exception], written: bool
) -> None:
    logto_sandbox.add_fault(method="POST", path="/api/users", **fault)
    with pytest.raises(error):
        api.post("/api/users", json={"username": "ada"})
    assert usernames(logto_sandbox) == (["ada"] if written else [])
    assert api.post("/api/users", json={"username": "bob"}).status_code == 200
    stats = logto_sandbox.stats()
    assert stats["rejections"] == {fault["kind"]: 1}
    assert stats["writes"] == (2 if written else 1)
    assert stats["requests"] == 2


def test_an_answer_that_never_came_has_no_status(logto_sandbox: Sandbox, api: httpx.Client) -> None:
    logto_sandbox.add_fault(kind="lost_answer")
    with pytest.raises(httpx.RemoteProtocolError):
        api.get("/api/users", params={"page": 2})
    (request,) = logto_sandbox.requests()
    assert abs(request.pop("at_ms") - time.time() * 1000) < 5000
    assert request == {
        "method": "GET",
        "path": "/api/users",
        "query": "page=2",
        "route": "/api/users",
        "status": None,
    }


@pytest.mark.parametrize(("status", "text"), [(404, "Not Found"), (405, "Method Not Allowed")])
def test_an_operation_that_logto_lacks(logto_sandbox: Sandbox, api: httpx.Client, status: int, text: str) -> None:
    logto_sandbox.add_fault(kind="error", status=status)
    answer = api.get("/api/users")
    assert (answer.status_code, answer.text) == (status, text)
    assert answer.headers["logto-core-request-id"]
    if status == 405:  # as its own
        assert api.put("/api/users").headers["logto-core-request-id"]


@pytest.mark.parametrize("status", [500, 502, 503])
@pytest.mark.parametrize("after_commit", [False, True])
def test_server_errors(logto_sandbox: Sandbox, api: httpx.Client, status: int, after_commit: bool) -> None:
    logto_sandbox.add_fault(kind="error", status=status, after_commit=after_commit)
    answer = api.post("/api/users", json={"username": "ada"})
    assert answer.status_code == status
    if status == 500:
        assert answer.json() == {"message": "Internal server error."}
        assert answer.headers["logto-core-request-id"]
    else:
        assert answer.headers["content-type"].startswith("text/html")
    assert usernames(logto_sandbox) == (["ada"] if after_commit else [])


@pytest.mark.parametrize(("as_", "parse"), [("seconds", int), ("date", parsedate_to_datetime)])
def test_too_many_requests_says_when(logto_sandbox: Sandbox, api: httpx.Client, as_: str, parse: Any) -> None:
    logto_sandbox.add_fault(kind="rate_limited", retry_after=7, retry_after_as=as_)
    answer = api.get("/api/users")
    assert answer.status_code == 429
    wait = parse(answer.headers["retry-after"])
    if as_ == "date":
        wait = (wait - parsedate_to_datetime(answer.headers["date"])).total_seconds()
    assert 6 <= wait <= 7
    assert logto_sandbox.stats()["rejections"] == {"429": 1}


def test_too_many_requests_may_say_nothing(logto_sandbox: Sandbox, api: httpx.Client) -> None:
    logto_sandbox.add_fault(kind="rate_limited")
    answer = api.get("/api/users")
    assert answer.status_code == 429
    assert "retry-after" not in answer.headers


def test_slow_answer(logto_sandbox: Sandbox, api: httpx.Client) -> None:
    logto_sandbox.add_fault(kind="slow", seconds=2, path="/api/users", method="POST")
    with pytest.raises(httpx.ReadTimeout):
        api.post("/api/users", json={"username": "ada"}, timeout=0.2)
    assert usernames(logto_sandbox) == ["ada"]
    logto_sandbox.clear_faults()
    logto_sandbox.add_fault(kind="slow", seconds=2, before_commit=True)
    with pytest.raises(httpx.ReadTimeout):
        api.post("/api/users", json={"username": "bob"}, timeout=0.2)
    assert usernames(logto_sandbox) == ["ada"]


def test_a_sign_in_page_with_200(logto_sandbox: Sandbox, api: httpx.Client) -> None:
    logto_sandbox.add_fault(kind="wrong_content_type")
    answer = api.post("/api/users", json={"username": "ada"})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert usernames(logto_sandbox) == []


def test_statement_timeout_on_deep_offsets(logto_sandbox: Sandbox, api: httpx.Client) -> None:
    logto_sandbox.insert_logs(count=300)
    logto_sandbox.add_fault(kind="statement_timeout", min_offset=200)
    walk = [api.get("/api/logs", params={"page": page, "page_size": 100}).status_code for page in (1, 2, 3, 4)]
    assert walk == [200, 200, 500, 500]
    assert api.get("/api/logs", params={"page": 11}).status_code == 500


def test_statement_timeout_on_uncapped_counts(logto_sandbox: Sandbox, api: httpx.Client) -> None:
    logto_sandbox.insert_logs(count=300)
    logto_sandbox.add_fault(kind="statement_timeout", max_count=200)
    assert api.get("/api/logs").status_code == 500
    assert api.get("/api/logs", params={"enableCap": "true"}).status_code == 200
    assert api.get("/api/logs", params={"logKey": "No.Such.Key"}).status_code == 200


def test_rotated_key_refuses_old_tokens_only(logto_sandbox: Sandbox, api: httpx.Client, token: TokenCall) -> None:
    logto_sandbox.add_fault(kind="signing_key_rotated")
    for _ in range(2):
        answer = api.get("/api/users")
        assert answer.status_code == 401
        assert answer.json()["data"]["code"] == "ERR_JWKS_NO_MATCHING_KEY"
    fresh = token(logto_sandbox, api).json()["access_token"]
    assert api.get("/api/users", headers={"Authorization": f"Bearer {fresh}"}).status_code == 200


@pytest.mark.parametrize(
    ("kind", "status", "expected"),
    [
        ("token_without_scope", 200, {"scope": None}),
        ("secret_expired", 400, {"code": "oidc.invalid_request"}),
        ("token_quota", 429, {"code": "auth.exceed_token_limit"}),
    ],
)
def test_token_faults(
    logto_sandbox: Sandbox, api: httpx.Client, token: TokenCall, kind: str, status: int, expected: dict[str, Any]
) -> None:
    logto_sandbox.add_fault(kind=kind)
    assert api.get("/api/users").status_code == 200
    answer = token(logto_sandbox, api)
    assert answer.status_code == status
    assert {key: answer.json().get(key) for key in expected} == expected
    assert token(logto_sandbox, api).json()["scope"] == "all"
    assert logto_sandbox.stats()["tokens"] == (2 if status == 200 else 1)


def test_clock_skew_moves_date_tokens_and_rows(logto_sandbox: Sandbox, api: httpx.Client) -> None:
    hour = 3_600_000
    logto_sandbox.add_fault(kind="clock_skew", offset_ms=2 * hour)
    answer = api.get("/api/users")
    assert answer.json()["data"]["code"] == "ERR_JWT_EXPIRED"
    ahead = parsedate_to_datetime(answer.headers["date"]).timestamp() - time.time()
    assert 7100 < ahead < 7300
    logto_sandbox.clear_faults()
    assert api.get("/api/users").status_code == 200


def walk(api: httpx.Client, path: str, pages: int, size: int = 2) -> list[str]:
    return [
        row["id"]
        for page in range(1, pages + 1)
        for row in api.get(path, params={"page": page, "page_size": size}).json()
    ]


def test_rows_inserted_during_a_walk_come_twice(logto_sandbox: Sandbox, api: httpx.Client) -> None:
    for name in ("a", "b", "c", "d"):
        api.post("/api/users", json={"username": name})
    writes = logto_sandbox.stats()["writes"]
    logto_sandbox.add_fault(kind="rows_inserted", path="/api/users")
    seen = walk(api, "/api/users", 2)
    assert len(seen) == 4
    assert len(set(seen)) == 3
    assert len(usernames(logto_sandbox)) == 5
    assert logto_sandbox.stats()["writes"] == writes


def test_rows_deleted_during_a_walk_hide_others(logto_sandbox: Sandbox, api: httpx.Client) -> None:
    made = [api.post("/api/users", json={"username": name}).json()["id"] for name in ("a", "b", "c", "d")]
    logto_sandbox.add_fault(kind="rows_deleted", path="/api/users")
    seen = walk(api, "/api/users", 2)
    kept = {user["id"] for user in logto_sandbox.state()["users"]}
    assert len(kept) == 3
    assert len(kept - set(seen)) == 1
    assert kept < set(made)


def test_log_rows_come_and_go_inside_the_window(logto_sandbox: Sandbox, api: httpx.Client) -> None:
    logto_sandbox.insert_logs(count=10, start=1_000_000, end=2_000_000)
    window = {"start_time": 0, "end_time": 3_000_000}
    logto_sandbox.add_fault(kind="rows_inserted", path="/api/logs", count=3)
    before = [api.get("/api/logs", params=window).headers["total-number"] for _ in range(2)]
    logto_sandbox.add_fault(kind="rows_deleted", path="/api/logs", count=2)
    after = [api.get("/api/logs", params=window).headers["total-number"] for _ in range(2)]
    assert before + after == ["10", "13", "13", "11"]


def test_link_absent_or_mangled(logto_sandbox: Sandbox, api: httpx.Client) -> None:
    logto_sandbox.insert_logs(count=60)

    def links(page: int, **fault: Any) -> list[str]:
        logto_sandbox.clear_faults()
        logto_sandbox.add_fault(**fault)
        answer = api.get("/api/logs", params={"page": page})
        assert len(answer.json()) == (20 if page < 4 else 1)
        assert ("total-number" in answer.headers) == (fault.get("total_number") is not True)
        return answer.headers.get_list("link")

    assert links(1, kind="link_absent", total_number=True) == []
    assert links(1, kind="link_absent", total_number=False) == []
    assert not any("next" in link for link in links(1, kind="link_mangled", mode="no_next"))
    assert any('rel="next"' in link for link in links(4, kind="link_mangled", mode="always_next"))
    assert all("logto.invalid" in link for link in links(1, kind="link_mangled", mode="foreign_host"))
    assert links(1, kind="link_mangled", mode="garbage")[0].startswith("<http://[>")


def test_rows_come_and_go_in_every_list_that_says_so(logto_sandbox: Sandbox, api: httpx.Client) -> None:
    api.get("/api/users/nobody")
    for path in ROW_LISTS:
        before = len(api.get(path, params={"page": 1}).json())
        logto_sandbox.add_fault(kind="rows_inserted", count=2)
        api.get("/api/hooks")
        assert len(api.get(path, params={"page": 1}).json()) == before
        assert len(api.get(path, params={"page": 1}).json()) == before + 2
        logto_sandbox.add_fault(kind="rows_deleted", count=1, path=path)
        api.get(path, params={"page": 1})
        assert len(api.get(path, params={"page": 1}).json()) == before + 1


def test_an_empty_answer_cannot_be_cut_and_is_lost(logto_sandbox: Sandbox, api: httpx.Client) -> None:
    user = api.post("/api/users", json={"username": "ada"}).json()
    logto_sandbox.add_fault(kind="truncated", method="DELETE")
    with pytest.raises(httpx.RemoteProtocolError):
        api.delete(f"/api/users/{user['id']}")
    assert usernames(logto_sandbox) == []


def test_times_after_and_order(logto_sandbox: Sandbox, api: httpx.Client) -> None:
    logto_sandbox.add_fault(kind="error", status=503, after=1, times=2)
    logto_sandbox.add_fault(kind="error", status=500)
    assert [api.get("/api/users").status_code for _ in range(5)] == [500, 503, 503, 200, 200]


def test_for_ever_until_cleared(logto_sandbox: Sandbox, api: httpx.Client) -> None:
    logto_sandbox.add_fault(kind="error", times=None)
    assert {api.get("/api/users").status_code for _ in range(5)} == {500}
    logto_sandbox.clear_faults()
    assert api.get("/api/users").status_code == 200


def test_faults_combine_one_replaced_response_a_request(logto_sandbox: Sandbox, api: httpx.Client) -> None:
    logto_sandbox.add_fault(kind="slow", seconds=0.15)
    logto_sandbox.add_fault(kind="error", status=503, after_commit=True)
    logto_sandbox.add_fault(kind="error", status=502)
    began = time.monotonic()
    assert api.get("/api/users").status_code == 503
    assert time.monotonic() - began >= 0.15
    assert [api.get("/api/users").status_code for _ in range(2)] == [502, 200]


def test_probability_repeats_with_its_seed(logto_sandbox: Sandbox, api: httpx.Client) -> None:
    def run() -> list[int]:
        logto_sandbox.clear_faults()
        logto_sandbox.add_fault(kind="error", times=None, probability=0.5, seed=3)
        return [api.get("/api/users").status_code for _ in range(40)]

    first = run()
    assert first == run()
    assert 8 < first.count(500) < 32


@pytest.mark.parametrize(
    ("where", "met"),
    [
        ({"path": "/api/users/{id}"}, ["GET /api/users/x", "PATCH /api/users/x"]),
        ({"path": "/api/users/{userId}", "method": "patch"}, ["PATCH /api/users/x"]),
        ({"path": "/api/users/x"}, ["GET /api/users/x", "PATCH /api/users/x"]),
        ({"path": r"/api/users/\w+"}, ["GET /api/users/x", "PATCH /api/users/x"]),
        ({"query": "page=2(&|$)"}, ["GET /api/users?page=2"]),
        ({"path": "/oidc/token"}, ["POST /oidc/token"]),
    ],
)
def test_what_a_fault_meets(logto_sandbox: Sandbox, api: httpx.Client, where: dict[str, str], met: list[str]) -> None:
    logto_sandbox.add_fault(kind="error", status=503, times=None, **where)
    calls = ["GET /api/users", "GET /api/users?page=2", "GET /api/users/x", "PATCH /api/users/x", "POST /oidc/token"]
    refused = [call for call in calls if api.request(*call.split(" ")).status_code == 503]
    assert refused == met


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({}, "kind"),
        ({"kind": "explosion"}, "kind"),
        ({"kind": "error", "statsu": 500}, "statsu"),
        ({"kind": "error", "status": "500"}, "status"),
        ({"kind": "error", "status": 200}, "status"),
        ({"kind": "error", "status": True}, "status"),
        ({"kind": "error", "times": 0}, "times"),
        ({"kind": "error", "after": -1}, "after"),
        ({"kind": "error", "probability": 1.5}, "probability"),
        ({"kind": "error", "path": "/api/userz"}, "path"),
        ({"kind": "error", "path": "/api/(users"}, "path"),
        ({"kind": "error", "path": ""}, "path"),
        ({"kind": "error", "query": "["}, "query"),
        ({"kind": "slow"}, "seconds"),
        ({"kind": "slow", "seconds": -1}, "seconds"),
        ({"kind": "truncated", "keep": 1.1}, "keep"),
        ({"kind": "clock_skew"}, "offset_ms"),
        ({"kind": "rows_inserted", "path": "/api/hooks"}, "path"),
        ({"kind": "rows_deleted", "count": 0}, "count"),
        ({"kind": "link_mangled", "mode": "odd"}, "mode"),
        ({"kind": "rate_limited", "retry_after_as": "words"}, "retry_after_as"),
    ],
)
def test_a_wrong_fault_names_its_field(spec: dict[str, Any], field: str) -> None:
    with pytest.raises(FaultError) as error:
        Fault(spec)
    assert error.value.field == field


def test_every_kind_has_a_handler_or_is_a_state() -> None:
    assert set(KINDS) - set(HANDLERS) == {"clock_skew"}
