"""Phone numbers the way Logto rewrites them, by a small rule instead of a library of numbering plans.

A number is E.164 without "+". What a country dials before its own numbers is dropped: mostly one 0
(``4401...`` -> ``441...``), an 8 in Russia, a 1 in North America. Refused: no known calling code, fewer than two or
more than seventeen national digits. Not known here: which lengths a country's numbers have, and codes of carriers.
"""

from __future__ import annotations

import re

from logto_sandbox.errors import ApiError

_SHORT_CODE = re.compile(r"1|7|20|27|3[0-469]|4[013-9]|5[1-8]|6[0-6]|8[1246]|9[0-58]")
# Calling codes of countries that dial a 0 first, and whose own numbers never begin with one.
# fmt: off
_TRUNK_ZERO = frozenset(
    {
        20, 27, 31, 32, 33, 40, 41, 43, 44, 46, 49, 51, 53, 54, 55, 57, 58, 60, 61, 62, 63, 64, 66, 81, 82,
        84, 86, 90, 91, 92, 93, 94, 95, 98,
        211, 212, 213, 218, 231, 232, 233, 234, 243, 249, 250, 251, 252, 254, 255, 256, 260, 261, 262, 263,
        264, 265, 291, 353, 355, 358, 359, 370, 373, 374, 375, 377, 380, 381, 382, 383, 385, 386, 387, 389,
        421, 423, 508, 590, 591, 593, 594, 595, 596, 598, 686, 850, 855, 856, 880, 886, 961, 962, 963, 964,
        966, 967, 970, 971, 972, 976, 977, 994, 995, 996,
    }
)
# fmt: on
# Other rules: calling code, national number, what becomes of it.
_REWRITTEN = {
    "1": (r"1(\d{10,})", r"\1"),
    "7": (r"8(\d{10})", r"\1"),
    "36": (r"06(\d{8,})", r"\1"),
    "54": (r"0?(?=\d{11,}$)(11|[23]\d{2,3}?)15(\d{6,8})", r"9\1\2"),
    "241": (r"0((?:11|6[01256]|7[467])\d{6})", r"\1"),
    "250": (r"(06\d{6})", r"\1"),
    "261": (r"([24-9]\d{6})", r"20\1"),
    "370": (r"8(\d{8,})", r"\1"),
    "375": (r"80(\d{9})|8((?:[12]\d|33|44|801|902)\d{7})", r"\1\2"),
    "378": (r"([89]\d{5})", r"0549\1"),
    "672": (r"([0-258]\d{4})", r"3\1"),
    "692": (r"1(\d{7,})", r"\1"),
    "993": (r"8(\d{8,})", r"\1"),
}
_UNASSIGNED = ("0", "99", "210", "214", "215", "217", "219", "259", "28", "83", "89")
_LEAST, _MOST = 2, 17


def normalize_phone(digits: str) -> str:
    """The number as it is stored.

    :raises ApiError: 422 ``user.invalid_phone``
    """
    short = _SHORT_CODE.match(digits)
    code = digits[: short.end() if short else 3]
    national = digits[len(code) :]
    bad_code = digits.startswith(_UNASSIGNED) and not digits.startswith(("992", "993", "994", "995", "996", "998"))
    if bad_code or not _LEAST <= len(national) <= _MOST:
        raise ApiError(422, "user.invalid_phone", data={"name": "ParseError"})
    pattern, replacement = _REWRITTEN.get(code, ("", ""))
    if found := re.fullmatch(pattern, national):
        return code + found.expand(replacement)
    return code + (national.removeprefix("0") if int(code) in _TRUNK_ZERO else national)
