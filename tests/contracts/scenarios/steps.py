"""Steps that scenarios share."""

from __future__ import annotations

from tests.contracts.contract import MANAGEMENT_API, Step

TOKEN = {"grant_type": "client_credentials", "resource": MANAGEMENT_API, "scope": "all"}


def user(alias: str, **fields: object) -> Step:
    body = {"username": f"<run>_{alias}", "primaryEmail": f"<run>.{alias}@example.com", **fields}
    return Step("POST /api/users", body, keep={alias: "id"})


def made(kind: str, alias: str, **fields: object) -> Step:
    return Step(f"POST /api/{kind}", {"name": f"<run>-{alias}", **fields}, keep={alias: "id"})


def gone(*paths: str) -> list[Step]:
    return [Step(f"DELETE /api/{path}") for path in paths]
