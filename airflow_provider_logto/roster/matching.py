"""Which row means which person. Whatever is ambiguous is a conflict, never a first hit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

from airflow_provider_logto.roster.people import Person
from airflow_provider_logto.roster.state import Known, State, Value, comparable, identifiers_of

#: Keys that mean one person whatever else a row says.
_STRONG = ("id", "external_id")


@dataclass(frozen=True)
class Notice:
    """A row, or a person without one, that is left alone, and why.

    :param status: ``conflict``, ``held`` or ``report``.
    """

    key: str
    status: str
    reason: str
    row: int | None = None
    id: str | None = None


@dataclass
class Matches:
    """Rows by what was found.

    :param found: row -> the person it means.
    :param new: rows that nobody fits.
    :param conflicts: rows that fit more than one person, or share one with another row.
    :param touched: ids of everybody whom some row may mean: nobody of them is missing from the source.
    """

    found: list[tuple[Person, Known]] = field(default_factory=list)
    new: list[Person] = field(default_factory=list)
    conflicts: list[Notice] = field(default_factory=list)
    touched: set[str] = field(default_factory=set)


def match(people: Sequence[Person], state: State, keys: Iterable[str], roster: str) -> Matches:
    """Match every row.

    A row that an id or an external id already ties to somebody may want an identifier that somebody else still has:
    that counts as a second person only where the other's own row does not give it up.
    """
    keys = tuple(keys)
    index, marked = state.index(), _marked(state, roster)
    matches = Matches()
    doubled = _doubled(people)
    # A row that two people answer to, as after a forged mark, is a conflict and gives nothing up.
    ties = ((person, _strong(person, keys, state, marked)) for person in people)
    claimed = {user_id: person for person, tied in ties if len(tied) == 1 for user_id in tied}
    weak = [key for key in keys if key not in _STRONG]
    external_ids = cache(lambda: {person.external_id.casefold() for person in people if person.external_id})
    for person in people:
        reason = _why_doubled(person, doubled) if doubled else None
        tied = _strong(person, keys, state, marked)
        candidates = set(tied)
        for name, value in identifiers_of(person, weak):
            for one in index.holders(name, value):
                if one not in candidates and not _gives_up(claimed.get(one), name, value):
                    candidates.add(one)
        similar = set() if tied else _without_zeros(person, marked)
        others = [state.users[one] for one in candidates - tied]
        clear = reason is None and (len(tied) == 1 or len(candidates) == 1)
        left = _who_left(person, others, external_ids) if clear else set()
        matches.touched |= (candidates - left) | similar
        if reason is None and len(candidates) > 1:
            reason = f"its keys mean different people: {', '.join(sorted(candidates))}"
        if reason is None and candidates and not tied:
            reason = _why_somebody_else(person, state.users[next(iter(candidates))], weak)
        if reason is None and "id" in keys and person.id and person.id not in candidates:
            reason = f"there is no user with the id {person.id}"
        if reason is None and similar and not candidates:
            reason = "its external id is a known one without the leading zeros; format the column as text"
        if reason is not None:
            matches.conflicts.append(Notice(person.key, "conflict", reason, person.row))
        elif candidates:
            matches.found.append((person, state.users[next(iter(candidates))]))
        else:
            matches.new.append(person)
    return _each_once(matches)


def _why_somebody_else(person: Person, user: Known, keys: Iterable[str]) -> str | None:
    """The first key that a row has says who is meant. Who was found by another one and has that key otherwise may be
    somebody else: a family shares a phone."""
    for name, value in identifiers_of(person, keys):
        current = user.texts[name]
        other = current is not None and current != "" and comparable(name, current) != value
        return f"{user.id} was found by another key, but has another {name}" if other else None
    return None


def _who_left(person: Person, others: Sequence[Known], external_ids: Callable[[], Collection[str]]) -> set[str]:
    """Whose address a row has without meaning them: theirs is another external id, and no row has that any more."""
    if not person.external_id:
        return set()
    keys = {user.id: user.mark.external_id for user in others if user.mark.external_id}
    return {user_id for user_id, key in keys.items() if key.casefold() not in external_ids()}


def _marked(state: State, roster: str) -> Mapping[str, tuple[str, ...]]:
    """External id -> ids of the users whose mark says so."""
    found: dict[str, tuple[str, ...]] = {}
    for user in state.users.values():
        if user.mark.roster == roster and user.mark.external_id:
            found[user.mark.external_id] = (*found.get(user.mark.external_id, ()), user.id)
    return found


def _strong(person: Person, keys: Iterable[str], state: State, marked: Mapping[str, tuple[str, ...]]) -> set[str]:
    found: set[str] = set()
    for key in keys:
        if key == "id" and person.id in state.users:
            found.add(str(person.id))
        if key == "external_id" and person.external_id:
            found.update(marked.get(person.external_id, ()))
    return found


def _gives_up(owner: Person | None, name: str, value: str) -> bool:
    """Whether a row sets this identifier to something else."""
    if owner is None or name not in owner.texts:
        return False
    return (name, value) not in set(identifiers_of(owner, _KEY_OF[name]))


_KEY_OF = {"username": ("username",), "primaryEmail": ("primary_email",), "primaryPhone": ("primary_phone",)}


def _doubled(people: Sequence[Person]) -> set[Value]:
    """Keys that more than one row has."""
    seen: dict[str, set[str]] = {}
    doubled: set[Value] = set()
    for person in people:
        for name, value in _all_keys(person):
            values = seen.setdefault(name, set())
            if value in values:
                doubled.add((name, value))
            values.add(value)
    return doubled


def _why_doubled(person: Person, doubled: set[Value]) -> str | None:
    shared = sorted(name for name, value in _all_keys(person) if (name, value) in doubled)
    return f"another row has the same {shared[0]}" if shared else None


def _all_keys(person: Person) -> Iterator[Value]:
    if person.external_id:
        yield "external id", person.external_id
    yield from identifiers_of(person, ("id", "username", "primary_email", "primary_phone"))


def _without_zeros(person: Person, marked: Mapping[str, tuple[str, ...]]) -> set[str]:
    """Whom the external id would mean if a spreadsheet had not taken its leading zeros away."""
    external_id = person.external_id or ""
    if not external_id.isdigit():
        return set()
    longer = (external_id.zfill(len(external_id) + zeros) for zeros in range(1, 7))
    return {user_id for one in longer for user_id in marked.get(one, ())}


def _each_once(matches: Matches) -> Matches:
    """Two rows that found one person are two conflicts."""
    counted = Counter(user.id for _, user in matches.found)
    for person, user in matches.found:
        if counted[user.id] > 1:
            reason = f"{counted[user.id]} rows mean the same person, {user.id}"
            matches.conflicts.append(Notice(person.key, "conflict", reason, person.row, user.id))
    matches.found = [(person, user) for person, user in matches.found if counted[user.id] == 1]
    return matches
