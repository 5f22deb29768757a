"""Every kind of object that a configuration may hold: one table, from which all else follows.

Source: Logto Management API, tags of the same names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from airflow_provider_logto.management.answers import Shape
from airflow_provider_logto.management.kept import Forms

#: Stands in a configuration for the indicator of the tenant's own Management API resource.
MANAGEMENT_API = "$management_api"
#: Stands for a value that is kept elsewhere: ``{"$secret": name}``.
SECRET = "$secret"  # noqa: S105
_LIST = (list, type(None))


@dataclass(frozen=True)
class Kind:
    """One kind.

    :param section: its list in a configuration.
    :param path: of its list, without ``/api``.
    :param key: the field by which one is known.
    :param required: fields that each must have.
    :param fields: fields that are compared and changed.
    :param at_creation: fields that can only be given at creation, with the value that stands for nothing given.
    :param merged: fields that are JSON objects, merged into what is there.
    :param secret: fields whose values appear in no plan.
    :param free: JSON fields in which anybody keeps what they like: what a change replaces there appears in no plan.
    :param relations: field -> (relation, kind of what is referred to).
    :param phase: order of creation; deletions go the other way.
    :param longest: field -> how long its text may be, in UTF-16 units.
    :param unique: whether Logto refuses a second one of one key.
    :param read: fields that are read besides, with their types.
    :param by_target: whether several may have one key, and are told apart by the target in their metadata.
    :param forms: field -> its value in the form in which Logto stores it, where that is another one.
    :param words: field -> words that its list may hold. A newer Logto may know more, so that only a word which is
        nearly one of these is refused.
    :param proof: the field of a creation that can carry a word of ours, which proves who made the object.
    """

    section: str
    path: str
    key: str = "name"
    required: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    at_creation: Mapping[str, Any] | None = None
    merged: frozenset[str] = frozenset()
    secret: frozenset[str] = frozenset()
    free: frozenset[str] = frozenset()
    relations: Mapping[str, tuple[str, str]] | None = None
    phase: int = 0
    longest: Mapping[str, int] = field(default_factory=lambda: {"name": 256})
    unique: bool = True
    read: Shape = field(default_factory=dict)
    by_target: bool = False
    forms: Forms = field(default_factory=dict)
    words: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    proof: Literal["id", "customData"] | None = None

    @property
    def shape(self) -> Shape:
        """What is read of an object in the list."""
        return {"id": str, self.key: str, **dict.fromkeys(sorted(self.merged), (dict, type(None))), **self.read}

    def key_of(self, row: Mapping[str, Any]) -> str:
        """What an object of this kind is known by."""
        target = (row.get("metadata") or {}).get("target") if self.by_target else None
        return f"{row[self.key]} {target}" if target else str(row[self.key])


_CHANGES = ("Created", "Deleted", "Data.Updated")
#: What a webhook can be sent for; source: ``POST /api/hooks``.
EVENTS = (
    *("PostRegister", "PostSignIn", "PostSignInAdaptiveMfaTriggered", "PostResetPassword"),
    *(
        f"{what}.{change}"
        for what, more in {
            "User": ("SuspensionStatus.Updated",),
            "Role": ("Scopes.Updated",),
            "Scope": (),
            "Organization": ("Membership.Updated",),
            "OrganizationRole": ("Scopes.Updated",),
            "OrganizationScope": (),
        }.items()
        for change in (*_CHANGES, *more)
    ),
    *("Identifier.Lockout", "Message.RateLimited", "Grant.LimitExceeded"),
)

_EMPTY: tuple[Any, ...] = (None, "", {}, [])
#: What a group of ``passwordPolicy`` gets that is given in part; source: core-kit/src/password-policy.ts.
_PASSWORD_POLICY: Mapping[str, Mapping[str, Any]] = {
    "length": {"min": 8, "max": 256},
    "characterTypes": {"min": 1},
    "rejects": {"pwned": True, "repetitionAndSequence": True, "userInfo": True, "words": []},
}


def _without_empty(value: Any) -> Any:
    if isinstance(value, Mapping):
        kept = {name: _without_empty(one) for name, one in value.items()}
        return {name: one for name, one in kept.items() if one not in _EMPTY}
    if isinstance(value, list):
        return [one for one in map(_without_empty, value) if one not in _EMPTY]
    return value


def _once(value: Any) -> Any:
    texts = isinstance(value, list) and all(isinstance(one, str) for one in value)
    return list(dict.fromkeys(value)) if texts else value


def _lists_once(value: Any) -> Any:
    return {name: _once(one) for name, one in value.items()} if isinstance(value, Mapping) else value


def _without_moment(value: Any) -> Any:
    """``enabledAt`` is the server's own; while it is off, nothing else is kept."""
    if not isinstance(value, Mapping):
        return value
    left_out = ("enabledAt",) if value.get("enabled") is True else ("enabledAt", "validPeriodDays")
    return {name: one for name, one in value.items() if name not in left_out}


