"""Enterprise SSO connectors. Nobody signs in through them here, and no identity provider is asked for its metadata."""

from __future__ import annotations

from typing import Any

from logto_sandbox.api.common import change, delete_row, insert, read
from logto_sandbox.errors import ApiError
from logto_sandbox.http.paging import Rows
from logto_sandbox.http.routing import OPTIONAL, Call, Reply, Routes
from logto_sandbox.http.schema import Array, Bool, Enum, Issue, Obj, Schema, Text, Union
from logto_sandbox.store.relations import Row

routes = Routes("/api/sso-connectors")
providers = Routes("/api/sso-connector-providers")

# provider -> (its protocol, its name)
_PROVIDERS = {
    "OIDC": ("oidc", "OIDC"),
    "SAML": ("saml", "SAML"),
    "AzureAD": ("saml", "Microsoft Entra ID (SAML)"),
    "AzureAdOidc": ("oidc", "Microsoft Entra ID (OIDC)"),
    "GoogleWorkspace": ("oidc", "Google Workspace"),
    "Okta": ("oidc", "Okta"),
}
# Domains that many companies share cannot belong to one.
_PUBLIC = frozenset({"gmail.com", "hotmail.com", "icloud.com", "outlook.com", "yahoo.com"})
_GOOGLE = "https://accounts.google.com"

_OIDC: dict[str, Schema] = {"clientId": Text(), "clientSecret": Text(), "issuer": Text(), "scope": Text(optional=True)}
_OIDC |= {"trustUnverifiedEmail": Bool(optional=True)}
_MAPPING = Obj({key: Text(optional=True) for key in ("id", "email", "name")}, optional=True)
_ALGORITHMS = tuple(f"http://www.w3.org/2001/04/xmldsig-more#rsa-sha{size}" for size in (256, 512))
_SAML = {
    "attributeMapping": _MAPPING,
    "signAuthnRequest": Bool(optional=True),
    "requestSignatureAlgorithm": Enum(*_ALGORITHMS, optional=True),
}
_CONFIG = {
    "oidc": Obj(_OIDC),
    "google": Obj({key: schema for key, schema in _OIDC.items() if key != "issuer"}),
    "saml": Union(
        Obj({"metadataUrl": Text()} | _SAML),
        Obj({"metadata": Text()} | _SAML),
        Obj({key: Text() for key in ("entityId", "signInEndpoint", "x509Certificate")} | _SAML),
    ),
}
_FIELDS = {
    "domains": Array(Text(), optional=True),
    "config": Obj(optional=True),
    "branding": Obj(optional=True),
    "syncProfile": Bool(optional=True),
    "enableTokenStorage": Bool(optional=True),
}


def _checked(call: Call, provider: str, body: Row) -> Row:
    """The body with its domains and configuration as they are stored."""
    checked = dict(body)
    if "domains" in checked:
        checked["domains"] = [domain.lower() for domain in checked["domains"]]
        _check_domains(checked["domains"])
    if "config" in checked:
        protocol, issues = _PROVIDERS[provider][0], list[Issue]()
        schema = _CONFIG["google" if provider == "GoogleWorkspace" else protocol]
        config = schema.check(checked["config"], (), issues)
        if issues:
            raise ApiError(400, "connector.invalid_config")
        if config.get("signAuthnRequest"):
            raise ApiError(400, "single_sign_on.active_signing_key_required")
        defaults = {"trustUnverifiedEmail": False} if protocol == "oidc" else {}
        checked["config"] = config | {key: config.get(key, value) for key, value in defaults.items()}
    if checked.get("enableTokenStorage"):
        raise ApiError(422, "request.feature_not_supported")
    return checked


def _check_domains(domains: list[str]) -> None:
    if forbidden := [domain for domain in domains if domain in _PUBLIC]:
        raise ApiError(422, "single_sign_on.forbidden_domains", data={"data": list(dict.fromkeys(forbidden))})
    if repeated := [domain for domain in dict.fromkeys(domains) if domains.count(domain) > 1]:
        raise ApiError(422, "single_sign_on.duplicated_domains", data={"data": repeated})


