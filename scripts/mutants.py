"""Do the tests notice? Changes one thing at a time in the code and counts the changes that no test fails on.

``python scripts/mutants.py [module ...] [--sample 30] [--seed 1] [--jobs 2]``: a seeded sample of mutants of each
module in :data:`MODULES`. Each one runs in a forked process whose import of the module yields the mutated code; nothing
on disk changes. Mutants that change no behaviour are listed in ``mutants_equivalent.txt``, each with its reason, and
not counted. Fails below :data:`GOAL`.

By hand, since of the maintained testers mutmut leaves out constants and decorated functions, cosmic-ray starts an
interpreter (and imports Airflow) for each mutant, and neither takes a seeded sample.
"""

from __future__ import annotations

import argparse
import ast
import atexit
import copy
import functools
import importlib.abc
import importlib.machinery
import importlib.util
import itertools
import math
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

PROJECT = Path(__file__).resolve().parent.parent
EQUIVALENT = Path(__file__).with_name("mutants_equivalent.txt")
#: Part of the mutants that must be noticed.
GOAL = 0.95
#: A mutant whose tests take this many times as long as without it, and this many seconds more, hangs: it is noticed.
PATIENCE = (4.0, 30.0)

#: What the tests import: loaded once, before the forks.
HEAVY = (
    *("pytest", "hypothesis", "anyio.pytest_plugin", "jwt", "cryptography.x509", "httpx", "tenacity"),
    *("starlette.applications", "uvicorn.protocols.http.auto", "sqlalchemy.orm", "pydantic"),
    *("airflow.sdk.bases.operator", "airflow.sdk.execution_time.task_runner", "airflow.sdk.io"),
    *("airflow.models.connection", "airflow.providers.standard.triggers.temporal", "airflow.triggers.base"),
)

#: Module -> the tests that are to notice.
MODULES: dict[str, tuple[str, ...]] = {
    "client.pagination": ("tests/client/test_pagination.py", "tests/hostile/test_walks.py"),
    "client.retrying": (
        "tests/management/test_operation_table.py",
        "tests/client/test_retrying.py",
        "tests/client/test_client.py",
    ),
    "client.sharing.pacing": ("tests/client/test_pacing.py", "tests/client/test_shared_state.py"),
    "client.sharing.schedule": ("tests/client/test_schedule.py", "tests/client/test_pacing.py"),
    "client.auth.tokens": ("tests/client/test_tokens.py",),
    "client.auth.token_endpoint": (
        "tests/client/test_tokens.py",
        "tests/hostile/test_answers.py",
        "tests/hostile/test_words.py",
    ),
    "client.arguments": ("tests/client/test_arguments.py",),
    "client.endpoint": ("tests/client/test_endpoint.py",),
    "management.audit_logs.walk": ("tests/management/test_audit_log_cut.py", "tests/management/test_audit_logs.py"),
    "management.audit_logs.segments": (
        "tests/management/test_audit_log_cut.py",
        "tests/management/test_audit_log_endless.py",
        "tests/management/test_audit_logs.py",
    ),
    "management.audit_logs.cutting": ("tests/management/test_audit_log_cut.py",),
    "management.audit_logs.prefetch": ("tests/management/test_prefetch.py",),
    "management.own_creation": ("tests/management/test_users.py", "tests/messy/test_people.py"),
    "management.json_values": ("tests/management/test_fields.py",),
    "management.passwords": ("tests/management/test_fields.py",),
    "management.user_fields": (
        "tests/management/test_user_fields.py",
        "tests/management/test_fields.py",
        "tests/management/test_users.py",
        "tests/messy/test_people.py",
    ),
    "management.references": (
        "tests/management/test_references.py",
        "tests/management/test_users.py",
        "tests/management/test_boundaries.py::test_a_lazy_sequence_is_fetched_at_once",
        "tests/messy/test_references.py",
    ),
    "management.fields": ("tests/management/test_fields.py", "tests/management/test_boundaries.py"),
    "management.users": (
        "tests/management/test_users.py",
        "tests/management/test_boundaries.py",
        "tests/messy/test_people.py",
        "tests/real/test_users.py",
    ),
    "management.members": (
        "tests/management/test_references.py",
        "tests/management/test_boundaries.py::test_few_members_of_many_are_asked_one_by_one",
        "tests/management/test_organizations.py",
        "tests/messy/test_organizations.py",
    ),
    "management.roles": (
        "tests/management/test_references.py",
        "tests/management/test_roles.py",
        "tests/management/test_boundaries.py",
        "tests/real/test_roles.py",
        "tests/messy/test_references.py",
    ),
    "management.creating_once": (
        "tests/management/test_organizations.py",
        "tests/management/test_applications.py",
        "tests/configuration/test_configuration.py",
    ),
    "management.organizations": (
        "tests/management/test_organizations.py",
        "tests/management/test_boundaries.py",
        "tests/messy/test_organizations.py",
        "tests/real/test_organizations.py",
    ),
}

_COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
_OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
}
_CALLS = {"min": "max", "max": "min", "any": "all", "all": "any"}
#: Calls whose effect is words for people.
_WORDS = {"log", "warn_once"}


@dataclass(frozen=True)
class Mutant:
    """One change.

    :param key: names it over moves of its line: module, function, the line's text, the change.
    """

    key: str
    line: int
    source: str


def mutants_of(module: str) -> list[Mutant]:
    """Every mutant of a module, in the order of its text."""
    text = path_of(module).read_text(encoding="utf-8")
    tree, lines = ast.parse(text), text.splitlines()
    found: dict[str, Mutant] = {}
    for number, node in enumerate(ast.walk(tree)):
        if not isinstance(node, ast.expr | ast.stmt) or id(node) in _ignored(tree):
            continue
        for change in _changes(node):
            mutated = copy.deepcopy(tree)
            description = change(next(itertools.islice(ast.walk(mutated), number, None)))
            key = f"{module} | {_function(tree, node)} | {lines[node.lineno - 1].strip()} | {description}"
            while key in found:
                key += "'"
            found[key] = Mutant(key, node.lineno, ast.unparse(ast.fix_missing_locations(mutated)))
    return sorted(found.values(), key=lambda mutant: (mutant.line, mutant.key))


def path_of(module: str) -> Path:
    return PROJECT / "airflow_provider_logto" / f"{module.replace('.', '/')}.py"


#: Changes a node in place and says what it did.
Change = Callable[[Any], str]


def _changes(node: ast.AST) -> Iterator[Change]:
    if isinstance(node, ast.Compare):
        yield _compare
    elif isinstance(node, ast.BoolOp):
        yield _bool_op
    elif isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        yield _bin_op
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield _without_not
    elif isinstance(node, ast.Constant) and isinstance(node.value, int | float | str) and node.value != "":
        yield _constant
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _CALLS:
        yield _call
    elif isinstance(node, ast.If | ast.While | ast.IfExp) and not isinstance(node.test, ast.Compare | ast.BoolOp):
        yield _negated
    elif isinstance(node, ast.Return) and node.value is not None and not isinstance(node.value, ast.Constant):
        yield _return_none
    elif isinstance(node, ast.Raise | ast.Break | ast.Continue | ast.AugAssign | ast.Expr):
        yield _deleted


def _compare(node: ast.Compare) -> str:
    before = type(node.ops[0])
    node.ops[0] = _COMPARISONS[before]()
    return f"{before.__name__} -> {_COMPARISONS[before].__name__}"


def _bool_op(node: ast.BoolOp) -> str:
    before = type(node.op).__name__
    node.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
    return f"{before} -> {type(node.op).__name__}"


def _bin_op(node: ast.BinOp) -> str:
    before = type(node.op)
    node.op = _OPERATORS[before]()
    return f"{before.__name__} -> {_OPERATORS[before].__name__}"