def _with_defaults(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    return {
        name: {**_PASSWORD_POLICY.get(name, {}), **group} if isinstance(group, Mapping) else group
        for name, group in value.items()
    }


KINDS: Mapping[str, Kind] = {
    "resource": Kind(
        "resources",
        "/resources",
        key="indicator",
        required=("name",),
        fields=("name", "accessTokenTtl"),
        phase=1,
        longest={},
        read={"scopes": _LIST},
    ),
    # Its key is "indicator name", since a scope's name is unique in its resource only.
    "scope": Kind("scopes", "/resources/{}/scopes", fields=("description",), phase=2),
    "organization_scope": Kind(
        "organization_scopes",
        "/organization-scopes",
        fields=("description",),
        phase=2,
        longest={"name": 128, "description": 256},
    ),
    "role": Kind(
        "roles",
        "/roles",
        required=("description",),
        fields=("description", "isDefault"),
        at_creation={"type": "User"},
        relations={"scopes": ("role_scope", "scope")},
        phase=3,
        read={"type": str},
        longest={"name": 128, "description": 128},
    ),
    "organization_role": Kind(
        "organization_roles",
        "/organization-roles",
        fields=("description",),
        at_creation={"type": "User"},
        relations={
            "scopes": ("organization_role_scope", "organization_scope"),
            "resource_scopes": ("organization_role_resource_scope", "scope"),
        },
        phase=3,
        read={"scopes": _LIST, "resourceScopes": _LIST},
        longest={"name": 128, "description": 256},
    ),
    "application": Kind(
        "applications",
        "/applications",
        required=("type",),
        fields=("description", "oidcClientMetadata", "customClientMetadata", "customData"),
        at_creation={"type": None, "isThirdParty": None},
        merged=frozenset({"oidcClientMetadata", "customClientMetadata", "customData"}),
        free=frozenset({"customData"}),
        relations={"roles": ("application_role", "role")},
        phase=5,
        read={"type": str, "createdAt": (int, float)},
        unique=False,
        proof="customData",
    ),
    "connector": Kind(
        "connectors",
        "/connectors",
        key="connectorId",
        required=("config",),
        fields=("config", "metadata", "syncProfile", "enableTokenStorage"),
        merged=frozenset({"config", "metadata"}),
        secret=frozenset({"config"}),
        phase=5,
        read={"type": str, "target": str},
        # A standard connector (OIDC, OAuth 2.0, SAML) may be there once for each identity provider.
        by_target=True,
        # Logto keeps nothing empty in them: ``cleanDeep`` in core/src/routes/connector/index.ts.
        forms={"config": _without_empty, "metadata": _without_empty},
        proof="id",
    ),
    "webhook": Kind(
        "webhooks",
        "/hooks",
        required=("events", "config"),
        fields=("events", "config", "enabled"),
        merged=frozenset({"config"}),
        secret=frozenset({"config"}),
        phase=6,
        unique=False,
        read={"createdAt": (int, float)},
        words={"events": EVENTS},
        forms={"events": _once},
    ),
    "sign_in_experience": Kind(
        "sign_in_experience",
        "/sign-in-exp",
        merged=frozenset({"passwordExpiration"}),
        phase=7,
        free=frozenset({"customContent"}),
        # core/src/routes/sign-in-experience/index.ts
        forms={
            "emailBlocklistPolicy": _lists_once,
            "passwordExpiration": _without_moment,
            "passwordPolicy": _with_defaults,
        },
    ),
}

#: Relation -> (path of the list of one holder, key of the ids in the body of a ``POST``, phase).
RELATIONS: Mapping[str, tuple[str, str, int]] = {
    "role_scope": ("/roles/{}/scopes", "scopeIds", 4),
    "organization_role_scope": ("/organization-roles/{}/scopes", "organizationScopeIds", 4),
    "organization_role_resource_scope": ("/organization-roles/{}/resource-scopes", "scopeIds", 4),
    "application_role": ("/applications/{}/roles", "roleIds", 6),
}
#: Deletions and removals come after everything else.
LAST = 20
#: Fields of connectors and webhooks that hold nothing secret; every other text is given by reference.
HARMLESS = frozenset(
    (
        "authorizationEndpoint",
        "clientId",
        "appId",
        "contentType",
        "fromEmail",
        "fromName",
        "host",
        "issuer",
        "region",
        "replyTo",
        "responseType",
        "scope",
        "subject",
        "templates",
        "tokenEndpoint",
        "tokenEndpointResponseType",
        "url",
        "userInfoEndpoint",
        "type",
        "usageType",
        "content",
    )
)


def scope_key(indicator: str, name: str) -> str:
    """The key of a scope."""
    return f"{indicator} {name}"
