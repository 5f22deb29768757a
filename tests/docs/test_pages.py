"""The pages as a reader meets them: every link leads somewhere, and the README says the same in both languages."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from airflow_provider_logto import exceptions
from tests.conftest import PROJECT
from tests.docs.pages import PAGES, TOP

FILES = [*dict.fromkeys([*PAGES, *(PROJECT / name for name in TOP)])]


def links(path: Path) -> list[str]:
    """Targets of the links and pictures on a page, without those in code."""
    text = re.sub(r"^( *)```.*?^\1```", "", path.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    return re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`\n]*`", "", text.replace("[`", "[").replace("`]", "]")))


def anchors(path: Path) -> set[str]:
    """What a link may name behind ``#``: headings as they are shown, lower-cased and joined by hyphens."""
    text = re.sub(r"^```.*?^```", "", path.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_link_leads_somewhere(path: Path) -> None:
    for target in links(path):
        if re.match(r"\w+:", target):
            assert target.startswith("https://"), target
            continue
        name, _, anchor = target.partition("#")
        found = (path.parent / name).resolve() if name else path
        assert found.exists(), target
        assert PROJECT in found.parents, target
        assert not anchor or anchor in anchors(found), target


def test_every_page_is_in_the_index() -> None:
    listed = {target.partition("#")[0] for target in links(PROJECT / "docs" / "index.md")}
    assert {path.name for path in PAGES[1:]} - {"index.md"} <= listed


def test_every_error_is_explained() -> None:
    text = (PROJECT / "docs" / "errors.md").read_text("utf-8")
    errors = {
        name
        for name, value in vars(exceptions).items()
        if isinstance(value, type) and issubclass(value, exceptions.LogtoError)
    }
    assert {name for name in errors if f"`{name}`" not in text and f"`{name}`s" not in text} == set()


def operators_and_sensors() -> set[str]:
    return {
        node.name
        for folder in ("operators", "sensors")
        for file in (PROJECT / "airflow_provider_logto" / folder).glob("*.py")
        for node in ast.parse(file.read_text("utf-8")).body
        if isinstance(node, ast.ClassDef) and file.name != "base.py" and node.name.endswith(("Operator", "Sensor"))
    }


def test_every_operator_and_sensor_has_a_page_and_is_in_the_readme() -> None:
    pages = "".join(path.read_text("utf-8") for path in PAGES[1:] if path.name not in ("index.md", "reference.md"))
    names = operators_and_sensors()
    assert {name for name in names if f"{name}(" not in pages and f"{name}.partial(" not in pages} == set()
    readme = (PROJECT / "README.md").read_text("utf-8")
    assert {name for name in names if f"`{name}`" not in readme} == set()


def skeleton(path: Path) -> dict[str, list[str]]:
    """What both languages must have in common."""
    text = path.read_text("utf-8")
    return {
        "headings": re.findall(r"^#+", text, re.MULTILINE),
        "code": re.findall(r"^ *```.*?^ *```", text, re.DOTALL | re.MULTILINE),
        "links": sorted(target for target in links(path) if not target.startswith("README")),
        "rows": re.findall(r"^ *\|[^|]*\|", text, re.MULTILINE)
        and [str(len(re.findall(r"^ *\|", text, re.MULTILINE)))],
        "points": [str(len(re.findall(r"^ *(?:-|\d\.) ", text, re.MULTILINE)))],
    }


def test_the_japanese_readme_has_the_same_structure() -> None:
    assert skeleton(PROJECT / "README.ja.md") == skeleton(PROJECT / "README.md")


def test_the_documentation_is_built_without_a_warning(tmp_path: Path) -> None:
    command = [
        "-m",
        "sphinx",
        "-q",
        "-W",
        "--keep-going",
        "-d",
        str(tmp_path / "trees"),
        "docs",
        str(tmp_path / "html"),
    ]
    done = subprocess.run(
        [sys.executable, *command], cwd=PROJECT, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    reference = (tmp_path / "html" / "reference.html").read_text("utf-8")
    assert "airflow_provider_logto.operators.users.CreateUserOperator" in reference
