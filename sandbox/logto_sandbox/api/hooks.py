"""Webhooks: configuration, and a trial. Deliveries are made elsewhere, in :mod:`logto_sandbox.webhooks`."""

from __future__ import annotations

import secrets

from logto_sandbox.api.common import change, delete_row, read, stored
from logto_sandbox.errors import ApiError, invalid_input
from logto_sandbox.http.paging import Rows
from logto_sandbox.http.routing import OPTIONAL, Call, Reply, Routes
from logto_sandbox.http.schema import Array, Bool, Enum, Number, Obj, Text
from logto_sandbox.http.search import TRUTHY
from logto_sandbox.store.relations import Row
from logto_sandbox.store.rows import new_id
from logto_sandbox.store.state import TENANT_ID
from logto_sandbox.webhooks import trial

routes = Routes("/api/hooks")

_DAY_MS = 86_400_000
_CHANGES = {
    "User": "Created Deleted Data.Updated SuspensionStatus.Updated",
    "Role": "Created Deleted Data.Updated Scopes.Updated",
    "Scope": "Created Deleted Data.Updated",
    "Organization": "Created Deleted Data.Updated Membership.Updated",
    "OrganizationRole": "Created Deleted Data.Updated Scopes.Updated",
    "OrganizationScope": "Created Deleted Data.Updated",
}
EVENTS = (
    "PostRegister",
    "PostSignIn",
    "PostSignInAdaptiveMfaTriggered",
    "PostResetPassword",
    *(f"{entity}.{event}" for entity, events in _CHANGES.items() for event in events.split()),
    "Identifier.Lockout",
    "Message.RateLimited",
    "Grant.LimitExceeded",
)


class _Unique(Array):
    """A list whose repetitions are dropped."""

    def inside(self, value: list[object], path: tuple[str | int, ...], issues: list[Row]) -> list[object]:
        return list(dict.fromkeys(super().inside(value, path, issues)))


_EVENT = Enum(*EVENTS, optional=True, nullable=True)
_EVENTS = _Unique(Enum(*EVENTS), 1, optional=True)
_CONFIG = {"url": Text(), "headers": Obj(values=Text(), optional=True), "retries": Number(0, 3, optional=True)}


def _body(*, partial: bool) -> Obj:
    return Obj(
        {
            "name": Text(1, 256, optional=True),
            "event": _EVENT,
            "events": _EVENTS,
            "config": Obj(_CONFIG, optional=partial),
            "enabled": Bool(optional=True),
        }
    )


def _with_stats(call: Call, row: Row) -> Row:
    since = call.tenant.now_ms() - _DAY_MS
    return row | {"executionStats": call.tenant.logs.hook_stats(row["id"], since)}


def _wants_stats(call: Call) -> bool:
    return (call.first("includeExecutionStats") or "").lower() in TRUTHY


@routes.get(paging=OPTIONAL)
def list_hooks(call: Call) -> Rows:
    rows = call.tenant.tables["hooks"].newest()
    return Rows(rows, (lambda row: _with_stats(call, row)) if _wants_stats(call) else None)


@routes.post(body=_body(partial=False), status=201)
def create_hook(call: Call) -> Row:
    if not call.body.get("events") and not call.body.get("event"):
        raise ApiError(400, "hook.missing_events", "Name at least one event.")
    # The name's default alone is an empty text: one that is written becomes null.
    row: Row = {"tenantId": TENANT_ID, "id": new_id(), "name": "", "event": None, "events": [], "config": {}}
    row |= {"signingKey": secrets.token_urlsafe(24), "enabled": True, "createdAt": call.tenant.now_ms()}
    return call.tenant.tables["hooks"].put(row | stored(call.body))


@routes.get("/{id}")
def get_hook(call: Call) -> Row:
    row = read(call, "hooks", call["id"])
    # Any value counts here, "false" too.
    return _with_stats(call, row) if call.first("includeExecutionStats") else row


def _changed(call: Call, values: Row) -> Row:
    if not values:
        raise invalid_input()
    row = call.tenant.tables["hooks"].get(call["id"])
    if row is None:
        raise ApiError(404, "entity.not_exists")
    return change(call.tenant.tables["hooks"], row, values)


@routes.patch("/{id}", body=_body(partial=True))
def patch_hook(call: Call) -> Row:
    return _changed(call, call.body)


@routes.patch("/{id}/signing-key")
def rotate_signing_key(call: Call) -> Row:
    return _changed(call, {"signingKey": secrets.token_urlsafe(24)})


@routes.post("/{id}/test", body=Obj({"events": _Unique(Enum(*EVENTS), 1), "config": Obj(_CONFIG)}))
async def test_hook(call: Call) -> None:
    row, tenant = read(call, "hooks", call["id"]), call.tenant
    events = call.body["events"]
    payloads = [trial.payload(row["id"], event, tenant.now_iso(), tenant.now_ms()) for event in events]
    await trial.send(call.body["config"], row["signingKey"], payloads)


@routes.delete("/{id}")
def delete_hook(call: Call) -> Reply:
    return delete_row(call, "hooks", call["id"])
