"""What may be handed to the client: limits to the byte, paths, queries and bodies."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_logto.client.arguments import (
    Call,
    checked_content,
    checked_method,
    checked_params,
    checked_path,
    path_of,
)
from airflow_provider_logto.exceptions import InvalidInput


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
def test_the_methods_of_the_api_in_any_case(method: str) -> None:
    assert checked_method(method) == method
    assert checked_method(method.lower()) == method


def test_other_methods_are_refused() -> None:
    with pytest.raises(InvalidInput, match="'HEAD' is unknown"):
        checked_method("HEAD")


@pytest.mark.parametrize(
    ("path", "sent"),
    [
        ("/users", "/users"),
        ("/api/users", "/users"),
        ("/apiusers", "/apiusers"),
        ("/api-keys", "/api-keys"),
        ("/users/a%2Fb", "/users/a%2Fb"),
        ("/" + "x" * 8191, "/" + "x" * 8191),
    ],
)
def test_paths(path: str, sent: str) -> None:
    assert checked_path(path) == sent


@pytest.mark.parametrize(
    "path",
    [
        *("users", "//users", "/users//x", "/", "/api", "/api/", "/users?page=1", "/users#a", "/users\\a", "/users/\n"),
        *("/users/a b", "/users/../roles", "/users/%2e%2e/roles", "/users/./x", "/users/%2e", "/users/..%2fx"),
        "/users/..%5Cx",
        "/" + "x" * 8192,
    ],
)
def test_what_is_no_path(path: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        checked_path(path)
    assert caught.value.field == "path"


def test_values_are_encoded_into_a_path() -> None:
    assert path_of("/roles/{}/users/{}", "a/b c", "é.") == "/roles/a%2Fb%20c/users/%C3%A9."


@pytest.mark.parametrize("value", ["", ".", "..", None, 5, "\ud800"])
def test_what_fills_no_place_of_a_path(value: Any) -> None:
    with pytest.raises(InvalidInput) as caught:
        path_of("/users/{}", value)
    assert caught.value.field == "path"


def test_path_and_query_together_fill_a_url_and_no_more() -> None:
    fits = "x" * (60 * 1024 - len("/users") - len("search="))
    assert str(Call.checked("GET", "/users", {"search": fits}).params) == f"search={fits}"
    with pytest.raises(InvalidInput) as caught:
        Call.checked("GET", "/users", {"search": fits + "x"})
    assert caught.value.field == "query"


@pytest.mark.parametrize(
    ("query", "sent"),
    [
        ({"a": "x", "b": 1, "c": 1.5, "d": True, "e": False}, "a=x&b=1&c=1.5&d=true&e=false"),
        ({"a": ["x", 2, None], "b": None, "c": ("y",)}, "a=x&a=2&c=y"),
        ({"a": {"x"}, "b": frozenset({"y"})}, "a=x&b=y"),
        ({"a": "\ud7ff\ue000"}, "a=%ED%9F%BF%EE%80%80"),
    ],
)
def test_queries(query: dict[str, Any], sent: str) -> None:
    assert str(checked_params(query)) == sent


@pytest.mark.parametrize("query", [None, {}, {"a": None}, {"a": []}])
def test_an_empty_query_is_none(query: Any) -> None:
    assert checked_params(query) is None


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("a=b", "query"),
        ([("a", "b")], "query"),
        ({"a": {"b": 1}}, "query.a"),
        ({"a": b"x"}, "query.a"),
        ({"a": [["x"]]}, "query.a"),
        ({"a": "\ud800"}, "query.'a'"),
        ({"b": "\udfff"}, "query.'b'"),
        ({"\udc00": "a"}, "query.'\\udc00'"),
    ],
)
def test_what_is_no_query(query: Any, field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        checked_params(query)
    assert caught.value.field == field


def test_a_body_is_sent_as_short_json() -> None:
    assert checked_content(None) is None
    assert checked_content({"a": [1, {"b": "森"}], "c": None}) == '{"a":[1,{"b":"森"}],"c":null}'.encode()
    assert checked_content([]) == b"[]"


def test_the_largest_body_fits_and_one_byte_more_does_not() -> None:
    fits = {"a": "x" * (1024 * 1024 - len('{"a":""}'))}
    content = checked_content(fits)
    assert content is not None
    assert len(content) == 1_048_576
    with pytest.raises(InvalidInput, match="1048577 bytes; the server takes at most 1048576"):
        checked_content({"a": fits["a"] + "x"})


@pytest.mark.parametrize("body", ["text", b"", 5, 1.5, True, {"a": float("nan")}, {"a": {1}}, {"a": "\ud800"}])
def test_what_is_no_body(body: Any) -> None:
    with pytest.raises(InvalidInput) as caught:
        checked_content(body)
    assert caught.value.field == "body"
