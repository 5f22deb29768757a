"""A gateway between Logto's webhooks and Airflow: each verified delivery starts one DAG run.

Run it beside Airflow, reachable by Logto: ``uvicorn webhook_gateway:app --port 8090``. It is configured by environment
variables:

- ``LOGTO_SIGNING_KEYS``: the webhook's signing key; several, separated by commas, while one is being replaced.
- ``AIRFLOW_URL``, ``AIRFLOW_USERNAME``, ``AIRFLOW_PASSWORD``: an Airflow account that may trigger the DAG, no more.
- ``AIRFLOW_DAG_ID``: the DAG that is started; its conf holds ids only, never the person's data.
"""

from __future__ import annotations

import hashlib
import logging
import os
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from airflow_provider_logto.exceptions import WebhookRejected
from airflow_provider_logto.webhooks import SIGNATURE_HEADER, verify

log = logging.getLogger(__name__)

LARGEST_BODY = 1_000_000
#: Below the 10 seconds that Logto waits.
airflow = httpx.AsyncClient(base_url=os.environ["AIRFLOW_URL"], timeout=4)


def conf_of(event: dict[str, Any]) -> dict[str, Any]:
    """What the DAG is told: the kind of event, when, and whom or what to look up in Logto."""
    data = event.get("data") if isinstance(event.get("data"), dict) else {}
    params = event.get("params") if isinstance(event.get("params"), dict) else {}
    subject = event.get("userId") or data.get("id") or params.get("userId") or params.get("id")
    named = {name: event.get(name) for name in ("organizationId", "addedUserIds", "removedUserIds") if event.get(name)}
    return {"event": event["event"], "created_at": event["createdAt"], "id": subject, **named}


async def start_run(run_id: str, conf: dict[str, Any]) -> int:
    """Trigger the DAG -> the HTTP status; 409 means that this run exists already."""
    account = {"username": os.environ["AIRFLOW_USERNAME"], "password": os.environ["AIRFLOW_PASSWORD"]}
    token = (await airflow.post("/auth/token", json=account)).raise_for_status().json()["access_token"]
    answer = await airflow.post(
        f"/api/v2/dags/{os.environ['AIRFLOW_DAG_ID']}/dagRuns",
        json={"dag_run_id": run_id, "logical_date": None, "conf": conf},
        headers={"Authorization": f"Bearer {token}"},
    )
    return answer.status_code


async def receive(request: Request) -> Response:
    """Verify one delivery, start its run, and say so to Logto."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST_BODY:
            return PlainTextResponse("too large", 413)
    keys = [key.strip() for key in os.environ["LOGTO_SIGNING_KEYS"].split(",") if key.strip()]
    try:
        event = verify(body, request.headers.get(SIGNATURE_HEADER), keys)
    except WebhookRejected as error:
        return PlainTextResponse(str(error), 401)
    # A delivery has no id of its own: the same body is the same event, and Airflow refuses a run id that it knows.
    run_id = f"logto__{hashlib.sha256(body).hexdigest()}"
    try:
        status = await start_run(run_id, conf_of(event))
        problem = f"Airflow answered {status}"
    except (httpx.HTTPError, ValueError, LookupError, TypeError) as error:  # the last three: an answer without a token
        status, problem = 502, f"{type(error).__name__}: {error}"
    if status in (200, 201, 409):
        return PlainTextResponse("repeated" if status == 409 else "started", 200)
    log.error("The run %s was not started: %s", run_id, problem)
    return PlainTextResponse("Airflow did not take it", 502)


app = Starlette(routes=[Route("/", receive, methods=["POST"])])
