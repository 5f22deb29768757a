"""What is published: sdists and wheels of both distributions, the workflow file, the pre-commit hooks."""

from __future__ import annotations

import email
import re
import subprocess
import sys
import tarfile
import zipfile
from email.message import Message
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import PROJECT

SANDBOX = PROJECT / "sandbox"
WORKFLOWS = PROJECT / ".github" / "workflows"
pytestmark = pytest.mark.xdist_group("distributions")


def run(*command: str, cwd: Path = PROJECT) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def hatch_build() -> Any:
    spec = spec_from_file_location("hatch_build", SANDBOX / "hatch_build.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Both sdists and both wheels: ``{"airflow_provider_logto.whl": path, ...}``."""
    folder = tmp_path_factory.mktemp("distributions")
    for project in (PROJECT, SANDBOX):
        run(sys.executable, "-m", "hatchling", "build", "--directory", str(folder), cwd=project)
    found = {
        re.sub(r"-[^-]+?(?=\.tar\.gz|-py3)(-py3-none-any)?", "", path.name): path for path in sorted(folder.iterdir())
    }
    assert sorted(found) == [
        f"{name}.{kind}" for name in ("airflow_provider_logto", "logto_sandbox") for kind in ("tar.gz", "whl")
    ]
    return found


def metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return email.message_from_bytes(archive.read(name))


def test_index_accepts_them(distributions: dict[str, Path]) -> None:
    said = run(sys.executable, "-m", "twine", "check", "--strict", *(str(path) for path in distributions.values()))
    assert said.count("PASSED") == 4


def test_sdist_holds_the_repository(distributions: dict[str, Path]) -> None:
    """With it `make demo` and `make test` run."""
    if not (PROJECT / ".git").exists():
        pytest.skip("this is an unpacked sdist itself")
    tracked = set(run("git", "ls-files").splitlines())
    with tarfile.open(distributions["airflow_provider_logto.tar.gz"]) as archive:
        packed = {name.partition("/")[2] for name in archive.getnames()}
    assert tracked - packed == set()
    assert {name for name in packed - tracked if (PROJECT / name).exists()} == set()


def test_wheels_hold_their_module_alone(distributions: dict[str, Path]) -> None:
    for name in ("airflow_provider_logto", "logto_sandbox"):
        with zipfile.ZipFile(distributions[f"{name}.whl"]) as archive:
            roots = {path.partition("/")[0] for path in archive.namelist()}
            assert f"{name}/py.typed" in archive.namelist()
        assert {root for root in roots if not root.endswith(".dist-info")} == {name}


def test_published_readme_has_no_link_that_leads_nowhere(distributions: dict[str, Path]) -> None:
    for name in ("airflow_provider_logto", "logto_sandbox"):
        found = metadata(distributions[f"{name}.whl"])
        text = str(found.get_payload())
        targets = re.findall(r"\]\(([^)]+)\)", text)
        assert [target for target in targets if not target.startswith(("https://", "#"))] == []
        assert bool(found.get_all("Project-URL")) == bool(hatch_build().REPOSITORY)


def test_links_become_addresses_once_there_is_one() -> None:
    published = hatch_build().published_readme
    text = "![form](docs/images/form.png)\n\nSee [Connection](docs/connection.md#port), [Logto](https://logto.io), "
    text += "[up](#top)."
    assert published(text, "https://git.example.com/a/b") == (
        "![form](https://git.example.com/a/b/raw/main/docs/images/form.png)\n\n"
        "See [Connection](https://git.example.com/a/b/blob/main/docs/connection.md#port), [Logto](https://logto.io), "
        "[up](#top)."
    )
    assert published(text, "") == "See Connection (`docs/connection.md`), [Logto](https://logto.io), [up](#top)."


@pytest.mark.parametrize("workflow", sorted(WORKFLOWS.glob("*.yml")), ids=lambda path: path.name)
def test_workflow_is_one_and_calls_make(workflow: Path) -> None:
    run(sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows", str(workflow))
    targets = set(re.findall(r"^([\w-]+):", (PROJECT / "Makefile").read_text("utf-8"), re.MULTILINE))
    called = re.findall(r"run: make ([\w-]+)", workflow.read_text("utf-8"))
    assert called
    assert set(called) <= targets


@pytest.mark.e2e
def test_wheels_work_in_a_clean_environment(distributions: dict[str, Path], tmp_path: Path) -> None:
    """Installed as a user would, ``airflow providers get`` knows the package and an example DAG runs."""
    environment = tmp_path / "venv"
    run(sys.executable, "-m", "venv", str(environment))
    python = str(environment / "bin" / "python")
    wheels = [str(distributions[f"{name}.whl"]) for name in ("logto_sandbox", "airflow_provider_logto")]
    run(python, "-m", "pip", "install", "-qq", "--constraint", str(PROJECT / "constraints.txt"), *wheels)
    said = run(python, str(PROJECT / "tests" / "e2e" / "clean_install.py"), str(tmp_path / "home"), cwd=tmp_path)
    assert "airflow-provider-logto" in said
    assert "employee_onboarding: success" in said
