"""Users: create, search, read, change, suspend, delete, custom data, profile, passwords."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from logto_sandbox.api import passwords
from logto_sandbox.api.common import NO_CONTENT, delete_row, read, stored
from logto_sandbox.api.patterns import EMAIL, PHONE, USERNAME
from logto_sandbox.api.phones import normalize_phone
from logto_sandbox.errors import ApiError, BareError, invalid_input
from logto_sandbox.http.paging import Rows
from logto_sandbox.http.routing import PAGED, Call, Reply, Routes
from logto_sandbox.http.schema import Bool, Enum, Obj, Text
from logto_sandbox.http.search import TRUTHY, Search, SearchError, parse_search, refuse
from logto_sandbox.store.access import sign_out
from logto_sandbox.store.relations import Row
from logto_sandbox.store.rows import new_id
from logto_sandbox.store.state import IDENTIFIERS
from logto_sandbox.store.tenant import Tenant

routes = Routes("/api/users")

SEARCHED = ("id", "primaryEmail", "primaryPhone", "username", "name")
_INDEXED = frozenset({"id", *IDENTIFIERS})
_WIDTH = 128
_PROFILE_TEXTS = (
    "familyName givenName middleName nickname preferredUsername profile website gender birthdate zoneinfo locale"
)
_ADDRESS = "formatted streetAddress locality region postalCode country"


def _texts(names: str) -> dict[str, Any]:
    return {name: Text(optional=True) for name in names.split()}


def profile(*, optional: bool = False) -> Obj:
    """The ``profile`` object of a user."""
    return Obj(
        _texts(_PROFILE_TEXTS) | {"address": Obj(_texts(_ADDRESS), optional=True)},
        optional=optional,
    )


def _identity(*, clearable: bool) -> dict[str, Any]:
    """The fields POST and PATCH share; PATCH may clear them with null or ""."""
    free: dict[str, Any] = {"optional": True, "nullable": clearable, "empty": clearable, "column": _WIDTH}
    return {
        "username": Text(pattern=USERNAME, **free),
        "primaryEmail": Text(pattern=EMAIL, **free),
        "primaryPhone": Text(pattern=PHONE, **free),
        "name": Text(**free),
        "avatar": Text(kind="url", empty=True, optional=True, nullable=True, column=2048),
        "customData": Obj(optional=True),
        "profile": profile(optional=True),
    }


_FIELDS = _identity(clearable=False)
_SECRETS = {
    "password": Text(1, optional=True),
    "passwordDigest": Text(most=256, optional=True),
    "passwordAlgorithm": Enum(*passwords.ALGORITHMS, optional=True),
}
# In the server's order: so are the issues it reports.
CREATE = Obj({**{key: _FIELDS.pop(key) for key in IDENTIFIERS[::-1]}, **_SECRETS, **_FIELDS})


def _search(call: Call) -> Search:
    try:
        return parse_search(call.query, SEARCHED)
    except SearchError as error:
        raise refuse(error) from error


def _candidates(tenant: Tenant, search: Search) -> list[Row]:
    """Users newest first; only the possible hits when every condition is an exact one on an indexed field."""
    exact = all(item.mode == "exact" and _INDEXED.issuperset(item.fields) for item in search.conditions)
    users = tenant.tables["users"]
    if not search.conditions or not exact or search.joint == "and":
        return users.newest()
    hits = {
        row["id"]
        for item in search.conditions
        for field in item.fields
        for value in item.values
        for row in tenant.users_by(field, value)
    }
    return users.newest(hits)


def search_users(call: Call) -> list[Row]:
    """The users a query finds, newest first; parenthesized, unlike the other lists."""
    search = _search(call)
    rows = _candidates(call.tenant, search)
    return [row for row in rows if search.matches(row)] if search.conditions else rows


@routes.get(paging=PAGED)
def list_users(call: Call) -> Rows:
    excluded = {"excludeRoleId": ("users_roles", 0, 1), "excludeOrganizationId": ("organization_users", 1, 0)}
    given = {key: value for key in excluded if (value := call.first(key))}
    if len(given) == 2:
        raise ApiError(400, "request.invalid_input", "Only one exclude filter can be used at a time.")
    rows = search_users(call)
    for key, value in given.items():
        name, user_column, other_column = excluded[key]
        prefix = (value,) if other_column == 0 else (None, value)
        out = set(call.tenant.relations[name].ids(user_column, *prefix))
        rows = [row for row in rows if row["id"] not in out]
    if _wants_hash(call):
        return Rows(rows, lambda row: with_hash(call.tenant, row))
    return Rows(rows)


def _wants_hash(call: Call) -> bool:
    return call.tenant.has("password_hash") and (call.first("includePasswordHash") or "").lower() in TRUTHY


def with_hash(tenant: Tenant, row: Row) -> Row:
    """A user with ``passwordDigest`` and ``passwordAlgorithm``, null where there is no password."""
    return row | {"passwordDigest": None, "passwordAlgorithm": None} | tenant.passwords.get(row["id"], {})


@routes.post(body=CREATE)
def create_user(call: Call) -> Row:
    body = dict(call.body)
    secret = _password(body)
    tenant, now = call.tenant, call.tenant.now_ms()
    _free(tenant, body, IDENTIFIERS)
    row: Row = {"id": new_id(12)}
    row |= dict.fromkeys((*IDENTIFIERS, "name", "avatar"))
    row |= {"customData": {}, "identities": {}, "lastSignInAt": None, "createdAt": now, "updatedAt": now}
    row |= {"profile": {}, "applicationId": None}
    row |= {"cimdClientId": None} if tenant.has("cimd") else {}
    row |= {"isSuspended": False}
    row |= stored(body) | {"hasPassword": secret is not None}
    if secret:
        tenant.passwords[row["id"]] = secret
    tenant.tables["users"].put(row)
    tenant.index_user(row)
    defaults = [role for role in tenant.tables["roles"].values() if role["isDefault"] and role["type"] == "User"]
    tenant.relations["users_roles"].insert((row["id"], role["id"]) for role in defaults)
    return row


def _password(body: Row) -> dict[str, str] | None:
    """Takes the password fields out of a body; what is to be stored of them."""
    password, digest, algorithm = (body.pop(key, None) for key in ("password", "passwordDigest", "passwordAlgorithm"))
    if password and digest:
        raise ApiError(400, "user.password_and_digest", "Give a password or a digest, not both.")
    if digest and not algorithm:
        raise ApiError(400, "user.password_algorithm_required", "A digest needs its algorithm.")
    if algorithm == "Legacy":
        passwords.parse_legacy(digest)
    if password:
        return passwords.hashed(password)
    return {"passwordDigest": digest, "passwordAlgorithm": algorithm} if digest else None


_TAKEN = {
    "username": "user.username_already_in_use",
    "primaryEmail": "user.email_already_in_use",
    "primaryPhone": "user.phone_already_in_use",
}


def _free(tenant: Tenant, body: Row, order: Sequence[str], user_id: str | None = None) -> None:
    """Normalizes the phone of a body and checks that nobody else has its identifiers, in the given order.

    Usernames are compared with case unless the tenant's policy says otherwise, e-mails without.
    """
    if body.get("primaryPhone"):
        body["primaryPhone"] = normalize_phone(body["primaryPhone"])
    for field in order:
        value = body.get(field)
        holders = tenant.users_by(field, value) if value else []
        with_case = field == "username" and tenant.documents["sign_in_experience"]["usernamePolicy"]["caseSensitive"]
        if any(row["id"] != user_id and (not with_case or row[field] == value) for row in holders):
            raise ApiError(422, _TAKEN[field], f"This {field} belongs to another user.")


def update_user_row(tenant: Tenant, row: Row, values: Row) -> Row:
    """Writes columns of a user, with the index and ``updatedAt``."""
    if not values:
        raise invalid_input()
    tenant.index_user(row, remove=True)
    # In place: the list's order is that of creation and a dict keeps it.
    changed = tenant.tables["users"].put(row | stored(values) | {"updatedAt": tenant.now_ms()})
    tenant.index_user(changed)
    return changed


@routes.get("/{userId}")
def get_user(call: Call) -> Row:
    row = read(call, "users", call["userId"])
    if (call.first("includeSsoIdentities") or "").lower() in TRUTHY:
        row = row | {"ssoIdentities": call.tenant.rows_of("user_sso_identities", "userId", row["id"])}
    return with_hash(call.tenant, row) if _wants_hash(call) else row


@routes.patch("/{userId}", body=Obj(_identity(clearable=True)))
def patch_user(call: Call) -> Row:
    row = read(call, "users", call["userId"])
    body = dict(call.body)
    _free(call.tenant, body, ("primaryEmail", "primaryPhone", "username"), row["id"])
    return update_user_row(call.tenant, row, body)


@routes.delete("/{userId}")
def delete_user(call: Call) -> Reply:
    return delete_row(call, "users", call["userId"])


def _merging(field: str, schema: Obj) -> None:
    """PATCH of one JSON column: merged at its top level only."""

    @routes.patch(f"/{{userId}}/{'custom-data' if field == 'customData' else field}", body=Obj({field: schema}))
    def merge(call: Call) -> Any:
        row = read(call, "users", call["userId"])
        return update_user_row(call.tenant, row, {field: row[field] | call.body[field]})[field]


_merging("customData", Obj())
_merging("profile", profile())


@routes.get("/{userId}/custom-data")
def get_custom_data(call: Call) -> Any:
    return read(call, "users", call["userId"])["customData"]


@routes.patch("/{userId}/is-suspended", body=Obj({"isSuspended": Bool()}))
def suspend(call: Call) -> Row:
    """Writes the flag first, then signs the user out; grants and personal access tokens stay."""
    row = update_user_row(call.tenant, read(call, "users", call["userId"]), call.body)
    if row["isSuspended"]:
        if call.tenant.sign_out_failures:
            call.tenant.sign_out_failures -= 1
            raise BareError
        sign_out(call.tenant, row["id"])
    return row


_PASSWORD = Obj({"password": Text(1)})


@routes.patch("/{userId}/password", body=_PASSWORD)
def set_password(call: Call) -> Row:
    row = read(call, "users", call["userId"])
    call.tenant.passwords[row["id"]] = passwords.hashed(call.body["password"])
    return update_user_row(call.tenant, row, {"hasPassword": True})


@routes.post("/{userId}/password/verify", body=_PASSWORD)
def verify_password(call: Call) -> Reply:
    row = read(call, "users", call["userId"])
    kept = call.tenant.passwords.get(row["id"])
    if kept is None or not passwords.matches(kept, call.body["password"]):
        raise ApiError(422, "session.invalid_credentials")
    if kept["passwordAlgorithm"] != "Argon2i":
        call.tenant.passwords[row["id"]] = passwords.hashed(call.body["password"])
    return NO_CONTENT


@routes.patch("/{userId}/password/expiration", body=Obj({"isExpired": Bool()}), since="password_expiration")
def expire_password(call: Call) -> Row:
    row = read(call, "users", call["userId"])
    policy = call.tenant.documents["sign_in_experience"]["passwordExpiration"]
    if call.body["isExpired"] and not (policy.get("enabled") and policy.get("validPeriodDays")):
        raise ApiError(400, "sign_in_experiences.password_expiration_not_enabled")
    return update_user_row(call.tenant, row, {"hasPassword": row["hasPassword"]})


@routes.get("/{userId}/has-password")
def has_password(call: Call) -> Row:
    return {"hasPassword": read(call, "users", call["userId"])["hasPassword"]}
