"""What end users may do to themselves with their own token: the basic part of the Account API."""

from __future__ import annotations

from typing import Any

from logto_sandbox.api.common import read
from logto_sandbox.api.patterns import USERNAME
from logto_sandbox.api.users import profile, update_user_row
from logto_sandbox.errors import ApiError
from logto_sandbox.http.routing import USER, Call, Routes
from logto_sandbox.http.schema import Obj, Text
from logto_sandbox.store.relations import Row

routes = Routes("/api/my-account")

# field of a user -> (field of the account center, scope that shows it)
_SHOWN = {
    "username": ("username", "profile"),
    "primaryEmail": ("email", "email"),
    "primaryPhone": ("phone", "phone"),
    "name": ("name", "profile"),
    "avatar": ("avatar", "profile"),
    "customData": ("customData", "custom_data"),
    "identities": ("social", "identities"),
    "profile": ("profile", "profile"),
    "hasPassword": ("password", "profile"),
}


def _access(call: Call, field: str) -> str:
    return str(call.tenant.documents["account_center"]["fields"].get(field, "Off"))


def _scopes(call: Call) -> set[str]:
    return set(call.access_token["scope"].split())


def _own(call: Call) -> Row:
    """The user whose token it is, where the account center is on.

    :raises ApiError: 400 ``account_center.not_enabled``
    """
    if not call.tenant.documents["account_center"]["enabled"]:
        raise ApiError(400, "account_center.not_enabled")
    return read(call, "users", call.access_token["userId"])


def _view(call: Call, user: Row) -> Row:
    scopes, shown = _scopes(call), {"id": user["id"]}
    for key, value in user.items():
        field, scope = _SHOWN.get(key, ("", "profile"))
        if scope in scopes and (not field or _access(call, field) in ("ReadOnly", "Edit")):
            shown[key] = value
    shown["hasSecurityVerificationMethod"] = bool(user["hasPassword"] or user["primaryEmail"] or user["primaryPhone"])
    return shown


@routes.get(auth=USER)
def get_account(call: Call) -> Row:
    return _view(call, _own(call))


_BODY = {
    "name": Text(optional=True, nullable=True, column=128),
    "avatar": Text(kind="url", optional=True, nullable=True, column=2048),
    "username": Text(pattern=USERNAME, optional=True, nullable=True, column=128),
    "customData": Obj(optional=True),
}


@routes.patch(auth=USER, body=Obj(_BODY))
def patch_account(call: Call) -> Row:
    """``customData`` is replaced whole: end users can remove any key of it."""
    user = _own(call)
    for field in call.body:
        _check_editable(call, field)
    _check_scope(call, "profile")
    if "customData" in call.body:
        _check_scope(call, "custom_data")
    if "username" in call.body:
        # Needs a verification record, which only a sign-in page can obtain.
        raise ApiError(401, "verification_record.permission_denied")
    return _view(call, update_user_row(call.tenant, user, call.body))


@routes.patch("/profile", auth=USER, body=profile())
def patch_profile(call: Call) -> Any:
    user = _own(call)
    _check_editable(call, "profile")
    _check_scope(call, "profile")
    if "address" in call.body:
        _check_scope(call, "address")
    return update_user_row(call.tenant, user, {"profile": user["profile"] | call.body})["profile"]


def _check_editable(call: Call, field: str) -> None:
    if _access(call, field) != "Edit":
        raise ApiError(400, "account_center.field_not_editable")


def _check_scope(call: Call, scope: str) -> None:
    if scope not in _scopes(call):
        raise ApiError(400, "auth.unauthorized")
