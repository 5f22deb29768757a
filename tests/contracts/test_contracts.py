"""The sandbox, or the real Logto named by LOGTO_TEST_*, answers as a real Logto (1.43 to be) was recorded to answer."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from logto_sandbox import Sandbox
from tests.conftest import Tenant
from tests.contracts.contract import Player
from tests.contracts.scenarios import SCENARIOS

RECORDINGS = Path(__file__).with_name("recordings")


@pytest.fixture(scope="module")
def player() -> Iterator[Player]:
    """Plays on the real server if one is named, else on a fresh sandbox."""
    if endpoint := os.environ.get("LOGTO_TEST_ENDPOINT"):
        yield Player(Tenant(endpoint, os.environ["LOGTO_TEST_APP_ID"], os.environ["LOGTO_TEST_APP_SECRET"]))
        return
    with Sandbox() as sandbox:
        yield Player(Tenant(sandbox.url, sandbox.app_id, sandbox.app_secret, sandbox))


@pytest.mark.parametrize("name", SCENARIOS)
def test_answers_as_recorded(name: str, player: Player) -> None:
    if name == "connectors" and player.lacks("oidc"):
        pytest.skip("this Logto was built without its OIDC connector")
    recorded = json.loads((RECORDINGS / f"{name}.json").read_text("utf-8"))
    found = list(player.play(SCENARIOS[name]))
    assert [answer["call"] for answer in recorded] == [step.call for step in SCENARIOS[name]]
    different = {
        f"{number}: {answer['call']}": (answer, found[number])
        for number, answer in enumerate(recorded)
        if found[number] != answer
    }
    assert not different, json.dumps(different, indent=1, ensure_ascii=False)
