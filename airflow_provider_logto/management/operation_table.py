"""The JSON operations of the Management API that this package knows, and what is wrong with a call of one.

``operations.json`` is written by ``scripts/operations.py`` from a server's description of itself
(``GET /api/.well-known/management.openapi.json``): id, method, path, kind of list and query parameters of each. A newer
server has operations that it lacks.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any, Literal
from urllib.parse import unquote

from airflow_provider_logto.client.retrying import AfterLoss, after_loss
from airflow_provider_logto.exceptions import InvalidInput

#: Parameters of the search grammar; ``search.<field>`` and ``mode.<field>`` besides.
SEARCH = ("search", "mode", "joint", "jointMode", "isCaseSensitive")
_PAGING = ("page", "page_size")
#: Understood by every operation.
_ANYWHERE = ("locale",)


@dataclass(frozen=True)
class Operation:
    """One operation.

    :param id: Logto's own name for it, e.g. ``ListUsers``.
    :param path: without ``/api``, with ``{name}`` places.
    :param list: ``paged`` (in pages), ``whole`` (all at once), or empty where it answers no list.
    :param query: names of its query parameters without those of paging; ``search`` stands for the search grammar.
    """

    id: str
    method: str
    path: str
    list: Literal["paged", "whole", ""]
    query: tuple[str, ...]

    @property
    def repeat(self) -> AfterLoss:
        """Whether it may be sent again when its answer was lost."""
        return after_loss(self.method, self.path)

    def check_query(self, query: Mapping[str, Any] | None) -> None:
        """
        :raises InvalidInput: for a parameter that the server would ignore without a word, such as a misspelt filter.
        """
        known = {*self.query, *_ANYWHERE, *(_PAGING if self.list == "paged" else ())}
        if "search" in self.query:
            known.update(SEARCH)
        for name in query or ():
            if name in known or ("search" in self.query and str(name).startswith(("search.", "mode."))):
                continue
            takes = f"takes {', '.join(sorted(known - set(_ANYWHERE)))}" if known - set(_ANYWHERE) else "takes none"
            raise InvalidInput(f"query.{name}", f"unknown to {self.id}, which {takes}{_meant(name, known)}")


@lru_cache(maxsize=1)
def operations() -> Mapping[str, Operation]:
    """Every known operation by its id."""
    rows = json.loads(resources.files(__package__).joinpath("operations.json").read_text("utf-8"))
    return {name: Operation(name, method, path, kind, tuple(query)) for name, method, path, kind, query in rows}


def operation_named(operation_id: Any) -> Operation:
    """
    :raises InvalidInput: where none has that id.
    """
    known = operations()
    if not isinstance(operation_id, str) or operation_id not in known:
        by_lower = {name.lower(): name for name in known}
        found = difflib.get_close_matches(str(operation_id).lower(), by_lower, n=3)
        meant = f"; did you mean {' or '.join(by_lower[one] for one in found)}?" if found else ""
        raise InvalidInput("operation_id", f"there is no operation {operation_id!r}{meant}")
    return known[operation_id]


def operation_at(method: str, path: str) -> Operation | None:
    """The operation behind a method and a path whose places are filled or not; None where it is unknown.

    :param path: without ``/api``.
    :raises InvalidInput: where the path is nearly that of a known operation.
    """
    steps = _steps(path)
    candidates = [one for one in operations().values() if _fits(one.path, steps)]
    if candidates:
        # Words before places: /configs/oidc/session is no key type.
        best = min(candidates, key=lambda one: [step.startswith("{") for step in _steps(one.path)]).path
        return next((one for one in candidates if (one.path, one.method) == (best, method)), None)
    meant = sorted({one.path for one in operations().values() if _nearly(one.path, steps)})
    if meant:
        raise InvalidInput("path", f"{path!r} is unknown; did you mean {' or '.join(meant[:3])}?")
    return None


def _steps(path: str) -> tuple[str, ...]:
    return tuple(path.removeprefix("/api/").strip("/").split("/"))


def _fits(template: str, steps: tuple[str, ...]) -> bool:
    wanted = _steps(template)
    if len(wanted) != len(steps):
        return False
    return all(a.startswith("{") or a == unquote(b) for a, b in zip(wanted, steps, strict=True))


def _nearly(template: str, steps: tuple[str, ...]) -> bool:
    """Whether a path differs from an operation's in the spelling of one step."""
    wanted = _steps(template)
    if len(wanted) != len(steps):
        return False
    other = [(a, b) for a, b in zip(wanted, steps, strict=True) if not a.startswith("{") and a != b]
    return len(other) == 1 and difflib.SequenceMatcher(a=other[0][0], b=other[0][1].lower()).ratio() >= 0.85


def _meant(name: Any, known: Iterable[str]) -> str:
    by_plain = {_plain(one): one for one in known}
    found = difflib.get_close_matches(_plain(str(name)), by_plain, n=1)
    return f"; did you mean {by_plain[found[0]]}?" if found else ""


def _plain(name: str) -> str:
    return name.replace("_", "").replace("-", "").lower()
