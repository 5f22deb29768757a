"""What connectors are made of: a small catalogue of Logto's own, and of the mocks of its tests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from logto_sandbox.errors import not_found
from logto_sandbox.http.routing import Call, Routes
from logto_sandbox.http.schema import Array, Enum, Issue, Number, Obj, Schema, Text, Union, guard_error
from logto_sandbox.store.relations import Row

routes = Routes("/api/connector-factories")

_TEMPLATES = Array(Obj({"usageType": Text(), "subject": Text(optional=True), "content": Text()}))
_MAILS = Array(
    Obj({"usageType": Text(), "type": Enum("text/plain", "text/html"), "subject": Text(), "content": Text()})
)
_SMTP_AUTH = Union(
    Union(
        Obj({"type": Enum("login", optional=True), "user": Text(), "pass": Text()}),
        Obj({"type": Enum("oauth2", optional=True), "user": Text()}),
    ),
    Obj({"method": Text()}),
)
_OAUTH = {name: Text() for name in ("authorizationEndpoint", "tokenEndpoint", "clientId", "clientSecret")}


@dataclass(frozen=True)
class Factory:
    """What connectors are made of.

    :param config: the configuration that one needs.
    :param standard: whether it speaks a protocol of many providers, so that each connector has a target of its own.
    """

    kind: str
    target: str
    name: str
    config: dict[str, Schema]
    platform: str | None = None
    standard: bool = False
    keeps_tokens: bool = False


CATALOGUE: dict[str, Factory] = {
    "simple-mail-transfer-protocol": Factory(
        "Email",
        "smtp",
        "SMTP",
        {"host": Text(), "port": Number(), "auth": _SMTP_AUTH, "fromEmail": Text(), "templates": _TEMPLATES},
    ),
    "mock-email-service": Factory(
        "Email",
        "mock-mail",
        "Mock Mail Service",
        {"apiKey": Text(), "fromEmail": Text(), "templates": _MAILS},
    ),
    "mock-email-service-alternative": Factory(
        "Email",
        "mock-mail-alternative",
        "Mock Mail Service",
        {
            "apiKey": Text(optional=True),
            "fromEmail": Text(optional=True),
            "templates": Array(_MAILS.item, optional=True),
        },
    ),
    "mock-short-message-service": Factory(
        "Sms",
        "mock-sms",
        "Mock SMS Service",
        {"accountSID": Text(), "authToken": Text(), "fromMessagingServiceSID": Text(), "templates": _TEMPLATES},
    ),
    "mock-social-connector": Factory(
        "Social",
        "mock-social",
        "Mock Social",
        {"clientId": Text(), "clientSecret": Text()},
        platform="Universal",
        keeps_tokens=True,
    ),
    "oidc": Factory(
        "Social",
        "oidc",
        "OIDC",
        {**_OAUTH, "scope": Text(), "idTokenVerificationConfig": Obj({"jwksUri": Text()})},
        platform="Universal",
        standard=True,
        keeps_tokens=True,
    ),
    "oauth2": Factory(
        "Social",
        "oauth2",
        "OAuth 2.0",
        {**_OAUTH, "userInfoEndpoint": Text(), "scope": Text(optional=True)},
        platform="Universal",
        standard=True,
        keeps_tokens=True,
    ),
}


def described(factory_id: str) -> Row:
    factory = CATALOGUE[factory_id]
    shown = {
        "type": factory.kind,
        "target": factory.target,
        "platform": factory.platform,
        "name": {"en": factory.name},
        "logo": "",
        "logoDark": None,
        "description": {"en": f"{factory.name}, as far as the sandbox goes."},
        "readme": "",
        "isDemo": False,
    }
    flags = {"isStandard": factory.standard, "isTokenStorageSupported": factory.keeps_tokens}
    return shown | {name: True for name, value in flags.items() if value}


def check_config(factory_id: str, config: Any) -> None:
    issues: list[Issue] = []
    Obj(CATALOGUE[factory_id].config).check(config, (), issues)
    if issues:
        raise guard_error(issues, "config", "connector.invalid_config")


@routes.get()
def list_factories(call: Call) -> list[Row]:
    return [{"id": factory_id} | described(factory_id) for factory_id in CATALOGUE]


@routes.get("/{id}")
def getdescribed(call: Call) -> Row:
    if call["id"] not in CATALOGUE:
        raise not_found()
    return {"id": call["id"]} | described(call["id"])
