"""What counts as an id or a code of the server; how secrets are announced."""

from __future__ import annotations

import asyncio

import pytest

from airflow_provider_logto.client.cleaning import Secrets


async def nothing(_value: str) -> None:
    """Masks nothing."""


SECRETS = Secrets("the-secret", "dGhlLXNlY3JldA==", nothing)


@pytest.mark.parametrize("word", ["-NAN4v5x2vC", "_9fq", "7IWneN-AN4v5x2vC", "oidc.invalid_client", "a" * 100])
def test_ids_begin_with_any_letter_of_their_alphabet(word: str) -> None:
    assert SECRETS.word(word) == word


@pytest.mark.parametrize("word", ["", "a b", "a\nb", "<b>", "a" * 101, ".", "the-secret", None, 7])
def test_anything_else_is_none(word: object) -> None:
    assert SECRETS.word(word) is None


def test_one_announcement_at_a_time() -> None:
    """Before Airflow 3.2 two threads that talk to the supervisor at once mix up what they say."""
    inside, announced = 0, []

    async def announce(value: str) -> None:
        nonlocal inside
        inside += 1
        assert inside == 1
        await asyncio.sleep(0.001)
        inside -= 1
        announced.append(value)

    async def go() -> None:
        secrets = Secrets("s", "basic", announce)
        calls = [secrets.announce("token") for _ in range(10)] + [secrets.announce_own() for _ in range(3)]
        await asyncio.gather(*calls)

    asyncio.run(go())
    assert sorted(announced) == ["basic", "s", "token"]
