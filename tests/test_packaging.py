"""What other software meets before anything runs: metadata, import cost, the layers, the names of arguments."""

from __future__ import annotations

import ast
import graphlib
import importlib
import inspect
import json
import pkgutil
import re
import subprocess
import sys
from importlib.metadata import distribution, entry_points
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import airflow_provider_logto
import logto_sandbox
from airflow_provider_logto.get_provider_info import get_provider_info

PACKAGE = "airflow_provider_logto"
ROOT = Path(airflow_provider_logto.__file__).parent
TOP_LAYER = ("operators", "sensors", "triggers")
MODULES = sorted(info.name for info in pkgutil.walk_packages([str(ROOT)], f"{PACKAGE}."))
TOP_MODULES = [name for name in MODULES if name.split(".")[1] in TOP_LAYER]
DEPENDENCIES = ("httpx", "tenacity", "cryptography", "redis", "starlette", "uvicorn", "jwt", "pyarrow", "zstandard")

#: What Airflow itself has loaded by the time a DAG is parsed; more of these costs nothing to speak of.
DEPENDENCIES_OF_AIRFLOW = ("pydantic",)

#: Layer -> the layers whose modules it may import, besides its own. ``exceptions`` and the bare package are the lowest.
LAYERS: dict[str, set[str]] = {
    "exceptions": set(),
    "connection_fields": set(),
    "get_provider_info": {"connection_fields"},
    "task_state": set(),
    "waiting": {"exceptions"},
    "compat": {"task_state"},
    "failures": {"compat", "exceptions"},
    "destinations": {"compat", "exceptions", "export"},
    "client": {"exceptions"},
    "management": {"client", "exceptions", "task_state"},
    "export": {"client", "exceptions", "management", "task_state"},
    "plans": {"client", "exceptions", "export"},
    "roster": {"client", "exceptions", "management", "plans"},
    "configuration": {"client", "exceptions", "management", "plans"},
    "hooks": {"client", "compat", "connection_fields", "exceptions", "get_provider_info", "management"},
    "operators": {
        "client",
        "compat",
        "configuration",
        "destinations",
        "exceptions",
        "export",
        "failures",
        "hooks",
        "links",
        "management",
        "plans",
        "roster",
        "triggers",
    },
    "sensors": {"client", "compat", "exceptions", "failures", "hooks", "links", "management", "triggers", "waiting"},
    "triggers": {"client", "compat", "exceptions", "hooks", "management", "waiting"},
    "links": {"compat", "exceptions", "hooks"},
    "retry_policy": {"compat", "exceptions"},
    "webhooks": {"exceptions"},
    "__main__": {"hooks"},
}


SANDBOX = "logto_sandbox"
SANDBOX_MODULES = sorted(info.name for info in pkgutil.walk_packages(logto_sandbox.__path__, f"{SANDBOX}."))

#: The same for the sandbox.
SANDBOX_LAYERS: dict[str, set[str]] = {
    "errors": set(),
    "store": {"errors"},
    "http": {"errors", "store"},
    "auth": {"errors", "http", "store"},
    "webhooks": {"errors", "http", "store"},
    "api": {"errors", "http", "store", "webhooks"},
    "faults": {"api", "http", "store"},
    "app": {"api", "auth", "errors", "http", "store", "webhooks"},
    "seed": {"api", "errors", "http", "store"},
    "environment": {"app", "faults", "seed", "store"},
    "control": {"environment", "errors", "faults", "seed", "store"},
    "server": {"control", "environment", "http", "store"},
    "__main__": {"faults", "server", "store"},
    "pytest_plugin": {"server"},
}


