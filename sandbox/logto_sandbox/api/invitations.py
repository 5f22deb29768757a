"""Invitations into an organization."""

from __future__ import annotations

from logto_sandbox.api import messages
from logto_sandbox.api.common import NO_CONTENT, delete_row, insert
from logto_sandbox.api.patterns import ZOD_EMAIL
from logto_sandbox.errors import ApiError, ForeignKeyError, not_found
from logto_sandbox.http.paging import Rows
from logto_sandbox.http.routing import Call, Reply, Routes
from logto_sandbox.http.schema import Array, Enum, No, Number, Obj, Text, Union
from logto_sandbox.store.relations import Row

routes = Routes("/api/organization-invitations")

_ROLES = "invitations_roles"
_PAYLOAD = Obj({name: Text(optional=True) for name in ("code", "link", "locale", "uiLocales")}, others=True)
_FINAL = frozenset({"Accepted", "Revoked", "Expired"})


def _view(call: Call, row: Row) -> Row:
    """With its roles, and ``Expired`` once its time is over: the stored status lags behind."""
    roles = [call.tenant.tables["organization_roles"][role] for role in call.tenant.relations[_ROLES].ids(1, row["id"])]
    late = row["status"] == "Pending" and row["expiresAt"] < call.tenant.now_ms()
    shown = row | {"status": "Expired"} if late else row
    return shown | {"organizationRoles": [{"id": role["id"], "name": role["name"]} for role in roles]}


def _find(call: Call) -> Row:
    row = call.tenant.tables["invitations"].get(call["id"])
    if row is None:
        raise not_found()
    return row


@routes.get()
def list_invitations(call: Call) -> Rows:
    rows = call.tenant.tables["invitations"].newest()
    for key in ("organizationId", "inviterId"):
        if value := call.first(key):
            rows = [row for row in rows if row[key] == value]
    if invitee := call.first("invitee"):
        rows = [row for row in rows if row["invitee"].lower() == invitee.lower()]
    return Rows(rows, lambda row: _view(call, row))


@routes.get("/{id}")
def get_invitation(call: Call) -> Row:
    return _view(call, _find(call))


@routes.post(
    body=Obj(
        {
            "inviterId": Text(optional=True, nullable=True),
            "invitee": Text(pattern=ZOD_EMAIL, kind="email"),
            "organizationId": Text(1),
            "expiresAt": Number(),
            "organizationRoleIds": Array(Text(), optional=True),
            "messagePayload": Union(_PAYLOAD, No(), optional=True),
        }
    ),
    status=201,
)
def create_invitation(call: Call) -> Row:
    body = dict(call.body)
    payload, role_ids = body.pop("messagePayload", False), body.pop("organizationRoleIds", [])
    if body["expiresAt"] <= call.tenant.now_ms():
        raise ApiError(400, "request.invalid_input", "expiresAt must lie in the future.")
    _refuse_member(call, body["organizationId"], body["invitee"])
    _check_references(call, body)
    _sweep(call, body)
    now = call.tenant.now_ms()
    row = {"inviterId": None, "invitee": body["invitee"], "acceptedUserId": None}
    row |= {"organizationId": body["organizationId"], "status": "Pending", "createdAt": now, "updatedAt": now}
    row = insert(call, "invitations", row | body)
    try:
        call.tenant.relations[_ROLES].insert((row["id"], role) for role in role_ids)
        if payload is not False:
            messages.send(call.tenant, "Email", row["invitee"], "OrganizationInvitation", payload)
    except Exception:
        # One transaction: a message that cannot be sent takes the invitation with it.
        call.tenant.delete("invitations", row["id"])
        raise
    return _view(call, row)


def _refuse_member(call: Call, organization: str, email: str) -> None:
    """Compared with case, unlike everywhere else."""
    members = call.tenant.relations["organization_users"]
    known = [user for user in call.tenant.users_by("primaryEmail", email) if user["primaryEmail"] == email]
    if any((organization, user["id"]) in members for user in known):
        raise ApiError(422, "request.invalid_input", "The invitee is a member already.")


def _check_references(call: Call, body: Row) -> None:
    tables, inviter = call.tenant.tables, body.get("inviterId")
    if body["organizationId"] not in tables["organizations"] or (inviter and inviter not in tables["users"]):
        raise ForeignKeyError


def _sweep(call: Call, body: Row) -> None:
    """Marks expired invitations of the same person; one that is still pending forbids another."""
    table = call.tenant.tables["invitations"]
    for row in list(table.values()):
        same = row["invitee"] == body["invitee"] and row["organizationId"] == body["organizationId"]
        if not same or row["status"] != "Pending":
            continue
        if row["expiresAt"] >= call.tenant.now_ms():
            raise ApiError(422, "entity.unique_integrity_violation")
        table.put(row | {"status": "Expired"})


@routes.put(
    "/{id}/status",
    body=Obj({"acceptedUserId": Text(optional=True, nullable=True), "status": Enum("Accepted", "Revoked")}),
)
def set_status(call: Call) -> Row:
    status, user_id = call.body["status"], call.body.get("acceptedUserId")
    if status == "Accepted" and not user_id:
        raise ApiError(422, "request.invalid_input", "Accepting needs acceptedUserId.")
    row = _find(call)
    if _view(call, row)["status"] in _FINAL:
        raise ApiError(422, "request.invalid_input", "The status of the invitation is final.")
    if status == "Accepted":
        _join(call, row, user_id)
    changed = {"status": status, "updatedAt": call.tenant.now_ms()}
    changed |= {"acceptedUserId": user_id} if status == "Accepted" else {}
    return _view(call, call.tenant.tables["invitations"].put(row | changed))


def _join(call: Call, row: Row, user_id: str) -> None:
    user = call.tenant.tables["users"].get(user_id)
    if user is None:
        raise not_found()
    if (user["primaryEmail"] or "").lower() != row["invitee"].lower():
        raise ApiError(422, "request.invalid_input", "The user's e-mail is not the invitee's.")
    relations, pair = call.tenant.relations, (row["organizationId"], user_id)
    relations["organization_users"].insert([pair])
    relations["organization_users_roles"].insert((*pair, role) for role in relations[_ROLES].ids(1, row["id"]))


@routes.post("/{id}/message", body=_PAYLOAD)
def send_message(call: Call) -> Reply:
    messages.send(call.tenant, "Email", _find(call)["invitee"], "OrganizationInvitation", call.body)
    return NO_CONTENT


@routes.delete("/{id}")
def delete_invitation(call: Call) -> Reply:
    return delete_row(call, "invitations", call["id"])
