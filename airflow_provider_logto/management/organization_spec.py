"""What an organization should be, checked before anything is sent.

Source: Logto Management API, tag "Organizations".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from airflow_provider_logto.exceptions import InvalidInput
from airflow_provider_logto.management import fields
from airflow_provider_logto.management.json_values import json_object, same_json, wrong_type
from airflow_provider_logto.management.references import listed

Organization = dict[str, Any]

#: The key of ``customData`` under which the external id is kept.
EXTERNAL_ID = "externalId"
_MAX_DESCRIPTION = 256
_MAX_CSS = 200_000
#: Argument -> field, and what an empty one is.
CLEARABLE: Mapping[str, tuple[str, Any]] = {
    "description": ("description", None),
    "custom_data": ("customData", {}),
    "branding": ("branding", {}),
    "color": ("color", {}),
    "custom_css": ("customCss", None),
}
_BRANDING = ("logoUrl", "darkLogoUrl", "favicon", "darkFavicon")
_COLORS = ("primaryColor", "darkPrimaryColor")


@dataclass(frozen=True)
class OrganizationSpec:
    """An organization as it should be. None means "leave it alone". Make one with :meth:`checked`.

    :param former_external_id: the external id that it may still carry.
    :param clear_fields: names of :data:`CLEARABLE` that are emptied.
    """

    name: str
    external_id: str | None = None
    description: str | None = None
    custom_data: Mapping[str, Any] | None = None
    branding: Mapping[str, str] | None = None
    color: Mapping[str, Any] | None = None
    custom_css: str | None = None
    mfa_required: bool | None = None
    former_external_id: str | None = None
    clear_fields: tuple[str, ...] = ()

    @classmethod
    def checked(
        cls,
        name: Any,
        external_id: Any = None,
        description: Any = None,
        custom_data: Any = None,
        *,
        branding: Any = None,
        color: Any = None,
        custom_css: Any = None,
        mfa_required: Any = None,
        former_external_id: Any = None,
        clear_fields: Any = (),
    ) -> OrganizationSpec:
        """
        :raises InvalidInput: naming the field and what would be right.
        """
        checked_name = fields.name("name", name)
        if checked_name is None:
            raise InvalidInput("name", "missing: give the organization's name")
        data = json_object("custom_data", custom_data)
        if data and EXTERNAL_ID in data:
            raise InvalidInput(f"custom_data.{EXTERNAL_ID}", "is kept by the provider; give it as external_id")
        if mfa_required not in (None, "") and not isinstance(mfa_required, bool):
            raise InvalidInput("mfa_required", wrong_type("True or False", mfa_required))
        cleared = listed("clear_fields", clear_fields or ())
        for one in cleared:
            if not isinstance(one, str) or one not in CLEARABLE:
                raise InvalidInput("clear_fields", f"{one!r} cannot be cleared; {', '.join(CLEARABLE)} can")
        spec = cls(
            checked_name,
            fields.identifier("external_id", external_id),
            fields.name("description", description, _MAX_DESCRIPTION),
            data,
            _branding(branding),
            _color(color),
            fields.text("custom_css", custom_css, _MAX_CSS),
            None if mfa_required == "" else mfa_required,
            fields.identifier("former_external_id", former_external_id),
            tuple(dict.fromkeys(cleared)),
        )
        if spec.former_external_id and not spec.external_id:
            raise InvalidInput("former_external_id", "only goes with external_id, the new one")
        for one in spec.clear_fields:
            if getattr(spec, one) and one != "custom_data":
                raise InvalidInput("clear_fields", f"{one} is given too; leave one of the two out")
        return spec

    def body(self) -> dict[str, Any]:
        """The request body of ``POST /api/organizations``."""
        data = {**(self.custom_data or {}), **self._marker()}
        return {name: value for name, value in {**self._given(), "customData": data}.items() if value not in (None, {})}

    def changes(self, organization: Organization) -> dict[str, Any]:
        """The body of ``PATCH /api/organizations/{id}`` that brings it in line; empty where nothing differs.

        ``PATCH`` replaces JSON fields whole, so what is there already is sent along, unless it is to be cleared.
        """
        wanted = self._given()
        wanted["customData"] = {**(self.custom_data or {}), **self._marker()}
        for name, value in wanted.items():
            current = organization.get(name)
            if isinstance(value, Mapping) and isinstance(current, Mapping) and name not in self._cleared():
                wanted[name] = {**current, **value}
        if (
            "custom_data" in self.clear_fields
            and not self.external_id
            and (kept := external_id_of(organization)) is not None
        ):
            # Cleared of everything but what it is known by.
            wanted["customData"] = {**wanted["customData"], EXTERNAL_ID: kept}
        wanted |= {name: empty for name, empty in self._cleared().items() if name != "customData"}
        return {
            name: value
            for name, value in wanted.items()
            if (value is not None or name in self._cleared()) and not same_json(organization.get(name), value)
        }

    def _given(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "description": self.description,
            "branding": self.branding,
            "color": self.color,
            "customCss": self.custom_css,
            "isMfaRequired": self.mfa_required,
        }

    def _marker(self) -> dict[str, Any]:
        return {EXTERNAL_ID: self.external_id} if self.external_id else {}

    def _cleared(self) -> dict[str, Any]:
        return dict(CLEARABLE[name] for name in self.clear_fields)


def external_id_of(organization: Organization) -> Any:
    """The external id that an organization carries, or None."""
    return (organization.get("customData") or {}).get(EXTERNAL_ID)


def _branding(value: Any) -> dict[str, str] | None:
    given = json_object("branding", value)
    for name, url in (given or {}).items():
        if name not in _BRANDING:
            raise InvalidInput(f"branding.{name}", f"is unknown; use {', '.join(_BRANDING)}")
        if not fields.is_url(url):
            raise InvalidInput(f"branding.{name}", f"{url!r} is not a URL; write https://...")
    return given


def _color(value: Any) -> dict[str, Any] | None:
    given = json_object("color", value)
    for name, one in (given or {}).items():
        if name == "isDarkModeEnabled" and isinstance(one, bool):
            continue
        if name not in _COLORS:
            raise InvalidInput(f"color.{name}", f"is unknown; use {', '.join((*_COLORS, 'isDarkModeEnabled'))}")
        if not isinstance(one, str) or not re.fullmatch(r"#[0-9a-fA-F]{3}([0-9a-fA-F]{3})?", one):
            raise InvalidInput(f"color.{name}", f"{one!r} is not a colour; write #rgb or #rrggbb")
    return given
