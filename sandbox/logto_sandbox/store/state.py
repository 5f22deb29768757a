"""What exists in a tenant: tables, relations, documents and logs. In memory, dumped and loaded as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from logto_sandbox.store.logs.store import LogStore
from logto_sandbox.store.relations import Relation, Row, Table, build_relations

TENANT_ID = "default"
IDENTIFIERS = ("username", "primaryEmail", "primaryPhone")
TABLES = (
    "users",
    "user_sso_identities",
    "personal_access_tokens",
    "subject_tokens",
    "sessions",
    "grants",
    "refresh_tokens",
    "access_tokens",
    "one_time_tokens",
    "roles",
    "resources",
    "scopes",
    "applications",
    "application_secrets",
    "application_sign_in_experiences",
    "organizations",
    "organization_roles",
    "organization_scopes",
    "invitations",
    "hooks",
    "connectors",
    "sso_connectors",
)
# Columns whose width is checked in characters when a row is written, and in UTF-16 units when it is read.
READ_WIDTHS = {"name": 128, "primaryEmail": 128, "avatar": 2048}
# Objects of which a tenant has one.
DOCUMENTS = ("account_center", "sign_in_experience")
# table -> rows of other tables that go with it: (table, column)
CASCADES = {
    "users": (
        ("user_sso_identities", "userId"),
        ("personal_access_tokens", "userId"),
        ("subject_tokens", "userId"),
        ("sessions", "userId"),
        ("grants", "userId"),
        ("refresh_tokens", "userId"),
        ("access_tokens", "userId"),
        ("invitations", "inviterId"),
        ("invitations", "acceptedUserId"),
    ),
    "resources": (("scopes", "resourceId"),),
    "applications": (("application_secrets", "applicationId"), ("application_sign_in_experiences", "applicationId")),
    "organizations": (("invitations", "organizationId"),),
    "sso_connectors": (("user_sso_identities", "ssoConnectorId"),),
    "grants": (("refresh_tokens", "grantId"), ("access_tokens", "grantId")),
}


class State:
    """The rows of one tenant.

    Attributes: ``tables`` and ``relations`` by name, ``documents`` (see :data:`DOCUMENTS`), ``logs``, ``messages``
    (what would have been sent), ``codes`` (verification codes by recipient), and what the API does not show of a
    user: ``passwords`` (``passwordDigest``, ``passwordAlgorithm``) and ``private`` (``mfaVerifications``,
    ``logtoConfig``), by the user's id. ``unreadable`` holds the ids of users that no answer can show.
    """

    def __init__(self) -> None:
        self.empty()

    def empty(self) -> None:
        """Remove everything."""
        self.tables: dict[str, Table] = {name: Table() for name in TABLES}
        self.relations: dict[str, Relation] = build_relations(self.tables)
        self.documents: dict[str, Row] = {name: {} for name in DOCUMENTS}
        self.passwords: dict[str, dict[str, str]] = {}
        self.private: dict[str, dict[str, Any]] = {}
        self.messages: list[dict[str, Any]] = []
        self.codes: dict[str, str] = {}
        self.logs = LogStore(TENANT_ID)
        self.unreadable: set[str] = set()
        self._identifiers: dict[tuple[str, str], dict[str, None]] = {}

    def rows_of(self, table: str, column: str, value: str) -> list[Row]:
        """The rows of a table whose column has this value, in order of creation."""
        return [row for row in self.tables[table].values() if row[column] == value]

    def delete(self, table: str, row_id: str) -> bool:
        """Removes a row with everything that hangs on it; False when there is none."""
        row = self.tables[table].get(row_id)
        if row is None:
            return False
        if table == "users":
            self.index_user(row, remove=True)
            self.passwords.pop(row_id, None)
            self.private.pop(row_id, None)
        self.tables[table].remove(row_id)
        for relation in self.relations.values():
            relation.drop_row(table, row_id)
        for child, column in CASCADES.get(table, ()):
            for dependent in self.rows_of(child, column, row_id):
                self.delete(child, dependent["id"])
        return True

    def dump(self) -> dict[str, Any]:
        """The whole state as JSON, for assertions and for a state file: a list of rows for each table,
        ``relations`` (lists of id tuples), the documents, ``passwords`` (digests), ``private``, ``messages`` and
        ``logs`` (oldest first)."""
        return {
            **{name: list(table.values()) for name, table in self.tables.items()},
            **{name: dict(document) for name, document in self.documents.items()},
            "relations": {name: [list(link) for link in links] for name, links in self.relations.items()},
            "passwords": dict(self.passwords),
            "private": dict(self.private),
            "messages": list(self.messages),
            "logs": list(self.logs.dump()),
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """Takes over a state that :meth:`dump` gave. Documents that it lacks stay as they are.

        :raises ValueError: for anything else, naming the key.
        """
        known = {*TABLES, *DOCUMENTS, "relations", "passwords", "private", "messages", "logs"}
        if unknown := sorted(set(state) - known):
            raise ValueError(f"unknown keys in the state: {', '.join(unknown)}")
        documents = self.documents
        self.empty()
        self.documents = {name: dict(state.get(name, document)) for name, document in documents.items()}
        for name in TABLES:
            for row in state.get(name, ()):
                self.tables[name].put(dict(row))
        for name, links in state.get("relations", {}).items():
            if name not in self.relations:
                raise ValueError(f"unknown relation in the state: {name}")
            self.relations[name].insert(tuple(link) for link in links)
        self.passwords = dict(state.get("passwords", {}))
        self.private = {user_id: dict(columns) for user_id, columns in state.get("private", {}).items()}
        self.messages = list(state.get("messages", ()))
        for row in self.tables["users"].values():
            self.index_user(row)
        for row in state.get("logs", ()):
            self.logs.append_row(row)

    def index_user(self, row: Row, *, remove: bool = False) -> None:
        """Keeps the identifiers of a user findable without a scan, and in mind whether the row can be read back."""
        self.unreadable.discard(row["id"])
        if not remove and any(row[field] and _units(row[field]) > width for field, width in READ_WIDTHS.items()):
            self.unreadable.add(row["id"])
        for field in IDENTIFIERS:
            if row[field] is None:
                continue
            holders = self._identifiers.setdefault((field, row[field].lower()), {})
            if remove:
                holders.pop(row["id"], None)
            else:
                holders[row["id"]] = None

    def users_by(self, field: str, value: str) -> list[Row]:
        """Users whose identifier equals a value, without regard to case."""
        if field == "id":
            row = self.tables["users"].get(value.lower())
            return [row] if row else []
        return [self.tables["users"][user_id] for user_id in self._identifiers.get((field, value.lower()), ())]


def _units(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2
