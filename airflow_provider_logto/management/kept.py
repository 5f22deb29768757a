"""What Logto keeps of what it is sent.

It stores some values in another form, and leaves out settings that it does not know without a word: a difference that
every run would find again.

Source: Logto, ``core/src/utils/sql.ts`` (texts), ``core/src/middleware/koa-guard.ts`` (unknown keys are dropped).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from airflow_provider_logto.exceptions import NotKept
from airflow_provider_logto.management.answers import checked
from airflow_provider_logto.management.json_values import same_json

#: Field -> its value in the form in which Logto stores it.
Forms = Mapping[str, Callable[[Any], Any]]
_AS_SENT: Forms = {}


def as_stored(field: str, value: Any, forms: Forms = _AS_SENT) -> Any:
    """The value of a column in the form in which Logto stores it.

    :param forms: what is stored in another form than it is sent, besides the empty text: that is null.
    """
    if value == "":
        return None
    return forms[field](value) if field in forms else value


def refuse_lost(operation: str, sent: Mapping[str, Any], answer: Any, forms: Forms = _AS_SENT) -> None:
    """
    :param operation: method and path, e.g. ``PATCH /api/hooks/x``.
    :param sent: column -> what it was to be.
    :param answer: the object, as the answer to a write shows it.
    :raises NotKept: where the answer lacks what was sent. What the server adds counts for nothing, nor do the order of
        a list and its repetitions.
    """
    shown = checked(operation, answer, {})
    columns = {name: as_stored(name, value, forms) for name, value in sent.items()}
    if lost := list(_lost(columns, {name: as_stored(name, value, forms) for name, value in shown.items()}, "")):
        raise NotKept(operation, lost)


def _lost(sent: Any, shown: Any, path: str) -> Iterator[str]:
    if isinstance(sent, Mapping) and isinstance(shown, Mapping):
        for name, value in sent.items():
            yield from _lost(value, shown.get(name), f"{path}.{name}" if path else name)
    elif isinstance(sent, list) and isinstance(shown, list):
        texts = {one for one in shown if isinstance(one, str)}
        for at, value in enumerate(sent):
            if value not in texts if isinstance(value, str) else not any(_holds(one, value) for one in shown):
                yield f"{path}[{at}]"
    elif not same_json(sent, shown):
        yield path


def _holds(shown: Any, sent: Any) -> bool:
    return next(_lost(sent, shown, "x"), None) is None
