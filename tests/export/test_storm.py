"""Whatever the weather: the ids exported are the ids in the server, and a second export gives the same bytes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.export.storm import run_storm

#: Storms of `make test`, and of `make test-slow`.
FEW, MANY = 8, 200


@pytest.mark.parametrize("seed", range(FEW))
def test_storm(seed: int, tmp_path: Path) -> None:
    run_storm(seed, tmp_path / "export")


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(FEW, MANY))
def test_many_storms(seed: int, tmp_path: Path) -> None:
    run_storm(seed, tmp_path / "export")
