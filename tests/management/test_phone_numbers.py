"""The expected numbers are what the server's own library (libphonenumber-js 1.12.6) makes of the given ones."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_logto.exceptions import InvalidInput
from airflow_provider_logto.management import fields, phone_numbers

NUMBERS = st.from_regex(r"[1-9][0-9]{6,14}", fullmatch=True)
KINDS = (
    *("fixed_line", "mobile", "toll_free", "premium_rate", "shared_cost"),
    *("personal_number", "voip", "pager", "uan", "voicemail"),
)


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        ("+61 0412 345 678", "61412345678"),
        ("+971 050 123 4567", "971501234567"),
        ("+7 8 916 123 45 67", "79161234567"),
        ("+7 800 555 35 35", "78005553535"),
        ("+370 8 612 34567", "37061234567"),
        ("+375 8 029 123 45 67", "375291234567"),
        ("+375 8 29 123 45 67", "375291234567"),
        ("+993 8 66 123456", "99366123456"),
        ("+36 06 30 123 4567", "36301234567"),
        ("+1 1 650 253 0000", "16502530000"),
        ("+54 011 1234 5678", "541112345678"),
        ("+54 9 11 1234 5678", "5491112345678"),
        ("+241 0 62 03 12 34", "24162031234"),
        ("+241 06 03 12 34", "24106031234"),
        ("+250 0 720 123 456", "250720123456"),
        ("+378 886377", "3780549886377"),
        ("+225 01 23 45 67 89", "2250123456789"),
        ("+39 0331 123456", "390331123456"),
        ("+39 331 123456", "39331123456"),
    ],
)
def test_a_number_is_brought_into_the_form_that_is_stored(written: str, stored: str) -> None:
    assert fields.phone("x", written) == stored
    assert fields.phone("x", f"+{stored}") == stored


@pytest.mark.parametrize(
    "written",
    [
        "+54 11 15 1234 5678",
        "+54 011 15 1234 5678",
        "+55 0 15 11 2345 6789",
        "+57 03 321 123 4567 8",
        "+44 00 7400 123456",
        "+1 1 1 650 253 0000",
    ],
)
def test_what_would_be_rewritten_otherwise_is_refused(written: str) -> None:
    with pytest.raises(InvalidInput, match="leave out the national prefix") as caught:
        fields.phone("phone", written)
    assert caught.value.field == "phone"


@pytest.mark.parametrize(
    ("digits", "others"),
    [
        ("610412345678", ("61412345678",)),
        ("61412345678", ("610412345678",)),
        ("302101234567", ("3002101234567",)),  # never Belgium's 32101234567
        ("12025550101", ("102025550101",)),
        ("3530871234567", ("353871234567",)),
        ("789161234567", ("79161234567", "709161234567")),
        ("390331123456", ()),
        ("39331123456", ()),
    ],
)
def test_the_forms_under_which_a_number_may_be_stored(digits: str, others: tuple[str, ...]) -> None:
    assert phone_numbers.variants(digits) == (digits, *others)


@given(NUMBERS)
def test_variants_are_variants_of_one_number(digits: str) -> None:
    form = phone_numbers.canonical(digits)
    if not phone_numbers.has_prefix(form):
        assert {phone_numbers.canonical(one) for one in phone_numbers.variants(form)} == {form}


def test_the_tables_agree_with_the_metadata_that_logto_asks() -> None:
    package = pytest.importorskip("phonenumbers")

    def stored(digits: str) -> str:
        parsed = package.parse(f"+{digits}")
        return f"{parsed.country_code}{package.national_significant_number(parsed)}"

    for code, main, region in _plans(package):
        for kind in KINDS:
            example = getattr(getattr(region, kind), "example_number", None)
            if not example:
                continue
            assert phone_numbers.canonical(f"{code}{example}") == stored(f"{code}{example}") == f"{code}{example}"
            for prefix in {main.national_prefix or "", "0"}:
                form = phone_numbers.canonical(f"{code}{prefix}{example}")
                assert phone_numbers.has_prefix(form) or stored(form) == form, (code, prefix, example)


def test_where_a_0_belongs_to_the_number() -> None:
    package = pytest.importorskip("phonenumbers")
    tries = [f"0{digits}" for digits in range(100, 1000)]
    belongs = set()
    for code, _, region in _plans(package):
        valid = re.compile(region.general_desc.national_number_pattern)
        lengths = region.general_desc.possible_length
        if any(valid.fullmatch(one.ljust(length, "0")) for length in lengths for one in tries):
            belongs.add(str(code))
    assert belongs == phone_numbers.ZERO_BELONGS


def _plans(package: Any) -> Iterator[tuple[int, Any, Any]]:
    """Country code, the plan that the library parses its numbers by, and that of each country with this code."""
    for code, regions in package.COUNTRY_CODE_TO_REGION_CODE.items():
        plans = [
            package.PhoneMetadata.metadata_for_nongeo_region(code, None)
            if region == "001"
            else package.PhoneMetadata.metadata_for_region(region)
            for region in regions
        ]
        yield from ((code, plans[0], plan) for plan in plans)
