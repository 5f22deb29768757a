"""The gateway of docs/webhooks.md, between signed deliveries and an Airflow that counts what arrives."""

from __future__ import annotations

import asyncio
import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from airflow_provider_logto.webhooks import SIGNATURE_HEADER, sign
from tests.conftest import PROJECT
from tests.test_webhooks import KEY, delivery
from tests.web import serve

GATEWAY = PROJECT / "docs" / "webhook_gateway.py"


class Airflow:
    """The two operations of Airflow's REST API that the gateway calls."""

    def __init__(self) -> None:
        self.runs: dict[str, dict[str, Any]] = {}
        self.broken = False
        self.odd_token: str | None = None

    async def token(self, request: Request) -> Response:
        if self.odd_token is not None:
            return Response(self.odd_token)
        known = await request.json() == {"username": "gateway", "password": "its-password"}
        return JSONResponse({"access_token": "the-token"} if known else {}, 201 if known else 401)

    async def start(self, request: Request) -> Response:
        body = await request.json()
        if self.broken:
            return JSONResponse({}, 503)
        if request.headers["authorization"] != "Bearer the-token" or body["logical_date"] is not None:
            return JSONResponse({}, 422)
        if body["dag_run_id"] in self.runs:
            return JSONResponse({}, 409)
        self.runs[body["dag_run_id"]] = body["conf"]
        return JSONResponse(body)


@pytest.fixture
def airflow() -> Airflow:
    return Airflow()


@pytest.fixture
def gateway(airflow: Airflow, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a running gateway."""
    api = Starlette(
        routes=[
            Route("/auth/token", airflow.token, methods=["POST"]),
            Route("/api/v2/dags/logto_event/dagRuns", airflow.start, methods=["POST"]),
        ]
    )
    with serve(api) as address:
        settings = {"URL": address, "USERNAME": "gateway", "PASSWORD": "its-password", "DAG_ID": "logto_event"}
        for name, value in settings.items():
            monkeypatch.setenv(f"AIRFLOW_{name}", value)
        monkeypatch.setenv("LOGTO_SIGNING_KEYS", f"old-key, {KEY} ,")
        spec = importlib.util.spec_from_file_location("webhook_gateway", GATEWAY)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        with serve(module.app) as own:
            yield own


def deliver(gateway: str, body: bytes, signature: str | None = None) -> int:
    headers = {SIGNATURE_HEADER: sign(body, KEY) if signature is None else signature}
    return httpx.post(gateway, content=body, headers=headers, trust_env=False).status_code


def test_a_delivery_starts_one_run_with_ids_only(gateway: str, airflow: Airflow) -> None:
    body = delivery(data={"id": "u1", "primaryEmail": "secret@example.com", "customData": {"salary": 5}}, ip="::1")
    assert [deliver(gateway, body), deliver(gateway, body)] == [200, 200]
    (conf,) = airflow.runs.values()
    assert conf == {"event": "User.Created", "created_at": json.loads(body)["createdAt"], "id": "u1"}
    # Another event of the same kind is another run.
    assert deliver(gateway, delivery(1)) == 200
    assert len(airflow.runs) == 2


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"event": "User.Deleted", "data": None, "params": {"userId": "u2"}}, {"id": "u2"}),
        ({"event": "PostSignIn", "data": None, "userId": "u3", "user": {"id": "u3", "name": "x"}}, {"id": "u3"}),
        (
            {"event": "Organization.Membership.Updated", "data": None, "organizationId": "o1", "addedUserIds": ["u4"]},
            {"id": None, "organizationId": "o1", "addedUserIds": ["u4"]},
        ),
    ],
)
def test_every_kind_of_event_is_told_by_its_ids(
    gateway: str, airflow: Airflow, more: dict[str, Any], expected: dict[str, Any]
) -> None:
    assert deliver(gateway, delivery(**more)) == 200
    (conf,) = airflow.runs.values()
    del conf["created_at"]
    assert conf == {"event": more["event"], **expected}


def test_what_is_not_genuine_starts_nothing(gateway: str, airflow: Airflow) -> None:
    body = delivery()
    answers = [
        deliver(gateway, body, ""),
        deliver(gateway, body, sign(body, "wrong")),
        deliver(gateway, body + b" ", sign(body, KEY)),
        deliver(gateway, delivery(400)),
        httpx.post(gateway, content=body, trust_env=False).status_code,
    ]
    assert answers == [401] * 5
    assert httpx.get(gateway, trust_env=False).status_code == 405
    assert deliver(gateway, b"x" * 1_000_001) == 413
    assert airflow.runs == {}


def test_a_failure_of_airflow_is_said_so_that_logto_may_try_again(
    gateway: str, airflow: Airflow, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    body = delivery()
    airflow.broken = True
    assert deliver(gateway, body) == 502
    assert "was not started: Airflow answered 503" in caplog.text
    airflow.broken = False
    with monkeypatch.context() as wrong:
        wrong.setenv("AIRFLOW_PASSWORD", "wrong-password")
        assert deliver(gateway, body) == 502
    assert "401 Unauthorized" in caplog.text
    assert "wrong-password" not in caplog.text
    assert deliver(gateway, body) == 200
    assert len(airflow.runs) == 1


@pytest.mark.parametrize("odd", ["<html>Sign in</html>", "{}", "[]", "null"])
def test_an_answer_without_a_token_is_a_failure_of_airflow(gateway: str, airflow: Airflow, odd: str) -> None:
    airflow.odd_token = odd
    assert deliver(gateway, delivery()) == 502
    assert airflow.runs == {}


def test_the_same_delivery_many_times_at_once_is_one_run(gateway: str, airflow: Airflow) -> None:
    body = delivery()
    headers = {SIGNATURE_HEADER: sign(body, KEY)}

    async def flood() -> list[int]:
        async with httpx.AsyncClient(trust_env=False) as client:
            answers = await asyncio.gather(*(client.post(gateway, content=body, headers=headers) for _ in range(10)))
        return [answer.status_code for answer in answers]

    assert asyncio.run(flood()) == [200] * 10
    assert len(airflow.runs) == 1


def test_the_gateway_is_small_enough_to_be_read() -> None:
    assert len(Path(GATEWAY).read_text("utf-8").splitlines()) < 90
