"""Whatever a server says about organizations, applications and a configuration, what leaves is one of our errors."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_logto.configuration.export import SECTIONS, export_configuration
from airflow_provider_logto.configuration.sync import (
    ConfigurationJob,
    FailedConfiguration,
    Options,
    apply_configuration,
)
from airflow_provider_logto.exceptions import LogtoError
from airflow_provider_logto.management.application_secrets import new_secret, retire_secrets
from airflow_provider_logto.management.application_spec import ApplicationSpec
from airflow_provider_logto.management.applications import ensure_application
from airflow_provider_logto.management.member_removal import remove_members
from airflow_provider_logto.management.members import checked_members
from airflow_provider_logto.management.organization_details import Details
from airflow_provider_logto.management.organization_removal import delete_organization
from airflow_provider_logto.management.organization_spec import OrganizationSpec
from airflow_provider_logto.management.organizations import ensure_organization
from airflow_provider_logto.management.protection import Protection
from tests.configuration.test_configuration import CONFIG, SECRETS
from tests.configuration.test_connectors import oidc
from tests.roster.conftest import local_store

from .conftest import Ask
from .server import HostileServer, Request, http

EXT = {"externalId": "17"}
SCOPE = {"id": "s1", "name": "read:orders", "description": None}
SHOP = {"id": "a1", "name": "shop", "type": "MachineToMachine", "createdAt": 1, "customData": EXT}
SHOP |= {"oidcClientMetadata": {"redirectUris": []}, "customClientMetadata": {"corsAllowedOrigins": []}}
PAYER = {"id": "or1", "name": "payer", "type": "User", "scopes": [], "resourceScopes": [SCOPE]}
BATCH = {"id": "r2", "name": "batch", "type": "MachineToMachine", "description": "-"}
ACME = {"id": "o1", "name": "Acme", "createdAt": 1, "customData": EXT, "branding": {}, "color": {}}
ADA = {"id": "u1", "username": "ada", "isSuspended": False, "createdAt": 1, "customData": {}}
CONNECTOR = {"id": "c1", "connectorId": "oidc", "target": "acme", "type": "Social", "isStandard": True}
CONNECTOR |= {"metadata": {"target": "acme"}, "config": {"clientId": "x"}}
OLD = {"name": "old", "value": "v", "createdAt": 1, "expiresAt": None}
#: What a server says that is right.
TRUE: dict[str, Any] = {
    "/api/applications/app": {"id": "app", "customData": {}},
    "/api/applications/app/roles": [{"id": "own"}],
    "/api/roles": [{"id": "r1", "name": "clerk", "type": "User", "description": "-", "usersCount": 1}, BATCH],
    "/api/roles/r1/scopes": [SCOPE],
    "/api/resources": [
        {"id": "res1", "indicator": "https://orders.example.com", "name": "Orders", "scopes": [SCOPE]},
        {"id": "api", "indicator": "https://default.logto.app/api", "name": "api", "scopes": []},
    ],
    "/api/organization-roles": [PAYER, {"id": "or2", "name": "member", "type": "User"}],
    "/api/organization-scopes": [{"id": "os1", "name": "bill"}],
    "/api/applications": [SHOP, {**SHOP, "id": "a2", "name": "Orders batch", "customData": {}}],
    "/api/applications/a1": SHOP,
    "/api/applications/a1/roles": [BATCH],
    "/api/applications/a2/roles": [BATCH],
    "/api/applications/a1/secrets": [OLD, {**OLD, "name": "new"}],
    "/api/connectors": [CONNECTOR],
    "/api/connector-factories/oidc": {"type": "Social", "target": "oidc", "isStandard": True},
    "/api/hooks": [{"id": "h1", "name": "audit", "createdAt": 1, "events": [], "config": {"headers": {}}}],
    "/api/sign-in-exp": {"signIn": {"methods": [{"password": True}]}, "socialSignInConnectorTargets": ["acme"]},
    "/api/organizations": [ACME],
    "/api/organizations/o1": ACME,
    "/api/organizations/o1/users": [{**ADA, "organizationRoles": [{"id": "or2", "name": "member"}]}],
    "/api/organizations/o1/applications": [{"id": "a1", "organizationRoles": []}],
    "/api/organizations/o1/jit/email-domains": [{"emailDomain": "x.example"}],
    "/api/organizations/o1/jit/roles": [{"id": "or2", "name": "member"}],
    "/api/organizations/o1/jit/sso-connectors": [{"id": "sso1", "connectorName": "Okta"}],
    "/api/sso-connectors": [{"id": "sso1", "connectorName": "Okta"}],
    "/api/users": [ADA],
    "/api/users/u1/roles": [BATCH],
    "/api/logs": [],
}
MADE = {"id": "new", "createdAt": 5, "name": "x", "value": "v", "type": "User"}
ODD: list[Any] = [None, [], {}, "x", 3, [None], ["x"], [{}], [[]], [{"id": 1}], [{"id": "x"}]]
VALUES: list[Any] = [None, 1, "x", "\0", True, [], [1], [None], [{}], {}, {"a": {"b": [None]}}]
GUARD = Protection.checked([{"role": "clerk"}])
DETAILS = Details.checked(
    applications=["a1"], jit_email_domains=["x.example"], jit_roles=["member"], jit_sso_connectors=["Okta"]
)


def odd(true: Any) -> Iterator[Any]:
    """Other things in its place, and other things in each of its fields."""
    yield from ODD
    first, rest = (true[0], true[1:]) if isinstance(true, list) and true else (true, None)
    for name in first or ():
        without = {key: value for key, value in first.items() if key != name}
        for changed in (without, *({**first, name: value} for value in VALUES)):
            yield changed if rest is None else [changed, *rest]


async def configuration(client: Any, folder: Path) -> None:
    experience = {"socialSignInConnectorTargets": ["acme"]}
    config = {**CONFIG, "connectors": [oidc("acme")], "sign_in_experience": experience}
    prune, brakes = ("organization_scopes", "connectors"), {"destructive": 99}
    job = ConfigurationJob.checked("orders", config, "apply", prune, {**SECRETS, "acme": "s"}, brakes)
    with suppress(FailedConfiguration):
        await apply_configuration(client, job, Options(local_store(folder), place=[folder]))


async def organization(client: Any, folder: Path) -> None:
    members = checked_members([{"username": "ada"}], ["member"])
    spec = OrganizationSpec.checked("Acme", "17", branding={"logoUrl": "https://x.example"})
    await ensure_organization(client, spec, members, prune_members=True, details=DETAILS)


async def secrets(client: Any, folder: Path) -> None:
    made = await new_secret(client, "a1", "brand new")
    await retire_secrets(client, made.application, "new", ["old"], 1.0)


SPEC = ApplicationSpec.checked("shop", "MachineToMachine", "17", roles=["batch"], client_metadata={"a": 1}, exact=True)
WORK: dict[str, Callable[..., Any]] = {
    "configuration": configuration,
    "export": lambda client, _: export_configuration(client, SECTIONS),
    "application": lambda client, _: ensure_application(client, SPEC),
    "secrets": secrets,
    "organization": organization,
    "removal": lambda client, _: remove_members(client, "Acme", ["ada"], GUARD),
    "deletion": lambda client, _: delete_organization(client, "Acme", GUARD, max_members=5),
}


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow_provider_logto.management.creating_once._SETTLING", (0.0, 0.0))


def check(ask: Ask, hostile: HostileServer, folder: Path, work: str, cases: Iterator[tuple[str, Any]]) -> None:
    for at, (where, value) in enumerate(cases):

        def answer(asked: Request, where: str = where, value: Any = value) -> list[bytes]:
            path = asked.target.split("?")[0]
            return [http("200 OK", json.dumps(value if path == where else TRUE.get(path, MADE)).encode())]

        hostile.answer = answer
        with suppress(LogtoError):
            ask(lambda client, at=at: WORK[work](client, folder / str(at)))


def every_case() -> Iterator[tuple[str, Any]]:
    return ((where, value) for where, true in TRUE.items() for value in odd(true))


@pytest.mark.parametrize("work", WORK)
def test_some_odd_answers_end_as_errors_of_ours(ask: Ask, hostile: HostileServer, tmp_path: Path, work: str) -> None:
    check(ask, hostile, tmp_path, work, itertools.islice(every_case(), 0, None, 17))


@pytest.mark.slow
@pytest.mark.parametrize("work", WORK)
def test_every_odd_answer_ends_as_an_error_of_ours(ask: Ask, hostile: HostileServer, tmp_path: Path, work: str) -> None:
    check(ask, hostile, tmp_path, work, every_case())
