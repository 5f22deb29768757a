"""What an application should be, checked before anything is sent.

Source: Logto Management API, tag "Applications".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from airflow_provider_logto.exceptions import InvalidInput
from airflow_provider_logto.management import fields
from airflow_provider_logto.management.json_values import json_object, same_json
from airflow_provider_logto.management.references import listed

Application = dict[str, Any]
ApplicationType = Literal["Native", "SPA", "Traditional", "MachineToMachine"]
TYPES = ("Native", "SPA", "Traditional", "MachineToMachine")
#: The key of ``customData`` under which the external id is kept.
EXTERNAL_ID = "externalId"
_MAX_NAME = 256

#: Argument -> key of ``oidcClientMetadata``, and of ``customClientMetadata``.
_OIDC_LISTS = {"redirect_uris": "redirectUris", "post_logout_redirect_uris": "postLogoutRedirectUris"}
_CUSTOM_LISTS = {"cors_allowed_origins": "corsAllowedOrigins"}


@dataclass(frozen=True)
class ApplicationSpec:
    """An application as it should be. None means "leave it alone". Make one with :meth:`checked`.

    :param client_metadata: settings of ``customClientMetadata``, e.g. ``{"refreshTokenTtlInDays": 14}``.
    :param exact: lists and roles become exactly those given, instead of only growing.
    """

    name: str
    type: ApplicationType
    external_id: str | None = None
    description: str | None = None
    redirect_uris: tuple[str, ...] | None = None
    post_logout_redirect_uris: tuple[str, ...] | None = None
    cors_allowed_origins: tuple[str, ...] | None = None
    client_metadata: Mapping[str, Any] | None = None
    custom_data: Mapping[str, Any] | None = None
    third_party: bool | None = None
    roles: tuple[str, ...] | None = None
    exact: bool = False

    @classmethod
    def checked(
        cls,
        name: Any,
        application_type: Any,
        external_id: Any = None,
        *,
        description: Any = None,
        redirect_uris: Any = None,
        post_logout_redirect_uris: Any = None,
        cors_allowed_origins: Any = None,
        client_metadata: Any = None,
        custom_data: Any = None,
        third_party: Any = None,
        roles: Any = None,
        exact: bool = False,
    ) -> ApplicationSpec:
        """
        :raises InvalidInput: naming the argument and what would be right.
        """
        checked_name = fields.name("name", name, _MAX_NAME)
        if checked_name is None:
            raise InvalidInput("name", "missing: give the application's name")
        if application_type not in TYPES:
            raise InvalidInput(
                "application_type", f"{application_type!r} cannot be made here; use one of {', '.join(TYPES)}"
            )
        machine = application_type == "MachineToMachine"
        data = json_object("custom_data", custom_data)
        if data and EXTERNAL_ID in data:
            raise InvalidInput(f"custom_data.{EXTERNAL_ID}", "is kept by the provider; give it as external_id")
        exact = fields.switch("exact", exact)
        third_party = None if third_party in (None, "") else fields.switch("third_party", third_party)
        if third_party and machine:
            raise InvalidInput("third_party", "only goes with Native, SPA and Traditional")
        native = application_type == "Native"
        spec = cls(
            checked_name,
            application_type,
            fields.identifier("external_id", external_id),
            fields.name("description", description, _MAX_NAME),
            _uris("redirect_uris", redirect_uris, native, exact),
            _uris("post_logout_redirect_uris", post_logout_redirect_uris, native, exact),
            _uris("cors_allowed_origins", cors_allowed_origins, False, exact),
            json_object("client_metadata", client_metadata),
            data,
            third_party,
            _roles(roles, exact),
            exact,
        )
        if spec.roles is not None and not machine:
            raise InvalidInput("roles", "only machine-to-machine applications hold roles")
        for argument in (*_OIDC_LISTS, *_CUSTOM_LISTS) if machine else ():
            if getattr(spec, argument):
                raise InvalidInput(argument, "a machine-to-machine application has nobody to redirect")
        return spec

    def body(self) -> dict[str, Any]:
        """The request body of ``POST /api/applications``."""
        body: dict[str, Any] = {"name": self.name, "type": self.type, **self._differences({})}
        if self.third_party is not None:
            body["isThirdParty"] = self.third_party
        return body

    def changes(self, application: Application) -> dict[str, Any]:
        """The body of ``PATCH /api/applications/{id}`` that brings it in line; empty where nothing differs.

        JSON columns are replaced whole, so what is there already is sent along.
        """
        return self._differences(application)

    def _differences(self, application: Application) -> dict[str, Any]:
        marker = {EXTERNAL_ID: self.external_id} if self.external_id else {}
        wanted: dict[str, Any] = {"name": self.name, "description": self.description}
        oidc = application.get("oidcClientMetadata") or {"redirectUris": [], "postLogoutRedirectUris": []}
        custom = application.get("customClientMetadata") or {}
        data = application.get("customData") or {}
        wanted["oidcClientMetadata"] = {**oidc, **self._lists(_OIDC_LISTS, oidc)}
        settings = {**custom, **self._lists(_CUSTOM_LISTS, custom), **(self.client_metadata or {})}
        wanted["customClientMetadata"] = settings
        wanted["customData"] = {**data, **(self.custom_data or {}), **marker}
        if not application:
            # What the server makes of nothing is its own business.
            wanted["oidcClientMetadata"] = wanted["oidcClientMetadata"] if self._lists(_OIDC_LISTS, {}) else None
            wanted = {name: value or None for name, value in wanted.items()}
        return {
            name: value
            for name, value in wanted.items()
            if value is not None and not same_json(application.get(name), value)
        }

    def _lists(self, names: Mapping[str, str], current: Mapping[str, Any]) -> dict[str, list[str]]:
        lists = {}
        for argument, key in names.items():
            given: tuple[str, ...] | None = getattr(self, argument)
            if given is not None:
                held = current.get(key)
                kept = held if isinstance(held, list) and not self.exact else ()
                lists[key] = list(dict.fromkeys((*map(str, kept), *given)))
        return lists


def _uris(field: str, value: Any, native: bool, exact: bool) -> tuple[str, ...] | None:
    """
    :param native: whether schemes of an own app (``com.example.app://callback``) will do.
    """
    if value is None or value == "":
        return None
    checked = []
    for at, one in enumerate(listed(field, value)):
        uri = fields.text(f"{field}[{at}]", one, 2048)
        parts = fields.url_parts(uri)
        web = parts.scheme in ("http", "https") and bool(parts.netloc)
        own = native and bool(parts.scheme) and parts.scheme not in ("http", "https", "javascript", "data")
        if uri is None or not (web or own) or parts.fragment or any(c.isspace() for c in uri):
            raise InvalidInput(f"{field}[{at}]", f"{one!r} is not an absolute URI without fragment; write https://...")
        checked.append(uri)
    if exact and not checked:
        raise InvalidInput(field, "is empty: exact would take every one away; leave it out, or list what stays")
    return tuple(dict.fromkeys(checked))


def _roles(value: Any, exact: bool) -> tuple[str, ...] | None:
    if value is None or value == "":
        return None
    names = listed("roles", value)
    if not isinstance(names, Sequence) or not all(isinstance(one, str) and one.strip() for one in names):
        raise InvalidInput("roles", f"must be names or ids of machine-to-machine roles; got {value!r}")
    if exact and not names:
        raise InvalidInput("roles", "is empty: exact would take every role away; leave it out, or list what stays")
    return tuple(dict.fromkeys(names))