def _check_name(call: Call, name: str, own: str | None = None) -> None:
    rows = call.tenant.tables["sso_connectors"].values()
    if any(row["connectorName"] == name and row["id"] != own for row in rows):
        raise ApiError(409, "single_sign_on.duplicate_connector_name")


def _details(call: Call, row: Row) -> Row:
    protocol, name = _PROVIDERS[row["providerName"]]
    shown = row | {"name": name, "providerType": protocol, "providerLogo": "", "providerLogoDark": ""}
    config = _provider_config(call, row, protocol)
    return shown if config is None else shown | {"providerConfig": config}


def _provider_config(call: Call, row: Row, protocol: str) -> Any:
    """What a server learns from the identity provider; here, what a Logto at that address would tell."""
    config = row["config"]
    if protocol == "saml":
        service = {"entityId": f"{call.origin}/enterprise-sso/{row['id']}"}
        service["assertionConsumerServiceUrl"] = f"{call.origin}/api/authn/single-sign-on/saml/{row['id']}"
        mapping = {"id": "nameID", "email": "email", "name": "name"}
        return {"defaultAttributeMapping": mapping, "serviceProvider": service}
    if not config:
        return None
    issuer = config.get("issuer", _GOOGLE)
    endpoints = {"authorizationEndpoint": "/auth", "tokenEndpoint": "/token", "userinfoEndpoint": "/me"}
    endpoints["jwksUri"] = "/jwks"
    scope = dict.fromkeys(["openid", "profile", "email", *config.get("scope", "").replace("+", " ").split()])
    shown = {key: config[key] for key in ("clientId", "clientSecret", "trustUnverifiedEmail")}
    urls = {key: issuer + path for key, path in endpoints.items()}
    return shown | {"issuer": issuer, "scope": " ".join(scope)} | urls


@routes.get(paging=OPTIONAL)
def list_connectors(call: Call) -> Rows:
    return Rows(call.tenant.tables["sso_connectors"].unordered(), lambda row: _details(call, row))


@routes.post(body=Obj({"providerName": Text(), "connectorName": Text(1, 128)} | _FIELDS))
def create_connector(call: Call) -> Row:
    provider = call.body["providerName"]
    if provider not in _PROVIDERS:
        raise ApiError(422, "connector.not_found")
    body = _checked(call, provider, call.body)
    _check_name(call, body["connectorName"])
    row: Row = {"providerName": provider, "connectorName": "", "config": {}, "domains": [], "branding": {}}
    row |= {"syncProfile": False, "enableTokenStorage": False, "createdAt": call.tenant.now_ms()} | body
    return insert(call, "sso_connectors", row, 12)


@routes.get("/{id}")
def get_connector(call: Call) -> Row:
    return _details(call, read(call, "sso_connectors", call["id"]))


@routes.patch("/{id}", body=Obj({"connectorName": Text(1, 128, optional=True)} | _FIELDS))
def patch_connector(call: Call) -> Row:
    row = read(call, "sso_connectors", call["id"])
    if "connectorName" in call.body:
        _check_name(call, call.body["connectorName"], row["id"])
    body = _checked(call, row["providerName"], call.body)
    return _details(call, change(call.tenant.tables["sso_connectors"], row, body) if body else row)


@routes.delete("/{id}")
def delete_connector(call: Call) -> Reply:
    return delete_row(call, "sso_connectors", read(call, "sso_connectors", call["id"])["id"])


@providers.get()
def list_providers(call: Call) -> list[Row]:
    return [
        {
            "providerName": provider,
            "providerType": protocol,
            "logo": "",
            "logoDark": "",
            "description": name,
            "name": name,
        }
        for provider, (protocol, name) in _PROVIDERS.items()
    ]
