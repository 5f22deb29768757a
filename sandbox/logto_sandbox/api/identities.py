"""Identities of a user at social and enterprise providers; the API cannot add or remove an enterprise one."""

from __future__ import annotations

from logto_sandbox.api.common import read
from logto_sandbox.api.users import update_user_row
from logto_sandbox.errors import ApiError
from logto_sandbox.http.routing import Call, Reply, Routes
from logto_sandbox.http.schema import Obj, Text
from logto_sandbox.store.relations import Row

routes = Routes("/api/users/{userId}")


def _held(call: Call) -> Row:
    user = read(call, "users", call["userId"])
    if call["target"] not in user["identities"]:
        raise ApiError(404, "user.identity_not_exist")
    return user


@routes.get("/identities/{target}")
def get_identity(call: Call) -> Row:
    return {"identity": _held(call)["identities"][call["target"]]}


@routes.put("/identities/{target}", body=Obj({"userId": Text(), "details": Obj(optional=True)}))
def put_identity(call: Call) -> Reply:
    user, target = read(call, "users", call["userId"]), call["target"]
    for other in call.tenant.tables["users"].values():
        taken = other["identities"].get(target, {}).get("userId") == call.body["userId"]
        if taken and other["id"] != user["id"]:
            raise ApiError(422, "user.identity_already_in_use")
    changed = update_user_row(call.tenant, user, {"identities": user["identities"] | {target: call.body}})
    return Reply(200 if target in user["identities"] else 201, changed["identities"])


@routes.post("/identities", body=Obj({"connectorId": Text(), "connectorData": Obj()}))
def link_identity(call: Call) -> Row:
    """The sandbox has no social connectors, so this always ends in a refusal."""
    if call.body["connectorId"] not in call.tenant.tables["connectors"]:
        raise ApiError(404, "entity.not_found")
    read(call, "users", call["userId"])
    raise ApiError(422, "session.invalid_connector_id")


@routes.delete("/identities/{target}")
def delete_identity(call: Call) -> Row:
    user = _held(call)
    left = {target: identity for target, identity in user["identities"].items() if target != call["target"]}
    return update_user_row(call.tenant, user, {"identities": left})


@routes.get("/all-identities")
def list_identities(call: Call) -> Row:
    user = read(call, "users", call["userId"])
    social = [{"target": target, "identity": identity} for target, identity in user["identities"].items()]
    rows = call.tenant.rows_of("user_sso_identities", "userId", user["id"])
    enterprise = [{"ssoConnectorId": row["ssoConnectorId"], "ssoIdentity": row} for row in rows]
    return {"socialIdentities": social, "ssoIdentities": enterprise}


@routes.get("/sso-identities/{ssoConnectorId}")
def get_sso_identity(call: Call) -> Row:
    user = read(call, "users", call["userId"])
    for row in call.tenant.rows_of("user_sso_identities", "userId", user["id"]):
        if row["ssoConnectorId"] == call["ssoConnectorId"]:
            return {"ssoIdentity": row}
    raise ApiError(404, "user.enterprise_sso_identity_not_exists")
