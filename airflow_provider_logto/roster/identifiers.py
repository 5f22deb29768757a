"""The order in which identifiers change hands.

Who wants an identifier that somebody else still has waits for them. In a circle (A takes B's e-mail while B takes A's)
one person's identifier is null for a moment; an invented address could reach somebody.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from airflow_provider_logto.plans.changes import Change
from airflow_provider_logto.roster.state import Value, comparable

IDENTIFIERS = ("username", "primaryEmail", "primaryPhone")


def ordered(changes: Iterable[Change]) -> Iterator[Change]:
    """The same changes, updates with the step in which they are possible, and releases where there is a circle."""
    updates: dict[str, Change] = {}
    for change in changes:
        if (change.kind, change.action) == ("user", "update") and change.id:
            updates[change.id] = change
        else:
            yield change
    waits_for = _waits_for(updates)
    steps: dict[str, int] = {}
    releases: dict[str, set[str]] = {}
    for user_id in sorted(updates):
        _place(user_id, waits_for, steps, releases)
    for user_id, fields in sorted(releases.items()):
        yield _release(updates[user_id], fields)
    for user_id, change in updates.items():
        yield msgspec.structs.replace(change, step=steps[user_id])


def _waits_for(updates: Mapping[str, Change]) -> dict[str, dict[str, set[str]]]:
    """User -> the users whose identifiers they want -> the fields."""
    owners: dict[Value, str] = {}
    for user_id, change in updates.items():
        for name in IDENTIFIERS:
            if value := change.before.get(name):
                owners[name, comparable(name, value)] = user_id
    waits: dict[str, dict[str, set[str]]] = {user_id: {} for user_id in updates}
    for user_id, change in updates.items():
        for name in IDENTIFIERS:
            wanted = change.after.get(name)
            owner = owners.get((name, comparable(name, wanted))) if wanted else None
            if owner is not None and owner != user_id:
                waits[user_id].setdefault(owner, set()).add(name)
    return waits


def _place(
    user_id: str,
    waits_for: Mapping[str, Mapping[str, set[str]]],
    steps: dict[str, int],
    releases: dict[str, set[str]],
) -> None:
    """Give a user a step behind everybody they wait for. Without recursion: a chain may be as long as the roster."""
    if user_id in steps:
        return
    steps[user_id] = 0
    path = {user_id: iter(sorted(waits_for[user_id]))}
    while path:
        current = next(reversed(path))
        owner = next(path[current], None)
        if owner is None:
            del path[current]
            if path:
                waiting = next(reversed(path))
                steps[waiting] = max(steps[waiting], steps[current] + 1)
        elif owner in path:
            # A circle: the owner gives the identifier up before anybody's turn, so nobody waits for them.
            releases.setdefault(owner, set()).update(waits_for[current][owner])
        elif owner in steps:
            steps[current] = max(steps[current], steps[owner] + 1)
        else:
            steps[owner] = 0
            path[owner] = iter(sorted(waits_for[owner]))


def _release(change: Change, fields: set[str]) -> Change:
    return Change(
        kind="user",
        action="release",
        key=change.key,
        id=change.id,
        before={name: change.before[name] for name in sorted(fields)},
        after=dict.fromkeys(sorted(fields)),
        reason="passes through null: identifiers change hands in a circle",
        row=change.row,
    )
