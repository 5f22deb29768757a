"""ApplyConfigurationOperator and ExportConfigurationOperator."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml

from airflow_provider_logto.compat import AirflowFailException
from airflow_provider_logto.configuration.sync import ConfigurationJob, Options, apply_configuration
from airflow_provider_logto.exceptions import ChangesFailed, OutcomeUnknown, PlanRefused
from airflow_provider_logto.hooks.logto import LogtoHook
from airflow_provider_logto.operators.configuration import ApplyConfigurationOperator, ExportConfigurationOperator
from airflow_provider_logto.plans.journal import Run
from logto_sandbox import Sandbox
from tests.clients import client_of
from tests.roster.conftest import local_store

pytestmark = pytest.mark.usefixtures("sandbox_tenant")

CONFIG: dict[str, Any] = {
    "resources": [
        {
            "indicator": "https://orders.example.com",
            "name": "Orders",
            "accessTokenTtl": 1800,
            "scopes": [{"name": "read:orders", "description": "Read"}, "write:orders"],
        }
    ],
    "organization_scopes": [{"name": "bill", "description": "See bills"}],
    "roles": [
        {
            "name": "clerk",
            "description": "Handles orders",
            "scopes": {"https://orders.example.com": ["read:orders", "write:orders"]},
        },
        {"name": "batch", "description": "For machines", "type": "MachineToMachine"},
    ],
    "organization_roles": [
        {"name": "payer", "scopes": ["bill"], "resource_scopes": {"https://orders.example.com": ["read:orders"]}}
    ],
    "applications": [
        {
            "name": "Orders page",
            "type": "SPA",
            "oidcClientMetadata": {"redirectUris": ["https://x.example/cb"], "postLogoutRedirectUris": []},
        },
        {"name": "Orders batch", "type": "MachineToMachine", "roles": ["batch"]},
    ],
    "webhooks": [
        {
            "name": "audit",
            "events": ["User.Created"],
            "config": {"url": "https://x.example/hook", "headers": {"authorization": {"$secret": "hook"}}},
        }
    ],
}
SECRETS = {"hook": "hook-secret-value"}


def apply(folder: Path, config: Any = CONFIG, mode: Any = "apply", **arguments: Any) -> dict[str, Any]:
    given: dict[str, Any] = {"secrets": SECRETS, **arguments}
    operator = ApplyConfigurationOperator(
        task_id="apply", configuration="orders", config=config, folder=f"file://{folder}", mode=mode, **given
    )
    result: dict[str, Any] = operator.execute({})
    return result


def names(path: str, key: str = "name") -> set[str]:
    return {row[key] for row in LogtoHook().iterate(path)}


def test_a_first_second_and_changed_run(sandbox: Sandbox, tmp_path: Path) -> None:
    plan = apply(tmp_path, mode="plan")
    assert plan["counts"]["resource.create"] == 1
    assert plan["counts"]["role_scope.add"] == 2
    assert "https://orders.example.com" not in names("/resources", "indicator")
    written = Path(plan["plan"].removeprefix("file://")).read_text("utf-8")
    assert SECRETS["hook"] not in written + json.dumps(plan)

    first = apply(tmp_path, plan=plan["plan_id"])
    assert first["applied"]
    assert first["failed"] == []
    journal = "".join(path.read_text("utf-8") for path in tmp_path.rglob("*") if path.is_file())
    assert SECRETS["hook"] not in journal
    hook = LogtoHook()
    role = next(hook.iterate("/roles", where={"name": "clerk"}))
    assert {one["name"] for one in hook.iterate(f"/roles/{role['id']}/scopes")} == {"read:orders", "write:orders"}
    (webhook,) = hook.iterate("/hooks")
    assert webhook["config"]["headers"] == {"authorization": SECRETS["hook"]}

    sandbox.reset_stats()
    second = apply(tmp_path)
    assert second["applied"]
    assert {name for name in second["counts"] if name.endswith((".create", ".update", ".add"))} == set()
    assert sandbox.stats()["writes"] == 0
    assert apply(tmp_path, mode="check")["counts"] == {}

    changed = json.loads(json.dumps(CONFIG))
    changed["roles"][0]["description"] = "Handles all orders"
    changed["resources"][0]["scopes"].append("delete:orders")
    with pytest.raises(AirflowFailException, match="2 changes are due"):
        apply(tmp_path, changed, "check")
    assert apply(tmp_path, changed)["counts"]["changes.success"] == 2
    rotated = apply(tmp_path, changed, secrets={"hook": "another"})
    assert rotated["counts"]["made.webhook.update"] == 1


def test_prune_deletes_only_what_this_configuration_created(sandbox: Sandbox, tmp_path: Path) -> None:
    apply(tmp_path)
    LogtoHook().request("POST", "/roles", body={"name": "by hand", "description": "-"})
    less = {**CONFIG, "roles": CONFIG["roles"][1:], "organization_roles": []}
    untouched = apply(tmp_path, less)
    assert untouched["counts"].get("changes.success") is None
    with pytest.raises(AirflowFailException, match=r"destructive: 1, allowed 0.*role.delete clerk"):
        apply(tmp_path, less, prune=["roles"])
    plan = apply(tmp_path, less, "plan", prune=["roles"])
    released = apply(tmp_path, less, prune=["roles"], approve_plan=plan["plan_id"])
    assert (plan["held"], released["held"]) == (["clerk"], [])
    assert (released["counts"]["made.role.delete"], released["counts"]["released.destructive"]) == (1, 1)
    assert "clerk" not in names("/roles")
    assert {"by hand", "employee", "batch"} <= names("/roles")


@pytest.mark.parametrize(
    ("listed", "prune", "message"),
    [
        (["applications"], "roles", "'Orders batch' refers to role 'batch', which prune would delete"),
        (["organization_roles"], "organization_scopes", "'payer' refers to organization_scope 'bill'"),
        (["roles"], "resources", "'clerk' refers to scope .*read:orders', which prune would delete with resource"),
        (["roles"], "scopes", "'clerk' refers to scope .*read:orders', which prune would delete"),
    ],
)
def test_what_is_listed_must_not_refer_to_what_is_pruned(
    sandbox: Sandbox, tmp_path: Path, listed: list[str], prune: str, message: str
) -> None:
    apply(tmp_path)
    sandbox.reset_stats()
    less = {section: CONFIG[section] for section in listed}
    with pytest.raises(AirflowFailException, match=message):
        apply(tmp_path, less, prune=[prune], brakes={"destructive": 10})
    assert sandbox.stats()["writes"] == 0
    # Without that reference it goes, and nothing else does.
    free = {section: [_alone(row) for row in rows] for section, rows in less.items()}
    assert apply(tmp_path, free, prune=[prune], brakes={"destructive": 10})["applied"]


def _alone(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in ("roles", "scopes", "resource_scopes")}


def test_what_may_be_somebody_elses_is_never_pruned(sandbox: Sandbox, tmp_path: Path) -> None:
    config = {"roles": [{"name": "clerk", "description": "-"}]}
    sandbox.add_fault(kind="lost_answer", method="POST", path="/api/roles")
    assert apply(tmp_path, config)["applied"]
    other = {"roles": [{"name": "other", "description": "-"}]}
    assert apply(tmp_path, other, prune=["roles"])["applied"]
    assert {"clerk", "other"} <= names("/roles")


def test_an_application_whose_answer_was_lost_is_known_by_its_mark(sandbox: Sandbox, tmp_path: Path) -> None:
    config = {"applications": [{"name": "batch", "type": "MachineToMachine", "customData": {"team": "orders"}}]}
    sandbox.add_fault(kind="lost_answer", method="POST", path="/api/applications")
    assert apply(tmp_path, config)["applied"]
    assert apply(tmp_path, config, "check")["counts"] == {}
    export = ExportConfigurationOperator(task_id="export", destination=f"file://{tmp_path}/tenant.yaml")
    export.execute({})
    written = yaml.safe_load((tmp_path / "tenant.yaml").read_text("utf-8"))["applications"]
    assert [row["customData"] for row in written if row["name"] == "batch"] == [{"team": "orders"}]
    gone = apply(tmp_path, {"roles": []}, prune=["applications"], brakes={"destructive": 1})
    assert gone["counts"]["made.application.delete"] == 1


def test_what_decides_over_access_needs_approval(sandbox: Sandbox, tmp_path: Path) -> None:
    role = {"name": "root", "description": "-", "type": "MachineToMachine", "scopes": {"$management_api": ["all"]}}
    with pytest.raises(AirflowFailException, match="destructive: 1"):
        apply(tmp_path, {"roles": [role]})
    with pytest.raises(AirflowFailException, match="destructive: 1"):
        apply(tmp_path, {"roles": [{"name": "new", "description": "-", "isDefault": True}]})
    with pytest.raises(AirflowFailException, match="destructive: 1"):
        apply(tmp_path, {"sign_in_experience": {"termsOfUseUrl": "https://x.example/terms"}})
    assert not {"root", "new"} & names("/roles")
    assert apply(tmp_path, {"roles": [role]}, brakes={"destructive": 1})["applied"]


ALL = {"$management_api": ["all"]}


@pytest.mark.parametrize(
    "role",
    [
        {"name": "root", "scopes": ALL},
        {"name": "root"},
        "root",
        "Logto Management API access",  # the Connection's own, which is not read
    ],
    ids=["with scope", "without", "not listed", "own"],
)
def test_an_application_that_gets_the_management_api_by_a_role_needs_approval(
    sandbox: Sandbox, tmp_path: Path, role: Any
) -> None:
    root = {"name": "root", "description": "-", "type": "MachineToMachine"}
    plain = {"name": "plain", "description": "-", "type": "MachineToMachine"}
    apply(tmp_path, {"roles": [{**root, "scopes": ALL}, plain]}, brakes={"destructive": 1})
    name = role if isinstance(role, str) else role["name"]
    config: dict[str, Any] = {"applications": [{"name": "batch", "type": "MachineToMachine", "roles": [name, "plain"]}]}
    if isinstance(role, dict):
        config["roles"] = [{**root, **role}]
    with pytest.raises(AirflowFailException, match="destructive: 1"):
        apply(tmp_path, config)
    assert "batch" not in names("/applications")
    assert apply(tmp_path, config, brakes={"destructive": 1})["applied"]
    sandbox.reset_stats()
    assert apply(tmp_path, config)["applied"]
    assert sandbox.stats()["writes"] == 0


def test_more_for_everybody_needs_approval(sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.seed({"roles": [{"name": "everybody", "description": "-", "isDefault": True}]})
    resource = {"indicator": "https://a.example", "name": "A", "scopes": ["delete"]}
    role = {"name": "everybody", "description": "-", "scopes": {"https://a.example": ["delete"]}}
    with pytest.raises(AirflowFailException, match="destructive: 1"):
        apply(tmp_path, {"resources": [resource], "roles": [role]})
    assert "https://a.example" not in names("/resources", "indicator")


def test_no_file_holds_a_secret_wherever_it_is_filled_in(sandbox: Sandbox, tmp_path: Path) -> None:
    config = {
        "applications": [{"name": "page", "type": "SPA", "customData": {"keys": [{"$secret": "key"}]}}],
        "sign_in_experience": {"customContent": {"/": {"$secret": "key"}}},
    }
    brakes = {"destructive": 9}
    for value in ("KEY-ONE", "KEY-TWO"):
        apply(tmp_path, config, secrets={"key": value}, brakes=brakes)
        made = next(one for one in sandbox.state()["applications"] if one["name"] == "page")
        assert made["customData"]["keys"] == [value]
    files = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert any(b'"customData":"changed"' in content for content in files)
    assert not [content for content in files if b"KEY-" in content]


def test_no_plan_holds_what_an_earlier_configuration_filled_in(sandbox: Sandbox, tmp_path: Path) -> None:
    def config(content: Any, **data: Any) -> dict[str, Any]:
        page = {"name": "page", "type": "SPA", "customData": data}
        return {"applications": [page], "sign_in_experience": {"customContent": {"/": content}}}

    for one in (
        config({"$secret": "key"}, apiKey={"$secret": "key"}, team="a"),
        config("none", team="b"),
        config("none", apiKey="none", team="b"),
    ):
        apply(tmp_path, one, secrets={"key": "KEY-ONE"}, brakes={"destructive": 9})
    made = next(one for one in sandbox.state()["applications"] if one["name"] == "page")
    assert made["customData"]["apiKey"] == "none"
    files = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert any(b'"after":{"customData":{"team":"b"}' in content for content in files)
    assert not [content for content in files if b"KEY-" in content]


def test_the_connections_own_objects_are_never_touched(sandbox: Sandbox, tmp_path: Path) -> None:
    own = next(one for one in sandbox.state()["applications"] if one["id"] == sandbox.app_id)
    config = {"applications": [{"name": own["name"], "type": "MachineToMachine", "description": "mine"}]}
    with pytest.raises(AirflowFailException, match="belongs to the Connection itself"):
        apply(tmp_path, config)
    access = {"name": "Logto Management API access", "description": "mine", "type": "MachineToMachine"}
    with pytest.raises(AirflowFailException, match="belongs to the Connection itself"):
        apply(tmp_path, {"roles": [access]})
    with pytest.raises(AirflowFailException, match="the Management API cannot be changed"):
        apply(tmp_path, {"resources": [{"indicator": "$management_api", "name": "x"}]})


@pytest.mark.parametrize("kind", ["lost_answer", "reset"])
@pytest.mark.parametrize(
    "path",
    [
        "/api/resources",
        "/api/resources/{resourceId}/scopes",
        "/api/roles",
        "/api/roles/{id}/scopes",
        "/api/organization-scopes",
        "/api/organization-roles",
        "/api/applications",
        "/api/hooks",
    ],
)
def test_a_lost_answer_makes_nothing_twice(sandbox: Sandbox, tmp_path: Path, path: str, kind: str) -> None:
    more: dict[str, Any] = {"after_commit": True} if kind == "reset" else {}
    sandbox.add_fault(kind=kind, method="POST", path=path, **more)
    assert apply(tmp_path)["applied"]
    assert apply(tmp_path, mode="check")["counts"] == {}
    assert len([row for row in LogtoHook().iterate("/applications") if row["name"] == "Orders page"]) == 1
    assert len(list(LogtoHook().iterate("/hooks"))) == 1


def test_a_failed_change_is_made_by_the_next_run(sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.add_fault(kind="error", status=500, method="POST", path="/api/hooks", times=20)
    with pytest.raises((ChangesFailed, OutcomeUnknown), match="webhook audit"):
        apply(tmp_path)
    sandbox.clear_faults()
    assert apply(tmp_path)["counts"]["changes.success"] == 1


def test_two_of_one_name_are_a_conflict(sandbox: Sandbox, tmp_path: Path) -> None:
    for _ in range(2):
        LogtoHook().request("POST", "/applications", body={"name": "Orders page", "type": "SPA"})
    with pytest.raises(AirflowFailException, match="several objects of kind application are named 'Orders page'"):
        apply(tmp_path)
    # Where they are not listed, they are nobody's matter.
    others = {**CONFIG, "applications": CONFIG["applications"][1:]}
    assert apply(tmp_path, others)["applied"]
    assert apply(tmp_path, others, "check")["counts"] == {}
    export = ExportConfigurationOperator(task_id="export", destination=f"file://{tmp_path}/tenant.yaml")
    with pytest.raises(AirflowFailException, match="several objects of kind application"):
        export.execute({})


def test_an_exported_tenant_gives_an_empty_plan_and_makes_another_alike(sandbox: Sandbox, tmp_path: Path) -> None:
    apply(tmp_path / "plans")
    export = ExportConfigurationOperator(task_id="export", destination=f"file://{tmp_path}/tenant.yaml")
    counts = export.execute({})["counts"]
    assert counts["roles"] >= 3
    text = (tmp_path / "tenant.yaml").read_text("utf-8")
    assert SECRETS["hook"] not in text
    config = yaml.safe_load(text)
    placeholder = config["webhooks"][0]["config"]["headers"]["authorization"]["$secret"]
    secrets = {placeholder: SECRETS["hook"]}
    file = f"file://{tmp_path}/tenant.yaml"
    assert apply(tmp_path / "plans", file, "check", secrets=secrets)["counts"] == {}

    sandbox.reset()
    for row in list(LogtoHook().iterate("/roles", {"type": "User"})):
        LogtoHook().request("DELETE", f"/roles/{row['id']}")
    assert apply(tmp_path / "others", file, secrets=secrets, brakes={"destructive": 5})["applied"]
    assert apply(tmp_path / "others", file, "check", secrets=secrets)["counts"] == {}


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({}, "config: must be an object"),
        ({"rolls": []}, "config.rolls: is unknown; did you mean roles"),
        ({"roles": {}}, "config.roles: must be a list"),
        ({"roles": [{"description": "-"}]}, r"config\.roles\[0\]\.name: missing"),
        ({"roles": [{"name": "a"}]}, r"config\.roles\[0\]\.description: missing"),
        ({"roles": [{"name": "a", "description": "-", "scope": []}]}, "did you mean scopes"),
        ({"roles": [{"name": "a", "description": "-", "scopes": ["read"]}]}, "indicator -> names"),
        ({"roles": [{"name": "a", "description": "-"}] * 2}, "role 'a' is listed twice"),
        ({"resources": [{"indicator": "https://a", "name": "a", "scopes": ["a b"]}]}, "must not contain spaces"),
        ({"webhooks": [{"name": "a", "events": ["User.Created"], "config": {"headers": {"x": "y"}}}]}, "may be secret"),
        (
            {"webhooks": [{"name": "a", "events": ["x"], "config": {"headers": {"x": {"$secret": "no"}}}}]},
            "no secret 'no' in secrets",
        ),
        ({"roles": [{"name": "a", "description": "-", "scopes": {"https://no": ["x"]}}]}, "which does not exist"),
        ({"sign_in_experience": {"signIn": {"methods": []}, "socialSignInConnectorTargets": []}}, "no way to sign in"),
        ({"sign_in_experience": {"signInMode": "Register"}}, "signInMode Register would leave no way to sign in"),
        ({"roles": [{"name": "a" * 129, "description": "-"}]}, r"config\.roles\[0\]\.name: has 129 characters"),
        ({"roles": [{"name": "a", "description": "-" * 129}]}, r"\.description: has 129 characters"),
        ({"organization_scopes": ["\U0001f469" * 65]}, r"config\.organization_scopes\[0\]\.name: has 130 characters"),
        ({"resources": [{"indicator": "https://a", "name": "a", "scopes": ["a" * 257]}]}, "has 257 characters"),
        (
            {"webhooks": [{"name": "a", "events": ["User.Created", "user.delete"], "config": {}}]},
            r"config\.webhooks\[0\]\.events\[1\]: 'user\.delete' is unknown; did you mean User\.Deleted",
        ),
        ({"webhooks": [{"name": "a", "events": "User.Created", "config": {}}]}, r"\.events: must be a list"),
        ({"webhooks": [{"name": "a", "events": [5], "config": {}}]}, r"\.events\[0\]: must be a text, not int"),
        ({"webhooks": [{"name": "a\0", "events": ["User.Created"], "config": {}}]}, "a NUL character"),
        (
            {"applications": [{"name": "a", "type": "SPA", "customData": {"since": date(2026, 1, 1)}}]},
            r"config\.applications\[0\]\.customData\.since: ",
        ),
        (
            {"applications": [{"name": "a", "type": "SPA", "customData": {"$secret": "hook"}}]},
            r"config\.applications\[0\]\.customData: must be an object, not str",
        ),
        ({"applications": [{"name": "a", "type": "SPA", "roles": ["batch"]}]}, r"\.roles: only a MachineToMachine"),
        ("{'webhooks': []}", "config: is a list or an object as text.*render_template_as_native_obj=True"),
        ("file:///nowhere/config.yaml", "config: .* cannot be read"),
    ],
)
def test_wrong_configurations_are_refused_before_the_first_write(
    sandbox: Sandbox, tmp_path: Path, config: Any, message: str
) -> None:
    with pytest.raises(AirflowFailException, match=message):
        apply(tmp_path, config)
    assert sandbox.stats()["writes"] == 0


def test_an_unchanged_configuration_costs_a_request_a_list_and_an_object_without_list(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    indicator = "https://orders.example.com"
    config = {
        "resources": [{"indicator": indicator, "name": "Orders", "scopes": [f"do:{at}" for at in range(49)]}],
        "organization_scopes": [f"bill:{at}" for at in range(50)],
        "roles": [
            {"name": f"role{at}", "description": "-", "scopes": {indicator: [f"do:{at % 49}"]}} for at in range(100)
        ],
    }
    apply(tmp_path, config)
    sandbox.reset_stats()
    assert apply(tmp_path, config)["applied"]
    stats = sandbox.stats()
    # The ledger, the Connection's own roles, four pages of three lists, and the scopes of each role.
    assert stats["writes"] == 0
    assert stats["requests"] - stats["tokens"] == 2 + 4 + 100


LEDGER = "/api/applications/{applicationId}/custom-data"


@pytest.mark.parametrize("fault", ["lost_answer", "reset", "error"])
@pytest.mark.parametrize(
    ("method", "path"),
    [("PATCH", LEDGER), ("PATCH", "/api/roles/{id}"), ("PATCH", "/api/hooks/{id}"), ("DELETE", "/api/roles/{id}")],
)
def test_lost_answers_of_changes_deletions_and_of_the_ledger(
    sandbox: Sandbox, tmp_path: Path, method: str, path: str, fault: str
) -> None:
    more: dict[str, Any] = {"reset": {"after_commit": True}, "error": {"status": 500}}.get(fault, {})
    if path == LEDGER:
        sandbox.add_fault(kind=fault, method=method, path=path, **more)
    apply(tmp_path)
    changed = json.loads(json.dumps(CONFIG))
    changed["roles"][0]["description"] = "Handles all orders"
    changed["roles"], changed["applications"] = changed["roles"][:1], changed["applications"][:1]
    arguments: dict[str, Any] = {"prune": ["roles"], "brakes": {"destructive": 1}, "secrets": {"hook": "another"}}
    if path != LEDGER:
        sandbox.add_fault(kind=fault, method=method, path=path, **more)
    assert apply(tmp_path, changed, **arguments)["applied"]
    assert apply(tmp_path, changed, "check", **arguments)["counts"] == {}
    assert "batch" not in names("/roles")
    gone = apply(tmp_path, {"organization_scopes": ["bill"]}, prune=["roles"], brakes={"destructive": 1})
    assert gone["counts"]["made.role.delete"] == 1


def test_hosts_that_apply_at_once_make_nothing_twice(sandbox: Sandbox, tmp_path: Path) -> None:
    async def host(number: int) -> dict[str, Any]:
        folder = tmp_path / str(number)
        job = ConfigurationJob.checked("orders", CONFIG, "apply", (), SECRETS, None)
        options = Options(local_store(folder), place=[folder], run=Run(f"manual__{number}", 1))
        async with client_of(sandbox) as client:
            return await apply_configuration(client, job, options)

    async def hosts() -> list[dict[str, Any]]:
        return await asyncio.gather(*map(host, range(3)))

    # Each has planned before the first one writes.
    sandbox.add_fault(kind="slow", method="GET", path="/api/hooks", seconds=0.5, times=3)
    assert [result["applied"] for result in asyncio.run(hosts())] == [True] * 3
    for path, key, wanted in (
        ("applications", "name", {"Orders page", "Orders batch"}),
        ("hooks", "name", {"audit"}),
        ("roles", "name", {"clerk", "batch"}),
        ("resources", "indicator", {"https://orders.example.com"}),
    ):
        made = Counter(row[key] for row in sandbox.state()[path] if row[key] in wanted)
        assert made == dict.fromkeys(wanted, 1)
    assert apply(tmp_path, mode="check")["counts"] == {}


def test_what_a_refused_ledger_missed_is_in_the_next_one(sandbox: Sandbox, tmp_path: Path) -> None:
    config = {"roles": [{"name": f"r{at}", "description": "-"} for at in range(3)]}
    sandbox.add_fault(kind="error", status=422, method="PATCH", path=LEDGER, times=1)
    with pytest.raises(ChangesFailed, match="1 changes failed"):
        apply(tmp_path, config)
    assert apply(tmp_path, config)["applied"]
    other = {"roles": [{"name": "other", "description": "-"}]}
    assert apply(tmp_path, other, prune=["roles"], brakes={"destructive": 3})["counts"]["made.role.delete"] == 3


def test_a_stored_plan_leaves_what_has_drifted(sandbox: Sandbox, tmp_path: Path) -> None:
    apply(tmp_path)
    changed = json.loads(json.dumps(CONFIG))
    changed["roles"][0]["description"] = "Handles all orders"
    changed["organization_scopes"][0]["description"] = "Sees bills"
    plan = apply(tmp_path, changed, "plan")
    role = next(row for row in LogtoHook().iterate("/roles") if row["name"] == "clerk")
    LogtoHook().request("PATCH", f"/roles/{role['id']}", body={"description": "by hand"})
    counts = apply(tmp_path, changed, plan=plan["plan_id"])["counts"]
    assert counts["changes.success"] == 1
    assert counts["changes.skipped"] == 1
    assert LogtoHook().request("GET", f"/roles/{role['id']}")["description"] == "by hand"
    with pytest.raises(AirflowFailException, match="was applied already"):
        apply(tmp_path, changed, plan=plan["plan_id"])


def test_a_retry_after_the_end_has_nothing_left_to_do(sandbox: Sandbox, tmp_path: Path) -> None:
    plan = apply(tmp_path, mode="plan")["plan_id"]

    def attempt(number: int) -> dict[str, Any]:
        job = ConfigurationJob.checked("orders", CONFIG, "apply", (), SECRETS, None)
        options = Options(local_store(tmp_path), plan=plan, place=[tmp_path], run=Run("manual__1", number))

        async def story() -> dict[str, Any]:
            async with client_of(sandbox) as client:
                return await apply_configuration(client, job, options)

        return asyncio.run(story())

    assert attempt(1)["applied"]
    sandbox.reset_stats()
    assert attempt(2)["applied"]
    assert sandbox.stats()["writes"] == 0


def test_objects_of_two_kinds_may_have_one_name(sandbox: Sandbox, tmp_path: Path) -> None:
    config = {
        "roles": [{"name": "portal", "description": "x"}],
        "applications": [{"name": "portal", "type": "SPA"}],
        "webhooks": [{"name": "portal", "events": ["User.Created"], "config": {"url": "https://x.example/hook"}}],
    }
    sandbox.add_fault(kind="error", status=400, method="POST", path="/api/roles", times=1)
    with pytest.raises(ChangesFailed, match=r"1 changes failed \(role portal\)"):
        apply(tmp_path, config)
    assert apply(tmp_path, config)["counts"]["made.role.create"] == 1
    # What somebody has changed since the plan was made is left alone, the others are not.
    changed = json.loads(json.dumps(config))
    changed["roles"][0]["description"] = "y"
    changed["webhooks"][0]["events"] = ["User.Deleted"]
    plan = apply(tmp_path, changed, "plan")["plan_id"]
    role = next(row for row in LogtoHook().iterate("/roles") if row["name"] == "portal")
    LogtoHook().request("PATCH", f"/roles/{role['id']}", body={"description": "by hand"})
    counts = apply(tmp_path, changed, plan=plan)["counts"]
    assert (counts["made.webhook.update"], counts["changes.skipped"]) == (1, 1)


def test_keep_days_as_text_is_named_before_the_first_request(sandbox: Sandbox, tmp_path: Path) -> None:
    with pytest.raises(AirflowFailException, match="keep_days: '90' is no number of days"):
        apply(tmp_path, keep_days="90")
    assert sandbox.stats()["requests"] == 0


def test_every_secret_is_masked_however_deep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    masked: list[str] = []
    monkeypatch.setattr("airflow_provider_logto.operators.configuration.mask_secret", masked.append)
    secrets = {**SECRETS, "smtp": {"user": "one", "pass": ["two", 3, None, {"x": "three"}]}, "empty": ""}
    apply(tmp_path, mode="plan", secrets=secrets)
    assert masked == [SECRETS["hook"], "one", "two", "three"]


def test_a_plan_of_another_app_secret_is_refused_with_the_reason(sandbox: Sandbox, tmp_path: Path) -> None:
    plan = apply(tmp_path, mode="plan")["plan_id"]
    secret = LogtoHook().request("POST", f"/applications/{sandbox.app_id}/secrets", body={"name": "new"})["value"]
    job = ConfigurationJob.checked("orders", CONFIG, "apply", (), SECRETS, None)

    async def story() -> None:
        async with client_of(sandbox, secret=secret) as client:
            await apply_configuration(client, job, Options(local_store(tmp_path), plan=plan, place=[tmp_path]))

    with pytest.raises(PlanRefused, match="or with another App secret"):
        asyncio.run(story())


class _Try:
    def __init__(self, number: int) -> None:
        self.try_number = number

    def xcom_push(self, key: str, value: Any) -> None:
        pass


def test_an_approved_plan_is_gone_on_with_by_a_retry(sandbox: Sandbox, tmp_path: Path) -> None:
    apply(tmp_path)
    less = {**CONFIG, "roles": [], "organization_roles": [], "applications": CONFIG["applications"][:1]}

    def attempt(number: int, **arguments: Any) -> dict[str, Any]:
        operator = ApplyConfigurationOperator(
            task_id="apply",
            configuration="orders",
            config=less,
            folder=f"file://{tmp_path}",
            mode="apply",
            secrets=SECRETS,
            prune=["roles"],
            **arguments,
        )
        result: dict[str, Any] = operator.execute({"run_id": "manual__1", "ti": _Try(number)})  # type: ignore[typeddict-item]
        return result

    plan = apply(tmp_path, less, "plan", prune=["roles"])
    sandbox.add_fault(kind="error", status=422, method="DELETE", path="/api/roles/{id}", times=1)
    with pytest.raises(ChangesFailed):
        attempt(1, approve_plan=plan["plan_id"])
    assert len({"clerk", "batch"} & names("/roles")) == 1
    assert attempt(2, approve_plan=plan["plan_id"])["plan_id"] == plan["plan_id"]
    assert not {"clerk", "batch"} & names("/roles")


SIGN_IN = {
    "passwordExpiration": {"enabled": True, "validPeriodDays": 90},
    "passwordPolicy": {"length": {"min": 10}, "rejects": {"words": ["acme"]}},
    "emailBlocklistPolicy": {"customBlocklist": ["@x.example", "@y.example", "@x.example"]},
    "supportEmail": "",
    "customCss": "",
}
LOOSE: dict[str, Any] = {"brakes": {"destructive": 1}}


@pytest.fixture
def expiration(sandbox_tenant: Any, sandbox: Sandbox) -> None:
    """Passwords may expire once people can get a new one."""
    config = {"apiKey": "k", "fromEmail": "a@x.example", "templates": []}
    hook = LogtoHook()
    hook.request("POST", "/connectors", body={"connectorId": "mock-email-service", "config": config})
    hook.request("PATCH", "/sign-in-exp", body={"forgotPasswordMethods": ["EmailVerificationCode"]})
    hook.request("PATCH", "/sign-in-exp", body={"customCss": "a {}", "supportEmail": "a@x.example"})
    sandbox.reset_stats()


@pytest.mark.usefixtures("expiration")
def test_a_sign_in_experience_is_compared_as_it_is_stored(sandbox: Sandbox, tmp_path: Path) -> None:
    config = {"sign_in_experience": SIGN_IN}
    assert apply(tmp_path, config, **LOOSE)["counts"]["made.sign_in_experience.update"] == 1
    stored = LogtoHook().request("GET", "/sign-in-exp")
    assert "enabledAt" in stored["passwordExpiration"]
    assert (stored["customCss"], stored["passwordPolicy"]["length"]) == (None, {"min": 10, "max": 256})
    assert apply(tmp_path, config, "check")["counts"] == {}
    # A part of it leaves the rest, and an export of another tenant has another moment.
    theirs = {"passwordExpiration": {"enabled": True, "validPeriodDays": 90, "enabledAt": 1}}
    for same in (theirs, {"passwordExpiration": {"enabled": True}}):
        assert apply(tmp_path, {"sign_in_experience": same}, "check")["counts"] == {}
    off = {"sign_in_experience": {"passwordExpiration": {"enabled": False, "validPeriodDays": 90}}}
    assert apply(tmp_path, off, **LOOSE)["applied"]
    assert apply(tmp_path, off, "check")["counts"] == {}
    days = {"sign_in_experience": {"passwordExpiration": {"enabled": True, "validPeriodDays": 30}}}
    assert apply(tmp_path, days, **LOOSE)["applied"]
    assert LogtoHook().request("GET", "/sign-in-exp")["passwordExpiration"]["validPeriodDays"] == 30


def test_an_empty_text_and_repeated_events_converge(tmp_path: Path) -> None:
    hook = {"name": "audit", "events": ["User.Created", "User.Created"], "config": {"url": "https://x.example/hook"}}
    config = {
        "organization_scopes": [{"name": "bill", "description": ""}],
        "organization_roles": [{"name": "payer", "description": ""}],
        "applications": [{"name": "page", "type": "SPA", "description": ""}],
        "webhooks": [hook],
    }
    assert apply(tmp_path, config)["counts"]["changes.success"] == 4
    assert apply(tmp_path, config, "check")["counts"] == {}
    # A text that was there is emptied.
    given = {**config, "organization_scopes": [{"name": "bill", "description": "See bills"}]}
    assert apply(tmp_path, given)["applied"]
    assert apply(tmp_path, config)["counts"]["made.organization_scope.update"] == 1
    assert apply(tmp_path, config, "check")["counts"] == {}


@pytest.mark.parametrize(
    ("section", "entry", "lost"),
    [
        (
            "applications",
            {"name": "page", "type": "SPA", "customClientMetadata": {"refreshTokenTtlInDay": 14, "idTokenTtl": 60}},
            "customClientMetadata.refreshTokenTtlInDay",
        ),
        (
            "webhooks",
            {
                "name": "audit",
                "events": ["User.Created"],
                "config": {"url": "https://x.example/hook", "header": {"authorization": {"$secret": "hook"}}},
            },
            "config.header",
        ),
    ],
)
def test_what_logto_does_not_keep_is_an_error_of_this_run(
    tmp_path: Path, section: str, entry: dict[str, Any], lost: str
) -> None:
    config = {section: [entry], "roles": [{"name": "clerk", "description": "-"}]}
    kind = section.removesuffix("s")
    with pytest.raises(
        AirflowFailException, match=rf"1 changes failed .*made\. {kind} .*: Logto did not keep {lost}\. "
    ):
        apply(tmp_path, config)
    assert "clerk" in names("/roles")
    journal = [json.loads(line) for path in tmp_path.rglob("*.journal/*") for line in path.read_text().splitlines()]
    assert {line["reason"] for line in journal if line["status"] == "failed"} == {f"Logto did not keep {lost}"}
    # It exists, known to be ours; and a run of an update says the same.
    with pytest.raises(AirflowFailException, match=rf"Logto did not keep {lost}"):
        apply(tmp_path, config)
    files = [path.read_text("utf-8") for path in tmp_path.rglob("*") if path.is_file()]
    assert not [content for content in files if SECRETS["hook"] in content]
    gone = apply(tmp_path, {"roles": []}, prune=[section], **LOOSE)
    assert gone["counts"][f"made.{kind}.delete"] == 1


def test_a_failure_that_a_retry_may_help_is_retried_beside_one_that_it_cannot(sandbox: Sandbox, tmp_path: Path) -> None:
    config = {
        "applications": [{"name": "page", "type": "SPA", "customClientMetadata": {"x": 1}}],
        "roles": [{"name": "clerk", "description": "-"}],
    }
    sandbox.add_fault(kind="error", status=400, method="POST", path="/api/roles", times=1)
    with pytest.raises(ChangesFailed, match=r"2 changes failed .* application page: Logto did not keep"):
        apply(tmp_path, config)
