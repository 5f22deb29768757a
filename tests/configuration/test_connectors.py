"""Connectors in a configuration: several of one factory, those of which there is one, what Logto leaves out."""

from __future__ import annotations

import asyncio
import json
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml

from airflow_provider_logto.compat import AirflowFailException
from airflow_provider_logto.hooks.logto import LogtoHook
from airflow_provider_logto.operators.configuration import ApplyConfigurationOperator, ExportConfigurationOperator
from logto_sandbox import Sandbox
from tests.clients import client_of
from tests.configuration.test_configuration import apply

pytestmark = pytest.mark.usefixtures("sandbox_tenant")

SECRETS = {"acme": "acme-secret", "globex": "globex-secret", "mail": "mail-secret"}


def oidc(target: str, **fields: Any) -> dict[str, Any]:
    config = {
        "authorizationEndpoint": f"https://{target}.example/auth",
        "tokenEndpoint": f"https://{target}.example/token",
        "clientId": target,
        "clientSecret": {"$secret": target},
        "scope": "openid",
        "idTokenVerificationConfig": {"jwksUri": {"$secret": target}},
        # Logto keeps nothing empty.
        "customConfig": {},
    }
    metadata = {"target": target, "name": {"en": target.title()}}
    return {"connectorId": "oidc", "config": config, "metadata": metadata, **fields}


def mail(factory: str = "mock-email-service") -> dict[str, Any]:
    templates = [{"usageType": "Generic", "type": "text/plain", "subject": "Code", "content": "{{code}}"}]
    config = {"apiKey": {"$secret": "mail"}, "fromEmail": "a@x.example", "templates": templates}
    return {"connectorId": factory, "config": config}


def with_connectors(folder: Path, connectors: list[Any], mode: Any = "apply", **more: Any) -> dict[str, Any]:
    return apply(folder, {"connectors": connectors}, mode, **{"secrets": SECRETS, **more})


def targets() -> dict[str, str]:
    return {row["target"]: row["id"] for row in LogtoHook().iterate("/connectors")}


def test_two_of_one_factory_are_told_apart_by_their_target(sandbox: Sandbox, tmp_path: Path) -> None:
    both = [oidc("acme"), oidc("globex", syncProfile=True, enableTokenStorage=True), mail()]
    assert with_connectors(tmp_path, both)["counts"]["made.connector.create"] == 3
    made = targets()
    assert set(made) == {"acme", "globex", "mock-mail"}
    sandbox.reset_stats()
    assert with_connectors(tmp_path, both, "check")["counts"] == {}
    assert sandbox.stats()["writes"] == 0

    changed = [oidc("acme"), oidc("globex", syncProfile=False), mail()]
    changed[1]["config"]["clientId"] = "another"
    assert with_connectors(tmp_path, changed)["counts"]["made.connector.update"] == 1
    assert targets() == made
    rows = {row["target"]: row for row in LogtoHook().iterate("/connectors")}
    assert rows["globex"]["config"]["clientId"] == "another"
    assert rows["globex"]["config"]["clientSecret"] == SECRETS["globex"]
    assert rows["acme"]["config"]["clientId"] == "acme"

    gone = with_connectors(tmp_path, [oidc("acme"), mail()], prune=["connectors"], brakes={"destructive": 1})
    assert gone["counts"]["made.connector.delete"] == 1
    assert set(targets()) == {"acme", "mock-mail"}


