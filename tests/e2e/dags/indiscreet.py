"""A task that says everything it knows."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, task


@task
def say_everything() -> None:
    """Print the Connection and what goes over the wire, and leave the same where the test finds it."""
    import httpx

    from airflow_provider_logto.hooks.logto import LogtoHook

    # A Connection that shares no token, so that the Basic header goes over the wire too.
    connection = json.loads(os.environ["AIRFLOW_CONN_LOGTO_DEFAULT"])
    connection["extra"] = {"shared_state": "process"}
    os.environ["AIRFLOW_CONN_LOGTO_ALONE"] = json.dumps(connection)
    sent: list[str] = []
    handle = httpx.AsyncHTTPTransport.handle_async_request

    async def overhear(self: Any, request: httpx.Request) -> httpx.Response:
        sent.append(request.headers["authorization"])
        return await handle(self, request)

    httpx.AsyncHTTPTransport.handle_async_request = overhear  # type: ignore[method-assign]
    hook = LogtoHook("logto_alone")
    hook.request("GET", "/users", {"page_size": 1})
    secrets = [connection["password"], *(header.split()[1] for header in sent)]
    Path(os.environ["AIRFLOW_HOME"], "secrets.json").write_text(json.dumps(secrets))
    print("said:", connection["password"], sent, vars(hook))
    raise RuntimeError(f"said: {connection['password']} {sent}")


with DAG("indiscreet", schedule=None):
    say_everything()
