"""What a field of a person may hold, checked before anything is sent, and brought into the form Logto stores.

Source: request schemas of ``POST /api/users`` (patterns and lengths).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import Any
from urllib.parse import SplitResult, urlsplit

from airflow_provider_logto.exceptions import ConfigurationError, InvalidInput
from airflow_provider_logto.management import phone_numbers
from airflow_provider_logto.management.json_values import json_object, unstorable

#: UTF-16 units that fit into a text; see :func:`units`.
MAX_TEXT = 128
_MAX_AVATAR = 2048
_MAX_CLAIM = 2048
_MAX_DOMAIN = 256
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
#: What a profile may hold.
CLAIMS = _PROFILE_FIELDS | {"address"}
_ADDRESS_FIELDS = frozenset(("formatted", "streetAddress", "locality", "region", "postalCode", "country"))
#: What programs write where there is no value. Exactly these: Nan is a name.
NO_VALUE = frozenset(("None", "nan", "NaN", "NaT", "<NA>", "null", "NULL", "N/A", "#N/A"))
_EMAIL = re.compile(r"[^\s@]+@[^\s@.]+(\.[^\s@.]+)+")
#: Around an address, not of it: quotes, brackets, separators of lists, a scheme.
_NOT_IN_EMAIL = re.compile(r"[\"<>()\[\],;:\\“”„«»‘’]|^'|'$|'@")
_DOMAIN = re.compile(r"[^\s@.,;:/\\*?#%\"'<>()\[\]]+(\.[^\s@.,;:/\\*?#%\"'<>()\[\]]+)+")


def switch(field: str, value: Any) -> bool:
    """Only True and False: the text "False", as a file or a template gives it, would count as true.

    :returns: also False for None and "", an empty cell of a mapped task.
    """
    if value is None or value == "":
        return False
    if not isinstance(value, bool):
        templated = "; it is no template field" if isinstance(value, str) and "{{" in value else ""
        raise InvalidInput(field, f"must be True or False{templated}; got {value!r}")
    return value


def units(text: str) -> int:
    """The length of a text as Logto counts it: in UTF-16 units, of which an emoji has two.

    Its database counts characters: one row whose name has 65 emoji is stored, and then makes every list of users that
    holds it fail.
    """
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def text(field: str, value: Any, longest: int = MAX_TEXT) -> str | None:
    """A text as it is, or None where it is to be left alone (None, empty).

    :param longest: in UTF-16 units.
    :raises InvalidInput: for other types, NUL characters, lone surrogates and texts longer than the column.
    """
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise InvalidInput(field, f"must be text, not {type(value).__name__}")
    if problem := unstorable(value):
        raise InvalidInput(field, problem)
    if units(value) > longest:
        raise InvalidInput(
            field, f"has {units(value)} characters as Logto counts them (UTF-16 units); at most {longest} fit"
        )
    return value


def name(field: str, value: Any, longest: int = MAX_TEXT) -> str | None:
    """A text for people to read: without blanks at its ends, in Unicode's composed form (NFC)."""
    if isinstance(value, str):
        value = unicodedata.normalize("NFC", value).strip()
    return text(field, value, longest)


def identifier(field: str, value: Any, longest: int = MAX_TEXT) -> str | None:
    """A text that something is found by: without blanks at its ends, and nothing in it that cannot be seen.

    :raises InvalidInput: for what programs write where there is no value, for invisible characters, and for a text not
        in Unicode's composed form (NFC): it would look like another one and not be found.
    """
    key = text(field, value.strip() if isinstance(value, str) else value, longest)
    if key is None:
        return None
    if key in NO_VALUE:
        raise InvalidInput(field, f"{key!r} is not a value; leave the field empty, or leave the row out")
    hidden = sorted({f"U+{ord(char):04X}" for char in key if unicodedata.category(char) in ("Cc", "Cf", "Zl", "Zp")})
    if hidden:
        raise InvalidInput(field, f"{key!r} contains characters that cannot be seen ({', '.join(hidden)}); remove them")
    if not unicodedata.is_normalized("NFC", key):
        raise InvalidInput(field, f"{key!r} is not in Unicode's composed form (NFC); normalize it")
    return key


def email(field: str, value: Any) -> str | None:
    """An e-mail address in lower case: Logto compares it so, but its database does not."""
    address = identifier(field, value)
    if address is None:
        return None
    if _NOT_IN_EMAIL.search(address) or not _EMAIL.fullmatch(address):
        raise InvalidInput(field, f"{value!r} is not an e-mail address; write name@example.com and nothing around it")
    return address.lower()


