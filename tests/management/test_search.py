"""The search grammar."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_logto.exceptions import InvalidInput
from airflow_provider_logto.management import search
from tests.clients import Run


def test_terms_become_parameters() -> None:
    terms = [search.term("primaryEmail", "a@x.de", "b@x.de"), search.term("name", "%ori", mode="like")]
    assert search.query(terms, joint="and") == {
        "joint": "and",
        "search.primaryEmail": ["a@x.de", "b@x.de"],
        "mode.primaryEmail": "exact",
        "search.name": ["%ori"],
        "mode.name": "like",
    }


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: search.term("primary.email", "a"),
        lambda: search.term("name"),
        lambda: search.term("name", ""),
        lambda: search.term("name", "a", "b", mode="like"),
        lambda: search.term("name", "a", mode="glob"),  # type: ignore[arg-type]
        lambda: search.query([]),
        lambda: search.query([search.term("name", "a"), search.term("name", "b")]),
        lambda: search.query([search.term("name", "a", mode="similar_to")]),
    ],
)
def test_what_the_server_would_refuse_or_misread_is_refused(wrong: Any) -> None:
    with pytest.raises(InvalidInput, match="search"):
        wrong()


def test_every_mode_finds_what_it_says(run: Run, sandbox: Any) -> None:
    sandbox.seed({"users": [{"username": name, "name": name} for name in ("ab_c", "abxc", "Abyc", "zz")]})

    def found(*terms: search.Term, **options: Any) -> set[str]:
        async def look(client: Any) -> set[str]:
            return {user["username"] async for user in client.iterate("/users", search.query(terms, **options))}

        result: set[str] = run(look)
        return result

    assert found(search.term("username", "ab_c", mode="like")) == {"ab_c", "abxc", "Abyc"}
    assert found(search.term("username", search.literal("ab_c"), mode="like")) == {"ab_c"}
    assert found(search.term("username", "ab_c", "ZZ")) == {"ab_c", "zz"}
    assert found(search.term("username", "ab_c", "ZZ"), case_sensitive=True) == {"ab_c"}
    assert found(search.term("username", "^ab[xy]c$", mode="posix")) == {"abxc", "Abyc"}
    assert found(search.term("username", "ab(x|y)c", mode="similar_to"), case_sensitive=True) == {"abxc"}
    both = [search.term("username", "ab%", mode="like"), search.term("name", "%x%", mode="like")]
    assert found(*both, joint="and") == {"abxc"}
