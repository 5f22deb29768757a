"""The tenant a sandbox serves: what exists in it, its clock and its signing key. In memory, optionally dumped."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from logto_sandbox.store import versions
from logto_sandbox.store.keys import SigningKey
from logto_sandbox.store.logs.store import LogStore
from logto_sandbox.store.relations import Relation, Row, Table, build_relations

TENANT_ID = "default"
MANAGEMENT_API = "management-api"
MANAGEMENT_SCOPE = "management-api-all"
ACCESS_ROLE = "Logto Management API access"
DEFAULT_SECRET = "Default secret"
# As every fresh server shows them.
_ALL = "Default scope for Management API, allows all permissions."
_ACCESS = "This default role grants access to the Logto management API."
_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz"

TABLES = (
    "users",
    "roles",
    "resources",
    "scopes",
    "applications",
    "application_secrets",
    "personal_access_tokens",
    "sessions",
    "grants",
    "refresh_tokens",
    "mfa_verifications",
    "one_time_tokens",
    "organizations",
    "organization_roles",
    "organization_scopes",
    "invitations",
    "hooks",
    "connectors",
    "sso_connectors",
)
# table -> rows of other tables that go with it: (table, column)
CASCADES = {
    "users": tuple(
        (table, "userId")
        for table in ("personal_access_tokens", "sessions", "grants", "refresh_tokens", "mfa_verifications")
    ),
    "resources": (("scopes", "resourceId"),),
    "applications": (("application_secrets", "applicationId"),),
    "organizations": (("invitations", "organizationId"),),
}


@dataclass(frozen=True)
class Settings:
    """What a sandbox is started with.

    :param app_id: M2M application that holds the Management API role
    :param norole_id: M2M application without any role
    :param resource: indicator of the Management API
    :param logto_version: one of :data:`versions.SUPPORTED`
    :param endpoint: the server's own idea of its origin (issuer), without a trailing slash; None = the Host header
    """

    app_id: str = "sandbox-m2m"
    app_secret: str = "sandbox-m2m-secret"
    norole_id: str = "sandbox-norole"
    norole_secret: str = "sandbox-norole-secret"
    resource: str = "https://default.logto.app/api"
    logto_version: str = versions.LATEST
    endpoint: str | None = None


def new_id(length: int = 21) -> str:
    """A fresh id as the server makes them: lower-case letters and digits."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