def test_exported_and_applied_to_another_tenant(sandbox: Sandbox, tmp_path: Path) -> None:
    hook_config = {"url": "https://x.example/hook"}
    config = {
        "connectors": [oidc("acme"), oidc("globex", enableTokenStorage=True), mail()],
        "webhooks": [{"name": "off", "events": ["User.Created"], "config": hook_config, "enabled": False}],
    }
    apply(tmp_path / "plans", config, secrets=SECRETS)
    export = ExportConfigurationOperator(task_id="export", destination=f"file://{tmp_path}/tenant.yaml")
    assert export.execute({})["counts"]["connectors"] == 3
    text = (tmp_path / "tenant.yaml").read_text("utf-8")
    assert not any(secret in text for secret in SECRETS.values())
    written = yaml.safe_load(text)
    secrets = {
        "oidc acme.config.clientSecret": SECRETS["acme"],
        "oidc acme.config.idTokenVerificationConfig.jwksUri": SECRETS["acme"],
        "oidc globex.config.clientSecret": SECRETS["globex"],
        "oidc globex.config.idTokenVerificationConfig.jwksUri": SECRETS["globex"],
        "mock-email-service.config.apiKey": SECRETS["mail"],
    }
    assert apply(tmp_path / "plans", written, "check", secrets=secrets)["counts"] == {}
    before = {row["target"]: row for row in LogtoHook().iterate("/connectors")}

    sandbox.reset()
    assert apply(tmp_path / "others", written, secrets=secrets, brakes={"destructive": 5})["applied"]
    assert apply(tmp_path / "others", written, "check", secrets=secrets)["counts"] == {}
    after = {row["target"]: {**row, "id": before[row["target"]]["id"]} for row in LogtoHook().iterate("/connectors")}
    assert after == before
    (webhook,) = LogtoHook().iterate("/hooks")
    assert webhook["enabled"] is False


@pytest.mark.parametrize("kind", ["lost_answer", "reset"])
def test_a_lost_answer_makes_no_second_one(sandbox: Sandbox, tmp_path: Path, kind: str) -> None:
    more: dict[str, Any] = {"after_commit": True} if kind == "reset" else {}
    sandbox.add_fault(kind=kind, method="POST", path="/api/connectors", times=2, **more)
    assert with_connectors(tmp_path, [oidc("acme"), oidc("globex")])["applied"]
    assert with_connectors(tmp_path, [oidc("acme"), oidc("globex")], "check")["counts"] == {}
    assert len(list(LogtoHook().iterate("/connectors"))) == 2
    gone = with_connectors(tmp_path, [], prune=["connectors"], brakes={"destructive": 2})
    assert gone["counts"]["made.connector.delete"] == 2


def test_one_that_somebody_else_makes_at_the_last_moment_is_not_ours(sandbox: Sandbox, tmp_path: Path) -> None:
    async def stranger() -> None:
        deadline = time.monotonic() + 30
        # Observed, and noted as about to be made.
        while not any("airflowConfiguration:orders" in row["customData"] for row in sandbox.state()["applications"]):
            assert time.monotonic() < deadline
            await asyncio.sleep(0.01)
        body = json.loads(json.dumps(oidc("acme")).replace('{"$secret": "acme"}', '"acme-secret"'))
        async with client_of(sandbox) as client:
            await client.request("POST", "/connectors", body=body)

    notes = "/api/applications/{applicationId}/custom-data"
    sandbox.add_fault(kind="slow", method="PATCH", path=notes, seconds=3)
    with ThreadPoolExecutor() as pool:
        made = pool.submit(asyncio.run, stranger())
        assert with_connectors(tmp_path, [oidc("acme")])["applied"]
        made.result()
    with_connectors(tmp_path, [], prune=["connectors"])
    assert set(targets()) == {"acme"}


def test_one_that_replaces_another_needs_approval(sandbox: Sandbox, tmp_path: Path) -> None:
    config = {"apiKey": "by hand", "fromEmail": "b@x.example", "templates": []}
    LogtoHook().request("POST", "/connectors", body={"connectorId": "mock-email-service-alternative", "config": config})
    with pytest.raises(AirflowFailException, match=r"destructive: 1.*connector.create mock-email-service"):
        with_connectors(tmp_path, [mail()])
    assert set(targets()) == {"mock-mail-alternative"}
    plan = with_connectors(tmp_path, [mail()], "plan")
    written = Path(plan["plan"].removeprefix("file://")).read_text("utf-8")
    assert "replaces mock-email-service-alternative, the one of type Email" in written
    assert with_connectors(tmp_path, [mail()], approve_plan=plan["plan_id"])["applied"]
    assert set(targets()) == {"mock-mail"}


