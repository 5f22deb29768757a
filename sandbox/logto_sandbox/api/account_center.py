"""The account centre: what end users may see and change of themselves."""

from __future__ import annotations

from logto_sandbox.http.routing import Call, Routes
from logto_sandbox.http.schema import Bool, Enum, Obj, Text
from logto_sandbox.store.relations import Row

routes = Routes("/api/account-center")

_FIELDS = "name avatar profile email phone password username social customData mfa passkey session"
_CHANGES = Obj(
    {
        "enabled": Bool(optional=True),
        "fields": Obj(
            {name: Enum("Off", "ReadOnly", "Edit", optional=True) for name in _FIELDS.split()}, optional=True
        ),
        "customCss": Text(optional=True, nullable=True),
    }
)


@routes.get()
def get_account_center(call: Call) -> Row:
    return call.tenant.account_center


@routes.patch(body=_CHANGES)
def patch_account_center(call: Call) -> Row:
    call.tenant.account_center |= call.body
    return call.tenant.account_center
