"""The contenders of ``audit_logs.py``: each reads one job (JSON) and prints rows, seconds, requests and peak memory."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import resource
import shutil
import sys
import time
import urllib.request
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import IO, Any

PAGE_SIZE = 100


def address_in(lines: IO[str] | None) -> str:
    """The first address that a starting sandbox prints."""
    for line in lines or ():
        if found := re.search(r"http://[\w.:]+\d", line):
            return found[0]
    raise SystemExit("the sandbox did not start")


def post(url: str, body: Any) -> Any:
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request) as answer:
        return json.loads(answer.read() or b"null")


def milliseconds(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def token_of(job: dict[str, Any]) -> str:
    from base64 import b64encode

    basic = b64encode(f"{job['app_id']}:{job['app_secret']}".encode()).decode()
    data = b"grant_type=client_credentials&scope=all&resource=https%3A%2F%2Fdefault.logto.app%2Fapi"
    request = urllib.request.Request(f"{job['endpoint']}/oidc/token", data, {"Authorization": f"Basic {basic}"})
    with urllib.request.urlopen(request) as answer:
        return str(json.loads(answer.read())["access_token"])


def told(rows: int, seconds: float, requests: int, sampled: bool = False) -> None:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    figures = {"peak_mb": usage.ru_maxrss / 1024, "cpu": usage.ru_utime + usage.ru_stime}
    print(json.dumps({"rows": rows, "seconds": seconds, "requests": requests, "sampled": sampled, **figures}))


def client_of(job: dict[str, Any], note: Callable[[dict[str, Any]], None]) -> Any:
    """A client that tells the query of each request."""
    from airflow_provider_logto.client.auth.credentials import Credentials
    from airflow_provider_logto.client.client import LogtoClient
    from airflow_provider_logto.client.endpoint import Endpoint

    class Noting(LogtoClient):
        async def send(self, method: str, path: str, query: Any = None, body: Any = None, **more: Any) -> Any:
            note(query)
            return await super().send(method, path, query, body, **more)

    return Noting(Endpoint.parse(job["endpoint"]), Credentials(job["app_id"], job["app_secret"]))


async def window_of(client: Any, job: dict[str, Any]) -> Any:
    """The interval; with ``cut``, its end is moved to where it holds the wanted rows."""
    from airflow_provider_logto.management.audit_logs.walk import Window

    low, high = milliseconds(job["start"]), milliseconds(job["end"])
    if not job.get("cut"):
        return Window(low, high)
    least, most = low, high
    while most - least > 1000:
        middle = (least + most) // 2
        found = await client.count("/logs", {"start_time": low, "end_time": middle - 1})
        least, most = (middle, most) if found < job["rows"] else (least, middle)
    return Window(low, most)


async def walk(job: dict[str, Any]) -> None:
    from airflow_provider_logto.management.audit_logs import walk as audit_logs

    asked: list[dict[str, Any]] = []
    async with client_of(job, asked.append) as client:
        window = await window_of(client, job)
        asked.clear()
        began, rows = time.monotonic(), 0
        async for batch in audit_logs.walk(audit_logs.LogPages(client, job["concurrency"]), window):
            rows += len(batch)
        seconds = time.monotonic() - began
    told(rows, seconds, len(asked))
    if not job.get("cut"):
        Path(job["folder"], "queries.json").write_text(json.dumps({"rows": rows, "queries": asked}))  # noqa: ASYNC240


async def export(job: dict[str, Any], compression: str) -> None:
    from upath import UPath

    from airflow_provider_logto.export.audit_logs import export_audit_logs
    from airflow_provider_logto.export.folder import Folder
    from airflow_provider_logto.export.job import ExportJob

    # Counted only: their queries would weigh as much as the rows that are held.
    requests = itertools.count()
    target = Path(job["folder"], "export")
    async with client_of(job, lambda query: next(requests)) as client:
        plan = ExportJob(await window_of(client, job), compression=compression, concurrency=job["concurrency"])
        before = next(requests)
        began = time.monotonic()
        summary = await export_audit_logs(client, plan, Folder(UPath(target)))
        seconds = time.monotonic() - began
    shutil.rmtree(target)
    told(summary["count"], seconds, next(requests) - before - 1)


async def bare(job: dict[str, Any]) -> None:
    """The same requests, as many at a time, the bodies thrown away."""
    import httpx

    recorded = json.loads(Path(job["folder"], "queries.json").read_text())  # noqa: ASYNC240
    queries = iter(recorded["queries"])
    headers = {"Authorization": f"Bearer {token_of(job)}"}
    limits = httpx.Limits(max_connections=job["concurrency"], keepalive_expiry=4)
    async with httpx.AsyncClient(headers=headers, limits=limits, timeout=60) as http:

        async def worker() -> None:
            for query in queries:
                answer = await http.get(f"{job['endpoint']}/api/logs", params={k: v for k, v in query.items() if v})
                answer.raise_for_status()

        began = time.monotonic()
        await asyncio.gather(*(worker() for _ in range(job["concurrency"])))
        told(recorded["rows"], time.monotonic() - began, len(recorded["queries"]))


def depths(job: dict[str, Any]) -> list[int]:
    pages = -(-job["rows"] // PAGE_SIZE)
    if not job["sample"] or job["sample"] >= pages:
        return list(range(1, pages + 1))
    return [1 + (2 * n + 1) * pages // (2 * job["sample"]) for n in range(job["sample"])]


def paging(job: dict[str, Any]) -> None:
    """As HttpOperator with a pagination function: a session a page, one after another, all answers kept."""
    import requests

    token, kept, rows = token_of(job), [], 0
    pages = depths(job)
    began = time.monotonic()
    for page in pages:
        with requests.Session() as session:
            answer = session.get(
                f"{job['endpoint']}/api/logs",
                params={"page": page, "page_size": PAGE_SIZE},
                headers={"Authorization": f"Bearer {token}"},
                timeout=120,
            )
        answer.raise_for_status()
        kept.append(answer)
        rows += len(answer.json())
    finish_paging(job, pages, time.monotonic() - began)


def finish_paging(job: dict[str, Any], pages: list[int], seconds: float) -> None:
    total = -(-job["rows"] // PAGE_SIZE)
    told(job["rows"], seconds * total / len(pages), total, sampled=len(pages) < total)


def dlt(job: dict[str, Any]) -> None:
    """dlt's REST client with numbered pages; one session, rows handed on and let go."""
    from dlt.sources.helpers.rest_client import RESTClient
    from dlt.sources.helpers.rest_client.auth import BearerTokenAuth
    from dlt.sources.helpers.rest_client.paginators import PageNumberPaginator

    client = RESTClient(f"{job['endpoint']}/api", auth=BearerTokenAuth(token_of(job)))
    pages = depths(job)
    began = time.monotonic()
    if len(pages) == -(-job["rows"] // PAGE_SIZE):
        paginator = PageNumberPaginator(base_page=1, total_path=None, maximum_page=len(pages) + 1)
        for _ in client.paginate("/logs", params={"page_size": PAGE_SIZE}, paginator=paginator):
            pass
    else:
        for page in pages:
            paginator = PageNumberPaginator(base_page=page, total_path=None, maximum_page=page + 1)
            for _ in client.paginate("/logs", params={"page_size": PAGE_SIZE}, paginator=paginator):
                break
    finish_paging(job, pages, time.monotonic() - began)


def main() -> None:
    name, job = sys.argv[1], json.loads(sys.argv[2])
    if name == "walk":
        asyncio.run(walk(job))
    elif name == "bare loop":
        asyncio.run(bare(job))
    elif name.startswith("export"):
        asyncio.run(export(job, "gzip" if name.endswith("gzip") else "none"))
    elif name == "paging":
        paging(job)
    elif name == "dlt":
        dlt(job)
    else:
        raise SystemExit(f"no contender is called {name!r}")


if __name__ == "__main__":
    main()