def run_python(code: str, *arguments: str) -> str:
    """What a fresh interpreter prints; fails when it does."""
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def imports_of(module: str) -> list[tuple[str, str]]:
    """(imported module, name or "") of every import in a module's source, also those inside functions."""
    spec = importlib.util.find_spec(module)
    assert spec is not None
    assert spec.origin is not None
    found: list[tuple[str, str]] = []
    for node in ast.walk(ast.parse(Path(spec.origin).read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found += [(alias.name, "") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: relative import"
            found += [(node.module or "", alias.name) for alias in node.names]
    return found


def test_metadata_module_imports_nothing() -> None:
    assert imports_of(f"{PACKAGE}.get_provider_info") == [(f"{PACKAGE}.connection_fields", "EXTRA_FIELDS")]
    assert imports_of(f"{PACKAGE}.connection_fields") == []
    assert imports_of(PACKAGE) == []


def test_metadata_matches_the_distribution() -> None:
    (found,) = (point for point in entry_points(group="apache_airflow_provider") if point.value.startswith(PACKAGE))
    info = found.load()()
    assert info == get_provider_info()
    assert info["package-name"] == found.dist.name == "airflow-provider-logto"


def test_metadata_passes_airflows_schema() -> None:
    import airflow
    import jsonschema

    schema = json.loads((Path(airflow.__file__).parent / "provider_info.schema.json").read_text("utf-8"))
    jsonschema.validate(get_provider_info(), schema)


@pytest.mark.parametrize("layer", [*TOP_LAYER, "hooks"])
def test_metadata_names_every_module_that_users_import(layer: str) -> None:
    named = {module for entry in get_provider_info()[layer] for module in entry["python-modules"]}
    there = {name for name in MODULES if name.startswith(f"{PACKAGE}.{layer}.") and not name.endswith(".base")}
    assert named <= there
    # A hook's module may have helpers beside it.
    assert named == there or layer == "hooks"


def test_airflow_imports_although_every_dependency_is_broken() -> None:
    """Airflow itself needs some of them, so they break for this package's modules only."""
    code = f"""
import builtins, sys
real = builtins.__import__
def broken(name, globals=None, *rest, **named):
    importer = (globals or {{}}).get("__name__", "")
    if importer.startswith("{PACKAGE}") and name.split(".")[0] in {DEPENDENCIES!r}:
        raise ImportError(f"{{name}} is broken")
    return real(name, globals, *rest, **named)
builtins.__import__ = broken
import airflow
from airflow.providers_manager import ProvidersManager
assert "airflow-provider-logto" in ProvidersManager().providers
try:
    import {PACKAGE}.client.client
except ImportError:
    print("imports")
"""
    assert run_python(code).split()[-1] == "imports"


def test_top_layer_modules_are_cheap_to_import() -> None:
    # One fork a module, so that Airflow is imported once and no module profits from another's imports.
    code = """
import importlib, json, os, sys
try:
    from airflow.sdk import DAG
except ImportError:  # Airflow 2.11
    from airflow.models.dag import DAG
before = set(sys.modules)
for module in sys.argv[1:]:
    if (child := os.fork()) == 0:
        importlib.import_module(module)
        print(json.dumps([module, sorted(set(sys.modules) - before)]), flush=True)
        os._exit(0)
    os.waitpid(child, 0)
"""
    added = dict(json.loads(line) for line in run_python(code, *TOP_MODULES).splitlines())
    assert sorted(added) == TOP_MODULES
    loaded = {"airflow", PACKAGE, *DEPENDENCIES_OF_AIRFLOW}
    for module, names in added.items():
        assert not {name for name in names if name.split(".")[0] not in loaded}, module
        later = tuple(f"{PACKAGE}.{layer}" for layer in ("client", "export", "hooks", "management"))
        assert not {name for name in names if name.startswith("logto_sandbox")}, module
        assert not {name for name in names if name.startswith(later)}, module


def test_nothing_is_imported_from_where_airflow_has_moved_it_away() -> None:
    if not hasattr(pytest.importorskip("airflow.utils.deprecation_tools"), "DeprecatedImportWarning"):
        pytest.skip("this Airflow does not tell imports from old places by a warning of their own")
    # Imports of our modules, of the examples (run_path) and below: Airflow's own providers import from old places.
    code = f"""
import importlib, runpy, sys, warnings
from airflow.exceptions import AirflowProviderDeprecationWarning
from airflow.utils.deprecation_tools import DeprecatedImportWarning
for category in (DeprecatedImportWarning, AirflowProviderDeprecationWarning):
    warnings.filterwarnings("error", category=category, module="{PACKAGE}|<run_path>|__main__")
try:
    from airflow.models.baseoperator import BaseOperator
except DeprecatedImportWarning:
    print("strict")
for name in sys.argv[1:]:
    runpy.run_path(name) if name.endswith(".py") else importlib.import_module(name)
"""
    examples = sorted(str(path) for path in (ROOT.parent / "dags_examples").glob("*.py"))
    assert len(examples) >= 2
    assert run_python(code, *MODULES, *examples).split()[-1] == "strict"


def test_client_layer_works_without_airflow() -> None:
    code = f"""
import sys
sys.modules["airflow"] = None
import importlib, pkgutil
for layer in ("client", "management", "export"):
    package = importlib.import_module("{PACKAGE}." + layer)
    for info in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        importlib.import_module(info.name)
print("fine")
"""
    assert run_python(code).strip() == "fine"


@pytest.mark.parametrize("module", MODULES)
def test_imports_go_down(module: str) -> None:
    layer = module.split(".")[1]
    assert layer in LAYERS, f"{layer}: say which layers it may import"
    for imported, name in imports_of(module):
        if imported.split(".")[0] != PACKAGE:
            continue
        target = imported.split(".")[1] if "." in imported else name
        if target == "__version__":
            continue
        assert target == layer or target in LAYERS[layer], f"{module} imports {imported}, which is not below it"
        sideways = layer in ("operators", "sensors") and target == layer and not imported.endswith(".base")
        assert not sideways, f"{module} imports its neighbour {imported}"


@pytest.mark.parametrize("module", [name for name in MODULES if f"{PACKAGE}.client" not in name])
def test_http_library_stays_in_the_client(module: str) -> None:
    assert "httpx" not in {imported.split(".")[0] for imported, _ in imports_of(module)}


@pytest.mark.parametrize(
    "module", [name for name in TOP_MODULES if "triggers" not in name and not name.endswith(".base")]
)
def test_no_argument_is_named_like_something_of_base_operator(module: str) -> None:
    from airflow_provider_logto.compat import BaseOperator, BaseSensorOperator

    for name, cls in inspect.getmembers(importlib.import_module(module), inspect.isclass):
        if cls.__module__ != module or not issubclass(cls, BaseOperator):
            continue
        base = BaseSensorOperator if issubclass(cls, BaseSensorOperator) else BaseOperator
        own = set(inspect.signature(cls).parameters) - {"self", "kwargs"}
        assert own, f"{name} has arguments"
        collisions = own & (set(inspect.signature(base).parameters) | set(dir(base)))
        assert not collisions, f"{name}: {collisions}"


@pytest.mark.parametrize("module", SANDBOX_MODULES)
def test_imports_of_the_sandbox_go_down(module: str) -> None:
    layer = module.split(".")[1]
    assert layer in SANDBOX_LAYERS, f"{layer}: say which layers it may import"
    for imported, name in imports_of(module):
        assert imported.split(".")[0] not in ("airflow", PACKAGE), f"{module} imports {imported}"
        if imported.split(".")[0] != SANDBOX:
            continue
        target = imported.split(".")[1] if "." in imported else {"Sandbox": "server"}.get(name, name)
        assert target == layer or target in SANDBOX_LAYERS[layer], f"{module} imports {imported}, which is not below it"


def test_modules_of_the_sandbox_import_each_other_in_one_direction() -> None:
    below = {module: set() for module in SANDBOX_MODULES}
    for module in SANDBOX_MODULES:
        for imported, name in imports_of(module):
            below[module] |= {imported, f"{imported}.{name}"} & below.keys()
    for module in graphlib.TopologicalSorter(below).static_order():  # raises CycleError
        below.pop(module)
    assert not below


def test_the_provider_names_the_sandbox_in_its_extra_only() -> None:
    needed = [Requirement(text) for text in distribution("airflow-provider-logto").requires or ()]
    (sandbox,) = (each for each in needed if each.name == "logto-sandbox")
    assert str(sandbox.marker) == 'extra == "sandbox"'
    assert not [name for name in MODULES for imported, _ in imports_of(name) if imported.split(".")[0] == SANDBOX]


def test_the_pytest_plugin_comes_with_the_sandbox() -> None:
    (plugin,) = (point for point in entry_points(group="pytest11") if point.value.startswith((PACKAGE, SANDBOX)))
    assert (plugin.value, plugin.dist.name) == ("logto_sandbox.pytest_plugin", "logto-sandbox")


def test_contributing_names_every_place_and_no_other() -> None:
    page = (ROOT.parent / "CONTRIBUTING.md").read_text("utf-8")
    there = {f"{path.name}/" if path.is_dir() else path.name for path in ROOT.iterdir() if path.name != "__pycache__"}
    table = page[page.index("| In `airflow_provider_logto/`") : page.index("`client/`, `management/`")]
    named = [name for line in table.splitlines()[2:] if line for name in re.findall(r"`([^`]+)`", line.split("|")[1])]
    assert len(named) == len(set(named))
    assert set(named) == there - {"py.typed"}


def test_contributing_points_at_files_that_exist() -> None:
    page = (ROOT.parent / "CONTRIBUTING.md").read_text("utf-8")
    recipes = page[page.index("## Recipes") : page.index("## Rules that reviews")]
    paths = [
        name for name in re.findall(r"`([\w./-]+)`", recipes) if "/" in name or name.endswith((".py", ".txt", ".md"))
    ]
    assert len(paths) > 30
    places = (ROOT.parent, ROOT, ROOT.parent / "sandbox" / "logto_sandbox", ROOT.parent / "sandbox/logto_sandbox/api")
    missing = [path for path in paths if not any((place / path).exists() for place in places)]
    assert missing == []
    for family in ("FORMATS", "LIMITERS", "LogtoSensor", "PollingTrigger", "UserSpec"):
        assert family in recipes