class Tenant:
    """Everything one sandbox holds. Not thread-safe: used on the server's event loop only.

    Attributes others may set: ``endpoint`` (see :class:`Settings`), ``clock_offset_ms`` (skews the server's
    clock), ``token_faults`` (any of ``without_scope``, ``secret_expired``, ``token_quota``; the token endpoint
    then misbehaves so), ``sign_out_failures`` (how often a suspension fails after it has set the flag).
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or Settings()
        self.version = versions.parse(self.settings.logto_version)
        self.endpoint = self.settings.endpoint
        self.clock_offset_ms = 0
        self.token_faults: set[str] = set()
        self.sign_out_failures = 0
        self.key = SigningKey()
        self.clear()

    def clear(self) -> None:
        """Back to what a freshly started sandbox holds; the signing key stays, so tokens stay good."""
        self.clock_offset_ms = 0
        self.token_faults.clear()
        self.sign_out_failures = 0
        self._empty()
        _found(self)

    def _empty(self) -> None:
        self.tables: dict[str, Table] = {name: Table() for name in TABLES}
        self.relations: dict[str, Relation] = build_relations(self.tables)
        self.passwords: dict[str, dict[str, str]] = {}
        self.identifiers: dict[tuple[str, str], dict[str, None]] = {}
        self.messages: list[dict[str, Any]] = []
        self.codes: dict[str, str] = {}
        self.logs = LogStore(TENANT_ID)
        self.account_center: Row = {"tenantId": TENANT_ID, "id": "default", "enabled": False, "fields": {}}
        self.account_center |= {"webauthnRelatedOrigins": [], "deleteAccountUrl": None, "customCss": None}
        self.account_center |= {"profileFields": None}

    def has(self, difference: str) -> bool:
        """Whether the version served shows a difference of :data:`versions.SINCE`."""
        return versions.has(self.version, difference)

    def now_ms(self) -> int:
        """The server's clock, epoch ms."""
        return int(time.time() * 1000) + self.clock_offset_ms

    def rotate_signing_key(self) -> None:
        """Replaces the signing key; tokens signed with the former one are refused from now on."""
        self.key = SigningKey()

    def delete(self, table: str, row_id: str) -> bool:
        """Removes a row with everything that hangs on it; False when there is none."""
        if not self.tables[table].remove(row_id):
            return False
        for relation in self.relations.values():
            relation.drop_row(table, row_id)
        for child, column in CASCADES.get(table, ()):
            for row in [row for row in self.tables[child].values() if row[column] == row_id]:
                self.delete(child, row["id"])
        return True

    def dump(self) -> dict[str, Any]:
        """The whole state as JSON, for assertions and for a state file: a list of rows for each table,
        ``relations`` (lists of id tuples), ``passwords`` (digests), ``messages`` (what would have been sent) and
        ``logs`` (oldest first)."""
        return {
            **{name: list(table.values()) for name, table in self.tables.items()},
            "relations": {name: [list(link) for link in links] for name, links in self.relations.items()},
            "passwords": dict(self.passwords),
            "messages": list(self.messages),
            "logs": list(self.logs.dump()),
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """Takes over a state that :meth:`dump` gave.

        :raises ValueError: for anything else, naming the key.
        """
        known = {*TABLES, "relations", "passwords", "messages", "logs"}
        if unknown := sorted(set(state) - known):
            raise ValueError(f"unknown keys in the state: {', '.join(unknown)}")
        self._empty()
        for name in TABLES:
            for row in state.get(name, ()):
                self.tables[name].put(dict(row))
        for name, links in state.get("relations", {}).items():
            if name not in self.relations:
                raise ValueError(f"unknown relation in the state: {name}")
            self.relations[name].insert(tuple(link) for link in links)
        self.passwords = dict(state.get("passwords", {}))
        self.messages = list(state.get("messages", ()))
        for row in self.tables["users"].values():
            self.index_user(row)
        for row in state.get("logs", ()):
            self.logs.append_row(row)

    def index_user(self, row: Row, *, remove: bool = False) -> None:
        """Keeps the identifiers of a user findable without a scan."""
        for field in IDENTIFIERS:
            if row[field] is None:
                continue
            holders = self.identifiers.setdefault((field, row[field].lower()), {})
            if remove:
                holders.pop(row["id"], None)
            else:
                holders[row["id"]] = None

    def users_by(self, field: str, value: str) -> list[Row]:
        """Users whose identifier equals a value, without regard to case."""
        if field == "id":
            row = self.tables["users"].get(value.lower())
            return [row] if row else []
        return [self.tables["users"][user_id] for user_id in self.identifiers.get((field, value.lower()), ())]


IDENTIFIERS = ("username", "primaryEmail", "primaryPhone")


def application_row(tenant: Tenant, app_id: str, name: str, **fields: Any) -> Row:
    """An application as the API shows it, with the column defaults of the tenant's version."""
    row: Row = {"tenantId": TENANT_ID, "id": app_id, "name": name}
    if not tenant.has("internal_secret_hidden"):
        # Of no use since applications have named secrets, but shown for long.
        row["secret"] = "internal:" + new_id(26)
    row |= {"description": None, "type": "MachineToMachine"}
    row |= {"oidcClientMetadata": {"redirectUris": [], "postLogoutRedirectUris": []}, "customClientMetadata": {}}
    row |= {"protectedAppMetadata": None, "customData": {}, "isThirdParty": False}
    if tenant.has("application_access_control"):
        row["appLevelAccessControlEnabled"] = False
    return row | {"createdAt": tenant.now_ms()} | fields


def secret_row(app_id: str, name: str, value: str, now: int, expires_at: int | None = None) -> Row:
    """An application secret as the API shows it, with an id that stays inside."""
    return {
        "id": f"{app_id}/{name}",
        "tenantId": TENANT_ID,
        "applicationId": app_id,
        "name": name,
        "value": value,
        "createdAt": now,
        "expiresAt": expires_at,
    }


def _found(tenant: Tenant) -> None:
    """What the server's own seed creates, and the two applications."""
    settings, tables, relations = tenant.settings, tenant.tables, tenant.relations
    resource = {"id": MANAGEMENT_API, "name": "Logto Management API", "indicator": settings.resource}
    tables["resources"].put({"tenantId": TENANT_ID, **resource, "isDefault": False, "accessTokenTtl": 3600})
    scope = {"id": MANAGEMENT_SCOPE, "resourceId": MANAGEMENT_API, "name": "all", "description": _ALL}
    tables["scopes"].put({"tenantId": TENANT_ID, **scope, "createdAt": tenant.now_ms()})
    role = {"id": new_id(), "name": ACCESS_ROLE, "description": _ACCESS}
    tables["roles"].put({"tenantId": TENANT_ID, **role, "type": "MachineToMachine", "isDefault": False})
    relations["roles_scopes"].insert([(role["id"], MANAGEMENT_SCOPE)])
    # Listed newest first, the application with the role comes first: it is the younger one.
    for app_id, value, name in (
        (settings.norole_id, settings.norole_secret, "m2m without role"),
        (settings.app_id, settings.app_secret, "m2m airflow"),
    ):
        tables["applications"].put(application_row(tenant, app_id, name))
        tables["application_secrets"].put(secret_row(app_id, DEFAULT_SECRET, value, tenant.now_ms()))
    relations["applications_roles"].insert([(settings.app_id, role["id"])])
