"""Phone numbers the way Logto rewrites them, by a small rule instead of a library of numbering plans.

A number is E.164 without "+". A leading 0 of the national part is dropped for countries that dial one
(``4401...`` -> ``441...``). Refused: no known calling code, fewer than two or more than seventeen national digits.
Countries with three-digit calling codes keep a leading 0.
"""

from __future__ import annotations

from logto_sandbox.errors import ApiError

# Two-digit calling codes, with and without a trunk prefix 0.
_TRUNK_ZERO = frozenset(
    {20, 27, 31, 32, 33, 40, 41, 43, 44, 46, 49, 60, 61, 62, 63, 64, 66, 81, 82, 84, 86, 90, 91, 92, 93, 94, 95, 98}
)
_NO_TRUNK_ZERO = frozenset({30, 34, 36, 39, 45, 47, 48, 51, 52, 53, 54, 55, 56, 57, 58, 65})
_UNASSIGNED = ("0", "99", "210", "214", "215", "217", "219", "259", "28", "83", "89")
_LEAST, _MOST = 2, 17


def normalize_phone(digits: str) -> str:
    """The number as it is stored.

    :raises ApiError: 422 ``user.invalid_phone``
    """
    code = digits[: _code_length(digits)]
    national = digits[len(code) :]
    bad_code = digits.startswith(_UNASSIGNED) and not digits.startswith(("992", "993", "994", "995", "996", "998"))
    if bad_code or not _LEAST <= len(national) <= _MOST:
        raise ApiError(422, "user.invalid_phone", data={"name": "ParseError"})
    if int(code) in _TRUNK_ZERO:
        national = national.removeprefix("0")
    return code + national


def _code_length(digits: str) -> int:
    if digits[0] in "17":
        return 1
    return 2 if int(digits[:2]) in _TRUNK_ZERO | _NO_TRUNK_ZERO else 3
