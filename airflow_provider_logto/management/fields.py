"""What a field of a person may hold, checked before anything is sent, and brought into the form Logto stores.

Source: request schemas of ``POST /api/users`` (patterns and lengths); E.164 country codes (ITU-T).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from airflow_provider_logto.exceptions import InvalidInput

_MAX = 128
_MAX_AVATAR = 2048
_PROFILE_FIELDS = frozenset(
    (
        "familyName",
        "givenName",
        "middleName",
        "nickname",
        "preferredUsername",
        "profile",
        "website",
        "gender",
        "birthdate",
        "zoneinfo",
        "locale",
    )
)
_ADDRESS_FIELDS = frozenset(("formatted", "streetAddress", "locality", "region", "postalCode", "country"))
PASSWORD_ALGORITHMS = ("Argon2i", "Argon2id", "Argon2d", "SHA1", "SHA256", "MD5", "Bcrypt", "Legacy")
#: Country codes of one or two digits; all others have three. No code is the beginning of another.
_SHORT_COUNTRY_CODE = re.compile(r"1|7|20|27|3[0-469]|4[013-9]|5[1-8]|6[0-6]|8[1246]|9[0-58]")


def text(field: str, value: Any, longest: int = _MAX) -> str | None:
    """A plain text, or None where it is to be left alone (None, empty).

    :raises InvalidInput: for other types, NUL characters and texts longer than the column.
    """
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise InvalidInput(field, f"must be text, not {type(value).__name__}")
    if "\x00" in value:
        raise InvalidInput(field, "must not contain a NUL character")
    if len(value) > longest:
        raise InvalidInput(field, f"has {len(value)} characters; at most {longest} fit")
    return value


def email(field: str, value: Any) -> str | None:
    """An e-mail address in lower case: Logto compares it so, but its database does not."""
    address = text(field, value)
    if address is None:
        return None
    address = address.strip().lower()
    if not re.fullmatch(r"[^\s@]+@[^\s@]+\.[^\s@]+", address):
        raise InvalidInput(field, f"{value!r} is no e-mail address; write name@example.com")
    return address


def phone(field: str, value: Any) -> str | None:
    """An international phone number as bare digits, the form that Logto takes."""
    # A spreadsheet turns numbers into numbers.
    number = text(field, str(value) if isinstance(value, int) and not isinstance(value, bool) else value)
    if number is None:
        return None
    digits = re.sub(r"[\s().-]", "", number).removeprefix("+")
    if not re.fullmatch(r"[1-9][0-9]{5,14}", digits):
        raise InvalidInput(field, f"{value!r} is no international phone number; write +<country code><number>")
    return digits


def phone_variants(digits: str) -> tuple[str, ...]:
    """The forms of one number that Logto takes for the same: with and without a leading 0 of the national part."""
    short = _SHORT_COUNTRY_CODE.match(digits)
    size = short.end() if short else 3
    country, national = digits[:size], digits[size:]
    return tuple(
        dict.fromkeys((digits, country + national.removeprefix("0"), f"{country}0{national.removeprefix('0')}"))
    )


def username(field: str, value: Any) -> str | None:
    """A username: a letter or underscore, then letters, digits and underscores (ASCII)."""
    name = text(field, value)
    if name is not None and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        raise InvalidInput(
            field, f"{value!r} is no username; it starts with a letter or _ and holds letters, digits and _ only"
        )
    return name


def avatar(field: str, value: Any) -> str | None:
    """The URL of a picture."""
    url = text(field, value, _MAX_AVATAR)
    if url is not None and (not urlsplit(url).scheme or not urlsplit(url).netloc):
        raise InvalidInput(field, f"{value!r} is no URL; write https://...")
    return url


def json_object(field: str, value: Any) -> dict[str, Any] | None:
    """A JSON object, or None where it is absent or empty."""
    if value is None or value == "":
        return None
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise InvalidInput(field, f"must be an object with text keys, not {type(value).__name__}")
    return dict(value) or None


def profile(field: str, value: Any) -> dict[str, Any] | None:
    """OpenID standard claims; empty ones are left out, unknown ones refused (the server would drop them silently)."""
    claims = json_object(field, value)
    if claims is None:
        return None
    address = json_object(f"{field}.address", claims.pop("address", None))
    result: dict[str, Any] = _claims(field, claims, _PROFILE_FIELDS)
    if address and (parts := _claims(f"{field}.address", address, _ADDRESS_FIELDS)):
        result["address"] = parts
    return result or None


def _claims(field: str, claims: Mapping[str, Any], known: frozenset[str]) -> dict[str, Any]:
    unknown = sorted(set(claims) - known)
    if unknown:
        raise InvalidInput(f"{field}.{unknown[0]}", f"is unknown; use {', '.join(sorted(known))}, or custom_data")
    checked = {name: text(f"{field}.{name}", value, 2048) for name, value in claims.items()}
    return {name: value for name, value in checked.items() if value is not None}
