"""How long plans and journals stay, and what stays of people who were deleted."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow_provider_logto.plans.journal import Run
from airflow_provider_logto.plans.store import Store

log = logging.getLogger(__name__)

_APPLIED = ".applied.json"
_PLAN = ".plan.jsonl"
_BEGUN = "begun.json"


def mark_applied(store: Store, name: str, counts: dict[str, int]) -> None:
    """Note that a plan was applied to its end: from now on its files are removed some day."""
    content = {"applied_at": datetime.now(UTC).isoformat(timespec="seconds"), "counts": counts}
    store.write(f"{name}{_APPLIED}", json.dumps(content).encode())


def begin_plan(store: Store, owner: str, plan_id: str, run: Run) -> None:
    """Note which plan a task begins to apply: the next try of the same task goes on with it."""
    store.write(f"{owner}/{_BEGUN}", json.dumps({"plan": plan_id, "dag_run": run.dag_run}).encode())


def plan_under_way(store: Store, owner: str, run: Run) -> str | None:
    """Id of the plan that an earlier try of the same task began to apply."""
    try:
        begun = json.loads(store.read(f"{owner}/{_BEGUN}") or b"{}")
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
    """Remove plans and journals that were applied long ago.

    :param keep_days: days after their end.
    :returns: how many plans went.
    """
    oldest = (now or datetime.now(UTC)) - timedelta(days=keep_days)
    names = store.names(owner)
    gone = 0
    for marker in [name for name in names if name.endswith(_APPLIED)]:
        if _applied_at(store, marker) > oldest:
            continue
        stem = marker.removesuffix(_APPLIED)
        for name in names:
            # The marker goes last: what is left of an interrupted removal is found again.
            if name == f"{stem}{_PLAN}" or name.startswith(f"{stem}.journal/"):
                store.remove(name)
        store.remove(marker)
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
    ):
        return line
    return json.dumps({key: value for key, value in entry.items() if key not in ("before", "after")}).encode()


def _applied_at(store: Store, name: str) -> datetime:
    try:
        return datetime.fromisoformat(json.loads(store.read(name) or b"")["applied_at"])
    except (ValueError, KeyError, TypeError):
        log.warning("%s cannot be read; its plan stays", store.uri(name))
        return datetime.now(UTC)
