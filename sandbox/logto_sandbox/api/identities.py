"""Identities of a user at social and enterprise providers; the API cannot add or remove an enterprise one."""

from __future__ import annotations

from logto_sandbox.api.common import read
from logto_sandbox.api.connectors import target_of
from logto_sandbox.api.users import update_user_row
from logto_sandbox.errors import ApiError
from logto_sandbox.http.routing import Call, Reply, Routes
from logto_sandbox.http.schema import Obj, Text
from logto_sandbox.store.relations import Row
from logto_sandbox.store.rows import new_id

routes = Routes("/api/users/{userId}")


def _held(call: Call) -> Row:
    user = read(call, "users", call["userId"])
    if call["target"] not in user["identities"]:
        raise ApiError(404, "user.identity_not_exist")
    return user


def _refuse_taken(call: Call, user: Row, target: str, identity: str) -> None:
    for other in call.tenant.tables["users"].values():
        if other["identities"].get(target, {}).get("userId") == identity and other["id"] != user["id"]:
            raise ApiError(422, "user.identity_already_in_use")


@routes.get("/identities/{target}")
def get_identity(call: Call) -> Row:
    return {"identity": _held(call)["identities"][call["target"]]}


@routes.put("/identities/{target}", body=Obj({"userId": Text(), "details": Obj(optional=True)}))
def put_identity(call: Call) -> Reply:
    user, target = read(call, "users", call["userId"]), call["target"]
    _refuse_taken(call, user, target, call.body["userId"])
    changed = update_user_row(call.tenant, user, {"identities": user["identities"] | {target: call.body}})
    return Reply(200 if target in user["identities"] else 201, changed["identities"])


@routes.post("/identities", body=Obj({"connectorId": Text(), "connectorData": Obj()}))
def link_identity(call: Call) -> Row:
    """Only Logto's mock connector asks no provider: the data that it is given are the person."""
    connector = call.tenant.tables["connectors"].get(call.body["connectorId"])
    if connector is None:
        raise ApiError(404, "entity.not_found")
    user, data = read(call, "users", call["userId"]), call.body["connectorData"]
    if connector["type"] != "Social":
        raise ApiError(422, "session.invalid_connector_id")
    if connector["connectorId"] != "mock-social-connector":
        raise ApiError(400, "connector.general")
    if not isinstance(data.get("code"), str):
        raise ApiError(400, "connector.invalid_response", data={})
    person = {"id": data.get("userId") or f"mock-social-sub-{new_id(12)}"}
    person |= {name: data[name] for name in ("email", "phone", "name", "avatar") if name in data} | {"rawData": data}
    _refuse_taken(call, user, target := target_of(connector), person["id"])
    identities = user["identities"] | {target: {"userId": person["id"], "details": person}}
    identities_after: Row = update_user_row(call.tenant, user, {"identities": identities})["identities"]
    return identities_after


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
