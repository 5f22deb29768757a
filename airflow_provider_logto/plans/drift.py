"""What of a stored plan may still be done: compared with a plan made in this moment, of the same rows and settings."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Sequence

import msgspec

from airflow_provider_logto.plans.changes import Change


def agreed(
    planned: Sequence[Change],
    now: Sequence[Change],
    left_alone: Collection[str] = (),
    row: Callable[[Change], Hashable] = lambda change: change.key,
) -> tuple[list[Change], list[Change], list[Change]]:
    """Sort a stored plan's changes.

    A change that is not due any more was made by an earlier try, or by somebody else. Where a field is not as it was
    when the plan was made, nothing of that key is done: somebody has changed it since, and approved was something else.
    What is due now but was not planned is not done either; nor is what was planned for one, or for somebody new, and is
    due for another who has the same key by now.

    :param left_alone: keys that are a conflict or held now.
    :param row: what changes belong together by; ``left_alone`` names what it returns.
    :returns: changes to make, changes that are not due any more, changes whose key has drifted.
    """
    if planned is now:
        return list(planned), [], []
    known = {change.identity for change in planned}
    current = {change.identity: change for change in now}
    of_key = {_without_id(change): change for change in now}
    # Whoever was created by an earlier try is ours already, and is not taken over.
    taken_over = {row(change) for change in now if change.action == "adopt" and change.identity not in known}
    passing = {(change.key, name) for change in planned if change.action == "release" for name in change.after}
    due: list[Change] = []
    done: list[Change] = []
    drifted_keys: set[Hashable] = set(left_alone)
    for change in planned:
        same = of_key.get(_without_id(change))
        if change.id is None and row(change) in taken_over:
            drifted_keys.add(row(change))
        # What was planned without an id may have been created since.
        found = current.get(change.identity) if change.id else same
        if found is None:
            if same is not None and same.identity not in known:
                drifted_keys.add(row(change))
            done.append(change)
            continue
        both = set(change.after) & set(found.after) | set(change.before) & set(found.before)
        for name in both:
            before, after = change.before.get(name), change.after.get(name)
            # Between two tries an identifier may be null: it changes hands.
            on_its_way = (change.key, name) in passing and found.before.get(name) is None
            if found.after.get(name) != after or (found.before.get(name) != before and not on_its_way):
                drifted_keys.add(row(change))
        due.append(
            msgspec.structs.replace(
                found,
                before={name: value for name, value in found.before.items() if name in both},
                after={name: value for name, value in found.after.items() if name in both},
            )
        )
    drifted = [change for change in (*due, *done) if row(change) in drifted_keys]
    return (
        [change for change in due if row(change) not in drifted_keys],
        [change for change in done if row(change) not in drifted_keys],
        drifted,
    )


def _without_id(change: Change) -> tuple[str, str, str, str]:
    return change.kind, change.action, change.key, change.target or ""
