"""Requests and time to export people, beside a plain page walk; and to fill an organization with members.

    python benchmarks/people.py --people 10000      on a sandbox (a few seconds)
    python benchmarks/people.py --people 100000 --endpoint http://localhost:3001 --app-id ID --app-secret SECRET \\
        --database postgresql://postgres@localhost/logto

People come into a real Logto by SQL (``psql``), since the API takes one request each. They stay: use a throw-away one.
Most were created a millisecond apart, and ten groups of 50 at one moment each, as an import in batches leaves them.
In a sandbox, several were created within each millisecond.
During each walk, people at the top of the list are deleted, as the work of others in a tenant does.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import json
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from math import ceil
from pathlib import Path
from typing import Any

from tenants import Counted, client, tenant

from airflow_provider_logto.client.client import LogtoClient, path_of
from airflow_provider_logto.export.folder import Folder
from airflow_provider_logto.export.users import UserExport, export_users
from airflow_provider_logto.management.members import checked_members
from airflow_provider_logto.management.organization_spec import OrganizationSpec
from airflow_provider_logto.management.organizations import ensure_organization

NAME = "bench people"
ROLES = (f"{NAME} reader", f"{NAME} writer")
#: Pages between two deletions during a walk.
PAGES = 5
#: Groups of people of one moment, and people in each.
GROUPS, GROUP = 10, 50
#: Half of the people hold the role.
SQL = """
insert into users (tenant_id, id, username, created_at)
select 'default', 'bp' || lpad(n::text, 10, '0'), 'bench_' || n,
  now() - interval '1 day' + (case when n < {tied} then n / {group} * {group} else n end) * interval '1 millisecond'
from generate_series(0, {people} - 1) n;
insert into users_roles (tenant_id, id, user_id, role_id)
select 'default', 'bp' || lpad(n::text, 10, '0'), 'bp' || lpad(n::text, 10, '0'), '{role}'
from generate_series(0, {people} - 1, 2) n;
analyze;
"""


class Busy(Counted):
    """While it reads the list of users, somebody else deletes some of them."""

    doomed: list[str]

    async def send(self, method: str, path: str, *args: Any, **kwargs: Any) -> Any:
        reply = await super().send(method, path, *args, **kwargs)
        if method == "GET" and path == "/users" and self.counts["reads"] % PAGES == 0 and self.doomed:
            await super().send("DELETE", path_of("/users/{}", self.doomed.pop()))
        return reply


async def prepare(logto: LogtoClient, arguments: argparse.Namespace) -> None:
    """The roles, and the people."""
    role = await logto.request("POST", "/roles", body={"name": NAME, "description": "benchmark"})
    for name in ROLES:
        await logto.request("POST", "/organization-roles", body={"name": name, "type": "User"})
    await asyncio.to_thread(add_people, logto.endpoint.base_url, role["id"], arguments)


def add_people(url: str, role_id: str, arguments: argparse.Namespace) -> None:
    """All at once: by SQL, or by the sandbox's control plane."""
    if arguments.database:
        sql = SQL.format(people=arguments.people, tied=GROUPS * GROUP, group=GROUP, role=role_id)
        run_sql(arguments.database, sql)
        return
    users = [{"username": f"bench_{at}", "roles": [NAME] if at % 2 == 0 else []} for at in range(arguments.people)]
    request = urllib.request.Request(f"{url}/sandbox/seed", json.dumps({"users": users}).encode(), method="POST")
    request.add_header("content-type", "application/json")
    with urllib.request.urlopen(request, timeout=600) as answer:
        answer.read()


def run_sql(database: str, sql: str) -> None:
    subprocess.run(["psql", "-qX", "-v", "ON_ERROR_STOP=1", database, "-c", sql], check=True)


@asynccontextmanager
async def busy(address: dict[str, str], deletions: int) -> AsyncIterator[Busy]:
    """A client to walk with, once there is somebody at the top of the list who will be deleted."""
    async with client(address, Busy) as logto:
        assert isinstance(logto, Busy)
        logto.doomed = []
        stamp = time.time_ns()
        made = [
            await logto.request("POST", "/users", body={"username": f"gone_{stamp}_{at}"}) for at in range(deletions)
        ]
        logto.doomed = [row["id"] for row in made]
        logto.counts.clear()
        yield logto


