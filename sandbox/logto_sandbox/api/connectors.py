"""Connectors. Nothing leaves the sandbox: they send nothing, and nobody signs in through one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import urlencode

from logto_sandbox.api import messages
from logto_sandbox.api.common import NO_CONTENT, change, delete_row, read, stored
from logto_sandbox.api.connector_factories import CATALOGUE, Factory, check_config, described
from logto_sandbox.api.patterns import EMAIL, PHONE
from logto_sandbox.errors import ApiError, BareError
from logto_sandbox.http.paging import Rows
from logto_sandbox.http.routing import Call, Reply, Routes
from logto_sandbox.http.schema import Bool, Obj, Text
from logto_sandbox.store.relations import Row
from logto_sandbox.store.rows import new_id
from logto_sandbox.store.tenant import Tenant

routes = Routes("/api/connectors")


def _view(row: Row) -> Row:
    shown = {key: value for key, value in row.items() if key not in ("tenantId", "type")}
    return {**described(row["connectorId"]), **row["metadata"], **shown, "extraInfo": {}}


def targets(tenant: Tenant) -> set[str]:
    """Targets of the social connectors that there are."""
    return {target_of(row) for row in tenant.tables["connectors"].values() if row["type"] == "Social"}


def target_of(row: Row) -> str:
    """Under which a user's identity at this connector's provider is kept."""
    return str(row["metadata"].get("target") or CATALOGUE[row["connectorId"]].target)


@routes.get()
def list_connectors(call: Call) -> Rows:
    target = call.first("target")
    rows = sorted(call.tenant.tables["connectors"].values(), key=lambda row: row["id"])
    return Rows([row for row in rows if not target or target == target_of(row)], _view)


_METADATA = Obj(
    {
        "target": Text(optional=True),
        "name": Obj(optional=True),
        "logo": Text(optional=True),
        "logoDark": Text(optional=True, nullable=True),
    },
    optional=True,
)


@routes.post(
    body=Obj(
        {
            "id": Text(optional=True),
            "connectorId": Text(),
            "config": Obj(optional=True),
            "metadata": _METADATA,
            "syncProfile": Bool(optional=True),
            "enableTokenStorage": Bool(optional=True),
        }
    )
)
def create_connector(call: Call) -> Row:
    body = dict(call.body)
    factory_id = body["connectorId"]
    if factory_id not in CATALOGUE:
        raise ApiError(422, "connector.not_found_with_connector_id")
    factory, table = CATALOGUE[factory_id], call.tenant.tables["connectors"]
    if factory.kind == "Social":
        _check_social(factory_id, body.get("metadata"), table.values())
    if "config" in body:
        check_config(factory_id, body["config"])
    _check_token_storage(factory, body)
    row: Row = {"id": body.pop("id", None) or new_id(12), "syncProfile": False, "enableTokenStorage": False}
    row |= {"config": {}, "metadata": {}} | stored(_kept(body))
    if row["id"] in table:
        raise BareError
    if factory.kind != "Social":
        # A tenant has one connector of each of these types: a new one replaces the old.
        for old in [one["id"] for one in table.values() if one["type"] == factory.kind]:
            table.remove(old)
    return _view(table.put(row | {"type": factory.kind}))


def _check_social(factory_id: str, metadata: Row | None, others: Iterable[Row]) -> None:
    factory, others = CATALOGUE[factory_id], list(others)
    if factory.standard and not (metadata or {}).get("target"):
        raise ApiError(400, "connector.should_specify_target")
    if metadata is not None and not factory.standard:
        raise ApiError(400, "connector.cannot_overwrite_metadata_for_non_standard_connector")
    if not factory.standard and any(row["connectorId"] == factory_id for row in others):
        raise ApiError(422, "connector.multiple_instances_not_supported")
    wanted = (metadata or {}).get("target") or factory.target, factory.platform
    for row in others:
        if row["type"] == "Social" and (target_of(row), CATALOGUE[row["connectorId"]].platform) == wanted:
            about = {"connectorId": row["connectorId"], "connectorName": _view(row)["name"]}
            raise ApiError(422, "connector.multiple_target_with_same_platform", data=about)


def _check_token_storage(factory: Factory, body: Row) -> None:
    if body.get("enableTokenStorage") and not factory.keeps_tokens:
        raise ApiError(422, "connector.token_storage_not_supported")


def _kept(body: Row) -> Row:
    """What is kept of a body: nothing empty within its objects."""
    return {name: _cleaned(value) for name, value in body.items()}


def _cleaned(value: Any) -> Any:
    if isinstance(value, dict):
        inner = {name: _cleaned(one) for name, one in value.items()}
        return {name: one for name, one in inner.items() if one not in _EMPTY}
    if isinstance(value, list):
        return [one for one in map(_cleaned, value) if one not in _EMPTY]
    return value


_EMPTY: tuple[Any, ...] = ("", None, {}, [])


@routes.get("/{id}")
def get_connector(call: Call) -> Row:
    return _view(read(call, "connectors", call["id"]))


@routes.patch(
    "/{id}",
    body=Obj(
        {
            "config": Obj(optional=True),
            "metadata": _METADATA,
            "syncProfile": Bool(optional=True),
            "enableTokenStorage": Bool(optional=True),
        }
    ),
)
def patch_connector(call: Call) -> Row:
    row, body = read(call, "connectors", call["id"]), call.body
    factory, metadata = CATALOGUE[row["connectorId"]], body.get("metadata")
    if metadata is not None and not factory.standard:
        raise ApiError(400, "connector.cannot_overwrite_metadata_for_non_standard_connector")
    if metadata is not None and metadata.get("target") != target_of(row):
        raise ApiError(400, "connector.can_not_modify_target")
    if body.get("syncProfile") and factory.kind != "Social":
        raise ApiError(422, "connector.invalid_type_for_syncing_profile")
    _check_token_storage(factory, body)
    if "config" in body:
        check_config(row["connectorId"], body["config"])
    return _view(change(call.tenant.tables["connectors"], row, _kept(body)))


@routes.delete("/{id}")
def delete_connector(call: Call) -> Reply:
    reply = delete_row(call, "connectors", call["id"])
    experience, left = call.tenant.documents["sign_in_experience"], targets(call.tenant)
    kept = [one for one in experience["socialSignInConnectorTargets"] if one in left]
    call.tenant.documents["sign_in_experience"] = experience | {"socialSignInConnectorTargets": kept}
    return reply


@routes.post(
    "/{factoryId}/test",
    body=Obj(
        {
            "phone": Text(pattern=PHONE, optional=True),
            "email": Text(pattern=EMAIL, optional=True),
            "config": Obj(),
            "locale": Text(optional=True),
        }
    ),
)
def send_test(call: Call) -> Reply:
    """The configuration given sends, whether there is a connector or not."""
    body = call.body
    recipient = body.get("phone") or body.get("email")
    if not recipient:
        raise ApiError(400, "guard.invalid_input")
    factory, kind = CATALOGUE.get(call["factoryId"]), "Sms" if body.get("phone") else "Email"
    if factory is None or factory.kind == "Social":
        raise ApiError(400, "connector.not_found")
    if factory.kind != kind:
        raise ApiError(400, "connector.unexpected_type")
    check_config(call["factoryId"], body["config"])
    locale = {"locale": body["locale"]} if body.get("locale") else {}
    messages.keep(call.tenant, kind, recipient, "Generic", {"code": "000000", **locale})
    return NO_CONTENT


@routes.post("/{connectorId}/authorization-uri", body=Obj({"state": Text(), "redirectUri": Text()}))
def authorization_uri(call: Call) -> Row:
    state, back = call.body["state"], call.body["redirectUri"]
    if not (state and back):
        raise ApiError(400, "session.insufficient_info")
    connector = read(call, "connectors", call["connectorId"])
    if connector["type"] != "Social":
        raise ApiError(400, "connector.unexpected_type")
    if connector["connectorId"] != "mock-social-connector":
        # Those of a standard protocol keep a session, which there is none of.
        raise ApiError(501, "connector.not_implemented")
    query = urlencode({"state": state, "redirect_uri": back, "scope": "email profile"})
    return {"redirectTo": f"http://mock-social/?{query}"}
