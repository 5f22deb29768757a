"""ExportUsersOperator: who is in the files, in which order, and what a second run does."""

from __future__ import annotations

import gzip
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_logto.compat import AirflowFailException
from airflow_provider_logto.exceptions import IncompleteList, InvalidInput
from airflow_provider_logto.hooks.logto import LogtoHook
from airflow_provider_logto.operators.users import ExportUsersOperator
from logto_sandbox import Sandbox

pytestmark = pytest.mark.usefixtures("sandbox_tenant")


def export(folder: Path, **arguments: Any) -> dict[str, Any]:
    operator = ExportUsersOperator(task_id="export", destination=f"file://{folder}", **arguments)
    result: dict[str, Any] = operator.execute({})
    return result


def rows(result: dict[str, Any]) -> list[dict[str, Any]]:
    found = []
    for address in result["files"]:
        content = Path(address.removeprefix("file://")).read_bytes()
        lines = gzip.decompress(content) if address.endswith(".gz") else content
        found += [json.loads(line) for line in lines.splitlines()]
    return found


def manifest(result: dict[str, Any]) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(Path(result["manifest"].removeprefix("file://")).read_text("utf-8"))
    return content


@pytest.fixture
def people(sandbox: Sandbox) -> list[dict[str, Any]]:
    """230 people; every third an employee, every fifth in Acme, every tenth suspended."""
    users = [
        {
            "username": f"u{at:03d}",
            "primaryEmail": f"u{at:03d}@x.example",
            "customData": {"number": at},
            "roles": ["employee"] if at % 3 == 0 else [],
            "isSuspended": at % 10 == 0,
        }
        for at in range(230)
    ]
    members = [{"user": f"u{at:03d}", "roles": ["admin"] if at % 2 else []} for at in range(0, 230, 5)]
    sandbox.seed({"users": users, "organizations": [{"name": "Acme", "members": members}, {"name": "Empty"}]})
    sandbox.reset_stats()
    return list(sandbox.state()["users"])


def test_everybody_with_roles_and_organizations(sandbox: Sandbox, people: list[dict[str, Any]], tmp_path: Path) -> None:
    result = export(tmp_path, include_roles=True, include_organizations=True)
    found = rows(result)
    assert result["count"] == len(found) == 230
    assert found == sorted(found, key=lambda row: (row["createdAt"], row["id"]))
    by_name = {row["username"]: row for row in found}
    assert by_name["u003"]["roles"] == ["employee"]
    assert by_name["u004"]["roles"] == []
    acme = next(one["id"] for one in sandbox.state()["organizations"] if one["name"] == "Acme")
    assert by_name["u005"]["organizations"] == [{"id": acme, "name": "Acme", "roles": ["admin"]}]
    assert by_name["u010"]["organizations"] == [{"id": acme, "name": "Acme", "roles": []}]
    assert by_name["u001"]["organizations"] == []
    assert by_name["u007"]["customData"] == {"number": 7}
    assert "passwordDigest" not in by_name["u001"]
    # users/100 + holders/100 + members/100, a count each, and the lists of roles and organizations.
    assert sandbox.stats()["requests"] - sandbox.stats()["tokens"] <= 3 + 1 + 1 + 20
    listed = manifest(result)
    assert listed["count"] == 230
    (file,) = listed["files"]
    content = Path(result["files"][0].removeprefix("file://")).read_bytes()
    assert (file["sha256"], file["bytes"]) == (hashlib.sha256(content).hexdigest(), len(content))


def test_the_same_people_give_the_same_bytes(people: list[dict[str, Any]], tmp_path: Path) -> None:
    first = export(tmp_path, max_rows_per_file=100)
    assert [len(rows({"files": [one]})) for one in first["files"]] == [100, 100, 30]
    before = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in tmp_path.glob("*.gz")}
    assert export(tmp_path, max_rows_per_file=100) == first
    # Not even uploaded again.
    assert {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in tmp_path.glob("*.gz")} == before
    LogtoHook().request("DELETE", f"/users/{people[0]['id']}")
    for person in people[1:150]:
        LogtoHook().request("DELETE", f"/users/{person['id']}")
    again = export(tmp_path, max_rows_per_file=100)
    assert (again["count"], len(again["files"])) == (80, 1)
    # Files of the earlier export that the new one lacks are gone.
    assert len(list(tmp_path.glob("*.gz"))) == 1


