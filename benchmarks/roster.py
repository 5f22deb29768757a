"""A roster against the naive way: requests for joiners and for a night without changes, pace, memory and time.

    python benchmarks/roster.py                     10,000 people on a sandbox, 100,000 rows without a server
    python benchmarks/roster.py --people 1000 --only server
    python benchmarks/roster.py --only pace --pace 16        how much of a pace joiners and a night without changes use
    python benchmarks/roster.py --only server --people 3000 --customers 1000000   beside others
    python benchmarks/roster.py --endpoint http://localhost:3001 --app-id ID --app-secret SECRET --people 500

On a real tenant people are made, and deleted again at the end: use a throw-away one. A share of a pace says something
only where the server could answer more: on Logto Cloud the pace is 16 requests a second.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from tenants import Counted, client, tenant

from airflow_provider_logto.client.auth.credentials import Credentials
from airflow_provider_logto.client.client import LogtoClient, path_of
from airflow_provider_logto.client.endpoint import Endpoint
from airflow_provider_logto.client.sharing.factory import token_cache_and_pacer
from airflow_provider_logto.client.sharing.pacing import Pacer
from airflow_provider_logto.management.concurrency import for_each
from airflow_provider_logto.plans.store import Store
from airflow_provider_logto.roster.columns import Columns
from airflow_provider_logto.roster.job import RosterJob
from airflow_provider_logto.roster.matching import match
from airflow_provider_logto.roster.observe import compare
from airflow_provider_logto.roster.people import Person, digest_of_people, read_people
from airflow_provider_logto.roster.sources import Problems, Reading, read_rows
from airflow_provider_logto.roster.state import Directory, Known, State
from airflow_provider_logto.roster.sync import Options, sync_roster

ROLE, ORGANIZATION, ORGANIZATION_ROLE = "bench employee", "bench company", "bench member"
SETTINGS: dict[str, Any] = {
    "roster": "bench",
    "manage": ("profile", "roles", "organizations", "organization_roles"),
    "population": {"role": ROLE},
    "on_missing": "suspend",
}


def rows(count: int, name: str = "bench") -> Iterator[dict[str, Any]]:
    for at in range(count):
        yield {
            "external_id": f"{name}{at:06d}",
            "username": f"{name}_{at}",
            "primary_email": f"{name}.{at}@example.com",
            "name": f"Person {at}",
            "profile.givenName": f"Person{at}",
            "roles": [ROLE],
            "organizations": [ORGANIZATION],
            "organization_roles": {ORGANIZATION: [ORGANIZATION_ROLE]},
        }


def people(count: int, name: str = "bench") -> list[Person]:
    problems = Problems()
    found = read_people(read_rows(rows(count, name), Reading(), problems), Columns(), ("external_id",), problems)
    problems.refuse()
    return found


def seed_customers(url: str, count: int) -> None:
    for start in range(0, count, 20_000):
        numbers = range(start, min(count, start + 20_000))
        users = [{"username": f"customer_{at}", "primaryEmail": f"customer.{at}@example.com"} for at in numbers]
        httpx.post(f"{url}/sandbox/seed", json={"users": users}, timeout=600, trust_env=False).raise_for_status()


async def prepare(logto: LogtoClient) -> None:
    await logto.request("POST", "/roles", body={"name": ROLE, "description": "benchmark"})
    await logto.request("POST", "/organizations", body={"name": ORGANIZATION})
    await logto.request("POST", "/organization-roles", body={"name": ORGANIZATION_ROLE, "type": "User"})


async def clear(logto: LogtoClient) -> None:
    for family, name in (
        ("/roles", ROLE),
        ("/organization-roles", ORGANIZATION_ROLE),
        ("/organizations", ORGANIZATION),
    ):
        for one in await logto.collect(family):
            if one["name"] == name:
                if family == "/roles":
                    await remove_people(logto, one["id"])
                await logto.request("DELETE", f"{family}{path_of('/{}', one['id'])}")


async def remove_people(logto: LogtoClient, role_id: str) -> None:
    holders = await logto.collect(path_of("/roles/{}/users", role_id))
    await for_each(holders, lambda user: logto.request("DELETE", path_of("/users/{}", user["id"])))


async def naive(logto: LogtoClient, count: int) -> None:
    """One task a person, as a DAG author would write it."""
    role = next(one for one in await logto.collect("/roles") if one["name"] == ROLE)["id"]
    organization = next(one for one in await logto.collect("/organizations") if one["name"] == ORGANIZATION)["id"]
    member = next(one for one in await logto.collect("/organization-roles") if one["name"] == ORGANIZATION_ROLE)["id"]
    for at in range(count):
        user = await logto.request("POST", "/users", body={"username": f"naive_{at}"})
        await logto.request("POST", path_of("/users/{}/roles", user["id"]), body={"roleIds": [role]})
        await logto.request("POST", path_of("/organizations/{}/users", organization), body={"userIds": [user["id"]]})
        path = path_of("/organizations/{}/users/{}/roles", organization, user["id"])
        await logto.request("POST", path, body={"organizationRoleIds": [member]})


@asynccontextmanager
async def prepared(address: dict[str, str]) -> AsyncIterator[None]:
    """The role and the organization, with nobody in them; they and their people are removed in the end."""
    async with client(address, Counted) as logto:
        await clear(logto)
        await prepare(logto)
    try:
        yield
    finally:
        async with client(address, Counted) as logto:
            await clear(logto)


async def requests(address: dict[str, str], count: int, store: Store) -> None:
    job = RosterJob.checked(**SETTINGS, mode="apply")
    everybody = people(count)
    async with prepared(address):
        for what, most in (("joiners", count + count / 40 + 50), ("nothing to change", 3 * count / 50 + 50)):
            async with client(address, Counted) as logto:
                began = time.monotonic()
                await sync_roster(logto, job, everybody, Options(store))
                total, seconds = sum(logto.counts.values()), time.monotonic() - began
                told = f"{total:>7} requests, {logto.counts['writes']} writes, {seconds:.1f} s; at most {most:.0f}"
                print(f"{what:>20}: {told}", flush=True)
        async with client(address, Counted) as logto:
            sample = min(200, count)
            await naive(logto, sample)
            each = (sum(logto.counts.values()) - 3) / sample
            print(f"{'naive joiners':>20}: {each * count:>7.0f} requests ({sample} people measured)")


async def share_of_pace(address: dict[str, str], count: int, pace: float, store: Store) -> None:
    """How much of what a pace allows is used. It is shared by the processes of this host, as in a task."""
    job = RosterJob.checked(**{**SETTINGS, "roster": "pace"}, mode="apply")
    everybody = people(count, "pace")
    async with prepared(address):
        for what in ("joiners", "nothing to change"):
            with tempfile.TemporaryDirectory() as shared:
                async with client(address, Counted, pacer=host_pacer(address, pace, Path(shared))) as logto:
                    began = time.monotonic()
                    await sync_roster(logto, job, everybody, Options(store))
                    total, seconds = sum(logto.counts.values()), time.monotonic() - began
            told = f"{total / seconds / pace:.1%} of {pace:g} requests a second used ({total} in {seconds:.1f} s)"
            print(f"{'pace, ' + what:>24}: {told}", flush=True)


def host_pacer(address: dict[str, str], pace: float, directory: Path) -> Pacer:
    directory.chmod(0o700)
    credentials, endpoint = Credentials(address["id"], address["secret"]), Endpoint.parse(address["endpoint"])
    limits = {"rate_limit": pace * 10, "share": 1.0, "directories": [directory]}
    return token_cache_and_pacer(endpoint, credentials, mode="host", **limits)[1]


def without_server(count: int) -> None:
    """Rows to a plan: nobody has changed but one in ten."""
    # Of this process alone: the machine may have other work.
    began = time.process_time()
    everybody = people(count)
    read = time.process_time() - began
    state = State()
    for at, person in enumerate(everybody):
        user = {
            "id": f"{at:012d}",
            "username": person.texts["username"],
            "primaryEmail": person.texts["primaryEmail"],
            "name": person.texts["name"] if at % 10 else "Old",
            "profile": person.profile,
            "customData": {"airflow_roster": {"roster": "bench", "externalId": person.external_id}},
            "isSuspended": False,
        }
        state.users[user["id"]] = Known.of(user)
    directory = Directory({ROLE: "r"}, {ORGANIZATION: "o"}, {ORGANIZATION_ROLE: "m"})
    state.holders["r"] = set(state.users)
    state.members["o"] = dict.fromkeys(state.users, frozenset({"m"}))
    job = RosterJob.checked(**SETTINGS)
    began = time.process_time()
    found = compare(job, everybody, directory, state, {}, datetime.now(UTC))
    digest_of_people(everybody)
    planned = time.process_time() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    assert match(everybody[:1], state, job.match_on, "bench").found
    print(f"{'without a server':>20}: {count} rows read in {read:.1f} s of CPU, planned in {planned:.1f} s, ", end="")
    print(f"{len(found.changes)} changes, peak {peak:.0f} MB; at most 10 s and 300 MB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=10_000)
    parser.add_argument("--customers", type=int, default=0, help="other people in the sandbox (default: none)")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--pace", type=float, default=50.0, help="requests a second (default: %(default)g)")
    parser.add_argument("--endpoint")
    parser.add_argument("--app-id")
    parser.add_argument("--app-secret")
    parser.add_argument("--only", choices=("server", "pace", "rows"))
    arguments = parser.parse_args()
    if arguments.only in (None, "rows"):
        # In this process, before anything else has taken memory.
        without_server(arguments.rows)
    if arguments.only == "rows":
        return
    from upath import UPath

    with tempfile.TemporaryDirectory() as folder, tenant(arguments) as address:
        store = Store(UPath(f"file://{folder}"))
        if not arguments.endpoint:
            seed_customers(address["endpoint"], arguments.customers)
        if arguments.only in (None, "server"):
            asyncio.run(requests(address, arguments.people, store))
        if arguments.only in (None, "pace"):
            asyncio.run(share_of_pace(address, min(1000, arguments.people), arguments.pace, store))


if __name__ == "__main__":
    main()