def _without_not(node: ast.UnaryOp) -> str:
    node.op, node.operand = ast.Not(), ast.UnaryOp(ast.Not(), node.operand)
    return "not deleted"


def _constant(node: ast.Constant) -> str:
    before = node.value
    if isinstance(before, bool):
        node.value = not before
    elif isinstance(before, int | float):
        node.value = before + 1
    else:
        node.value = str(before) + "XX"
    return f"{before!r} -> {node.value!r}"


def _call(node: ast.Call) -> str:
    name = node.func
    if not isinstance(name, ast.Name):
        raise TypeError(ast.dump(node))
    before, name.id = name.id, _CALLS[name.id]
    return f"{before} -> {name.id}"


def _negated(node: ast.If | ast.While | ast.IfExp) -> str:
    node.test = ast.UnaryOp(ast.Not(), node.test)
    return "condition negated"


def _return_none(node: ast.Return) -> str:
    node.value = ast.Constant(None)
    return "returns None"


def _deleted(node: Any) -> str:
    """Turn a statement into ``pass``, whatever it was."""
    before = type(node).__name__
    fields = {name: getattr(node, name) for name in ("lineno", "col_offset", "end_lineno", "end_col_offset")}
    node.__class__ = ast.Pass
    node.__dict__.clear()
    node.__dict__.update(fields)
    return f"{before} deleted"


@functools.lru_cache(maxsize=1)
def _ignored(tree: ast.Module) -> frozenset[int]:
    """Nodes that change nothing or only words: docstrings, decorators, annotations, logging, messages of errors."""
    found: set[int] = set()
    read = {_name(node.args[0]) for node in ast.walk(tree) if isinstance(node, ast.Call) and _name(node) == "get_args"}
    for node in ast.walk(tree):
        parts: list[ast.AST] = []
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Module):
            parts += node.body[:1] if ast.get_docstring(node) is not None else []
            parts += getattr(node, "decorator_list", [])
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            parts += [argument for argument in ast.walk(node.args) if isinstance(argument, ast.arg)]
            parts += [node.returns] if node.returns else []
        if isinstance(node, ast.AnnAssign):
            parts.append(node.annotation)
        if isinstance(node, ast.JoinedStr):
            parts.append(node)
        if isinstance(node, ast.Expr) and _name(node.value) in _WORDS:
            parts.append(node)
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            parts += [one for one in ast.walk(node.exc) if isinstance(one, ast.Constant) and isinstance(one.value, str)]
        if isinstance(node, ast.Assign) and _name(node.value) in ("TypeVar", "ParamSpec", "getLogger"):
            parts.append(node)
        if isinstance(node, ast.If) and _name(node.test) == "TYPE_CHECKING":
            parts.append(node)
        # Mypy notices a value there that is not used, or not there.
        if isinstance(node, ast.Assign) and _is_literal(node.value) and _name(node.targets[0]) not in read:
            parts.append(node)
        # Ruff (F822) notices a name there that does not exist.
        if isinstance(node, ast.Assign) and any(_name(target) == "__all__" for target in node.targets):
            parts.append(node)
        found.update(id(one) for part in parts for one in ast.walk(part))
    return frozenset(found)


def _is_literal(node: ast.AST) -> bool:
    return isinstance(node, ast.Subscript) and _name(node.value) == "Literal"


def _name(node: ast.AST) -> str:
    """The name that an expression begins with; of a call ``logging.getLogger(...)`` the last one."""
    if isinstance(node, ast.Await):
        return _name(node.value)
    if isinstance(node, ast.Call):
        first = _name(node.func)
        return node.func.attr if isinstance(node.func, ast.Attribute) and first == "logging" else first
    if isinstance(node, ast.Attribute):
        return _name(node.value)
    return node.id if isinstance(node, ast.Name) else ""