def test_files_that_a_manifest_names_are_deleted_only_when_they_are_its_own(
    people: list[dict[str, Any]], tmp_path: Path
) -> None:
    folder = tmp_path / "out"
    first = export(folder)
    name = Path(first["files"][0]).name
    strangers = [tmp_path / "other.txt", folder / "users-0123abcd-00001.jsonl.gz", folder / name.replace("1.", "9.")]
    for stranger in strangers:
        stranger.write_text("of somebody else")
    names = ["../other.txt", strangers[0], strangers[1].name, strangers[2].name]
    for stranger_name in map(str, names):
        listed = manifest(first)
        listed["files"].append({"path": stranger_name})
        Path(first["manifest"].removeprefix("file://")).write_text(json.dumps(listed))
        assert export(folder) == first
    assert all(stranger.read_text() == "of somebody else" for stranger in strangers)


@pytest.mark.parametrize(
    ("arguments", "count"),
    [
        ({"where": {"username": {"like": "u00%"}}}, 10),
        ({"where": {"username": ["u001", "u002"]}}, 2),
        ({"suspended": True}, 23),
        ({"suspended": False}, 207),
        ({"where": {"username": "nobody"}}, 0),
    ],
)
def test_who_is_exported(people: list[dict[str, Any]], tmp_path: Path, arguments: Any, count: int) -> None:
    result = export(tmp_path, **arguments)
    assert (result["count"], len(rows(result)), manifest(result)["count"]) == (count, count, count)


def test_chosen_fields_and_organizations(people: list[dict[str, Any]], tmp_path: Path) -> None:
    found = rows(export(tmp_path, fields=["primaryEmail", "id"], include_organizations=["Empty"]))
    assert list(found[0]) == ["id", "primaryEmail", "organizations"]
    assert all(row["organizations"] == [] for row in found)


def test_digests_come_only_when_asked_for(sandbox: Sandbox, tmp_path: Path) -> None:
    digest = {"passwordDigest": "5f4dcc3b5aa765d61d8327deb882cf99", "passwordAlgorithm": "MD5"}
    sandbox.seed({"users": [{"username": "a", **digest}]})
    result = export(tmp_path, include_password_digests=True)
    (row,) = rows(result)
    assert {name: row[name] for name in digest} == digest
    assert digest["passwordDigest"] not in json.dumps(result) + json.dumps(manifest(result))
    (row,) = rows(export(tmp_path))
    assert not set(digest) & set(row)


def test_parquet(people: list[dict[str, Any]], tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    result = export(tmp_path, file_format="parquet", include_roles=True, include_organizations=True)
    table = parquet.read_table(result["files"][0].removeprefix("file://")).to_pylist()
    plain = rows(export(tmp_path, include_roles=True, include_organizations=True))
    for written, row in zip(table, plain, strict=True):
        for name in ("profile", "customData", "identities", "organizations"):
            written[name] = json.loads(written[name])
        assert written == row


def test_a_list_that_never_adds_up_writes_nothing(
    sandbox: Sandbox, people: list[dict[str, Any]], tmp_path: Path
) -> None:
    sandbox.add_fault(kind="rows_deleted", path="/api/users", times=None)
    with pytest.raises(IncompleteList):
        export(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"fields": ["email"]}, "fields: 'email' is unknown"),
        ({"fields": []}, "fields: must be a list"),
        ({"fields": ["passwordDigest"]}, "fields: 'passwordDigest' is unknown"),
        ({"where": {"nickname": "a"}}, "where.nickname"),
        ({"suspended": "yes"}, "suspended"),
        ({"file_format": "csv"}, "file_format"),
        ({"max_rows_per_file": 0}, "max_rows_per_file"),
        ({"include_organizations": [5]}, r"organizations\[0\]"),
        ({"destination": ""}, "destination"),
    ],
)
def test_wrong_arguments_fail_before_the_first_request(
    sandbox: Sandbox, tmp_path: Path, arguments: Any, message: str
) -> None:
    operator = ExportUsersOperator(task_id="export", **{"destination": f"file://{tmp_path}", **arguments})
    with pytest.raises((InvalidInput, AirflowFailException), match=message):
        operator.execute({})
    assert sandbox.stats()["requests"] == 0
