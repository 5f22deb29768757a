"""The table of operations: it is what the server's description says, and no write in it is left undecided."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_logto.client.retrying import LOST, after_loss
from airflow_provider_logto.management.operation_table import operation_at, operations
from tests.conftest import PROJECT

SCRIPT = PROJECT / "scripts" / "operations.py"
DESCRIPTION = PROJECT.parent / "shared" / "logto" / "management-api.openapi.json"


def script() -> Any:
    spec = importlib.util.spec_from_file_location("operations_script", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def filled(path: str) -> str:
    return re.sub(r"\{[^{}]*\}", "x1", path)


@pytest.mark.skipif(not DESCRIPTION.exists(), reason="the server's description lies beside the checkout")
def test_the_table_is_what_the_script_makes_of_the_description() -> None:
    made = script()
    assert made.TABLE.read_text("utf-8") == made.content(json.loads(DESCRIPTION.read_text("utf-8")))


def test_the_script_leaves_out_what_is_no_json(tmp_path: Path) -> None:
    answer = {"200": {"content": {"application/json": {"schema": {"type": "array"}}}}}
    form = {"content": {"multipart/form-data": {}}}
    description = {
        "components": {"parameters": {"page": {"name": "page", "in": "query"}}},
        "paths": {
            "/api/things": {
                "get": {
                    "operationId": "ListThings",
                    "parameters": [{"$ref": "#/components/parameters/page"}, {"name": "search_params", "in": "query"}],
                    "responses": answer,
                },
                "post": {"operationId": "UploadThing", "requestBody": form, "responses": {}},
            },
            "/api/things/{id}/parts": {"get": {"operationId": "ListParts", "responses": answer}},
            "/api/saml/{id}/authn": {"get": {"operationId": "GetSamlAuthn", "responses": {}}},
        },
    }
    assert list(script().rows(description)) == [
        ["ListThings", "GET", "/things", "paged", ["search"]],
        ["ListParts", "GET", "/things/{id}/parts", "whole", []],
    ]


def test_every_operation_is_found_by_its_path() -> None:
    assert len(operations()) > 250
    for operation in operations().values():
        assert operation_at(operation.method, operation.path) == operation
        assert operation_at(operation.method, filled(operation.path)) == operation


def test_the_table_of_lost_answers_names_every_write() -> None:
    for operation in operations().values():
        rows = [
            decision
            for methods, pattern, decision in LOST
            if operation.method in methods.split("|") and re.fullmatch(pattern, filled(operation.path))
        ]
        assert rows, f"{operation.method} {operation.path}: say in LOST what a repeat does"
        assert operation.repeat == after_loss(operation.method, filled(operation.path)) == rows[0]


def test_every_row_of_lost_answers_decides_over_something() -> None:
    description = [(one.method, filled(one.path)) for one in operations().values()]
    # Uploads and forms are no JSON operations, yet the client may be asked to send them.
    others = [("POST", path) for path in ("/user-assets", "/authn/saml/x1", "/saml/x1/authn")]
    deciding = set()
    for method, path in (*description, *others):
        for at, (methods, pattern, _) in enumerate(LOST):
            if method in methods.split("|") and re.fullmatch(pattern, path):
                deciding.add(at)
                break
    assert deciding == set(range(len(LOST)))


@pytest.mark.parametrize(
    ("method", "path", "decision"),
    [
        ("PATCH", "/applications/a/secrets/b", "read back"),
        ("PATCH", "/users/a/personal-access-tokens/b", "read back"),
        ("PUT", "/one-time-tokens/a/status", "read back"),
        ("POST", "/sentinel-activities/delete", "repeat"),
        ("PATCH", "/something/new", "read back"),
        ("PUT", "/something/new", "repeat"),
        ("POST", "/something/new", "read back"),
    ],
)
def test_after_a_lost_answer(method: str, path: str, decision: str) -> None:
    assert after_loss(method, path) == decision


def test_words_come_before_places() -> None:
    session = operation_at("GET", "/configs/oidc/session")
    keys = operation_at("GET", "/configs/oidc/private-keys")
    assert session is not None
    assert keys is not None
    assert (session.id, keys.id) == ("GetOidcSessionConfig", "GetOidcKeys")
    assert operation_at("PUT", "/users/a") is None
    assert operation_at("GET", "/nothing/like/it") is None
