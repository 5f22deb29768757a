"""The pages of the documentation and the code on them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import PROJECT

#: README first, then every page in the order of its name.
PAGES = [PROJECT / "README.md", *sorted((PROJECT / "docs").glob("*.md"))]
TOP = ("README.md", "README.ja.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "sandbox/README.md")


@dataclass(frozen=True)
class Example:
    """One block of Python on a page.

    :param dag_id: of the DAG that it defines; "" for a part of a file.
    """

    page: str
    line: int
    code: str
    dag_id: str

    @property
    def name(self) -> str:
        return f"{self.page}:{self.dag_id or self.line}"


def examples(page: Path) -> list[Example]:
    """Every block of Python on a page."""
    text = page.read_text("utf-8")
    found = []
    for block in re.finditer(r"^( *)```python\n(.*?)^\1```", text, re.DOTALL | re.MULTILINE):
        code = re.sub(rf"^{block[1]}", "", block[2], flags=re.MULTILINE)
        dag_id = re.search(r"\bDAG\(\s*\"(\w+)\"", code)
        whole = dag_id[1] if dag_id and "..." not in code else ""
        found.append(Example(page.name, text[: block.start()].count("\n") + 1, code, whole))
    return found
