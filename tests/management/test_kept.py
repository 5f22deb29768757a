"""What counts as lost between what is sent and what Logto shows."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_logto.exceptions import NotKept, UnreadableAnswer
from airflow_provider_logto.management.kept import refuse_lost


@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        ({"a": 1}, {"a": 1, "b": 2}),
        ({"a": ""}, {"a": None}),
        ({"a": ""}, {}),
        ({"a": {"b": {"c": True}}}, {"a": {"x": 1, "b": {"c": True, "d": None}}}),
        ({"a": ["x", "y", "x"]}, {"a": ["y", "x"]}),
        ({"a": [{"n": 1}, {"n": 2}]}, {"a": [{"n": 2, "m": 0}, {"n": 1}]}),
        ({"a": 1.0}, {"a": 1}),
        ({"a": None}, {}),
        ({"a": []}, {"a": []}),
    ],
)
def test_what_the_server_adds_or_rearranges_is_kept(sent: Any, answer: Any) -> None:
    refuse_lost("PATCH /api/x", sent, answer)


@pytest.mark.parametrize(
    ("sent", "answer", "lost"),
    [
        ({"a": 1}, {}, ["a"]),
        ({"a": True}, {"a": 1}, ["a"]),
        ({"a": {"b": 1, "c": {"d": 2}}}, {"a": {"c": {}}}, ["a.b", "a.c.d"]),
        ({"a": {"b": ""}}, {"a": {}}, ["a.b"]),
        ({"a": ["x", "y"]}, {"a": ["x"]}, ["a[1]"]),
        ({"a": [{"name": "x"}]}, {"a": []}, ["a[0]"]),
        ({"a": {"b": 1}}, {"a": None}, ["a"]),
    ],
)
def test_what_is_lost_is_named_without_its_value(sent: Any, answer: Any, lost: list[str]) -> None:
    with pytest.raises(NotKept) as caught:
        refuse_lost("PATCH /api/x", sent, answer)
    assert caught.value.fields == lost
    assert not caught.value.transient


def test_many_are_counted() -> None:
    with pytest.raises(NotKept, match=r"did not keep f0, f1, .*f9 and 15 more; correct it"):
        refuse_lost("PATCH /api/x", {f"f{at}": 1 for at in range(25)}, {})


def test_an_answer_that_is_no_object_is_unreadable() -> None:
    with pytest.raises(UnreadableAnswer):
        refuse_lost("PATCH /api/x", {"a": 1}, None)
