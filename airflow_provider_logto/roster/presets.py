"""Rows of well-known systems -> the standard columns.

Sources: RFC 7643 (SCIM users); Auth0 docs, "User import/export" and the file of password hashes that its support sends;
Keycloak's realm export (UserRepresentation).
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from airflow_provider_logto.exceptions import InvalidInput
from airflow_provider_logto.roster.cells import boolean

Cells = dict[str, Any]

_USERNAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def scim(row: Mapping[str, Any]) -> Cells:
    """A SCIM user. A ``userName`` that is an e-mail address serves as one where ``emails`` names none."""
    name = row.get("name") or {}
    user_name = row.get("userName") or ""
    email = _preferred(row.get("emails")) or (user_name if "@" in user_name else None)
    active = row.get("active")
    return _given(
        {
            "external_id": row.get("externalId") or row.get("id"),
            "username": user_name if _USERNAME.fullmatch(user_name) else None,
            "primary_email": email,
            "primary_phone": _number(_preferred(row.get("phoneNumbers"))),
            "name": row.get("displayName") or name.get("formatted"),
            "profile.givenName": name.get("givenName"),
            "profile.familyName": name.get("familyName"),
            "profile.locale": row.get("locale"),
            "profile.zoneinfo": row.get("timezone"),
            "suspended": None if active is None else not boolean("active", active),
        }
    )


def auth0(row: Mapping[str, Any]) -> Cells:
    """A user of Auth0's export job, or a line of its file of password hashes (bcrypt)."""
    identities = row.get("identities") or []
    user_id = row.get("user_id") or (row.get("_id") or {}).get("$oid")
    metadata = {**(row.get("user_metadata") or {}), **(row.get("app_metadata") or {})}
    digest = row.get("passwordHash") or row.get("password_hash")
    social = {
        one["provider"].removesuffix("-oauth2"): {"userId": str(one["user_id"])}
        for one in identities
        if one.get("isSocial") and one.get("provider") and one.get("user_id")
    }
    username = row.get("username") or ""
    return _given(
        {
            "external_id": user_id,
            "username": username if _USERNAME.fullmatch(username) else None,
            "primary_email": row.get("email"),
            "primary_phone": row.get("phone_number"),
            "name": row.get("name") if row.get("name") != row.get("email") else None,
            "avatar": row.get("picture"),
            "profile.givenName": row.get("given_name"),
            "profile.familyName": row.get("family_name"),
            "profile.nickname": row.get("nickname"),
            "custom_data": metadata or None,
            "identities": social or None,
            "password_digest": digest,
            "password_algorithm": "Bcrypt" if digest else None,
            "suspended": row.get("blocked"),
        }
    )


def keycloak(row: Mapping[str, Any]) -> Cells:
    """A user of Keycloak's realm export, with PBKDF2 and Argon2 digests."""
    attributes = {
        name: values[0] if isinstance(values, list) and len(values) == 1 else values
        for name, values in (row.get("attributes") or {}).items()
    }
    username = row.get("username") or ""
    names = [row.get("firstName"), row.get("lastName")]
    enabled = row.get("enabled")
    cells = {
        "external_id": row.get("id"),
        "username": username if _USERNAME.fullmatch(username) else None,
        "primary_email": row.get("email") or (username if "@" in username else None),
        "name": " ".join(filter(None, names)),
        "profile.givenName": row.get("firstName"),
        "profile.familyName": row.get("lastName"),
        "custom_data": attributes or None,
        "identities": {
            one["identityProvider"]: {"userId": str(one["userId"])} for one in row.get("federatedIdentities") or []
        }
        or None,
        "suspended": None if enabled is None else not enabled,
    }
    return _given({**cells, **_keycloak_password(row.get("credentials") or [])})


def _keycloak_password(credentials: list[Mapping[str, Any]]) -> Cells:
    for credential in credentials:
        if credential.get("type") != "password":
            continue
        secret, about = (_object(credential.get(name)) for name in ("secretData", "credentialData"))
        algorithm = str(about.get("algorithm", ""))
        salt, value = base64.b64decode(secret["salt"]), base64.b64decode(secret["value"])
        if algorithm.startswith("pbkdf2"):
            digest = {"pbkdf2": "sha1"}.get(algorithm) or algorithm.removeprefix("pbkdf2-")
            arguments = [f"hex:{salt.hex()}", str(about["hashIterations"]), str(len(value)), digest, "@"]
            legacy = json.dumps(["pbkdf2", arguments, value.hex()], separators=(",", ":"))
            return {"password_digest": legacy, "password_algorithm": "Legacy"}
        if algorithm == "argon2":
            return _argon2(about, salt, value)
        raise InvalidInput("credentials", f"Logto takes no {algorithm or 'unnamed'} digests; leave the password out")
    return {}


def _argon2(about: Mapping[str, Any], salt: bytes, value: bytes) -> Cells:
    more = {name: values[0] for name, values in (about.get("additionalParameters") or {}).items()}
    kind = f"argon2{more.get('type', 'id')}"
    if (version := str(more.get("version", "1.3"))) != "1.3":
        raise InvalidInput("credentials", f"Logto takes no digests of Argon2 {version}; leave the password out")
    costs = f"m={more['memory']},t={about['hashIterations']},p={more['parallelism']}"
    parts = [base64.b64encode(one).decode().rstrip("=") for one in (salt, value)]
    phc = f"${kind}$v=19${costs}${parts[0]}${parts[1]}"
    return {"password_digest": phc, "password_algorithm": kind.capitalize()}


def _object(value: Any) -> Mapping[str, Any]:
    found = json.loads(value) if isinstance(value, str) else value
    return found if isinstance(found, Mapping) else {}


def _preferred(values: Any) -> Any:
    """The value of a SCIM list: the primary one, else the first."""
    entries = [one for one in values or [] if isinstance(one, Mapping) and one.get("value")]
    chosen = next((one for one in entries if one.get("primary")), entries[0] if entries else None)
    return chosen["value"] if chosen else None


def _number(value: Any) -> Any:
    """A phone number of SCIM, which may be a URI of RFC 3966: ``tel:+1-201-555-0123;ext=5``."""
    return re.sub(r"(?i)^tel:|;.*", "", value.strip()) if isinstance(value, str) else value


def _given(cells: Cells) -> Cells:
    return {name: value for name, value in cells.items() if value is not None and value != ""}


PRESETS: dict[str, Callable[[Mapping[str, Any]], Cells]] = {"scim": scim, "auth0": auth0, "keycloak": keycloak}
