"""How long plans and journals stay, and what stays of people who were deleted."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow_provider_logto.exceptions import InvalidInput
from airflow_provider_logto.plans.journal import Run
from airflow_provider_logto.plans.store import Store

log = logging.getLogger(__name__)

_APPLIED = ".applied.json"
_PLAN = ".plan.jsonl"
_BEGUN = "begun.json"
#: Files of one plan: the plan, the marker, or a part of the journal, which begins with the moment of its try.
_FILE = re.compile(r"([^/.]+)\.(?:plan\.jsonl|applied\.json|journal/.+)$")
_PART = re.compile(r"\.journal/(\d{8}T\d{12})-")
#: Fields that tell nothing about a person. A plan that deletes people has only these of them: it stays as it is, and
#: the next try goes on with it.
_STATES = {"suspended", "gone", "held"}
#: Days that a plan waits for its approval, at least.
WAITING = 7.0


def days(name: str, value: Any) -> float:
    """A number of days.

    :raises InvalidInput: where it is none.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 36500:
        raise InvalidInput(name, f"{value!r} is no number of days of at least 0")
    return value


def mark_applied(store: Store, name: str, counts: dict[str, int]) -> None:
    """Note that a plan was applied to its end: from now on its files are removed some day."""
    content = {"applied_at": datetime.now(UTC).isoformat(timespec="seconds"), "counts": counts}
    store.write(f"{name}{_APPLIED}", json.dumps(content).encode())


def begin_plan(store: Store, owner: str, plan_id: str, run: Run) -> None:
    """Note which plan a task begins to apply: the next try of the same task goes on with it."""
    store.write(f"{owner}/{_BEGUN}", json.dumps({"plan": plan_id, "dag_run": run.dag_run}).encode())


def plan_under_way(store: Store, owner: str, run: Run) -> str | None:
    """Id of the plan that an earlier try of the same task began to apply."""
    content = store.read(f"{owner}/{_BEGUN}") or b"{}"
    try:
        begun = json.loads(content)
    except ValueError:
        return None
    return begun.get("plan") if run.dag_run and begun.get("dag_run") == run.dag_run and run.try_number > 1 else None


def is_applied(store: Store, name: str) -> bool:
    """Whether a plan was applied to its end."""
    return store.read(f"{name}{_APPLIED}") is not None


def unmark_applied(store: Store, name: str) -> None:
    """A plan waits again: its situation has come up once more."""
    store.remove(f"{name}{_APPLIED}")


def remove_old(store: Store, owner: str, keep_days: float, now: datetime | None = None) -> int:
    """Remove plans and journals whose time is over.

    :param keep_days: days after the plan was applied; where it never was, after it was made or last tried, and then at
        least :data:`WAITING`.
    :returns: how many plans went.
    """
    moment = now or datetime.now(UTC)
    names: dict[str, list[str]] = {}
    for name in store.names(owner):
        if match := _FILE.match(name.removeprefix(f"{owner}/")):
            names.setdefault(f"{owner}/{match[1]}", []).append(name)
    gone = 0
    for stem, files in names.items():
        # The marker and the plan say how old the rest is, and go last: what is left of an interrupted removal is found.
        files.sort(key=lambda name: name.endswith((_APPLIED, _PLAN)))
        applied = f"{stem}{_APPLIED}" in files
        last = _applied_at(store, f"{stem}{_APPLIED}") if applied else max(_tried_at(store, name) for name in files)
        if last > moment - timedelta(days=keep_days if applied else max(keep_days, WAITING)):
            continue
        for name in files:
            store.remove(name)
        gone += 1
    return gone


def forget(store: Store, owner: str, deleted: Mapping[str, str]) -> None:
    """Take the values of deleted objects out of every plan and journal; ids and row keys stay.

    :param deleted: id -> row key, which is all that names somebody in the plan that made them.
    """
    wanted = {*deleted, *deleted.values()}
    for name in store.names(owner) if wanted else ():
        if not name.endswith(".jsonl"):
            continue
        content = store.read(name) or b""
        if not any(one.encode() in content for one in wanted):
            continue
        lines = [_without_values(line, wanted) for line in content.split(b"\n")]
        if lines != content.split(b"\n"):
            if name.endswith(_PLAN):
                header = json.loads(lines[0])
                lines[0] = json.dumps(header | {"forgotten": True}).encode()
            store.write(name, b"\n".join(lines))


def _without_values(line: bytes, ids: set[str]) -> bytes:
    try:
        entry: Any = json.loads(line)
    except ValueError:
        return line
    if (
        not isinstance(entry, dict)
        or not ids & {entry.get("id"), entry.get("key")}
        or not {"before", "after"} & set(entry)
        or {*(entry.get("before") or ()), *(entry.get("after") or ())} <= _STATES
    ):
        return line
    return json.dumps({key: value for key, value in entry.items() if key not in ("before", "after")}).encode()


def _applied_at(store: Store, name: str) -> datetime:
    return _moment(store, name, lambda: json.loads(store.read(name) or b"")["applied_at"])


def _tried_at(store: Store, name: str) -> datetime:
    """When a plan was made, or a part of its journal was begun."""
    if part := _PART.search(name):
        return datetime.strptime(part[1], "%Y%m%dT%H%M%S%f").replace(tzinfo=UTC)
    return _moment(store, name, lambda: json.loads(store.first_line(name))["as_of"])


def _moment(store: Store, name: str, read: Callable[[], str]) -> datetime:
    try:
        moment = datetime.fromisoformat(read())
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, KeyError, TypeError):
        log.warning("%s cannot be read; its plan stays", store.uri(name))
        return datetime.now(UTC)
