"""Records the contracts: plays every scenario on the Logto named by LOGTO_TEST_* and writes what came back.

LOGTO_TEST_ENDPOINT=... LOGTO_TEST_APP_ID=... LOGTO_TEST_APP_SECRET=... python -m tests.contracts.record [name ...]
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from tests.conftest import Tenant
from tests.contracts.contract import Player
from tests.contracts.scenarios import SCENARIOS

RECORDINGS = Path(__file__).with_name("recordings")


def main(names: list[str]) -> None:
    """Records the named scenarios, or all of them."""
    player = Player(Tenant(*(os.environ[f"LOGTO_TEST_{part}"] for part in ("ENDPOINT", "APP_ID", "APP_SECRET"))))
    for name in names or SCENARIOS:
        answers = list(player.play(SCENARIOS[name]))
        lines = ",\n".join(json.dumps(answer, ensure_ascii=False) for answer in answers)
        (RECORDINGS / f"{name}.json").write_text(f"[\n{lines}\n]\n", "utf-8")
        print(f"{name}: {len(answers)} answers")


if __name__ == "__main__":
    main(sys.argv[1:])
