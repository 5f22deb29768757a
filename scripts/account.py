"""What exists in a Logto tenant and in an export, as tables for a terminal."""

from __future__ import annotations

import gzip
from operator import itemgetter
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.table import Table

from airflow_provider_logto.client.auth.credentials import Credentials
from airflow_provider_logto.client.client import LogtoClient, path_of
from airflow_provider_logto.client.endpoint import Endpoint
from logto_sandbox import Sandbox

#: Lines of an exported file that are shown, and columns of each.
HEAD = 3
WIDTH = 150


async def show_logto(out: Console, sandbox: Sandbox) -> None:
    """The people with their roles, and the organizations with their members, as the Management API tells them."""
    endpoint = Endpoint.parse(sandbox.url, resource=sandbox.resource)
    async with LogtoClient(endpoint, Credentials(sandbox.app_id, sandbox.app_secret)) as client:
        await _show_people(out, client)
        async for organization in client.iterate("/organizations"):
            await _show_members(out, client, organization)


def show_export(out: Console, home: Path) -> None:
    """The files below a folder that an export wrote, and the first lines of its data."""
    for path in sorted(home.rglob("*.jsonl.gz")):
        out.print(f"   {path.relative_to(home.parent)} begins with")
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            for line, _ in zip(lines, range(HEAD), strict=False):
                text = line.rstrip("\n")
                out.print(f"     {text[:WIDTH]}{'…' if len(text) > WIDTH else ''}")


async def _show_people(out: Console, client: LogtoClient) -> None:
    roles: dict[str, list[str]] = {}
    async for role in client.iterate("/roles", {"type": "User"}):
        async for user in client.iterate(path_of("/roles/{}/users", role["id"])):
            roles.setdefault(user["id"], []).append(role["name"])
    table = _table("username", "name", "e-mail", "roles")
    users = [user async for user in client.iterate("/users")]
    for user in sorted(users, key=itemgetter("username")):
        table.add_row(
            user["username"], user["name"], user["primaryEmail"], ", ".join(sorted(roles.get(user["id"], [])))
        )
    _print(out, f"{table.row_count} people", table)


async def _show_members(out: Console, client: LogtoClient, organization: dict[str, Any]) -> None:
    table = _table("member", "name", "organization roles")
    members = [member async for member in client.iterate(path_of("/organizations/{}/users", organization["id"]))]
    for member in sorted(members, key=itemgetter("username")):
        names = ", ".join(role["name"] for role in member["organizationRoles"])
        table.add_row(member["username"], member["name"], names)
    _print(out, f"Organization {organization['name']!r} with {table.row_count} members", table)


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column, no_wrap=True)
    return table


def _print(out: Console, title: str, table: Table) -> None:
    # As wide as its cells need: a pipe has no width, and a cut cell is worse than a long line.
    out.print(f"\n   {title}\n", style="bold")
    out.print(Padding(table, (0, 0, 0, 3), expand=False))
