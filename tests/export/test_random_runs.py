"""Whatever goes wrong on the way, the ids exported are those in the server; a second export gives the same bytes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.export.random_run import run_once

#: Random runs of `make test`, and of `make test-slow`.
FEW, MANY = 8, 200


@pytest.mark.parametrize("seed", range(FEW))
def test_random_run(seed: int, tmp_path: Path) -> None:
    run_once(seed, tmp_path / "export")


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(FEW, MANY))
def test_many_random_runs(seed: int, tmp_path: Path) -> None:
    run_once(seed, tmp_path / "export")
