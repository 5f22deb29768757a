"""The benchmarks' own fleets, small enough for every day."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture
def benchmark(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A module of ``benchmarks/``, by file name."""
    path = Path(__file__).resolve().parents[2] / "benchmarks" / f"{request.param}.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        pytest.fail(f"no benchmark {path}")
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look their module up by name.
    monkeypatch.setitem(sys.modules, path.stem, module)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("benchmark", ["pacing_fleet"], indirect=True)
def test_processes_that_read_as_fast_as_they_may_are_never_refused(benchmark: ModuleType) -> None:
    """A bit more than one window of the strictest limiter."""
    result = benchmark.run("sliding_window", ["host"], seconds=12.5, limit=400, processes=4, warm_up=2.5)
    assert result.refused == 0
    assert result.failed == 0
    assert 0.8 <= result.used <= 1.0


@pytest.mark.slow
@pytest.mark.parametrize("benchmark", ["pacing_fleet"], indirect=True)
def test_a_neighbour_who_takes_half_is_given_way(benchmark: ModuleType) -> None:
    result = benchmark.run("token_bucket", ["host"], seconds=120, others=10.0)
    assert result.refused <= 0.01
    assert result.failed == 0
    assert result.used >= 0.8


@pytest.mark.slow
@pytest.mark.parametrize("benchmark", ["fleet_tokens"], indirect=True)
def test_a_fleet_fetches_one_token(benchmark: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    rounds = dict(benchmark.main(12))
    assert {name: found["tokens"] for name, found in rounds.items()} == {
        "cold cache": 1,
        "warm cache": 0,
        "token at its end": 1,
        "signing key rotated": 1,
    }
    assert capsys.readouterr().out.count("ratio") == 4
