"""A starting state from JSON, written through the same handlers and checks as the API's own calls."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from logto_sandbox.api.router import ROUTER
from logto_sandbox.errors import ApiError, BareError, ForeignKeyError, UniqueViolationError
from logto_sandbox.http.routing import Call
from logto_sandbox.http.schema import validate
from logto_sandbox.store import access
from logto_sandbox.store.defaults import BUILT_IN_APPLICATIONS
from logto_sandbox.store.logs.spec import LogSpecError, insert_logs
from logto_sandbox.store.relations import Row
from logto_sandbox.store.rows import new_id
from logto_sandbox.store.state import IDENTIFIERS, TENANT_ID
from logto_sandbox.store.tenant import Tenant


class SeedError(ValueError):
    """A seed that cannot be applied; the text begins with the key or row, e.g. ``users[3].roles``."""


def perform(tenant: Tenant, method: str, path: str, body: Any = None) -> Any:
    """One operation without HTTP and without a token: schema check, then the handler.

    :return: what the handler returns
    :raises ApiError: as the API would answer
    """
    route, params, _ = ROUTER.find(method, path)
    if route is None:
        raise ValueError(f"{method} {path} is not modelled")
    call = Call(tenant, path, params)
    if route.body is not None:
        call.body = validate(route.body, {} if body is None else body)
    return route.handler(call)


def read_seed(source: Path | str | Mapping[str, Any]) -> Mapping[str, Any]:
    """A seed from a JSON file (or as it is).

    :raises SeedError: naming the file when it is absent or no JSON object
    """
    if isinstance(source, Mapping):
        return source
    try:
        seed = json.loads(Path(source).read_text("utf-8"))
    except OSError as error:
        raise SeedError(f"{source}: {error.strerror}") from error
    except ValueError as error:
        raise SeedError(f"{source}: no JSON: {error}") from error
    if not isinstance(seed, dict):
        raise SeedError(f"{source}: expected an object, got a {type(seed).__name__}")
    return seed


def apply_seed(tenant: Tenant, seed: Mapping[str, Any]) -> dict[str, int]:
    """Add what a seed describes to a tenant; or, for a dump (it has ``relations``), take that state over.

    :param seed: lists under the keys of :data:`_FAMILIES`: bodies of the POST that creates a row, and beside them
        names of what belongs to it (``scopes``, ``roles``, ``members``, ``personalAccessTokens``, ...);
        ``sessions`` and ``grants``: ``{"user", "application"}``; ``accountCenter`` and ``signInExperience``: bodies
        of the PATCH; ``logs``: rows or a spec (see :func:`spec.insert_logs`)
    :return: how many rows of each key were created
    :raises SeedError: naming the key or row. Rows before it stay
    """
    if "relations" in seed:
        try:
            tenant.load(seed)
        except (KeyError, TypeError, ValueError) as error:
            raise SeedError(f"state: {error}") from error
        return {}
    known = [*_DOCUMENTS, *_FAMILIES, "logs"]
    if unknown := sorted(set(seed) - set(known)):
        raise SeedError(f"{unknown[0]}: unknown key; known: {', '.join(known)}")
    for key in _DOCUMENTS.keys() & seed.keys():
        _create(tenant, _document, key, seed[key])
    made = {}
    for family in (family for family in _FAMILIES if family in seed):
        rows, create = seed[family], _FAMILIES[family]
        if not isinstance(rows, list):
            raise SeedError(f"{family}: expected a list, got {rows!r}")
        for number, row in enumerate(rows):
            _create(tenant, create, f"{family}[{number}]", row)
        made[family] = len(rows)
    try:
        made["logs"] = insert_logs(tenant.logs, seed.get("logs", []), tenant.now_ms())["count"]
    except LogSpecError as error:
        text = str(error)
        raise SeedError(text if text.startswith("logs") else f"logs.{text}") from error
    return made


class _Seeder:
    """One row on its way in: ``extra`` holds the keys that are not part of the POST body."""

    def __init__(self, tenant: Tenant, where: str, row: dict[str, Any]) -> None:
        self.tenant, self.where, self.row = tenant, where, dict(row)

    def take(self, key: str, kind: type, default: Any) -> Any:
        value = self.row.pop(key, default)
        if not isinstance(value, kind):
            raise SeedError(f"{self.where}.{key}: expected {kind.__name__}, got {value!r}")
        return value

    def post(self, path: str, body: Any = None, method: str = "POST") -> Any:
        body = self.row if body is None else body
        self._refuse_unknown(method, path, body)
        result = perform(self.tenant, method, path, body)
        return getattr(result, "body", result)

    def _refuse_unknown(self, method: str, path: str, body: Any) -> None:
        """The API strips unknown keys silently; in a seed they are slips of the pen."""
        route = ROUTER.find(method, path)[0]
        shape = getattr(route.body, "shape", None) if route else None
        if shape is not None and (unknown := sorted(set(body) - set(shape))):
            raise SeedError(f"{self.where}.{unknown[0]}: unknown key; known: {', '.join(shape)}")

    def named(self, table: str, key: str, names: list[Any]) -> list[str]:
        """The ids of rows by name."""
        ids = {row["name"]: row["id"] for row in self.tenant.tables[table].values()}
        for name in names:
            if not isinstance(name, str) or name not in ids:
                raise SeedError(f"{self.where}.{key}: there is no {name!r} among the {table}")
        return [ids[name] for name in names]

    def user(self, key: str, reference: Any) -> Row:
        """A user by username, e-mail, phone or id."""
        for field in (*IDENTIFIERS, "id"):
            if found := self.tenant.users_by(field, str(reference)):
                return found[0]
        raise SeedError(f"{self.where}.{key}: there is no user {reference!r}")

    def application(self, reference: Any) -> str:
        """The id of an application by id or name; of a built-in one by id."""
        rows = self.tenant.tables["applications"].values()
        for row in rows:
            if reference in (row["id"], row["name"]):
                return str(row["id"])
        if reference in BUILT_IN_APPLICATIONS:
            return str(reference)
        raise SeedError(f"{self.where}.application: there is no application {reference!r}")


def _create(tenant: Tenant, create: Callable[[_Seeder], None], where: str, row: Any) -> None:
    if not isinstance(row, dict):
        raise SeedError(f"{where}: expected an object, got {row!r}")
    try:
        create(_Seeder(tenant, where, row))
    except ApiError as error:
        raise SeedError(f"{where}: {error.details or error.message} ({error.code})") from error
    except (BareError, ForeignKeyError, UniqueViolationError) as error:
        raise SeedError(f"{where}: refused ({type(error).__name__})") from error


def _resource(seeder: _Seeder) -> None:
    scopes = seeder.take("scopes", list, [])
    resource = seeder.post("/api/resources")
    for scope in scopes:
        body = {"name": scope} if isinstance(scope, str) else scope
        seeder.post(f"/api/resources/{resource['id']}/scopes", body)


def _role(seeder: _Seeder) -> None:
    if scopes := seeder.take("scopes", list, []):
        seeder.row["scopeIds"] = seeder.named("scopes", "scopes", scopes)
    seeder.post("/api/roles")


def _organization_scope(seeder: _Seeder) -> None:
    seeder.post("/api/organization-scopes")


def _organization_role(seeder: _Seeder) -> None:
    if scopes := seeder.take("scopes", list, []):
        seeder.row["organizationScopeIds"] = seeder.named("organization_scopes", "scopes", scopes)
    seeder.post("/api/organization-roles")


def _user(seeder: _Seeder) -> None:
    roles = seeder.take("roles", list, [])
    suspended = seeder.take("isSuspended", bool, False)
    lists = {key: seeder.take(key, list, []) for key in ("personalAccessTokens", "mfaVerifications", "ssoIdentities")}
    identities = seeder.take("identities", dict, {})
    user = seeder.post("/api/users")
    path = f"/api/users/{user['id']}"
    for token in lists["personalAccessTokens"]:
        seeder.post(f"{path}/personal-access-tokens", {"name": token} if isinstance(token, str) else token)
    for factor in lists["mfaVerifications"]:
        seeder.post(f"{path}/mfa-verifications", {"type": factor} if isinstance(factor, str) else factor)
    for identity in lists["ssoIdentities"]:
        _sso_identity(seeder, user, identity)
    for target, identity in identities.items():
        seeder.post(f"{path}/identities/{quote(target, safe='')}", identity, method="PUT")
    if roles:
        seeder.post(f"{path}/roles", {"roleIds": seeder.named("roles", "roles", roles)})
    if suspended:
        seeder.post(f"{path}/is-suspended", {"isSuspended": True}, method="PATCH")


def _sso_identity(seeder: _Seeder, user: Row, identity: Any) -> None:
    """The API has no operation for this: it comes from a sign-in through the connector."""
    connectors = {row["connectorName"]: row for row in seeder.tenant.tables["sso_connectors"].values()}
    if not isinstance(identity, dict) or identity.get("connector") not in connectors:
        raise SeedError(f"{seeder.where}.ssoIdentities: expected {{connector, identityId}}, got {identity!r}")
    connector, moment = connectors[identity["connector"]], seeder.tenant.now_ms()
    row = {"tenantId": TENANT_ID, "id": new_id(), "userId": user["id"]}
    row |= {"issuer": connector["config"].get("issuer", "https://sso.example.com")}
    row |= {"identityId": identity.get("identityId", new_id()), "detail": {}, "createdAt": moment, "updatedAt": moment}
    seeder.tenant.tables["user_sso_identities"].put(row | {"ssoConnectorId": connector["id"]})


def _organization(seeder: _Seeder) -> None:
    members = seeder.take("members", list, [])
    domains = seeder.take("jitEmailDomains", list, [])
    organization = seeder.post("/api/organizations")
    path = f"/api/organizations/{organization['id']}"
    for member in members:
        about = member if isinstance(member, dict) else {"user": member}
        user_id = seeder.user("members", about.get("user"))["id"]
        seeder.post(f"{path}/users", {"userIds": [user_id]})
        if about.get("roles"):
            roles = {"organizationRoleIds": seeder.named("organization_roles", "members.roles", about["roles"])}
            seeder.post(f"{path}/users/{user_id}/roles", roles)
    for domain in domains:
        seeder.post(f"{path}/jit/email-domains", {"emailDomain": domain})


def _application(seeder: _Seeder) -> None:
    roles = seeder.take("roles", list, [])
    application = seeder.post("/api/applications")
    if roles:
        role_ids = seeder.named("roles", "roles", roles)
        seeder.post(f"/api/applications/{application['id']}/roles", {"roleIds": role_ids})


def _hook(seeder: _Seeder) -> None:
    seeder.post("/api/hooks")


def _sso_connector(seeder: _Seeder) -> None:
    seeder.post("/api/sso-connectors")


def _session(seeder: _Seeder) -> None:
    access.sign_in(seeder.tenant, *_signed_in(seeder))


def _grant(seeder: _Seeder) -> None:
    access.add_grant(seeder.tenant, *_signed_in(seeder))


def _signed_in(seeder: _Seeder) -> tuple[str, str]:
    """The ids of who signed in, and of the application they signed in to."""
    user, application = seeder.row.pop("user", None), seeder.row.pop("application", BUILT_IN_APPLICATIONS[0])
    if seeder.row:
        raise SeedError(f"{seeder.where}.{min(seeder.row)}: unknown key; known: user, application")
    return seeder.user("user", user)["id"], seeder.application(application)


def _document(seeder: _Seeder) -> None:
    seeder.post(_DOCUMENTS[seeder.where], method="PATCH")


# key -> path of the object of which a tenant has one
_DOCUMENTS = {"accountCenter": "/api/account-center", "signInExperience": "/api/sign-in-exp"}
# In the order in which one may refer to another.
_FAMILIES: dict[str, Callable[[_Seeder], None]] = {
    "resources": _resource,
    "roles": _role,
    "organizationScopes": _organization_scope,
    "organizationRoles": _organization_role,
    "ssoConnectors": _sso_connector,
    "applications": _application,
    "users": _user,
    "organizations": _organization,
    "sessions": _session,
    "grants": _grant,
    "hooks": _hook,
}
