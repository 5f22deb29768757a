"""How Sphinx builds these pages: ``make docs``. Warnings are errors; nothing is fetched."""

from __future__ import annotations

import pkgutil
import re
import sys
from pathlib import Path

from sphinx.application import Sphinx

import airflow_provider_logto

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "sandbox"))
from hatch_build import REPOSITORY, published_readme  # noqa: E402

project = "airflow-provider-logto"
copyright = "the authors of airflow-provider-logto"  # noqa: A001
release = airflow_provider_logto.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"Apache Airflow provider for Logto {release}"
html_copy_source = False
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
autodoc_default_options = {"members": True, "show-inheritance": True}
python_use_unqualified_type_names = True

#: What users import: their docstrings make up the reference. The rest of the package may change without notice.
PUBLIC = (
    "operators",
    "sensors",
    "hooks.logto",
    "triggers",
    "client.client",
    "management.offboarding.restore",
    "management.hr_events",
    "management.one_time_tokens",
    "management.verification_codes",
    "management.profile",
    "retry_policy",
    "failures",
    "webhooks",
    "exceptions",
)
#: Single functions of other modules that users import.
PUBLIC_FUNCTIONS = ("management.removal.suspended_since",)


def public_modules() -> list[str]:
    """Names of the modules of the reference, in the order of :data:`PUBLIC`."""
    prefix = f"{airflow_provider_logto.__name__}."
    found = [info.name.removeprefix(prefix) for info in pkgutil.walk_packages(airflow_provider_logto.__path__, prefix)]
    return [
        prefix + name
        for public in PUBLIC
        for name in found
        if (name == public or name.startswith(f"{public}.")) and name not in ("operators", "sensors", "triggers")
    ]


def add_generated_parts(_app: Sphinx, page: str, content: list[str]) -> None:
    """The first page begins with the README and gets its tree from its own links; the reference gets its modules."""
    text = outward(content[0], "../")
    if page == "index":
        links = dict.fromkeys(re.findall(r"\]\(([\w/-]+)\.md\)", text))
        readme = outward((ROOT / "README.md").read_text("utf-8"), r"(?!docs/)").replace("](docs/", "](")
        tree = "\n".join(["```{toctree}", ":hidden:", "", *links, "```\n"])
        text = "\n".join([readme, "## All pages", text.partition("\n")[2], tree])
    elif page == "reference":
        listed = [("automodule", name) for name in public_modules()]
        listed += [("autofunction", f"{airflow_provider_logto.__name__}.{name}") for name in PUBLIC_FUNCTIONS]
        text += "".join(f"\n## {name}\n\n```{{eval-rst}}\n.. {kind}:: {name}\n```\n" for kind, name in listed)
    content[0] = text


def outward(text: str, begins: str) -> str:
    """Links to files outside this folder become addresses, or the files' names where there is no address."""
    links = re.compile(rf"(?<!!)\[[^\]]+\]\((?!\w+:|#){begins}[^)]+\)")
    return links.sub(lambda link: published_readme(link[0].replace("](../", "]("), REPOSITORY), text)


def setup(app: Sphinx) -> None:
    """Sphinx calls this."""
    app.connect("source-read", add_generated_parts)
