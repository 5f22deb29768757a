"""The account center: whether end users may change themselves, and which fields."""

from __future__ import annotations

import re

from logto_sandbox.api.common import stored
from logto_sandbox.http.routing import Call, Routes
from logto_sandbox.http.schema import Array, Bool, Enum, Obj, Text
from logto_sandbox.store.relations import Row

routes = Routes("/api/account-center")

FIELDS = (
    "name",
    "avatar",
    "profile",
    "email",
    "phone",
    "password",
    "username",
    "social",
    "customData",
    "mfa",
    "passkey",
    "session",
)
_HTTP = re.compile(r"^https?://[^\s/]+")
_ACCESS = {name: Enum("Off", "ReadOnly", "Edit", optional=True) for name in FIELDS}


@routes.get()
def get_account_center(call: Call) -> Row:
    return call.tenant.documents["account_center"]


@routes.patch(
    body=Obj(
        {
            "enabled": Bool(optional=True),
            "fields": Obj(_ACCESS, optional=True),
            "webauthnRelatedOrigins": Array(Text(), optional=True),
            "deleteAccountUrl": Text(most=2048, pattern=_HTTP, kind="custom", empty=True, optional=True, nullable=True),
            "customCss": Text(optional=True, nullable=True),
            "profileFields": Array(Obj({"name": Text()}), optional=True, nullable=True),
        }
    )
)
def patch_account_center(call: Call) -> Row:
    """JSON columns are replaced whole, ``fields`` too."""
    document, body = call.tenant.documents["account_center"], dict(call.body)
    if "webauthnRelatedOrigins" in body:
        body["webauthnRelatedOrigins"] = list(dict.fromkeys(body["webauthnRelatedOrigins"]))
    call.tenant.documents["account_center"] = document | stored(body)
    return call.tenant.documents["account_center"]
