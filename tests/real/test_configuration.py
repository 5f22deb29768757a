"""ApplyConfigurationOperator and ExportConfigurationOperator on any Logto."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from airflow_provider_logto.exceptions import BrakeHeld
from airflow_provider_logto.operators.configuration import ApplyConfigurationOperator, ExportConfigurationOperator
from tests.conftest import Tenant, execute
from tests.real.conftest import Corner


@pytest.fixture
def word(corner: Corner, tenant: Tenant) -> Iterator[str]:
    """The corner's word; whatever carries it goes afterwards, and what the Connection's application notes of it."""
    yield corner.word
    for path, key in (
        ("/applications", "name"),
        ("/resources", "indicator"),
        ("/hooks", "name"),
        ("/connectors", "target"),
        ("/organization-scopes", "name"),
    ):
        for row in list(corner.hook.iterate(path)):
            if corner.word in row[key]:
                corner.hook.request("DELETE", f"{path}/{row['id']}")
    own = corner.hook.request("GET", f"/applications/{tenant.app_id}")
    data = {name: value for name, value in own["customData"].items() if corner.word not in name}
    corner.hook.request("PATCH", f"/applications/{tenant.app_id}", body={"customData": data})


def config_of(word: str) -> dict[str, Any]:
    indicator = f"https://{word}.example.com"
    return {
        "resources": [
            {"indicator": indicator, "name": "Orders", "scopes": [{"name": "read", "description": "R"}, "w"]}
        ],
        "organization_scopes": [f"{word}-bill"],
        "roles": [
            {"name": f"{word}-clerk", "description": "Clerk", "scopes": {indicator: ["read", "w"]}},
            {"name": f"{word}-batch", "description": "Batch", "type": "MachineToMachine"},
        ],
        "organization_roles": [
            {"name": f"{word}-payer", "scopes": [f"{word}-bill"], "resource_scopes": {indicator: ["read"]}}
        ],
        "applications": [
            {
                "name": f"{word} page",
                "type": "SPA",
                "oidcClientMetadata": {"redirectUris": ["https://x.example/cb"], "postLogoutRedirectUris": []},
            },
            {"name": f"{word} batch", "type": "MachineToMachine", "roles": [f"{word}-batch"]},
        ],
        "webhooks": [
            {
                "name": f"{word}-audit",
                "events": ["User.Created"],
                "config": {"url": "https://x.example/hook", "headers": {"authorization": {"$secret": "hook"}}},
                "enabled": False,
            }
        ],
    }


def test_apply_check_prune_export(corner: Corner, word: str, tmp_path: Path) -> None:
    def apply(config: Any, mode: Any = "apply", **more: Any) -> dict[str, Any]:
        operator = ApplyConfigurationOperator(
            task_id="apply",
            configuration=word,
            config=config,
            folder=f"file://{tmp_path}/plans",
            mode=mode,
            **{"secrets": {"hook": "s3cret"}, **more},
        )
        return execute(operator)

    config = config_of(word)
    first = apply(config)
    assert first["applied"]
    assert first["failed"] == []
    assert apply(config, "check")["counts"] == {}

    config["roles"][0]["description"] = "Head clerk"
    changed = apply(config)
    assert changed["counts"]["made.role.update"] == 1

    export = ExportConfigurationOperator(task_id="export", destination=f"file://{tmp_path}/tenant.yaml")
    execute(export)
    written = yaml.safe_load((tmp_path / "tenant.yaml").read_text("utf-8"))
    mine = {
        section: [row for row in rows if word in str(row.get("name")) + str(row.get("indicator"))]
        for section, rows in written.items()
    }
    mine = {section: rows for section, rows in mine.items() if rows}
    assert set(mine) == set(config)
    secret = mine["webhooks"][0]["config"]["headers"]["authorization"]["$secret"]
    assert apply(mine, "check", secrets={secret: "s3cret"})["counts"] == {}

    less = {**config, "roles": config["roles"][1:], "organization_roles": [config["organization_roles"][0]]}
    with pytest.raises(BrakeHeld, match="destructive: 1"):
        apply(less, prune=["roles"])
    pruned = apply(less, prune=["roles"], brakes={"destructive": 1})
    assert pruned["counts"]["made.role.delete"] == 1


def connector_of(word: str, target: str) -> dict[str, Any]:
    config = {
        "authorizationEndpoint": "https://x.example/auth",
        "tokenEndpoint": "https://x.example/token",
        "clientId": target,
        "clientSecret": {"$secret": "oidc"},
        "scope": "openid",
        "idTokenVerificationConfig": {"jwksUri": {"$secret": "oidc"}},
        "customConfig": {},
    }
    metadata = {"target": f"{word}-{target}", "name": {"en": target}, "logo": "https://x.example/logo.svg"}
    return {"connectorId": "oidc", "config": config, "metadata": metadata}


def test_two_connectors_of_one_factory(corner: Corner, word: str, tmp_path: Path) -> None:
    if "oidc" not in {row["id"] for row in corner.hook.iterate("/connector-factories")}:
        pytest.skip("this Logto was built without its OIDC connector")

    def apply(connectors: list[Any], mode: Any = "apply", **more: Any) -> dict[str, Any]:
        operator = ApplyConfigurationOperator(
            task_id="apply",
            configuration=word,
            config={"connectors": connectors},
            folder=f"file://{tmp_path}/plans",
            mode=mode,
            **{"secrets": {"oidc": "s3cret"}, **more},
        )
        return execute(operator)

    acme, globex = connector_of(word, "acme"), connector_of(word, "globex")
    assert apply([acme, globex])["counts"]["made.connector.create"] == 2
    assert apply([acme, globex], "check")["counts"] == {}

    export = ExportConfigurationOperator(
        task_id="export", destination=f"file://{tmp_path}/tenant.yaml", sections=["connectors"]
    )
    execute(export)
    written = yaml.safe_load((tmp_path / "tenant.yaml").read_text("utf-8"))["connectors"]
    mine = [row for row in written if word in str(row.get("metadata"))]
    assert len(mine) == 2
    secrets = {
        f"oidc {word}-{target}.config.{name}": "s3cret"
        for target in ("acme", "globex")
        for name in ("clientSecret", "idTokenVerificationConfig.jwksUri")
    }
    assert apply(mine, "check", secrets=secrets)["counts"] == {}

    acme["config"]["clientId"] = "another"
    assert apply([acme, globex])["counts"]["made.connector.update"] == 1
    assert apply([acme, globex], "check")["counts"] == {}
    left = apply([acme], prune=["connectors"], brakes={"destructive": 1})
    assert left["counts"]["made.connector.delete"] == 1
    targets = {row["target"] for row in corner.hook.iterate("/connectors")}
    assert f"{word}-acme" in targets
    assert f"{word}-globex" not in targets