async def show(what: str, logto: Busy, seen: set[str], doomed: set[str], cost: str) -> None:
    """How many of those who stayed were seen."""
    stayed, there = await logto.count("/users") or 0, len(seen - (doomed - set(logto.doomed)))
    print(f"{what:>20}: {there} of {stayed} people who stayed, {cost}")


def ids_in(folder: Path) -> set[str]:
    """Who is in the files of an export."""
    files = [gzip.decompress(path.read_bytes()) for path in folder.rglob("*.jsonl.gz")]
    return {json.loads(line)["id"] for file in files for line in file.splitlines()}


async def export(address: dict[str, str], count: int, organization: str, deletions: int) -> None:
    from upath import UPath

    job = UserExport.checked(roles=True, organizations=[{"id": organization}])
    with tempfile.TemporaryDirectory() as folder:
        async with busy(address, deletions) as logto:
            doomed, began = set(logto.doomed), time.monotonic()
            result = await export_users(logto, job, Folder(UPath(f"file://{folder}")))
            seconds = time.monotonic() - began
            seen, requests = await asyncio.to_thread(ids_in, Path(folder)), logto.counts["reads"]
            members = await logto.count(path_of("/organizations/{}/users", organization)) or 0
            most = ceil(result["count"] / 100) + ceil(count / 2 / 100) + ceil(members / 100) + 20
            await show(
                "export",
                logto,
                seen,
                doomed,
                f"{requests} requests (at most {most} where nobody writes), {seconds:.1f} s",
            )


async def plain_walk(address: dict[str, str], deletions: int) -> None:
    """Page after page, as one would write it."""
    seen: set[str] = set()
    async with busy(address, deletions) as logto:
        doomed, began, number, rows = set(logto.doomed), time.monotonic(), 1, [{}]
        while rows:
            rows = await logto.request("GET", "/users", {"page": number, "page_size": 100})
            seen.update(row["id"] for row in rows)
            number += 1
        await show("plain page walk", logto, seen, doomed, f"{number - 1} requests, {time.monotonic() - began:.1f} s")


async def fill(address: dict[str, str], members: int, database: str | None) -> str:
    """An organization with members, each with two roles; once more without anything to change."""
    spec = OrganizationSpec.checked(NAME)
    specs = checked_members([{"username": f"bench_{at}"} for at in range(members)], list(ROLES))
    for what, writes in (("members", 1 + 3 * ceil(members / 500)), ("nothing to change", 0)):
        async with client(address, Counted) as logto:
            began = time.monotonic()
            result = await ensure_organization(logto, spec, specs)
            seconds, counts = time.monotonic() - began, logto.counts
        print(
            f"{what:>20}: {result['outcome']}, {counts['reads']} reads, {counts['writes']} writes (at most {writes}), "
            f"{seconds:.1f} s"
        )
        if database:
            # PostgreSQL has not seen the new members yet, and reads each page of them in seconds.
            await asyncio.to_thread(run_sql, database, "analyze")
    return str(result["id"])


async def measure(address: dict[str, str], arguments: argparse.Namespace) -> None:
    async with client(address, Counted) as logto:
        await prepare(logto, arguments)
    organization = await fill(address, min(arguments.members, arguments.people), arguments.database)
    await plain_walk(address, arguments.deletions)
    await export(address, arguments.people, organization, arguments.deletions)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=10_000)
    parser.add_argument("--members", type=int, default=5_000)
    parser.add_argument("--deletions", type=int, default=10, help="during each walk; 0 is a quiet tenant")
    parser.add_argument("--endpoint")
    parser.add_argument("--app-id")
    parser.add_argument("--app-secret")
    parser.add_argument("--database", help="of the same Logto, for psql; without it people must be a sandbox's")
    arguments = parser.parse_args()
    if bool(arguments.endpoint) != bool(arguments.database):
        parser.error("--endpoint and --database belong together")
    with tenant(arguments) as address:
        asyncio.run(measure(address, arguments))


if __name__ == "__main__":
    main()
