"""What counts as an id or a code of the server."""

from __future__ import annotations

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
