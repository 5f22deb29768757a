"""A walk through pages ends, whatever they hold."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest

from airflow_provider_logto.exceptions import IncompleteList

from .conftest import Ask
from .server import HostileServer, http


def page(start: int, count: int, *headers: str) -> bytes:
    return http("200 OK", json.dumps([{"id": f"r{n}"} for n in range(start, start + count)]).encode(), *headers)


@pytest.mark.parametrize("total", [101, 10**6, 10**14])
def test_a_walk_that_shows_the_same_page_for_ever_ends(ask: Ask, hostile: HostileServer, total: int) -> None:
    hostile.answer = lambda request: [page(0, 100, f"Total-Number: {total}")]
    with pytest.raises(IncompleteList, match="showed 100 distinct items"):
        ask(lambda client: client.collect("/users"))
    assert len(hostile.requests) <= 5 * 4


@pytest.mark.parametrize("total", [None, 10**9])
def test_a_walk_that_goes_round_in_circles_ends(ask: Ask, hostile: HostileServer, total: int | None) -> None:
    turn = itertools.count()
    headers = () if total is None else (f"Total-Number: {total}",)
    hostile.answer = lambda request: [page(100 * (next(turn) % 3), 100, *headers)]
    if total is None:
        assert len(ask(lambda client: client.collect("/users"))) == 300
    else:
        with pytest.raises(IncompleteList):
            ask(lambda client: client.collect("/users"))
    assert len(hostile.requests) <= 5 * 7


def test_a_list_that_grows_with_every_page_ends(ask: Ask, hostile: HostileServer) -> None:
    turn = itertools.count(1)

    def grow(request: Any) -> list[bytes]:
        number = next(turn)
        return [page(100 * number, 100, f"Total-Number: {100 * number + 1000}")]

    hostile.answer = grow
    with pytest.raises(IncompleteList):
        ask(lambda client: client.collect("/users"))
    assert len(hostile.requests) < 500
