"""``where``: every mode, and nothing that the server would refuse, fail at or read otherwise."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_logto.exceptions import InvalidInput
from airflow_provider_logto.management.where import search_query
from logto_sandbox import Sandbox
from tests.clients import Run

PEOPLE = [
    {"username": "ada_l", "primaryEmail": "Ada@Acme.example", "name": "Ada"},
    {"username": "adaxl", "primaryEmail": "adax@acme.example", "name": "ada"},
    {"username": "bob", "primaryEmail": "bob@beta.example", "primaryPhone": "491701234567", "name": "Bob 50%"},
]


@pytest.mark.parametrize(
    ("where", "found"),
    [
        (None, "ada_l adaxl bob"),
        ({}, "ada_l adaxl bob"),
        ({"username": "ada_l"}, "ada_l"),
        ({"username": ["ada_l", "bob"]}, "ada_l bob"),
        ({"primary_email": "ada@acme.example"}, "ada_l"),
        ({"primaryEmail": {"exact": "ada@acme.example"}, "case_sensitive": True}, ""),
        ({"primaryEmail": {"like": "%@acme.example"}}, "ada_l adaxl"),
        ({"username": {"like": "ada_l"}}, "ada_l adaxl"),
        ({"username": {"like": r"ada\_l"}}, "ada_l"),
        ({"name": {"like": "ada"}, "case_sensitive": "true"}, "adaxl"),
        ({"username": {"similar_to": "(ada|bob)%"}, "case_sensitive": True}, "ada_l adaxl bob"),
        ({"username": {"posix": "^b.b$"}}, "bob"),
        ({"username": "bob", "name": {"like": "A%"}}, ""),
        ({"username": "bob", "name": {"like": "A%"}, "joint": "or"}, "ada_l adaxl bob"),
        ({"primaryPhone": "+49 170 1234567"}, "bob"),
        ({"primaryPhone": 491701234567}, "bob"),
        ({"any": {"like": "%acme%"}}, "ada_l adaxl"),
        ({"any": "bob"}, "bob"),
    ],
)
def test_every_mode(run: Run, sandbox: Sandbox, where: Any, found: str) -> None:
    sandbox.seed({"users": PEOPLE})
    users = run(lambda client: client.collect("/users", search_query(where)))
    assert " ".join(sorted(user["username"] for user in users)) == found


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("ada", "where: must be an object"),
        ({"joint": "or"}, "where: names no field"),
        ({"usernam": "a"}, "where.usernam: cannot be searched.*did you mean username"),
        ({"email": "a"}, "where.email: cannot be searched"),
        ({"customData.x": "a"}, "where.customData.x"),
        ({"username": ""}, "where.username: must be a text"),
        ({"username": None}, "where.username: must be a text"),
        ({"username": True}, "where.username: must be a text"),
        ({"username": []}, "where.username: is an empty list"),
        ({"username": ["a", ""]}, "where.username: must be a text"),
        ({"username": "a\x00"}, "NUL"),
        ({"username": {"like": ["a", "b"]}}, "like takes one value"),
        ({"username": {"regex": "a"}}, r"where\.username\.regex: is not a mode"),
        ({"username": {"like": "a", "posix": "b"}}, "one mode and its value"),
        ({"username": {}}, "one mode and its value"),
        ({"username": {"similar_to": "a%"}}, "similar_to needs case_sensitive"),
        ({"username": {"like": "a\\"}}, "ends in a backslash"),
        ({"username": {"posix": "a("}}, "not a regular expression"),
        ({"username": {"posix": "[a"}}, "not a regular expression"),
        ({"username": "a", "joint": "AND"}, "where.joint"),
        ({"username": "a", "case_sensitive": 1}, "where.case_sensitive"),
        ({"username": "a", "case_sensitive": "yes"}, "where.case_sensitive"),
        ({"any": ["a", "b"]}, "where.any: takes one value"),
        ({"primaryPhone": "+49 x"}, "where.primaryPhone"),
        ({"username": [f"user{at:08d}" for at in range(2000)]}, "characters long"),
    ],
)
def test_what_the_server_would_refuse_or_misread(where: Any, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        search_query(where)


def test_escapes_of_postgresql_pass() -> None:
    for pattern in (r"\mada", r"^[[:alpha:]]+$", "***:ada", r"a\Z", r"\d{3}"):
        assert search_query({"username": {"posix": pattern}})["search.username"] == pattern
    assert search_query({"username": {"like": "a\\\\"}})["search.username"] == "a\\\\"


def test_objects_have_other_fields_and_their_or_is_refused() -> None:
    assert search_query({"description": {"like": "%a%"}}, "/roles")["mode.description"] == "like"
    with pytest.raises(InvalidInput, match=r"where\.username: cannot be searched; id, name, description, any can"):
        search_query({"username": "a"}, "/roles")
    both = {"name": "a", "description": "b", "joint": "or"}
    for path in ("/roles", "/users/x/roles", "/applications/x/roles", "/roles/x/scopes", "/applications"):
        with pytest.raises(InvalidInput, match="objects that do not belong there"):
            search_query(both, path)
    assert search_query({"name": "a", "username": "b", "joint": "or"}, "/roles/x/users")["joint"] == "or"