def phone(field: str, value: Any) -> str | None:
    """An international phone number as bare digits without national prefix, the form that Logto stores.

    :raises InvalidInput: for a number without ``+``: (415) 555-2672 would become a number in Switzerland; and for one
        that Logto would rewrite in a way that is not known here.
    """
    number = _phone_text(field, value)
    if number is None:
        return None
    if not number.startswith("+"):
        raise InvalidInput(
            field, f"{value!r} has no +; write +<country code><number> (CreateUserOperator also takes default_region)"
        )
    if not re.fullmatch(r"\+[1-9][0-9]{5,14}", number):
        raise InvalidInput(field, f"{value!r} is not an international phone number; write +<country code><number>")
    stored = phone_numbers.canonical(number[1:])
    if phone_numbers.has_prefix(stored):
        raise InvalidInput(
            field,
            f"{value!r} has a prefix that is dialled within the country only, and Logto would rewrite it; "
            "leave out the national prefix (in Argentina write +54 9 <area code> <number>, without 0 and 15)",
        )
    return stored


def international(field: str, value: Any, default_region: str) -> str | None:
    """A phone number with its country code; one without ``+`` is read as it is dialled in a region.

    :param default_region: two letters (ISO 3166), e.g. ``JP``.
    :returns: ``+`` and digits.
    :raises InvalidInput: for an unknown region, or what is no number there.
    :raises ConfigurationError: where the package phonenumbers is missing.
    """
    number = _phone_text(field, value)
    if number is None or number.startswith("+"):
        return number
    try:
        import phonenumbers
    except ImportError:
        raise ConfigurationError(
            "default_region needs the package phonenumbers: pip install 'airflow-provider-logto[phone]'"
        ) from None
    if default_region not in phonenumbers.SUPPORTED_REGIONS:
        raise InvalidInput("default_region", f"{default_region!r} is unknown; write two letters such as JP or DE")
    try:
        parsed = phonenumbers.parse(number, default_region)
    except phonenumbers.NumberParseException as error:
        raise InvalidInput(field, f"{value!r} is not a phone number: {error}") from None
    if not phonenumbers.is_possible_number(parsed):
        raise InvalidInput(field, f"{value!r} is not a phone number in {default_region}")
    return str(phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164))


def _phone_text(field: str, value: Any) -> str | None:
    """A phone number without the signs that people write between its digits."""
    if isinstance(value, float) or (isinstance(value, str) and re.search(r"\.0+\s*$", value)):
        raise InvalidInput(field, f"{value!r} was a number in a spreadsheet; keep phone numbers as text, with +")
    number = identifier(field, str(value) if isinstance(value, int) and not isinstance(value, bool) else value)
    return number and re.sub(r"[\s().-]", "", number)


def username(field: str, value: Any) -> str | None:
    """A username: a letter or underscore, then letters, digits and underscores (ASCII)."""
    key = identifier(field, value)
    if key is not None and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", key):
        raise InvalidInput(
            field, f"{value!r} is not a username; it starts with a letter or _ and contains only letters, digits and _"
        )
    return key


def avatar(field: str, value: Any) -> str | None:
    """The URL of a picture."""
    url = text(field, value, _MAX_AVATAR)
    if url is not None and not is_url(url):
        raise InvalidInput(field, f"{value!r} is not a URL; write https://...")
    return url


def is_url(value: Any) -> bool:
    """Whether a value is an absolute URL."""
    parts = url_parts(value)
    return bool(parts.scheme and parts.netloc)


def url_parts(value: Any) -> SplitResult:
    """The parts of a URL; empty ones for what is none, where Python's parser may raise (``https://[x``)."""
    try:
        return urlsplit(value if isinstance(value, str) else "")
    except ValueError:
        return urlsplit("")


def domain(field: str, value: Any) -> str:
    """An e-mail domain in lower case: Logto stores anything and compares it with what follows the @."""
    host = identifier(field, value, _MAX_DOMAIN)
    if host is None or not _DOMAIN.fullmatch(host):
        raise InvalidInput(field, f"{value!r} is not an e-mail domain; write example.com, one entry each")
    return host.lower()


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
    checked = {claim: name(f"{field}.{claim}", value, _MAX_CLAIM) for claim, value in claims.items()}
    return {claim: value for claim, value in checked.items() if value is not None}
