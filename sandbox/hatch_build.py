"""What both distributions publish of themselves: their addresses, and a README whose links work outside the repository.

The project's address is set here and nowhere else. While it is empty, the packages have no links to it: names of files
stand where the repository has links.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

#: Address of the repository, e.g. ``https://git.example.com/owner/airflow-provider-logto``; empty until it is known.
REPOSITORY = ""

_IMAGE = re.compile(r"!\[[^\]]*\]\((?!\w+:)[^)]+\)\n*")
_LINK = re.compile(r"\[([^\]]+)\]\((?!\w+:|#)([^)]+)\)")


def project_urls(repository: str) -> dict[str, str]:
    """``[project.urls]``; empty without an address."""
    if not repository:
        return {}
    return {
        "Repository": repository,
        "Documentation": f"{repository}/blob/main/docs/index.md",
        "Changelog": f"{repository}/blob/main/CHANGELOG.md",
        "Issues": f"{repository}/issues",
    }


def published_readme(text: str, repository: str) -> str:
    """The README as package indexes show it: links to files become addresses, or, without one, the files' names."""
    if repository:
        text = re.sub(r"(!\[[^\]]*\])\((?!\w+:)([^)]+)\)", rf"\1({repository}/raw/main/\2)", text)
        return _LINK.sub(rf"[\1]({repository}/blob/main/\2)", text)
    return _LINK.sub(lambda link: _without_link(*link.groups()), _IMAGE.sub("", text))


def _without_link(text: str, target: str) -> str:
    name = target.partition("#")[0]
    return text if text.strip("`") in name else f"{text} (`{name}`)"


class CustomMetadataHook(MetadataHookInterface):
    """Hatch asks this for the metadata that ``pyproject.toml`` calls dynamic."""

    def update(self, metadata: dict[str, Any]) -> None:
        readme = Path(self.root, "README.md").read_text("utf-8")
        metadata["readme"] = {"content-type": "text/markdown", "text": published_readme(readme, REPOSITORY)}
        metadata["urls"] = project_urls(REPOSITORY)
