"""Write the provider's table of operations from a Logto server's description of its Management API.

Only facts go into it: id, method, path, kind of list, names of query parameters. The description is what
``GET /api/.well-known/management.openapi.json`` answers; run this again for a new Logto version:

    python scripts/operations.py management.openapi.json
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

TABLE = Path(__file__).resolve().parent.parent / "airflow_provider_logto" / "management" / "operations.json"
METHODS = ("get", "post", "put", "patch", "delete")
PAGING = ("page", "page_size")
#: How the description writes "the parameters of the search grammar".
SEARCH = "search_params"
#: Taken by the server but missing in its description.
UNDESCRIBED = {"ListUsers": ("excludeRoleId", "excludeOrganizationId", "includePasswordHash")}
#: Where a browser comes to: redirects and forms, not JSON.
FOR_BROWSERS = ("/authn/saml/", "/authn/single-sign-on/", "/saml/", "/saml-applications/{id}/callback")


def rows(description: dict[str, Any]) -> Iterator[list[Any]]:
    """``[id, method, path, list, [query parameters]]`` of every JSON operation; list is paged, whole or empty."""
    for path, methods in description["paths"].items():
        for method in METHODS:
            operation = methods.get(method)
            if operation is None or not _is_json(path, operation):
                continue
            given = [_resolved(description, one) for one in operation.get("parameters", [])]
            names = [one["name"] for one in given if one["in"] == "query"]
            names += UNDESCRIBED.get(operation["operationId"], ())
            filters = ["search" if name == SEARCH else name for name in names if name not in PAGING]
            yield [
                operation["operationId"],
                method.upper(),
                path.removeprefix("/api"),
                _kind_of_list(method, names, operation),
                sorted(filters),
            ]


def _is_json(path: str, operation: dict[str, Any]) -> bool:
    bodies = [operation.get("requestBody", {}), *operation["responses"].values()]
    kinds = {kind for body in bodies for kind in body.get("content", {})}
    return kinds <= {"application/json"} and not path.removeprefix("/api").startswith(FOR_BROWSERS)


def _kind_of_list(method: str, names: list[str], operation: dict[str, Any]) -> str:
    if "page" in names:
        return "paged"
    schema = operation["responses"].get("200", {}).get("content", {}).get("application/json", {}).get("schema", {})
    return "whole" if method == "get" and schema.get("type") == "array" else ""


def _resolved(description: dict[str, Any], value: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in value:
        target: Any = description
        for step in value["$ref"].removeprefix("#/").split("/"):
            target = target[step]
        value = target
    return value


def content(description: dict[str, Any]) -> str:
    """The table: JSON, one operation a line, ordered by path."""
    ordered = sorted(rows(description), key=lambda row: (row[2], METHODS.index(row[1].lower())))
    return "[\n" + ",\n".join(json.dumps(row) for row in ordered) + "\n]\n"


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    TABLE.write_text(content(json.loads(Path(sys.argv[1]).read_text("utf-8"))), "utf-8")
    print(f"{TABLE}: {len(json.loads(TABLE.read_text('utf-8')))} operations")
