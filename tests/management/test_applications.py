"""Applications and their secrets: none twice, and a working secret at any moment."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from airflow_provider_logto.exceptions import AlreadyExists, Ambiguous, InvalidInput
from airflow_provider_logto.management import application_secrets
from airflow_provider_logto.management.application_secrets import LEGACY, new_secret, retire_secrets
from airflow_provider_logto.management.application_spec import ApplicationSpec
from airflow_provider_logto.management.applications import ensure_application, resolve_application
from logto_sandbox import Sandbox
from tests.clients import Run
from tests.task_states import Notes

WEB = {"name": "Portal", "application_type": "Traditional", "external_id": "portal"}
MACHINE = {"name": "Importer", "application_type": "MachineToMachine"}


def spec(**arguments: Any) -> ApplicationSpec:
    return ApplicationSpec.checked(**arguments)


def applications(sandbox: Sandbox, name: str) -> list[dict[str, Any]]:
    return [one for one in sandbox.state()["applications"] if one["name"] == name]


@pytest.fixture
def roles(sandbox: Sandbox) -> None:
    sandbox.seed(
        {
            "roles": [
                {"name": name, "description": "-", "type": "MachineToMachine"} for name in ("reader", "writer", "old")
            ]
        }
    )
    sandbox.reset_stats()


def test_a_first_second_and_changed_run(run: Run, sandbox: Sandbox) -> None:
    wanted = {
        **WEB,
        "description": "For customers",
        "redirect_uris": ["https://portal.example.com/callback"],
        "post_logout_redirect_uris": ["https://portal.example.com"],
        "cors_allowed_origins": ["https://portal.example.com"],
        "client_metadata": {"refreshTokenTtlInDays": 14},
        "custom_data": {"owner": "sales"},
    }
    first = run(ensure_application, spec(**wanted))
    assert first["outcome"] == "created"
    sandbox.reset_stats()
    second = run(ensure_application, spec(**wanted))
    assert (second["id"], second["outcome"], second["changed"]) == (first["id"], "unchanged", [])
    assert sandbox.stats()["writes"] == 0

    more = {**wanted, "name": "Portal 2", "redirect_uris": ["https://new.example.com"], "custom_data": {"tier": 1}}
    third = run(ensure_application, spec(**more))
    assert (third["id"], third["outcome"]) == (first["id"], "updated")
    assert third["changed"] == ["customData", "name", "oidcClientMetadata"]
    (row,) = applications(sandbox, "Portal 2")
    assert row["customData"] == {"owner": "sales", "tier": 1, "externalId": "portal"}
    assert row["oidcClientMetadata"]["redirectUris"] == [
        "https://portal.example.com/callback",
        "https://new.example.com",
    ]
    assert row["oidcClientMetadata"]["postLogoutRedirectUris"] == ["https://portal.example.com"]
    assert row["customClientMetadata"]["refreshTokenTtlInDays"] == 14
    run(ensure_application, spec(**more, exact=True))
    (row,) = applications(sandbox, "Portal 2")
    assert row["oidcClientMetadata"]["redirectUris"] == ["https://new.example.com"]


@pytest.mark.parametrize("external_id", ["portal", None])
@pytest.mark.parametrize("kind", ["lost_answer", "reset", "error"])
def test_a_lost_answer_makes_no_duplicate(run: Run, sandbox: Sandbox, kind: str, external_id: Any) -> None:
    more: dict[str, Any] = {"reset": {"after_commit": True}, "error": {"status": 500}}.get(kind, {})
    sandbox.add_fault(kind=kind, method="POST", path="/api/applications", **more)
    assert run(ensure_application, spec(**{**WEB, "external_id": external_id}))["outcome"] == "created"
    assert len(applications(sandbox, "Portal")) == 1


def test_two_tasks_at_once_leave_one(run: Run, sandbox: Sandbox) -> None:
    async def both(client: Any) -> list[Any]:
        slow = {"kind": "slow", "seconds": 0.3, "before_commit": True, "times": 2}
        sandbox.add_fault(**slow, method="POST", path="/api/applications")
        return await asyncio.gather(*(ensure_application(client, spec(**WEB)) for _ in range(2)))

    results = run(both)
    (row,) = applications(sandbox, "Portal")
    assert {one["id"] for one in results} == {row["id"]}
    assert sorted(one["outcome"] for one in results) == ["created", "unchanged"]


def test_a_namesake_is_never_taken_over_silently(run: Run, sandbox: Sandbox) -> None:
    sandbox.seed({"applications": [{"name": "Portal", "type": "Traditional"}]})
    with pytest.raises(AlreadyExists, match="without external id"):
        run(ensure_application, spec(**WEB))
    adopted = run(ensure_application, spec(**WEB), adopt_existing=True)
    assert adopted["outcome"] == "updated"
    other = run(ensure_application, spec(**{**WEB, "external_id": "other"}))
    assert other["outcome"] == "created"
    with pytest.raises(Ambiguous, match="2 applications have the name"):
        run(ensure_application, spec(**{**WEB, "external_id": None}))
    with pytest.raises(InvalidInput, match=r"application_type: .* is of type Traditional"):
        run(ensure_application, spec(**{**WEB, "application_type": "SPA"}))


def test_roles(run: Run, sandbox: Sandbox, roles: None) -> None:
    first = run(ensure_application, spec(**MACHINE, roles=["reader", "old"]))
    assert first["roles"] == {"added": ["reader", "old"], "removed": [], "unchanged": []}
    second = run(ensure_application, spec(**MACHINE, roles=["reader", "writer"], exact=True))
    assert second["roles"] == {"added": ["writer"], "removed": ["old"], "unchanged": ["reader"]}
    assert second["outcome"] == "updated"
    with pytest.raises(InvalidInput, match=r"roles\[0\]: 'employee' is a role for users"):
        run(ensure_application, spec(**MACHINE, roles=["employee"]))
    with pytest.raises(InvalidInput, match=r"roles\[0\]: there is no role 'nobody'"):
        run(ensure_application, spec(**{**MACHINE, "name": "Other"}, roles=["nobody"]))
    assert applications(sandbox, "Other") == []


@pytest.mark.parametrize("kind", ["lost_answer", "error"])
def test_a_lost_answer_of_roles(run: Run, sandbox: Sandbox, roles: None, kind: str) -> None:
    more: dict[str, Any] = {"status": 502} if kind == "error" else {}
    sandbox.add_fault(kind=kind, method="POST", path="/api/applications/{applicationId}/roles", **more)
    report = run(ensure_application, spec(**MACHINE, roles=["reader"]))
    assert report["roles"]["added"] == ["reader"]
    assert run(ensure_application, spec(**MACHINE, roles=["reader"]))["outcome"] == "unchanged"


def test_the_connections_own_application_keeps_its_roles(run: Run, sandbox: Sandbox, roles: None) -> None:
    name = next(one["name"] for one in sandbox.state()["applications"] if one["id"] == sandbox.app_id)
    own = {"name": name, "application_type": "MachineToMachine", "roles": ["reader"]}
    with pytest.raises(InvalidInput, match="own application"):
        run(ensure_application, spec(**own, exact=True))
    assert run(ensure_application, spec(**own))["roles"]["added"] == ["reader"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": ""}, "name: missing"),
        ({"application_type": "SAML"}, "application_type: 'SAML' cannot be made here"),
        ({"redirect_uris": ["portal.example.com"]}, r"redirect_uris\[0\]"),
        ({"redirect_uris": ["javascript://x"]}, r"redirect_uris\[0\]"),
        ({"redirect_uris": ["https://[x"]}, r"redirect_uris\[0\]"),
        ({"redirect_uris": ["https://x.example/#a"]}, r"redirect_uris\[0\]"),
        ({"redirect_uris": ["com.example.app://callback"]}, r"redirect_uris\[0\]"),
        ({"custom_data": {"externalId": "x"}}, r"custom_data\.externalId"),
        ({"roles": ["reader"]}, "roles: only machine-to-machine"),
        ({"application_type": "MachineToMachine", "redirect_uris": ["https://x.example"]}, "nobody to redirect"),
        ({"application_type": "MachineToMachine", "third_party": True}, "third_party"),
        ({"application_type": "MachineToMachine", "roles": [], "exact": True}, "roles: is empty"),
        ({"redirect_uris": [], "exact": True}, "redirect_uris: is empty: exact"),
        ({"post_logout_redirect_uris": [], "exact": True}, "post_logout_redirect_uris: is empty"),
        ({"cors_allowed_origins": [], "exact": True}, "cors_allowed_origins: is empty"),
        ({"application_type": "MachineToMachine", "roles": [5]}, "roles: must be names"),
    ],
)
def test_wrong_arguments_are_refused_by_name(arguments: Any, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        spec(**{**WEB, **arguments})


def test_native_applications_have_schemes_of_their_own() -> None:
    native = {**WEB, "application_type": "Native", "redirect_uris": ["com.example.app://callback"]}
    assert spec(**native).redirect_uris == ("com.example.app://callback",)


@pytest.fixture
def importer(run: Run, sandbox: Sandbox) -> dict[str, Any]:
    run(ensure_application, spec(**MACHINE, external_id="importer"))
    sandbox.reset_stats()
    return applications(sandbox, "Importer")[0]


def secrets(sandbox: Sandbox, application: dict[str, Any]) -> dict[str, str]:
    rows = sandbox.state()["application_secrets"]
    return {row["name"]: row["value"] for row in rows if row["applicationId"] == application["id"]}


@pytest.mark.parametrize("kind", [None, "lost_answer", "reset", "error"])
def test_a_secret_is_made_once(run: Run, sandbox: Sandbox, importer: dict[str, Any], kind: str | None) -> None:
    if kind:
        more: dict[str, Any] = {"reset": {"after_commit": True}, "error": {"status": 503}}.get(kind, {})
        sandbox.add_fault(kind=kind, method="POST", path="/api/applications/{id}/secrets", **more)
    notes = Notes()
    made = run(new_secret, {"external_id": "importer"}, "run 1", state=notes)
    assert made.created
    assert secrets(sandbox, importer)["run 1"] == made.value
    assert len(secrets(sandbox, importer)) == 2
    assert made.value not in repr(made) + repr(notes.values)
    for others in (None, Notes()):
        with pytest.raises(AlreadyExists, match="has a secret 'run 1' already"):
            run(new_secret, importer["id"], "run 1", state=others)
    again = run(new_secret, importer["id"], "run 1", state=notes)
    assert (again.value, again.created) == (made.value, False)


def test_a_secret_of_a_try_that_was_killed_before_it_had_the_answer_is_its_own(
    run: Run, sandbox: Sandbox, importer: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    notes = Notes()
    monkeypatch.setattr(notes, "set", killed_at(notes, 2))
    with pytest.raises(KeyboardInterrupt):
        run(new_secret, importer["id"], "run 1", state=notes)
    value = secrets(sandbox, importer)["run 1"]
    monkeypatch.undo()
    again = run(new_secret, importer["id"], "run 1", state=notes)
    assert (again.value, again.created) == (value, False)


def test_a_secret_that_somebody_else_gave_the_same_name_is_not_handed_over(
    run: Run, sandbox: Sandbox, importer: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    notes = Notes()
    path = f"/applications/{importer['id']}/secrets"
    run(new_secret, importer["id"], "run 1", state=notes)
    run(lambda client: client.request("DELETE", f"{path}/run%201"))
    run(lambda client: client.request("POST", path, body={"name": "run 1"}))
    with pytest.raises(AlreadyExists):
        run(new_secret, importer["id"], "run 1", state=notes)
    # One made long before or after the try that was killed.
    for key, note in notes.values.items():
        notes.values[key] = {"at": note["at"] - 5000}
    with pytest.raises(AlreadyExists):
        run(new_secret, importer["id"], "run 1", state=notes)
    # And one that appeared between the look and the request, without a lost answer.
    plain = application_secrets._secret

    async def faster(client: Any, where: str, name: str) -> Any:
        found = await plain(client, where, name)
        if found is None:
            await client.request("POST", where, body={"name": name})
        return found

    monkeypatch.setattr(application_secrets, "_secret", faster)
    with pytest.raises(AlreadyExists):
        run(new_secret, importer["id"], "run 2", state=notes)


def killed_at(notes: Notes, number: int) -> Any:
    """A ``set`` that is never reached the n-th time."""
    plain, calls = notes.set, iter(range(1, 100))

    def set_(key: str, value: Any) -> None:
        if next(calls) == number:
            raise KeyboardInterrupt
        plain(key, value)

    return set_


def sign_in(sandbox: Sandbox, application: dict[str, Any], secret: str) -> int:
    import httpx

    form = {"grant_type": "client_credentials", "resource": sandbox.resource, "scope": "all"}
    return httpx.post(f"{sandbox.url}/oidc/token", data=form, auth=(application["id"], secret)).status_code


def test_only_old_secrets_that_are_named_and_unused_go(run: Run, sandbox: Sandbox, importer: dict[str, Any]) -> None:
    values = {name: run(new_secret, importer["id"], name).value for name in ("one", "two/x", "three", "new")}
    assert sign_in(sandbox, importer, values["one"]) == 200
    retired = run(retire_secrets, importer, "new", ["one", "two/x", "new", "absent"], 3600)
    in_use = {"name": "one", "reason": "used within the last 3600 s"}
    assert retired == {"deleted": ["two/x"], "kept": [in_use], "others": ["Default secret", "three"]}
    assert set(secrets(sandbox, importer)) == {"Default secret", "one", "three", "new"}
    asyncio.run(asyncio.sleep(2))  # the server's clock is known to half a second
    assert run(retire_secrets, importer, "new", ["one"], 1)["deleted"] == ["one"]
    assert sign_in(sandbox, importer, values["one"]) == 401
    assert sign_in(sandbox, importer, values["new"]) == 200


def test_nothing_goes_when_the_new_secret_is_no_good(run: Run, sandbox: Sandbox, importer: dict[str, Any]) -> None:
    for name in ("", "gone"):
        with pytest.raises(InvalidInput, match="the old ones stay"):
            run(retire_secrets, importer, name, ["Default secret"], 1)
    run(new_secret, importer["id"], "short", 1)
    asyncio.run(asyncio.sleep(2))
    with pytest.raises(InvalidInput, match="has expired; the old ones stay"):
        run(retire_secrets, importer, "short", ["Default secret"], 1)
    assert "Default secret" in secrets(sandbox, importer)


def test_the_secret_of_the_connection_stays(run: Run, sandbox: Sandbox) -> None:
    rows = [row for row in sandbox.state()["application_secrets"] if row["applicationId"] == sandbox.app_id]
    own = next(row["name"] for row in rows if row["value"] == sandbox.app_secret)
    run(new_secret, sandbox.app_id, "next")
    retired = run(retire_secrets, run(resolve_application, sandbox.app_id), "next", [own], 1)
    assert retired["deleted"] == []
    assert retired["kept"] == [{"name": own, "reason": "the Connection itself uses it"}]
    retired = run(retire_secrets, run(resolve_application, sandbox.app_id), "next", ["*"], 1)
    assert (retired["deleted"], [one["name"] for one in retired["kept"]]) == ([], [own])


def make_older(sandbox: Sandbox, application: dict[str, Any], seconds: float) -> None:
    table = sandbox.tenant.tables["application_secrets"]
    for row in sandbox.state()["application_secrets"]:
        if row["applicationId"] == application["id"]:
            table.put(table[row["id"]] | {"createdAt": row["createdAt"] - int(seconds * 1000)})


def test_an_entry_with_a_star_is_a_pattern(run: Run, sandbox: Sandbox, importer: dict[str, Any]) -> None:
    for name in ("airflow-1", "airflow-2", "Airflow-3", "by hand", "airflow-new"):
        run(new_secret, importer["id"], name)
    run(new_secret, importer["id"], "short", 1)
    assert sign_in(sandbox, importer, secrets(sandbox, importer)["airflow-2"]) == 200
    asyncio.run(asyncio.sleep(2))  # until that one has expired
    make_older(sandbox, importer, 7200)
    run(new_secret, importer["id"], "airflow-young")  # by another run at the same time
    retired = run(retire_secrets, importer, "airflow-new", ["Default secret", "airflow-*", "airflow-1", "no-*"], 3600)
    assert retired["deleted"] == ["Default secret", "airflow-1"]
    assert retired["kept"] == [
        {"name": "airflow-young", "reason": "made within the last 3600 s"},
        {"name": "airflow-2", "reason": "used within the last 3600 s"},
    ]
    assert sorted(retired["others"]) == ["Airflow-3", "by hand"]
    assert {"airflow-2", "Airflow-3", "by hand", "airflow-new"} < set(secrets(sandbox, importer))


def test_no_pattern_means_a_secret_with_the_legacy_secrets_name(
    run: Run, sandbox: Sandbox, importer: dict[str, Any]
) -> None:
    run(new_secret, importer["id"], LEGACY)
    make_older(sandbox, importer, 7200)
    run(new_secret, importer["id"], "new")
    retired = run(retire_secrets, importer, "new", ["L*"], 1)
    assert (retired["deleted"], sorted(retired["others"])) == ([], ["Default secret", LEGACY])


OLD = "a-secret-from-before-1.19"
STILL_VALID = {"name": LEGACY, "reason": "still valid; it goes where old_secrets names it"}


def made_before_1_19(sandbox: Sandbox, application_id: str, secret: str = OLD) -> None:
    """The API makes no such application any more."""
    table = sandbox.tenant.tables["applications"]
    table.put(table[application_id] | {"secret": secret})


def rotate(run: Run, application_id: str, name: str, old: list[str], grace: float = 1) -> dict[str, Any]:
    made = run(new_secret, application_id, name)
    assert OLD not in repr(made)
    result: dict[str, Any] = run(retire_secrets, made.application, name, old, grace, made.legacy)
    assert OLD not in repr(result)
    others = result.pop("others")
    assert not {name, *result["deleted"], *(one["name"] for one in result["kept"])} & set(others)
    return result


def test_a_legacy_secret_is_told_of_until_it_is_deleted(run: Run, sandbox: Sandbox, importer: dict[str, Any]) -> None:
    made_before_1_19(sandbox, importer["id"])
    make_older(sandbox, importer, 3600)
    result = rotate(run, importer["id"], "one", ["*"])
    assert result == {"deleted": ["Default secret"], "kept": [STILL_VALID]}
    assert sign_in(sandbox, importer, OLD) == 200
    sandbox.add_fault(kind="lost_answer", method="DELETE", path="/api/applications/{id}/legacy-secret")
    in_use = [{"name": LEGACY, "reason": "used within the last 3600 s"}]
    assert rotate(run, importer["id"], "two", [LEGACY], 3600) == {"deleted": [], "kept": in_use}
    asyncio.run(asyncio.sleep(2))  # the server's clock is known to half a second
    assert rotate(run, importer["id"], "three", [LEGACY]) == {"deleted": [LEGACY], "kept": []}
    assert sign_in(sandbox, importer, OLD) == 401
    assert rotate(run, importer["id"], "four", [LEGACY]) == {"deleted": [], "kept": []}
    assert set(secrets(sandbox, importer)) == {"one", "two", "three", "four"}


def test_a_failed_sign_in_with_no_secret_of_a_name_is_no_use(
    run: Run, sandbox: Sandbox, importer: dict[str, Any]
) -> None:
    made_before_1_19(sandbox, importer["id"])
    assert sign_in(sandbox, importer, "wrong") == 401
    assert sign_in(sandbox, importer, secrets(sandbox, importer)["Default secret"]) == 200
    assert rotate(run, importer["id"], "one", [LEGACY], 3600)["deleted"] == [LEGACY]


def test_a_secret_that_is_called_as_the_legacy_one_keeps_both(
    run: Run, sandbox: Sandbox, importer: dict[str, Any]
) -> None:
    made_before_1_19(sandbox, importer["id"])
    run(new_secret, importer["id"], LEGACY)
    (kept,) = rotate(run, importer["id"], "one", [LEGACY])["kept"]
    assert "two secrets are meant" in kept["reason"]
    assert LEGACY in secrets(sandbox, importer)
    assert sign_in(sandbox, importer, OLD) == 200


def test_a_secret_that_is_called_so_and_no_legacy_one(run: Run, sandbox: Sandbox, importer: dict[str, Any]) -> None:
    made_before_1_19(sandbox, importer["id"], "#internal:not-for-anybody")
    run(new_secret, importer["id"], LEGACY)
    assert rotate(run, importer["id"], "one", []) == {"deleted": [], "kept": []}
    assert rotate(run, importer["id"], "two", [LEGACY]) == {"deleted": [LEGACY], "kept": []}
    assert LEGACY not in secrets(sandbox, importer)


@pytest.mark.parametrize("old", [[], [LEGACY]])
def test_the_legacy_secret_of_the_connection_stays(run: Run, sandbox: Sandbox, old: list[str]) -> None:
    made_before_1_19(sandbox, sandbox.app_id, sandbox.app_secret)
    retired = rotate(run, sandbox.app_id, "next", old)
    assert retired == {"deleted": [], "kept": [{"name": LEGACY, "reason": "the Connection itself uses it"}]}


def test_references(run: Run, sandbox: Sandbox, importer: dict[str, Any]) -> None:
    for reference in (importer["id"], "Importer", {"external_id": "importer"}, {"name": "Importer"}, importer):
        assert run(resolve_application, reference)["id"] == importer["id"]
    for reference in ("nobody", {"id": "nobody"}, {"external_id": "nobody"}):
        with pytest.raises(InvalidInput, match="there is no application 'nobody'"):
            run(resolve_application, reference)
    for reference in (None, "", {}, 5, {"external_id": 5, "name": "Importer"}):
        with pytest.raises(InvalidInput, match="must be an id or a name"):
            run(resolve_application, reference)
