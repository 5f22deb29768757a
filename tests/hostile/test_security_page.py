"""The page about security names tests; each of them exists."""

from __future__ import annotations

import re

import pytest

from tests.conftest import PROJECT

NAMED = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", (PROJECT / "docs" / "security.md").read_text(encoding="utf-8"))


@pytest.mark.parametrize(("file", "test"), NAMED)
def test_what_the_page_names_is_tested(file: str, test: str) -> None:
    assert re.search(rf"^(async )?def {test}\(", (PROJECT / file).read_text(encoding="utf-8"), re.MULTILINE)


def test_every_guarantee_names_a_test() -> None:
    page = (PROJECT / "docs" / "security.md").read_text(encoding="utf-8")
    heads = ("| Guarantee", "| ---")
    rows = [line for line in page.splitlines() if line.startswith("| ") and not line.startswith(heads)]
    assert len(rows) > 15
    assert [row for row in rows if "::test_" not in row] == []
