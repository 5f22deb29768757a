"""RotateApplicationSecretOperator: a kill between any two steps leaves a working secret."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from airflow_provider_logto.compat import AirflowFailException
from airflow_provider_logto.exceptions import AlreadyExists, InvalidInput, NotKept, OutcomeUnknown
from airflow_provider_logto.hooks.logto import LogtoHook
from airflow_provider_logto.operators.applications import ProvisionApplicationOperator, RotateApplicationSecretOperator
from logto_sandbox import Sandbox
from tests.task_states import Notes

pytestmark = pytest.mark.usefixtures("sandbox_tenant")


class Vault:
    """A secrets backend; ``broken`` fails before, ``killed`` right after a secret was stored."""

    def __init__(self, how: str = "works") -> None:
        self.how = how
        self.secrets: list[str] = []

    def store(self, secret: str, about: dict[str, Any]) -> None:
        if self.how == "broken":
            raise ConnectionError("the vault does not answer")
        self.secrets.append(secret)
        if self.how == "killed":
            raise KeyboardInterrupt


@pytest.fixture
def application() -> dict[str, Any]:
    provision = ProvisionApplicationOperator(
        task_id="provision", name="Importer", application_type="MachineToMachine", external_id="importer"
    )
    found: dict[str, Any] = provision.execute({})
    json.dumps(found)
    return found


def rotate(application: Any, vault: Vault, notes: Notes | None = None, **arguments: Any) -> dict[str, Any]:
    operator = RotateApplicationSecretOperator(
        task_id="rotate",
        application=application,
        hand_over=vault.store,
        **{"secret_name": "run 1", "old_secrets": ["Default secret"], **arguments},
    )
    result: dict[str, Any] = operator.execute({"task_state_store": notes} if notes else {})
    return result


def works(sandbox: Sandbox, application: dict[str, Any], secret: str) -> bool:
    form = {"grant_type": "client_credentials", "resource": sandbox.resource}
    answer = httpx.post(f"{sandbox.url}/oidc/token", data=form, auth=(application["id"], secret))
    return answer.status_code == 200


def names(application: dict[str, Any]) -> set[str]:
    return {one["name"] for one in LogtoHook().request("GET", f"/applications/{application['id']}/secrets")}


def test_a_rotation(sandbox: Sandbox, application: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    vault = Vault()
    result = rotate(application, vault)
    about = {"application": application["id"], "secret_name": "run 1", "outcome": "created"}
    assert result == {**about, "deleted": ["Default secret"], "kept": [], "others": []}
    (secret,) = vault.secrets
    assert works(sandbox, application, secret)
    assert secret not in json.dumps(result) + caplog.text
    assert names(application) == {"run 1"}


def test_rotations_on_a_schedule_leave_nothing_behind(sandbox: Sandbox, application: dict[str, Any]) -> None:
    def at(run: int, old: list[str]) -> dict[str, Any]:
        return rotate(application, Vault(), secret_name=f"airflow-{run}", old_secrets=old)

    assert at(1, ["Default secret"])["others"] == []
    assert at(2, ["Default secret"])["others"] == ["airflow-1"]
    # Another run may have made them just now.
    assert at(3, ["airflow-*"])["deleted"] == []
    table = sandbox.tenant.tables["application_secrets"]
    for row in [row for row in sandbox.state()["application_secrets"] if row["name"] in ("airflow-1", "airflow-2")]:
        table.put(table[row["id"]] | {"createdAt": row["createdAt"] - 7 * 86_400_000})
    result = at(4, ["Default secret", "airflow-*"])
    assert sorted(result["deleted"]) == ["airflow-1", "airflow-2"]
    assert [one["name"] for one in result["kept"]] == ["airflow-3"]
    assert names(application) == {"airflow-3", "airflow-4"}


def test_a_legacy_secret_is_masked_and_told_of_by_a_name(
    sandbox: Sandbox, application: dict[str, Any], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    masked: list[str] = []
    monkeypatch.setattr("airflow_provider_logto.operators.applications.mask_secret", masked.append)
    table = sandbox.tenant.tables["applications"]
    table.put(table[application["id"]] | {"secret": "from-before-1.19"})
    vault = Vault()
    first = rotate(application, vault)
    second = rotate(application, vault, secret_name="run 2", old_secrets=["run 1", "Legacy secret"])
    assert [one["name"] for one in first["kept"]] == ["Legacy secret"]
    assert (second["deleted"], second["kept"]) == (["run 1", "Legacy secret"], [])
    assert "from-before-1.19" not in json.dumps([first, second]) + caplog.text
    assert masked == [vault.secrets[0], "from-before-1.19", vault.secrets[1], "from-before-1.19"]
    assert not works(sandbox, application, "from-before-1.19")


@pytest.mark.parametrize("how", ["broken", "killed"])
def test_old_secrets_stay_until_the_new_one_is_stored(sandbox: Sandbox, application: dict[str, Any], how: str) -> None:
    notes = Notes()
    with pytest.raises((ConnectionError, KeyboardInterrupt)):
        rotate(application, Vault(how), notes)
    assert names(application) == {"Default secret", "run 1"}
    vault = Vault()
    result = rotate(application, vault, notes)
    assert (result["outcome"], result["deleted"]) == ("handed_over_again", ["Default secret"])
    assert works(sandbox, application, vault.secrets[0])


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/applications/{id}/secrets"),
        ("GET", "/api/applications/{id}/secrets"),
        ("DELETE", "/api/applications/{id}/secrets/{name}"),
        ("GET", "/api/logs"),
    ],
)
@pytest.mark.parametrize("kind", ["reset", "error"])
def test_failures_at_each_step(
    sandbox: Sandbox, application: dict[str, Any], method: str, path: str, kind: str
) -> None:
    sandbox.add_fault(kind=kind, method=method, path=path, times=2, **({"status": 500} if kind == "error" else {}))
    vault, notes = Vault(), Notes()
    for _ in range(3):
        try:
            rotate(application, vault, notes)
            break
        except (OutcomeUnknown, AirflowFailException):
            assert "Default secret" in names(application) or works(sandbox, application, vault.secrets[-1])
    assert works(sandbox, application, vault.secrets[-1])
    assert names(application) == {"run 1"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"hand_over": "vault"}, "hand_over: must be a function"),
        ({"secret_name": ""}, "secret_name"),
        ({"old_secrets": ["run 1"]}, "old_secrets: 'run 1' is the new secret's name"),
        ({"old_secrets": [""]}, r"old_secrets\[0\]"),
        ({"grace": 0}, "grace"),
        ({"grace": "1 day"}, "grace"),
        ({"expires_in": -5}, "expires_in"),
    ],
)
def test_wrong_arguments_fail_before_the_first_request(sandbox: Sandbox, arguments: Any, message: str) -> None:
    given = {"application": "x", "hand_over": Vault().store, "secret_name": "run 1", **arguments}
    with pytest.raises((InvalidInput, AirflowFailException), match=message):
        RotateApplicationSecretOperator(task_id="rotate", **given).execute({})
    assert sandbox.stats()["requests"] == 0


def test_without_a_task_state_store_a_retry_says_what_to_do(application: dict[str, Any]) -> None:
    with pytest.raises(ConnectionError):
        rotate(application, Vault("broken"))
    with pytest.raises((AlreadyExists, AirflowFailException), match="if an earlier try made it, delete it"):
        rotate(application, Vault())
    assert names(application) == {"Default secret", "run 1"}


def test_a_name_that_is_taken_is_refused(application: dict[str, Any]) -> None:
    with pytest.raises((AlreadyExists, AirflowFailException), match="name each rotation's secret anew"):
        rotate(application, Vault(), secret_name="Default secret", old_secrets=[])


@pytest.mark.parametrize("settings", [{"refreshTokenTtlInDay": 14}, {"idTokenTtl": 60, "refreshTokenTtlInDay": 14}])
def test_a_setting_that_logto_does_not_keep_is_an_error(settings: dict[str, Any]) -> None:
    def provision(**more: Any) -> Any:
        return ProvisionApplicationOperator(
            task_id="provision", name="Portal", application_type="SPA", external_id="portal", **more
        ).execute({})

    lost = r"Logto did not keep customClientMetadata\.refreshTokenTtlInDay;"
    for _ in range(2):
        with pytest.raises((NotKept, AirflowFailException), match=lost):
            provision(client_metadata=settings)
    assert provision()["outcome"] == "unchanged"
    # What was there before and is not known any more is nobody's mistake of now.
    assert provision(client_metadata={"refreshTokenTtlInDays": 14}, custom_data={"a": [1, {}]})["changed"] == [
        "customClientMetadata",
        "customData",
    ]
