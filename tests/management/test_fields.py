"""What a field may hold."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_logto.exceptions import InvalidInput
from airflow_provider_logto.management import fields
from airflow_provider_logto.management.users import UserSpec, checked_password


@pytest.mark.parametrize(
    ("check", "value", "stored"),
    [
        (fields.email, "Mika.Mori+HR@Example.COM", "mika.mori+hr@example.com"),
        (fields.email, " a@b.co ", "a@b.co"),
        (fields.email, "", None),
        (fields.email, None, None),
        (fields.phone, "+81 (90) 1234-5678", "819012345678"),
        (fields.phone, 819012345678, "819012345678"),
        (fields.username, "_x1", "_x1"),
        (fields.text, "森", "森"),
        (fields.avatar, "https://example.com/a.png", "https://example.com/a.png"),
    ],
)
def test_right_values_are_brought_into_the_stored_form(check: Any, value: Any, stored: Any) -> None:
    assert check("field", value) == stored


@pytest.mark.parametrize(
    ("check", "value"),
    [
        (fields.email, "a@b"),
        (fields.email, "a b@c.de"),
        (fields.email, "a@@c.de"),
        (fields.email, 5),
        (fields.phone, "0901234567"),
        (fields.phone, "+81 90 x"),
        (fields.phone, True),
        (fields.phone, "１２３４５６７"),
        (fields.username, "1abc"),
        (fields.username, "a-b"),
        (fields.username, "名前"),
        (fields.text, "x" * 129),
        (fields.text, "a\x00b"),
        (fields.text, ["a"]),
        (fields.avatar, "not a url"),
        (fields.profile, {"shoeSize": "44"}),
        (fields.profile, {"address": {"planet": "x"}}),
        (fields.profile, {"givenName": 5}),
        (fields.json_object, [1]),
        (fields.json_object, {1: 2}),
    ],
)
def test_wrong_values_are_refused_by_name(check: Any, value: Any) -> None:
    with pytest.raises(InvalidInput, match="field"):
        check("field", value)


def test_a_person_needs_an_identifier() -> None:
    with pytest.raises(InvalidInput, match="username, primary_email, primary_phone"):
        UserSpec.checked(name="Nobody", primary_email="")


@pytest.mark.parametrize(
    ("password", "digest", "algorithm", "field"),
    [
        ("a", "b", "MD5", "password"),
        (None, "b", None, "password_algorithm"),
        (None, None, "MD5", "password_digest"),
        (None, "b", "ROT13", "password_algorithm"),
        (None, "b" * 257, "MD5", "password_digest"),
    ],
)
def test_password_and_digest_exclude_each_other(password: Any, digest: Any, algorithm: Any, field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        checked_password(password, digest, algorithm)
    assert caught.value.field == field


def test_nothing_is_sent_without_a_password() -> None:
    assert checked_password("", None, "") == {}
    assert checked_password(None, "x", "MD5") == {"passwordDigest": "x", "passwordAlgorithm": "MD5"}


@pytest.mark.parametrize(
    ("digits", "others"),
    [
        ("610412345678", {"61412345678"}),
        ("61412345678", {"610412345678"}),
        ("302101234567", {"3002101234567"}),  # never Belgium's 32101234567
        ("12025550101", {"102025550101"}),
        ("3530871234567", {"353871234567"}),
    ],
)
def test_a_number_is_known_with_and_without_the_national_zero(digits: str, others: set[str]) -> None:
    assert set(fields.phone_variants(digits)) == {digits, *others}


@given(st.from_regex(r"[1-9][0-9]{6,14}", fullmatch=True))
def test_the_variants_of_a_number_are_each_others_variants(digits: str) -> None:
    variants = set(fields.phone_variants(digits))
    assert digits in variants
    for variant in variants:
        assert (
            set(fields.phone_variants(variant)) >= variants - {digits} or set(fields.phone_variants(variant)) & variants
        )
