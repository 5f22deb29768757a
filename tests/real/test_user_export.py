"""ExportUsersOperator on any Logto: a search of one's own corner of the tenant."""

from __future__ import annotations

import json
from pathlib import Path

from airflow_provider_logto.operators.users import ExportUsersOperator
from tests.real.conftest import Corner


def test_people_with_roles_and_organizations(corner: Corner, tmp_path: Path) -> None:
    people = corner.people(3)
    role = next(corner.hook.iterate("/roles", where={"name": corner.roles["employee"]}))
    corner.hook.request("POST", f"/roles/{role['id']}/users", body={"userIds": [people[0]["id"]]})
    organization = corner.hook.request("POST", "/organizations", body={"name": corner.word})
    corner.hook.request("POST", f"/organizations/{organization['id']}/users", body={"userIds": [people[1]["id"]]})
    corner.hook.request("PATCH", f"/users/{people[2]['id']}/is-suspended", body={"isSuspended": True})

    export = ExportUsersOperator(
        task_id="export",
        destination=f"file://{tmp_path}",
        where={"username": {"like": f"{corner.word}%"}},
        include_roles=True,
        include_organizations=[{"id": organization["id"]}],
        include_password_digests=True,
        compression="none",
    )
    result = export.execute({})
    (address,) = result["files"]
    rows = [json.loads(line) for line in Path(address.removeprefix("file://")).read_text("utf-8").splitlines()]
    assert [row["id"] for row in rows] == [person["id"] for person in people]
    assert [row["roles"] for row in rows] == [[corner.roles["employee"]], [], []]
    assert [[one["name"] for one in row["organizations"]] for row in rows] == [[], [corner.word], []]
    assert [row["isSuspended"] for row in rows] == [False, False, True]
    assert [row["passwordDigest"] for row in rows] == [None, None, None]
