"""What a field may hold."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import Any

import pytest

from airflow_provider_logto.exceptions import ConfigurationError, InvalidInput
from airflow_provider_logto.management import fields
from airflow_provider_logto.management.json_values import json_object, same_json
from airflow_provider_logto.management.passwords import PASSWORD_ALGORITHMS, checked_password
from airflow_provider_logto.management.users import UserSpec

#: What programs write where there is no value, word for word from the documentation.
NO_VALUES = ("None", "nan", "NaN", "NaT", "<NA>", "null", "NULL", "N/A", "#N/A")


@pytest.mark.parametrize(
    ("check", "value", "stored"),
    [
        (fields.email, "Mika.Mori+HR@Example.COM", "mika.mori+hr@example.com"),
        (fields.email, " a@b.co ", "a@b.co"),
        (fields.email, "", None),
        (fields.email, None, None),
        (fields.phone, "+81 (90) 1234-5678", "819012345678"),
        (fields.phone, "(+81) 90.1234.5678", "819012345678"),
        (fields.name, "  森 美嘉\u3000", "森 美嘉"),
        (fields.name, "Zoe\u0308", "Zoë"),
        (fields.name, "Nan", "Nan"),
        (fields.name, "null", "null"),
        (fields.name, " ", None),
        (fields.name, "🎉" * 64, "🎉" * 64),
        (fields.identifier, " c-1 ", "c-1"),
        (fields.username, "Nan", "Nan"),
        (fields.email, "o'brien+1_%a@sub.example.co.jp", "o'brien+1_%a@sub.example.co.jp"),
        (fields.domain, "Example.CO.jp", "example.co.jp"),
        (json_object, {"a": (1, 2.0, None)}, {"a": [1, 2, None]}),
        (
            json_object,
            {"a": 9_007_199_254_740_991, "b": {"c": [True]}},
            {"a": 9_007_199_254_740_991, "b": {"c": [True]}},
        ),
        (
            json_object,
            {"a": 9_007_199_254_740_991.0, "b": [1.5, 1e300]},
            {"a": 9_007_199_254_740_991, "b": [1.5, 1e300]},
        ),
        (json_object, {}, None),
        (fields.username, "_x1", "_x1"),
        (fields.text, "森", "森"),
        (fields.profile, {"address": {"country": ""}, "nickname": ""}, None),
        (fields.avatar, "https://example.com/a.png", "https://example.com/a.png"),
    ],
)
def test_right_values_are_brought_into_the_stored_form(check: Any, value: Any, stored: Any) -> None:
    # As it is written: 1 and 1.0 are not the same there.
    assert repr(check("field", value)) == repr(stored)


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
        (fields.phone, 819012345678),
        (fields.phone, "819012345678"),
        (fields.phone, "(415) 555-2672"),
        (fields.phone, "+819012345678.0"),
        (fields.phone, 819012345678.0),
        (fields.phone, "+1234567890123456"),
        (fields.phone, "+12345"),
        (fields.email, '"a@b.co"'),
        (fields.email, "'a@b.co'"),
        (fields.email, "'a'@b.co"),
        (fields.email, "a'@b.co"),
        (fields.email, "“a@b.co”"),
        (fields.email, "mailto:a@b.co"),
        (fields.email, "A B <a@b.co>"),
        (fields.email, "a@b.co;"),
        (fields.email, "a@b.co."),
        (fields.email, "a@b..co"),
        (fields.email, "a\u200b@b.co"),
        (fields.email, "zoe\u0308@b.co"),
        (fields.email, "a" * 124 + "@b.co"),
        *((check, value) for check in (fields.username, fields.identifier) for value in NO_VALUES),
        (fields.identifier, "c\u00ad1"),
        (fields.identifier, "c\u20281"),
        (fields.identifier, "c\u20291"),
        (fields.identifier, "c\t1"),
        (fields.domain, ""),
        (fields.domain, "a.com,b.com"),
        (fields.domain, "*.a.com"),
        (fields.domain, "https://a.com"),
        (fields.domain, "a.com/x"),
        (fields.domain, "@a.com"),
        (fields.domain, "a.com."),
        (fields.domain, "localhost"),
        (fields.name, "🎉" * 64 + "x"),
        (fields.name, "x\ud800"),
        (fields.profile, {"givenName": "x" * 2049}),
        (json_object, {"a": [{"b": "x\x00"}]}),
        (json_object, {"a\x00": 1}),
        (json_object, {"a": "\ud800"}),
        (json_object, {"a": 2**53}),
        (json_object, {"a": -(2**53)}),
        (json_object, {"a": float("nan")}),
        (json_object, {"a": {1}}),
        (json_object, {"a": {1: 2}}),
        (json_object, {"a": datetime(2026, 1, 31, tzinfo=UTC)}),
        (fields.phone, "１２３４５６７"),
        (fields.username, "1abc"),
        (fields.username, "a-b"),
        (fields.username, "名前"),
        (fields.text, "x" * 129),
        (fields.text, "a\x00b"),
        (fields.text, ["a"]),
        (fields.avatar, "not a url"),
        (fields.avatar, "https://[cdn.example/a.png"),
        (fields.avatar, "https://cdn.example\u2100/a.png"),
        (fields.profile, {"shoeSize": "44"}),
        (fields.profile, {"address": {"planet": "x"}}),
        (fields.profile, {"givenName": 5}),
        (json_object, [1]),
        (json_object, {1: 2}),
    ],
)
def test_wrong_values_are_refused_by_name(check: Any, value: Any) -> None:
    with pytest.raises(InvalidInput, match="field"):
        check("field", value)


def test_lengths_are_counted_in_utf_16_units() -> None:
    assert [fields.units(text) for text in ("", "x", "森", "🎉", "x\ud800🎉")] == [0, 1, 1, 2, 4]


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
        (None, f"[{' ' * 255}]", "Legacy", "password_digest"),
        ("x" * 4097, None, None, "password"),
        (None, "b", 5, "password_algorithm"),
    ],
)
def test_password_and_digest_exclude_each_other(password: Any, digest: Any, algorithm: Any, field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        checked_password(password, digest, algorithm)
    assert caught.value.field == field


@pytest.mark.parametrize(("password", "sent"), [("", {}), ("x" * 4096, {"password": "x" * 4096})])
def test_a_password_is_sent_where_there_is_one(password: str, sent: dict[str, str]) -> None:
    assert checked_password(password, None, "") == sent


MD5 = "5F4DCC3B5AA765D61D8327DEB882CF99"
BCRYPT = "$2b$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy"
ARGON2ID = "$argon2id$v=19$m=4096,t=10,p=1$aZzrqpSX45DOo+9uEW6XVw$O4MdirF0mtuWWWz68eyNAt2u1FzzV3m3g00oIxmEr0U"
LEGACY = '["sha256", ["salt", "@"], "c465f66c"]'


@pytest.mark.parametrize(
    ("algorithm", "digest"),
    [
        ("MD5", MD5.lower()),
        ("SHA1", "a" * 40),
        ("SHA256", "0" * 64),
        ("Bcrypt", BCRYPT),
        ("Argon2id", ARGON2ID),
        ("Argon2i", ARGON2ID.replace("argon2id", "argon2i")),
        ("Argon2d", ARGON2ID.replace("argon2id", "argon2d")),
        ("Legacy", LEGACY),
        ("Legacy", LEGACY + " " * (256 - len(LEGACY))),
        ("Legacy", '["firebase-scrypt", ["@", "c2FsdA=="], "q8NSPIGk+mE="]'),
    ],
)
def test_a_digest_fits_its_own_algorithm_and_no_other(algorithm: str, digest: str) -> None:
    assert checked_password(None, digest, algorithm) == {"passwordDigest": digest, "passwordAlgorithm": algorithm}
    for other in PASSWORD_ALGORITHMS:
        if other != algorithm:
            with pytest.raises(InvalidInput, match=f"is no {other} digest") as caught:
                checked_password(None, digest, other)
            assert digest not in str(caught.value)


@pytest.mark.parametrize(
    ("algorithm", "words"),
    [
        ("MD5", "32 hexadecimal digits"),
        ("SHA1", "40 hexadecimal digits"),
        ("SHA256", "64 hexadecimal digits"),
        ("Bcrypt", "$2b$<cost>$<salt and hash: 53 characters>"),
        *((f"Argon2{kind}", f"$argon2{kind}$v=19$m=...,t=...,p=...$<salt>$<hash>") for kind in ("i", "id", "d")),
    ],
)
def test_how_a_digest_should_look_is_said(algorithm: str, words: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        checked_password(None, "x", algorithm)
    assert str(caught.value).endswith(f"that looks like {words}")


@pytest.mark.parametrize(
    "digest",
    [
        "x",
        "[]",
        '["sha256", ["@"]]',
        '["", ["@"], "x"]',
        '["a", ["@"], ""]',
        '[5, ["@"], "x"]',
        '["a", "@", "x"]',
        '["sha256", ["salt"], "x"]',
        '["a", ["@", 1], "x"]',
        '["sha256", ["@"], "xGX2bA=="]',  # Logto compares hexadecimal digits
    ],
)
def test_what_is_no_legacy_digest_is_refused(digest: str) -> None:
    with pytest.raises(InvalidInput, match="JSON array"):
        checked_password(None, digest, "Legacy")


@pytest.mark.parametrize("version", [16, 18, 20])
def test_an_argon2_digest_of_another_version_is_refused(version: int) -> None:
    """The server stores it, and answers 500 at every sign-in."""
    with pytest.raises(InvalidInput, match=r"looks like \$argon2id\$v=19"):
        checked_password(None, ARGON2ID.replace("v=19", f"v={version}"), "Argon2id")


def test_the_hash_of_a_legacy_digest_is_sent_in_lower_case() -> None:
    digest = '["SHA256", ["C465F66C\\u00e9", "@"], "C465F66C"] '
    sent = checked_password(None, digest, "Legacy")["passwordDigest"]
    assert sent == '["SHA256", ["C465F66C\\u00e9", "@"], "c465f66c"] '


@pytest.mark.parametrize(("algorithm", "digest"), [("MD5", MD5), ("SHA1", "A" * 40), ("SHA256", "A" * 64)])
def test_a_hexadecimal_digest_is_sent_in_lower_case(algorithm: str, digest: str) -> None:
    assert checked_password(None, digest, algorithm)["passwordDigest"] == digest.lower()


def test_a_path_leads_to_what_is_no_json() -> None:
    with pytest.raises(InvalidInput) as caught:
        json_object("custom_data", {"contract": [{"from": datetime(2026, 1, 31, tzinfo=UTC)}]})
    assert caught.value.field == "custom_data.contract[0].from"


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("x\x00", "must not contain a NUL character"),
        ("\ud800", "contains half of a surrogate pair; it was decoded wrongly somewhere"),
        (datetime(2026, 1, 31, tzinfo=UTC), "datetime is no JSON; write it as text, e.g. with isoformat()"),
        ({1}, "set is no JSON"),
    ],
)
def test_what_is_wrong_with_a_value_is_said(value: Any, problem: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        json_object("custom_data", {"a": value})
    assert str(caught.value) == f"custom_data.a: {problem}"


@pytest.mark.parametrize("around", [lambda value: {"a": value}, lambda value: [value]], ids=["objects", "lists"])
def test_a_hundred_levels_fit(around: Any) -> None:
    deep: Any = {}
    for _ in range(98):
        deep = around(deep)
    assert json_object("custom_data", {"a": around(deep)}) == {"a": around(deep)}
    with pytest.raises(InvalidInput, match="nested more than 100 levels deep"):
        json_object("custom_data", {"a": around(around(deep))})


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({"a": True}, {"a": 1}, False),
        ({"a": 1}, {"a": 1.0}, True),
        ({"a": [1, {"b": None}]}, {"a": [1, {"b": None}]}, True),
        ([1, 2], [1], False),
        ([1, 2], [1, 3], False),
        ({"a": 1}, {"b": 1}, False),
        ({"a": 1}, [1], False),
        ([1], 1, False),
        (0, False, False),
        ("1", 1, False),
    ],
)
def test_json_is_compared_as_json(one: Any, other: Any, same: bool) -> None:
    assert same_json(one, other) is same
    assert same_json(other, one) is same


@pytest.mark.parametrize(
    ("given", "region", "digits"),
    [
        ("(415) 555-2672", "US", "14155552672"),
        ("090-1234-5678", "JP", "819012345678"),
        ("819012345678", "JP", "819012345678"),
        (9012345678, "JP", "819012345678"),
        ("+41 44 668 18 00", "US", "41446681800"),
        ("", "US", None),
    ],
)
def test_a_region_says_how_a_number_is_dialled(given: Any, region: str, digits: str | None) -> None:
    spec = UserSpec.checked(username="u", primary_phone=given, default_region=region)
    assert spec.primary_phone == digits


@pytest.mark.parametrize(
    ("given", "region", "field"),
    [
        ("12", "JP", "primary_phone"),
        ("123456789012", "US", "primary_phone"),
        ("call me", "JP", "primary_phone"),
        ("090-1234-5678", "Japan", "default_region"),
        ("9012345678.0", "JP", "primary_phone"),
        ("nan", "JP", "primary_phone"),
    ],
)
def test_a_region_makes_no_number_of_anything(given: Any, region: str, field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        UserSpec.checked(username="u", primary_phone=given, default_region=region)
    assert caught.value.field == field


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "phonenumbers", None)
    with pytest.raises(ConfigurationError, match=r"airflow-provider-logto\[phone\]"):
        UserSpec.checked(primary_phone="090-1234-5678", default_region="JP")
    assert UserSpec.checked(primary_phone="+819012345678", default_region="JP").primary_phone == "819012345678"