def _function(tree: ast.Module, node: ast.expr | ast.stmt) -> str:
    """The dotted name of the function or class that a node lies in."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    around = [
        one.name
        for one in ast.walk(tree)
        if isinstance(one, kinds) and one.lineno <= node.lineno <= (one.end_lineno or one.lineno)
    ]
    return ".".join(around) or "module"


class _Mutated(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Yields a mutant when its module is imported."""

    def __init__(self, name: str, source: str, path: Path) -> None:
        self._name, self._source, self._path = name, source, path

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        return importlib.util.spec_from_file_location(name, self._path, loader=self) if name == self._name else None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        exec(compile(self._source, self._path, "exec"), module.__dict__)


def noticed(module: str, source: str, tests: Sequence[str], patience: float = math.inf) -> bool:
    """Run the tests of a module on one mutant of it, in a process forked from here.

    :param patience: seconds after which it hangs.
    """
    directory = tempfile.mkdtemp(prefix="mutant-")
    child = os.fork()
    if child == 0:
        os.setpgid(0, 0)
        silence = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silence, 1)
        os.dup2(silence, 2)
        tempfile.tempdir = directory
        sys.meta_path.insert(0, _Mutated(f"airflow_provider_logto.{module}", source, path_of(module)))
        import pytest

        # The layout of the code is not what is tested here, and Hypothesis is to look in the same places each time.
        os._exit(pytest.main(["-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *tests]) != 0)
    end = time.monotonic() + patience
    status: int | None = None
    while status is None and time.monotonic() < end:
        ended, code = os.waitpid(child, os.WNOHANG)
        status = code if ended else None
        time.sleep(0.02)
    if status is None:
        os.killpg(child, signal.SIGKILL)
        os.waitpid(child, 0)
    shutil.rmtree(directory, ignore_errors=True)
    return status != 0


def _load_heavy() -> None:
    """Load what the tests import, but nothing of what is mutated."""
    # Airflow reads it on import, and writes its configuration there.
    os.environ["AIRFLOW_HOME"] = home = tempfile.mkdtemp(prefix="mutants-")
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    for heavy in HEAVY:
        importlib.import_module(heavy)
    if early := [name for name in MODULES if f"airflow_provider_logto.{name}" in sys.modules]:
        raise RuntimeError(f"loaded before the mutant: {early}")


def main() -> int:
    """Print each mutant that nothing noticed, and the score of each module."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("modules", nargs="*", default=list(MODULES))
    parser.add_argument("--sample", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2)
    arguments = parser.parse_args()
    os.chdir(PROJECT)
    sys.path[:0] = [str(PROJECT), str(PROJECT / "sandbox")]
    _load_heavy()
    equivalent = {line.partition(" || ")[0] for line in EQUIVALENT.read_text(encoding="utf-8").splitlines()}
    caught = total = 0
    for module in arguments.modules:
        every = [mutant for mutant in mutants_of(module) if mutant.key not in equivalent]
        sample = random.Random(f"{arguments.seed} {module}").sample(every, min(arguments.sample, len(every)))
        start = time.monotonic()
        if noticed(module, path_of(module).read_text(encoding="utf-8"), MODULES[module]):
            print(f"{module}: its tests fail without any mutant")
            return 1
        patience = PATIENCE[0] * (time.monotonic() - start) + PATIENCE[1]
        check = functools.partial(noticed, module, tests=MODULES[module], patience=patience)
        survivors = 0
        with ThreadPoolExecutor(arguments.jobs) as pool:
            for mutant, seen in zip(sample, pool.map(check, [one.source for one in sample]), strict=True):
                if not seen:
                    survivors += 1
                    print(f"  {mutant.line}: {mutant.key}", flush=True)
        caught, total = caught + len(sample) - survivors, total + len(sample)
        seconds = time.monotonic() - start
        print(
            f"{module}: {len(sample) - survivors} of {len(sample)} noticed ({len(every)} in all), {seconds:.0f} s",
            flush=True,
        )
    print(f"score: {caught} of {total} ({100 * caught / total:.1f} %)")
    return 0 if caught >= GOAL * total else 1


if __name__ == "__main__":
    sys.exit(main())
