"""Connectors with a small catalogue of factories, and verification codes."""

from __future__ import annotations

import secrets
from typing import Any

from logto_sandbox.api import messages
from logto_sandbox.api.common import (
    NO_CONTENT,
    change,
    delete_row,
    read,
)
from logto_sandbox.api.patterns import EMAIL, PHONE
from logto_sandbox.errors import ApiError, not_found
from logto_sandbox.http.bodies import jsonb
from logto_sandbox.http.paging import Rows
from logto_sandbox.http.routing import Call, Reply, Routes
from logto_sandbox.http.schema import (
    Array,
    Bool,
    Enum,
    Issue,
    Number,
    Obj,
    Schema,
    Text,
    Union,
    guard_error,
)
from logto_sandbox.store.relations import Row
from logto_sandbox.store.rows import new_id

routes = Routes("/api/connectors")
factories = Routes("/api/connector-factories")
codes = Routes("/api/verification-codes")

_TEMPLATES = Array(Obj({"usageType": Text(), "subject": Text(optional=True), "content": Text()}))
_SMTP_AUTH = Union(
    Union(
        Obj({"type": Enum("login", optional=True), "user": Text(), "pass": Text()}),
        Obj({"type": Enum("oauth2", optional=True), "user": Text()}),
    ),
    Obj({"method": Text()}),
)
# factory -> (type, target, English name, configuration it needs)
_CATALOGUE: dict[str, tuple[str, str, str, dict[str, Schema]]] = {
    "simple-mail-transfer-protocol": (
        "Email",
        "smtp",
        "SMTP",
        {"host": Text(), "port": Number(), "auth": _SMTP_AUTH, "fromEmail": Text(), "templates": _TEMPLATES},
    ),
    "mock-email-service": (
        "Email",
        "mock-mail",
        "Mock Mail Service",
        {"apiKey": Text(), "fromEmail": Text(), "templates": _TEMPLATES},
    ),
    "mock-short-message-service": (
        "Sms",
        "mock-sms",
        "Mock SMS Service",
        {"accountSID": Text(), "authToken": Text(), "fromMessagingServiceSID": Text(), "templates": _TEMPLATES},
    ),
}


def _factory(factory_id: str) -> Row:
    kind, target, name, _ = _CATALOGUE[factory_id]
    return {
        "target": target,
        "name": {"en": name},
        "description": {"en": f"{name}, as far as the sandbox goes."},
        "logo": "",
        "logoDark": None,
        "readme": "",
        "platform": None,
        "type": kind,
        "isDemo": False,
    }


def _view(row: Row) -> Row:
    shown = {key: value for key, value in row.items() if key not in ("tenantId", "type")}
    return shown | _factory(row["connectorId"]) | {"extraInfo": {}}


def _check_config(factory_id: str, config: Any) -> None:
    issues: list[Issue] = []
    Obj(_CATALOGUE[factory_id][3]).check(config, (), issues)
    if issues:
        raise guard_error(issues, "config", "connector.invalid_config")


@routes.get()
def list_connectors(call: Call) -> Rows:
    target = call.first("target")
    rows = sorted(call.tenant.tables["connectors"].values(), key=lambda row: row["id"])
    return Rows([row for row in rows if target in (None, _CATALOGUE[row["connectorId"]][1])], _view)


@routes.post(
    body=Obj(
        {
            "id": Text(optional=True),
            "connectorId": Text(),
            "config": Obj(optional=True),
            "metadata": Obj(optional=True),
            "syncProfile": Bool(optional=True),
            "enableTokenStorage": Bool(optional=True),
        }
    )
)
def create_connector(call: Call) -> Row:
    body = dict(call.body)
    factory_id = body["connectorId"]
    if factory_id not in _CATALOGUE:
        raise ApiError(422, "connector.not_found_with_connector_id")
    if "config" in body:
        _check_config(factory_id, body["config"])
    table, kind = call.tenant.tables["connectors"], _CATALOGUE[factory_id][0]
    # A tenant has one connector of each of these types: a new one replaces the old.
    for old in [row["id"] for row in table.values() if row["type"] == kind]:
        table.remove(old)
    row: Row = {"id": body.pop("id", None) or new_id(12), "syncProfile": False, "enableTokenStorage": False}
    row |= {"config": {}, "metadata": {}} | {key: jsonb(value) for key, value in body.items()}
    return _view(table.put(row | {"type": kind}))


@routes.get("/{id}")
def get_connector(call: Call) -> Row:
    return _view(read(call, "connectors", call["id"]))


@routes.patch(
    "/{id}",
    body=Obj({"config": Obj(optional=True), "metadata": Obj(optional=True), "syncProfile": Bool(optional=True)}),
)
def patch_connector(call: Call) -> Row:
    row = read(call, "connectors", call["id"])
    if "config" in call.body:
        _check_config(row["connectorId"], call.body["config"])
    return _view(change(call.tenant.tables["connectors"], row, call.body))


@routes.delete("/{id}")
def delete_connector(call: Call) -> Reply:
    return delete_row(call, "connectors", call["id"])


@factories.get()
def list_factories(call: Call) -> list[Row]:
    return [{"id": factory_id} | _factory(factory_id) for factory_id in _CATALOGUE]


@factories.get("/{id}")
def get_factory(call: Call) -> Row:
    if call["id"] not in _CATALOGUE:
        raise not_found()
    return {"id": call["id"]} | _factory(call["id"])


# -- verification codes


def _identifier_with(**more: Schema) -> Union:
    """``{email}`` or ``{phone}``, with more keys beside it."""
    return Union(Obj({"email": Text(pattern=EMAIL)} | more), Obj({"phone": Text(pattern=PHONE)} | more))


def _identifier(body: Row) -> tuple[str, str]:
    return ("Email", body["email"]) if "email" in body else ("Sms", body["phone"])


@codes.post(body=_identifier_with())
def send_code(call: Call) -> Reply:
    kind, recipient = _identifier(call.body)
    messages.refuse_flood(call.tenant, recipient)
    # The code is there before it is sent, also when it cannot be sent.
    code = call.tenant.codes[recipient] = f"{secrets.randbelow(10**6):06d}"
    messages.send(call.tenant, kind, recipient, "Generic", {"code": code})
    return NO_CONTENT


@codes.post("/verify", body=_identifier_with(verificationCode=Text(1)))
def verify_code(call: Call) -> Reply:
    _, recipient = _identifier(call.body)
    if recipient not in call.tenant.codes:
        raise ApiError(400, "verification_code.not_found")
    if call.tenant.codes[recipient] != call.body["verificationCode"]:
        raise ApiError(400, "verification_code.code_mismatch")
    del call.tenant.codes[recipient]
    return NO_CONTENT
