"""Imports: every digest, social identities, the presets, and nobody twice."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_logto.exceptions import ChangesFailed, InvalidSource
from airflow_provider_logto.management.marks import IMPORT_KEY
from airflow_provider_logto.management.protection import Protection
from airflow_provider_logto.plans.journal import read_journal
from airflow_provider_logto.roster import importing
from airflow_provider_logto.roster.columns import KEYS
from airflow_provider_logto.roster.importing import ImportJob, import_mark, import_users
from airflow_provider_logto.roster.presets import auth0, keycloak, scim
from airflow_provider_logto.roster.sync import FailedRun, Options
from logto_sandbox import Sandbox
from tests.roster.conftest import local_store, people_of

Run = Callable[..., Any]
SECRET = "correct horse"


class Import:
    def __init__(self, run: Run, sandbox: Sandbox, folder: Path) -> None:
        self._run = run
        self.sandbox = sandbox
        self.folder = folder
        self.store = local_store(folder)

    def __call__(self, rows: Any, mapping: Any = None, **job: Any) -> dict[str, Any]:
        people = people_of(rows, keys=KEYS, mapping=mapping, secrets=True)
        checked = ImportJob.checked(KEYS, job.get("if_exists", "skip"), job.get("only"), job.get("max_errors", 50))
        protection = Protection.checked(job.get("protect"))
        options = Options(self.store, protection, place=[self.folder])
        result: dict[str, Any] = self._run(import_users, checked, people, options)
        return result

    def verifies(self, username: str) -> bool:
        (user,) = [one for one in self.sandbox.state()["users"] if one["username"] == username]
        path = f"/users/{user['id']}/password/verify"
        return self._run(lambda client: client.request("POST", path, body={"password": SECRET})) is None


@pytest.fixture
def imports(run: Run, sandbox: Sandbox, tmp_path: Path) -> Import:
    return Import(run, sandbox, tmp_path / "imports")


def test_people_come_with_their_digests(imports: Import) -> None:
    pbkdf2 = hashlib.pbkdf2_hmac("sha256", SECRET.encode(), b"salt", 1000, 32).hex()
    digests = {
        "SHA256": hashlib.sha256(SECRET.encode()).hexdigest(),
        "SHA1": hashlib.sha1(SECRET.encode()).hexdigest(),  # noqa: S324
        "MD5": hashlib.md5(SECRET.encode()).hexdigest(),  # noqa: S324
        "Legacy": json.dumps(["pbkdf2", [f"hex:{b'salt'.hex()}", "1000", "32", "sha256", "@"], pbkdf2]),
    }
    rows = [
        {"username": f"u{name}", "password_digest": digest, "password_algorithm": name}
        for name, digest in digests.items()
    ]
    result = imports([*rows, {"username": "clear", "password": SECRET}])
    assert result["counts"]["made.user.create"] == 5
    for name in ("SHA256", "SHA1", "MD5", "Legacy"):
        assert imports.verifies(f"u{name}"), name
    assert imports.verifies("clear")


def test_no_file_holds_a_password(imports: Import) -> None:
    digest = hashlib.sha256(SECRET.encode()).hexdigest()
    rows = [
        {"username": "a", "password": SECRET},
        {"username": "b", "password_digest": digest, "password_algorithm": "SHA256"},
    ]
    imports(rows)
    written = b"".join(path.read_bytes() for path in imports.folder.rglob("*") if path.is_file())
    assert written
    assert SECRET.encode() not in written
    assert digest.encode() not in written


def test_identities_and_suspensions_come_along(imports: Import) -> None:
    row = {"username": "ann", "identities": {"google": {"userId": "g1"}}, "suspended": True}
    imports([row])
    (user,) = imports.sandbox.state()["users"]
    assert user["identities"]["google"]["userId"] == "g1"
    assert user["isSuspended"]
    imports.sandbox.reset_stats()
    assert imports([row])["counts"]["rows.skipped"] == 1
    assert imports.sandbox.stats()["writes"] == 0


def test_who_exists_is_skipped_updated_or_a_failure(imports: Import) -> None:
    imports.sandbox.seed({"users": [{"username": "ann", "name": "Old"}]})
    row = {"username": "ann", "name": "New"}
    assert imports([row])["counts"]["rows.skipped"] == 1
    with pytest.raises(FailedRun) as caught:
        imports([row], if_exists="fail")
    assert isinstance(caught.value.error, ChangesFailed)
    assert caught.value.result["failed"] == [1]
    assert imports([row], if_exists="update")["counts"]["made.user.update"] == 1
    assert imports.sandbox.state()["users"][0]["name"] == "New"


@pytest.mark.parametrize(
    "more", [{"name": "New"}, {"suspended": True}, {"identities": {"google": {"userId": "g1"}}}], ids=list
)
@pytest.mark.parametrize("protect", ["ceo", {"role": "board"}], ids=["name", "role"])
def test_a_row_that_would_change_a_protected_person_fails(imports: Import, more: dict[str, Any], protect: Any) -> None:
    board = {"name": "board", "description": "-"}
    imports.sandbox.seed({"roles": [board], "users": [{"username": "ceo", "roles": ["board"]}]})
    before = imports.sandbox.state()["users"]
    rows = [{"username": "ceo", **more}, {"username": "ann"}]
    with pytest.raises(FailedRun) as caught:
        imports(rows, if_exists="update", protect=protect)
    assert caught.value.result["failed"] == [1]
    assert imports.sandbox.state()["users"][0] == before[0]
    journal = caught.value.result["journal"].removeprefix(imports.store.uri("") + "/").removesuffix(".journal")
    (line,) = [line for line in read_journal(imports.store, journal) if line["status"] == "failed"]
    assert line["reason"].startswith("protected by")
    assert imports([rows[0]], if_exists="skip", protect=protect)["counts"]["rows.skipped"] == 1


def test_columns_that_an_import_does_not_read_are_told(imports: Import, caplog: pytest.LogCaptureFixture) -> None:
    row = {"username": "ann", "roles": ["employee"], "start_date": "2020-01-01", "suspended": True, "name": "Ann"}
    imports([row, {"username": "bob", "roles": []}])
    assert "2  rows have values of roles, IGNORED: an import does not read it" in caplog.text
    assert "1  rows have values of start_date, IGNORED" in caplog.text
    assert caplog.text.count("IGNORED") == 2


def test_only_failed_rows_run_again(imports: Import) -> None:
    imports.sandbox.seed({"users": [{"username": "u1"}]})
    rows = [{"username": f"u{at}"} for at in range(3)]
    with pytest.raises(FailedRun) as caught:
        imports(rows, if_exists="fail")
    assert caught.value.result["counts"]["made.user.create"] == 2
    assert caught.value.result["failed"] == [2]
    result = imports(rows, only=caught.value.result["failed"], if_exists="update")
    assert result["counts"]["rows"] == 1
    lines = read_journal(
        imports.store, result["journal"].removeprefix(imports.store.uri("") + "/").removesuffix(".journal")
    )
    assert [line["row"] for line in lines if line["status"] == "failed"] == [2]


def test_only_max_errors_decides_how_many_rows_may_fail(imports: Import, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing, "_NAMED", 10)
    imports.sandbox.seed({"users": [{"username": f"u{at}"} for at in range(60)]})
    numbers = ", ".join(str(at) for at in range(1, 51))
    end = rf"60 rows failed; .* Run them again with only=\[{numbers}\] and 10 more; see the XCom$"
    with pytest.raises(FailedRun, match=end) as caught:
        imports([{"username": f"u{at}"} for at in range(70)], if_exists="fail", max_errors=61)
    assert caught.value.result["failed"] == list(range(1, 11))
    assert caught.value.result["counts"]["made.user.create"] == 10


def test_the_log_says_which_rows_failed_and_why(imports: Import, caplog: pytest.LogCaptureFixture) -> None:
    imports.sandbox.seed({"users": [{"username": "ann"}, *({"username": f"old{at}"} for at in range(30))]})
    same = {"username": "bob", "primary_email": "bob@example.com"}
    with pytest.raises(FailedRun, match=r"2 rows failed; .* Run them again with only=\[2, 4\]$"):
        imports([{"username": "ann"}, same, {"username": "zoe"}, {**same, "primary_email": "rob@example.com"}])
    assert "row 2 failed: another row has the same username" in caplog.text
    assert "row 4 failed" in caplog.text
    assert {"bob", "rob"}.isdisjoint(caplog.text.replace("@", " ").split())
    assert [record.levelname for record in caplog.records if " failed: " in record.message] == ["WARNING"] * 2
    caplog.clear()
    with pytest.raises(FailedRun, match="30 rows failed"):
        imports([{"username": f"old{at}"} for at in range(30)], if_exists="fail")
    assert caplog.text.count("failed: exists already") == 20
    assert "and 10 more; see file://" in caplog.text


def test_a_retry_is_for_what_may_pass(imports: Import) -> None:
    imports.sandbox.seed({"users": [{"username": "ann"}]})
    rows = [{"username": "ann"}, {"username": "bob"}]
    imports.sandbox.add_fault(kind="error", status=400, method="POST", path="/api/users", times=1)
    for failed, transient in (([1, 2], True), ([1], False)):
        with pytest.raises(FailedRun) as caught:
            imports(rows, if_exists="fail")
        assert (caught.value.result["failed"], caught.value.error.transient) == (failed, transient)
    assert "1 row failed; " in str(caught.value)


@pytest.mark.parametrize("kind", ["lost_answer", "reset", "error"])
def test_a_lost_answer_makes_nobody_twice(imports: Import, kind: str) -> None:
    fault: dict[str, Any] = {"kind": kind, "method": "POST", "path": "/api/users", "times": 2}
    if kind == "error":
        fault |= {"status": 503, "after_commit": True}
    imports.sandbox.add_fault(**fault)
    rows = [{"primary_email": f"u{at}@example.com", "password": SECRET} for at in range(5)]
    imports(rows)
    users = imports.sandbox.state()["users"]
    assert sorted(user["primaryEmail"] for user in users) == [row["primary_email"] for row in rows]
    marks = sorted(user["customData"][IMPORT_KEY]["key"] for user in users)
    assert marks == [f"primary_email:{row['primary_email']}" for row in rows]


def test_who_is_suspended_in_the_source_is_never_active(imports: Import) -> None:
    """The import stops at its limit of failures: whom it has made by then must not be able to sign in."""
    imports.sandbox.seed({"users": [{"username": f"old{at}"} for at in range(3)]})
    rows = [{"username": "gone", "suspended": True}, *({"username": f"old{at}"} for at in range(3))]
    with pytest.raises(FailedRun):
        imports([*rows, {"username": "gone2", "suspended": True}], if_exists="fail", max_errors=3)
    imports.sandbox.add_fault(kind="error", status=422, method="POST", path="/api/users", times=None, after=1)
    with pytest.raises(FailedRun):
        imports([{"username": f"{at}_new"[::-1], "suspended": True} for at in range(60)])
    made = [user for user in imports.sandbox.state()["users"] if not user["username"].startswith("old")]
    assert made
    assert all(user["isSuspended"] for user in made)


def test_the_next_owner_of_a_key_is_not_the_one_imported_before(imports: Import) -> None:
    imports([{"username": "ann", "name": "Ann Old", "primary_email": "old@example.com"}])
    row = {
        "username": "ann",
        "name": "Ann New",
        "primary_email": "new@example.com",
        "identities": {"google": {"userId": "g9"}},
    }
    for if_exists in ("fail", "skip", "update"):
        with pytest.raises(FailedRun) as caught:
            imports([row], if_exists=if_exists)
        assert caught.value.result["failed"] == [1]
    (user,) = imports.sandbox.state()["users"]
    assert user["identities"] == {}
    assert (user["name"], user["primaryEmail"]) == ("Ann Old", "old@example.com")


def test_a_shared_phone_makes_nobody_somebody_else(imports: Import) -> None:
    imports.sandbox.seed({"users": [{"username": "ann", "primaryPhone": "41445550101", "password": SECRET}]})
    row = {"username": "zoe", "primary_email": "zoe@example.com", "primary_phone": "+41445550101"}
    for if_exists in ("skip", "update"):
        with pytest.raises(FailedRun):
            imports([row], if_exists=if_exists)
    (user,) = imports.sandbox.state()["users"]
    assert (user["username"], user["primaryEmail"]) == ("ann", None)


def test_a_mark_that_end_users_can_write_proves_nothing(imports: Import) -> None:
    row = {"username": "ann", "identities": {"google": {"userId": "g1"}}}
    (person,) = people_of([row], keys=KEYS, secrets=True)
    imports.sandbox.seed({"users": [{"username": "ann", "customData": {IMPORT_KEY: import_mark(person)}}]})
    center = {"enabled": True, "fields": {"customData": "Edit"}}
    imports._run(lambda client: client.request("PATCH", "/account-center", body=center))
    with pytest.raises(FailedRun):
        imports([row], if_exists="fail")
    assert imports.sandbox.state()["users"][0]["identities"] == {}


def test_it_goes_on_where_it_stopped(imports: Import) -> None:
    rows = [{"username": f"u{at}", "identities": {"google": {"userId": f"g{at}"}}} for at in range(20)]
    fault = {"kind": "error", "status": 401, "method": "PUT", "times": None, "after": 5}
    imports.sandbox.add_fault(**fault)
    with pytest.raises(FailedRun):
        imports(rows, if_exists="fail")
    imports.sandbox.clear_faults()
    assert len(imports.sandbox.state()["users"]) == 20
    result = imports(rows, if_exists="fail")
    assert result["failed"] == []
    assert all(user["identities"] for user in imports.sandbox.state()["users"])


def test_wrong_secrets_are_named_by_row_before_any_request(imports: Import) -> None:
    rows = [
        {"username": "a", "password_digest": "x" * 10, "password_algorithm": "SHA256"},
        {"username": "b", "password": "y", "password_digest": "z"},
        {"username": "c", "identities": {"google": "g1"}},
        {"username": "d", "password_digest": "SHA256", "password_algorithm": "5f4dcc3b5aa765d6"},
    ]
    imports.sandbox.reset_stats()
    with pytest.raises(InvalidSource) as caught:
        imports(rows)
    assert [problem.split(":")[0] for problem in caught.value.problems] == ["row 1", "row 2", "row 3", "row 4"]
    assert "5f4d" not in str(caught.value), "columns that have slipped tell no digest"
    assert imports.sandbox.stats()["requests"] == 0


def test_a_password_is_taken_as_it_is(imports: Import) -> None:
    imports([{"username": "ann", "password": f" {SECRET} "}, {"username": "bob", "password": " "}])
    (ann,) = [one for one in imports.sandbox.state()["users"] if one["username"] == "ann"]
    path = f"/users/{ann['id']}/password/verify"
    body = {"password": f" {SECRET} "}
    assert imports._run(lambda client: client.request("POST", path, body=body)) is None
    assert [
        person.secrets for person in people_of([{"username": "bob", "password": " "}], keys=KEYS, secrets=True)
    ] == [{}]


@pytest.mark.parametrize("value", ["#REF!", "####", "N/A"])
def test_a_spreadsheets_error_is_no_password_and_is_not_told(value: str) -> None:
    with pytest.raises(InvalidSource, match="row 1: password: the value is what a spreadsheet writes") as caught:
        people_of([{"username": "ann", "password": value}], keys=KEYS, secrets=True)
    assert value not in str(caught.value)


def test_auth0(imports: Import) -> None:
    bcrypt = "$2b$10$" + "a" * 53
    exported = {
        "user_id": "auth0|5f7c",
        "email": "Ann@Example.com",
        "name": "Ann",
        "given_name": "Ann",
        "username": "ann",
        "user_metadata": {"plan": "pro"},
        "app_metadata": {"tier": 1},
        "identities": [
            {"provider": "auth0", "user_id": "5f7c", "isSocial": False},
            {"provider": "google-oauth2", "user_id": "117", "isSocial": True},
        ],
        "blocked": False,
    }
    assert auth0(exported)["identities"] == {"google": {"userId": "117"}}
    with_hash = {"_id": {"$oid": "60"}, "email": "bob@example.com", "passwordHash": bcrypt}
    imports([exported, with_hash], mapping="auth0")
    users = {user["primaryEmail"]: user for user in imports.sandbox.state()["users"]}
    data = users["ann@example.com"]["customData"]
    assert (data["plan"], data["tier"], data[IMPORT_KEY]["key"]) == ("pro", 1, "external_id:auth0|5f7c")
    assert users["ann@example.com"]["profile"] == {"givenName": "Ann"}
    assert users["bob@example.com"]["hasPassword"]


def _keycloak_user(algorithm: str, digest: str, size: int) -> dict[str, Any]:
    value = hashlib.pbkdf2_hmac(digest, SECRET.encode(), b"0123456789abcdef", 27500, size)
    secret = {"value": base64.b64encode(value).decode(), "salt": base64.b64encode(b"0123456789abcdef").decode()}
    credential = {
        "type": "password",
        "secretData": json.dumps(secret),
        "credentialData": json.dumps({"hashIterations": 27500, "algorithm": algorithm}),
    }
    return {
        "id": f"id-{size}",
        "username": f"kc{size}",
        "firstName": "Kay",
        "lastName": "Cee",
        "enabled": True,
        "attributes": {"locale": ["de"], "groups": ["a", "b"]},
        "credentials": [credential],
        "federatedIdentities": [{"identityProvider": "github", "userId": f"9-{size}", "userName": "kc"}],
    }


def test_keycloak(imports: Import) -> None:
    users = [_keycloak_user("pbkdf2-sha256", "sha256", 32), _keycloak_user("pbkdf2-sha512", "sha512", 64)]
    imports(users, mapping="keycloak")
    assert imports.verifies("kc32")
    assert imports.verifies("kc64")
    first = next(user for user in imports.sandbox.state()["users"] if user["username"] == "kc32")
    assert first["name"] == "Kay Cee"
    assert first["customData"]["locale"] == "de"
    assert first["identities"]["github"]["userId"] == "9-32"


def test_keycloak_argon2() -> None:
    secret = {"value": base64.b64encode(b"h" * 32).decode(), "salt": base64.b64encode(b"s" * 16).decode()}
    about = {
        "hashIterations": 5,
        "algorithm": "argon2",
        "additionalParameters": {"type": ["id"], "version": ["1.3"], "memory": ["7168"], "parallelism": ["1"]},
    }
    credential = {"type": "password", "secretData": json.dumps(secret), "credentialData": json.dumps(about)}
    cells = keycloak({"username": "kc", "credentials": [credential]})
    assert cells["password_algorithm"] == "Argon2id"
    assert cells["password_digest"].startswith("$argon2id$v=19$m=7168,t=5,p=1$")
    older = {**about["additionalParameters"], "version": ["1.0"]}
    credential["credentialData"] = json.dumps({**about, "additionalParameters": older})
    with pytest.raises(InvalidSource, match=r"row 1: credentials: Logto takes no digests of Argon2 1\.0; leave the"):
        people_of([{"username": "kc", "credentials": [credential]}], mapping="keycloak", secrets=True)
    credential["credentialData"] = json.dumps({**about, "additionalParameters": {"type": []}})
    with pytest.raises(InvalidSource, match=r"row 1: row: is no user of keycloak \(IndexError\)"):
        people_of([{"username": "kc", "credentials": [credential]}], mapping="keycloak", secrets=True)


def test_scim() -> None:
    row = {
        "id": "2819",
        "externalId": "701984",
        "userName": "bjensen@example.com",
        "name": {"formatted": "Ms. Barbara Jensen", "familyName": "Jensen", "givenName": "Barbara"},
        "emails": [{"value": "home@example.com"}, {"value": "work@example.com", "primary": True}],
        "active": False,
    }
    assert scim(row) == {
        "external_id": "701984",
        "primary_email": "work@example.com",
        "name": "Ms. Barbara Jensen",
        "profile.givenName": "Barbara",
        "profile.familyName": "Jensen",
        "suspended": True,
    }
    assert scim({"userName": "a@example.com"})["primary_email"] == "a@example.com"
    assert scim({"userName": "bjensen", "active": True})["username"] == "bjensen"


@pytest.mark.parametrize(
    ("row", "cells"),
    [
        ({"userName": "b.jensen"}, {}),
        ({"active": "False"}, {"suspended": True}),
        ({"active": "true"}, {"suspended": False}),
        *(
            ({"phoneNumbers": [{"value": number}]}, {"primary_phone": "+1-201-555-0123"})
            for number in ("tel:+1-201-555-0123", "TEL:+1-201-555-0123;ext=5", "+1-201-555-0123")
        ),
    ],
)
def test_what_identity_providers_write_into_scim(row: dict[str, Any], cells: dict[str, Any]) -> None:
    assert scim(row) == cells
