"""One table of fields: whatever names the fields of a person agrees with it."""

from __future__ import annotations

import ast
import dataclasses
import inspect
from pathlib import Path
from typing import Any, get_args

import pytest

from airflow_provider_logto.management.user_fields import FIELDS, Kind, UserSpec, merged_profile
from airflow_provider_logto.operators import users as operators

ARGUMENTS = [field.argument for field in FIELDS]


def test_the_specification_has_every_field_and_no_other() -> None:
    assert [field.name for field in dataclasses.fields(UserSpec)] == ARGUMENTS
    parameters = inspect.signature(UserSpec.checked).parameters
    assert [name for name in parameters if name in ARGUMENTS] == ARGUMENTS


def test_the_operator_takes_every_field_and_templates_it() -> None:
    parameters = inspect.signature(operators.CreateUserOperator.__init__).parameters
    for argument in ARGUMENTS:
        assert parameters[argument].kind is inspect.Parameter.KEYWORD_ONLY, argument
        assert argument in operators.CreateUserOperator.template_fields, argument


def test_every_field_given_to_the_operator_reaches_the_specification() -> None:
    """Read in the source: each keyword of the call is the attribute of the same name."""
    tree = ast.parse(Path(operators.__file__).read_text(encoding="utf-8"))
    calls = [one for one in ast.walk(tree) if isinstance(one, ast.Call) and ast.unparse(one.func) == "UserSpec.checked"]
    assert calls
    for call in calls:
        given = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
        assert given | {name: f"self.{name}" for name in ARGUMENTS} == given


def test_a_misspelt_field_is_an_error() -> None:
    wrong: dict[str, Any] = {"user_name": "mika"}
    with pytest.raises(TypeError, match="user_name"):
        UserSpec.checked(**wrong)


def test_nothing_differs_from_what_was_sent() -> None:
    spec = UserSpec.checked(
        username="mika",
        primary_email="mika@example.com",
        primary_phone="+819012345678",
        name="Mika",
        avatar="https://example.com/a.png",
        custom_data={"a": {"b": [1, None]}},
        profile={"givenName": "Mika", "address": {"country": "JP"}},
    )
    assert spec.differences(spec.body()) == []
    assert spec.differences({}) == ARGUMENTS
    names = ["username", "primaryEmail", "primaryPhone", "name", "avatar", "customData", "profile"]
    assert list(spec.body()) == names
    assert {field.kind for field in FIELDS} == set(get_args(Kind))


ADDRESS = {"locality": "Kyoto", "country": "JP"}


@pytest.mark.parametrize(
    ("current", "wanted", "merged"),
    [
        ({"address": ADDRESS}, {"address": {"locality": "Nara"}}, {"address": {"locality": "Nara", "country": "JP"}}),
        ({"address": ADDRESS, "locale": "ja"}, {"locale": "en"}, {"address": ADDRESS, "locale": "en"}),
        ({"address": None}, {"address": ADDRESS}, {"address": ADDRESS}),
        ({}, {"address": ADDRESS}, {"address": ADDRESS}),
    ],
)
def test_an_address_is_merged_part_by_part(current: Any, wanted: Any, merged: Any) -> None:
    assert merged_profile(current, wanted) == merged
