"""Second factors of a user, and the flags that let one skip them."""

from __future__ import annotations

import base64
import re
import secrets
from typing import Any

from logto_sandbox.api.common import NO_CONTENT, read
from logto_sandbox.api.users import update_user_row
from logto_sandbox.errors import ApiError, not_found
from logto_sandbox.http.routing import Call, Reply, Routes
from logto_sandbox.http.schema import Array, Bool, Obj, Tagged, Text
from logto_sandbox.store.relations import Row
from logto_sandbox.store.rows import new_id
from logto_sandbox.store.tenant import Tenant

routes = Routes("/api/users/{userId}")

_TOTP, _BACKUP = "Totp", "BackupCode"
_BASE32 = re.compile(r"([2-7A-Z]{8})*([2-7A-Z]{2}={6}|[2-7A-Z]{4}={4}|[2-7A-Z]{5}={3}|[2-7A-Z]{7}=)?")
_CODES, _CODE_LENGTH = 10, 10
_CODE = re.compile(r"[\da-f]{10}", re.ASCII | re.IGNORECASE)
# A picture of one pixel: the sandbox draws no QR codes.
_PICTURE = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"


def _factors(tenant: Tenant, user_id: str) -> list[Row]:
    found: list[Row] = tenant.private.get(user_id, {}).get("mfaVerifications", [])
    return found


def _store(call: Call, user: Row, **columns: Any) -> None:
    private = call.tenant.private.setdefault(user["id"], {})
    private |= columns
    update_user_row(call.tenant, user, {"hasPassword": user["hasPassword"]})  # moves updatedAt


def _view(factor: Row) -> Row:
    shown = {key: factor[key] for key in ("id", "createdAt", "type")}
    if factor["type"] == _BACKUP:
        shown["remainCodes"] = sum("usedAt" not in code for code in factor["codes"])
    return shown


@routes.get("/mfa-verifications")
def list_factors(call: Call) -> list[Row]:
    user = read(call, "users", call["userId"])
    return [_view(factor) for factor in _factors(call.tenant, user["id"])]


_NEW = Tagged(
    "type",
    {
        _TOTP: Obj({"secret": Text(optional=True)}),
        _BACKUP: Obj({"codes": Array(Text(), optional=True)}),
    },
)


@routes.post("/mfa-verifications", body=_NEW)
def add_factor(call: Call) -> Row:
    user, body = read(call, "users", call["userId"]), call.body
    factors = _factors(call.tenant, user["id"])
    kind = body["type"]
    shown = _totp(factors, body) if kind == _TOTP else _backup_codes(factors, body)
    kept = {"key": shown["secret"]} if kind == _TOTP else {"codes": [{"code": code} for code in shown["codes"]]}
    factor = {"id": new_id(), "createdAt": call.tenant.now_iso(), "type": kind} | kept
    _store(call, user, mfaVerifications=[*factors, factor])
    return shown


def _totp(factors: list[Row], body: Row) -> Row:
    if any(factor["type"] == _TOTP for factor in factors):
        raise ApiError(422, "user.totp_already_in_use")
    given = body.get("secret")
    if given and not (16 <= len(given) <= 32 and _BASE32.fullmatch(given)):
        raise ApiError(422, "user.totp_secret_invalid")
    secret = given or base64.b32encode(secrets.token_bytes(20)).decode()
    return {"type": _TOTP, "secret": secret, "secretQrCode": _PICTURE}


def _backup_codes(factors: list[Row], body: Row) -> Row:
    unused = [factor for factor in factors if factor["type"] == _BACKUP and _view(factor)["remainCodes"]]
    if unused:
        raise ApiError(422, "user.backup_code_already_in_use")
    if all(factor["type"] == _BACKUP for factor in factors):
        raise ApiError(422, "session.mfa.backup_code_can_not_be_alone")
    codes = body.get("codes")
    if codes is None:
        codes = [secrets.token_hex(_CODE_LENGTH // 2) for _ in range(_CODES)]
    elif len(codes) != _CODES or not all(_CODE.fullmatch(code) for code in codes):
        raise ApiError(422, "user.wrong_backup_code_format")
    return {"codes": codes, "type": _BACKUP}


@routes.delete("/mfa-verifications/{verificationId}")
def delete_factor(call: Call) -> Reply:
    user = read(call, "users", call["userId"])
    factors = _factors(call.tenant, user["id"])
    left = [factor for factor in factors if factor["id"] != call["verificationId"]]
    if len(left) == len(factors):
        raise not_found()
    _store(call, user, mfaVerifications=left)
    return NO_CONTENT


# -- what may be skipped

_SKIPS = {name: Bool(optional=True) for name in ("enabled", "skipped", "skipMfaOnSignIn")}


def _configuration(tenant: Tenant, user_id: str) -> Row:
    kept = tenant.private.get(user_id, {}).get("logtoConfig", {})
    return {
        "mfa": {"skipped": False, "skipMfaOnSignIn": False} | kept.get("mfa", {}),
        "passkeySignIn": {"skipped": False} | kept.get("passkeySignIn", {}),
    }


@routes.get("/logto-configs")
def get_configuration(call: Call) -> Row:
    return _configuration(call.tenant, read(call, "users", call["userId"])["id"])


@routes.patch(
    "/logto-configs",
    body=Obj({"mfa": Obj(_SKIPS, optional=True), "passkeySignIn": Obj({"skipped": _SKIPS["skipped"]}, optional=True)}),
)
def patch_configuration(call: Call) -> Row:
    user = read(call, "users", call["userId"])
    kept = call.tenant.private.get(user["id"], {}).get("logtoConfig", {})
    merged = {key: kept.get(key, {}) | call.body.get(key, {}) for key in ("mfa", "passkeySignIn")}
    _store(call, user, logtoConfig=merged)
    return _configuration(call.tenant, user["id"])
