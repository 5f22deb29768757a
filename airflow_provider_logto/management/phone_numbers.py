"""The form in which Logto stores a phone number: country code and national number, without national prefixes.

Small tables instead of the optional package phonenumbers: what a number means must not depend on what a worker has
installed. ``tests/management/test_phone_numbers.py`` compares them with that package.

Source: Logto's ``PhoneNumberParser`` and ``hasUserWithNormalizedPhone``; the metadata of libphonenumber, which Logto
asks; E.164 country codes (ITU-T).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

#: Country codes of one or two digits; all others have three. No code is the beginning of another.
_SHORT_COUNTRY_CODE = re.compile(r"1|7|20|27|3[0-469]|4[013-9]|5[1-8]|6[0-6]|8[1246]|9[0-58]")
#: Where national numbers may begin with a 0: in Italy +39 0331 123456 is a landline, +39 331 123456 somebody's mobile.
ZERO_BELONGS = frozenset(
    str(code)
    for code in (39, 47, 225, 226, 227, 229, 241, 242, 247, 250, 267, 268, 378, 501, 676, 679, 687, 853, 881, 888, 992)
)
#: Country code -> national numbers that Logto rewrites otherwise than by dropping one 0, and what becomes of them.
_REWRITTEN: Mapping[str, tuple[re.Pattern[str], str]] = {
    code: (re.compile(pattern), replacement)
    for code, pattern, replacement in (
        ("1", r"1([0-9]{10,})", r"\1"),
        # 800 555-35-35 is a number, 8 800 555-35-35 how it is dialled.
        ("7", r"8([0-9]{10})", r"\1"),
        ("36", r"06([0-9]{8,})", r"\1"),
        ("241", r"0((?:11|6[01256]|7[467])[0-9]{6})", r"\1"),
        ("250", r"0([0-9]{9,})", r"\1"),
        ("261", r"([24-9][0-9]{6})", r"20\1"),
        ("370", r"8([0-9]{8,})", r"\1"),
        ("375", r"80([0-9]{9})|8((?:[12][0-9]|33|44|801|902)[0-9]{7})", r"\1\2"),
        ("378", r"([89][0-9]{5})", r"0549\1"),
        ("672", r"([0-258][0-9]{4})", r"3\1"),
        ("692", r"1([0-9]{7,})", r"\1"),
        ("993", r"8([0-9]{8,})", r"\1"),
    )
}
#: Country code -> national numbers with a prefix in their middle, or before the code of a carrier. Where it ends only a
#: list of area codes can tell.
_WITH_PREFIX: Mapping[str, re.Pattern[str]] = {
    # +54 11 15 1234-5678 is stored as +54 9 11 1234-5678.
    "54": re.compile(r"[1-3][0-9]{10,}"),
    "55": re.compile(r"[0-9]{12,}"),
    "57": re.compile(r"[02-9][0-9]{10,}"),
}


def canonical(digits: str) -> str:
    """A number (digits without +) without its national prefix, as Logto stores it."""
    code, national = _split(digits)
    pattern, replacement = _REWRITTEN.get(code, (None, ""))
    if pattern and (found := pattern.fullmatch(national)):
        return code + found.expand(replacement)
    if code not in ZERO_BELONGS and national.startswith("0") and not national.startswith("00"):
        return code + national[1:]
    return digits


def variants(digits: str) -> tuple[str, ...]:
    """The forms under which Logto may have stored a number, the given one first.

    Logto looks for the canonical form and for that with a 0, which it kept before 1.28. Where a 0 belongs to national
    numbers that may be somebody else's.
    """
    form = canonical(digits)
    code, national = _split(form)
    others = (form,) if code in ZERO_BELONGS else (form, f"{code}0{national}")
    return tuple(dict.fromkeys((digits, *others)))


def has_prefix(number: str) -> bool:
    """Whether Logto would rewrite even the canonical form of a number, into what these tables cannot tell."""
    code, national = _split(number)
    carrier = _WITH_PREFIX.get(code)
    zeros = national.startswith("00") and code not in ZERO_BELONGS
    return zeros or canonical(number) != number or bool(carrier and carrier.fullmatch(national))


def _split(digits: str) -> tuple[str, str]:
    short = _SHORT_COUNTRY_CODE.match(digits)
    size = short.end() if short else 3
    return digits[:size], digits[size:]