def test_to_keep_no_tokens_any_more_needs_approval(sandbox: Sandbox, tmp_path: Path) -> None:
    with_connectors(tmp_path, [oidc("acme", enableTokenStorage=True)])
    with pytest.raises(AirflowFailException, match="destructive: 1"):
        with_connectors(tmp_path, [oidc("acme", enableTokenStorage=False)])


@pytest.mark.parametrize(
    ("connectors", "message"),
    [
        ([{**oidc("acme"), "metadata": {"name": {"en": "A"}}}], "'oidc' needs metadata.target$"),
        ([oidc("acme"), oidc("acme")], "connector 'oidc acme' is listed twice"),
        ([{"connectorId": "gone", "config": {}}], "this Logto has no connector 'gone'"),
        ([mail(), mail("mock-email-service-alternative")], "both of type Email, of which Logto keeps one"),
        ([{**oidc("a"), "metadata": "a"}], r"config\.connectors\[0\]\.metadata: must be an object, not str"),
        (
            [{"connectorId": "mock-social-connector", "config": {}, "metadata": {"target": "x"}}],
            "takes no metadata: it is made for one identity provider",
        ),
    ],
)
def test_what_cannot_be_is_refused_before_the_first_write(
    sandbox: Sandbox, tmp_path: Path, connectors: list[Any], message: str
) -> None:
    with pytest.raises(AirflowFailException, match=message):
        apply(tmp_path, {"connectors": connectors}, secrets={**SECRETS, "a": "-"})
    assert sandbox.stats()["writes"] == 0


def test_what_is_literal_is_not_rendered(tmp_path: Path) -> None:
    """As docs/configuration.md says of mail templates."""
    for module in ("airflow.sdk", "airflow.utils.template"):
        with suppress(ImportError, AttributeError):
            literal = import_module(module).literal
            break
    else:
        pytest.skip("Airflow 3.0 has no literal()")
    config = {"connectors": [{"config": {"templates": [{"content": "Your code is {{code}}"}]}}]}
    operator = ApplyConfigurationOperator(
        task_id="x", configuration="x", config=literal(config), folder=f"file://{tmp_path}"
    )
    operator.render_template_fields({})
    assert operator.config == config


def test_a_connector_without_target_is_told_which_there_are(sandbox: Sandbox, tmp_path: Path) -> None:
    with_connectors(tmp_path, [oidc("acme"), oidc("globex")])
    without = json.loads(json.dumps(oidc("acme")))
    del without["metadata"]
    with pytest.raises(AirflowFailException, match=r"needs metadata\.target, one of acme, globex or a new one"):
        with_connectors(tmp_path, [without])


def test_ways_to_sign_in(sandbox: Sandbox, tmp_path: Path) -> None:
    config = {"connectors": [oidc("acme")], "sign_in_experience": {"socialSignInConnectorTargets": ["acme"]}}
    given: dict[str, Any] = {"secrets": SECRETS, "brakes": {"destructive": 1}}
    assert apply(tmp_path, config, **given)["applied"]
    assert apply(tmp_path, config, "check", **given)["counts"] == {}
    for targets_ in (["acme", "gone"], ["mock-social"]):
        unknown = {**config, "sign_in_experience": {"socialSignInConnectorTargets": targets_}}
        with pytest.raises(AirflowFailException, match=f"no connector of target '{targets_[-1]}'"):
            apply(tmp_path, unknown, **given)
    unlisted = {"connectors": [], "sign_in_experience": config["sign_in_experience"]}
    with pytest.raises(AirflowFailException, match=r"'acme'.*which prune would delete"):
        apply(tmp_path, unlisted, prune=["connectors"], **given)
