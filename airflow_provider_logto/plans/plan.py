"""A plan: what would be changed and why, as a file that people can read and approve by its id.

The file holds a header and one JSON line a change. The id is the SHA-256 over the sorted changes, the digest of the
desired rows and the settings that decide changes; not over times, modes, brakes or approvals, so that the same
situation gives the same id.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

import msgspec

from airflow_provider_logto.exceptions import PlanRefused
from airflow_provider_logto.plans.changes import Change, digest_line, digest_of, encoded, in_order
from airflow_provider_logto.plans.retention import is_applied, unmark_applied
from airflow_provider_logto.plans.store import Store

_VERSION = 1


@dataclass(frozen=True)
class Plan:
    """What would be changed.

    :param owner: who makes it, e.g. ``roster/hr``: begins the names of its files.
    :param tenant: the tenant's address.
    :param changes: in the order of :func:`in_order`.
    :param source: digest of the desired rows.
    :param settings: what decides changes, as JSON.
    :param as_of: the moment it was computed for (ISO 8601); for readers, and for how long it stays.
    :param base: what percentages of brakes are taken of.
    :param info: more for readers: counts of rows, warnings; counts for nothing.
    """

    owner: str
    tenant: str
    changes: Sequence[Change]
    source: str
    settings: Mapping[str, Any]
    as_of: str
    base: int = 0
    info: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def id(self) -> str:
        """``sha256:`` and 64 hexadecimal digits."""
        head = encoded([_VERSION, self.owner, self.tenant, self.source, self.settings])
        return "sha256:" + digest_of([head, *map(digest_line, self.changes)])

    @property
    def name(self) -> str:
        """Begins the names of its files."""
        return file_name(self.owner, self.id)

    @property
    def due(self) -> str:
        """For messages: ``2 changes are due``."""
        return "1 change is due" if len(self.changes) == 1 else f"{len(self.changes)} changes are due"

    def counts(self) -> dict[str, int]:
        """Changes by ``kind.action``."""
        return dict(sorted(Counter(change.name for change in self.changes).items()))

    def content(self) -> bytes:
        """The bytes of the file."""
        header = {
            "plan": self.id,
            "version": _VERSION,
            "owner": self.owner,
            "tenant": self.tenant,
            "as_of": self.as_of,
            "base": self.base,
            "source": self.source,
            "settings": self.settings,
            "changes": len(self.changes),
            "counts": self.counts(),
            "info": self.info,
        }
        return b"\n".join([encoded(header), *map(encoded, self.changes), b""])

    def table(self, address: str = "") -> list[str]:
        """Counts by action for people, destructive ones first; no names, no ids.

        :param address: where the plan is stored.
        """
        title = f"plan {self.id} in {address}" if address else f"plan {self.id}"
        destructive = Counter(change.name for change in self.changes if change.destructive)
        others = Counter(change.name for change in self.changes if not change.destructive)
        lines = [title, f"{'changes':>9}  what"]
        lines += [f"{count:>9}  {name}  DESTRUCTIVE" for name, count in sorted(destructive.items())]
        lines += [f"{count:>9}  {name}" for name, count in sorted(others.items())]
        return lines if self.changes else [title, "  nothing to change"]


def make_plan(**values: Any) -> Plan:
    """A :class:`Plan` from changes in any order."""
    return Plan(**{**values, "changes": in_order(values["changes"])})


def file_name(owner: str, plan_id: str) -> str:
    """Begins the names of a plan's files."""
    return f"{owner}/{plan_id.removeprefix('sha256:')[:16]}"


def write_plan(store: Store, plan: Plan) -> str:
    """Store a plan; one that waits there already stays as it is, with the moment it was computed for.

    :returns: its address.
    """
    name = f"{plan.name}.plan.jsonl"
    kept = store.read(name)
    applied = is_applied(store, plan.name)
    if kept is None or applied or not _is_same(kept, plan):
        store.write(name, plan.content())
    if applied:  # the same situation has come up again
        unmark_applied(store, plan.name)
    return store.uri(name)


def read_plan(store: Store, reference: str, owner: str, tenant: str) -> Plan:
    """Read a stored plan.

    :param reference: its id, or the address of its file.
    :raises PlanRefused: when it is not there, was edited or cut, or was made by somebody else.
    """
    name = file_name(owner, reference) + ".plan.jsonl" if reference.startswith("sha256:") else ""
    if not name:
        matching = [one for one in store.names(owner) if store.uri(one) == reference and one.endswith(".plan.jsonl")]
        if not matching:
            raise PlanRefused(
                f"plan {reference} is not among the plans of {owner} in this folder; give the address or the id that "
                "mode plan returned, and the same folder"
            )
        name = matching[0]
    content = store.read(name)
    if content is None:
        raise PlanRefused(f"there is no plan {reference} of {owner} in this folder; make it with mode plan")
    plan, named = _parsed(content, store.uri(name))
    if plan.owner != owner:
        raise PlanRefused(f"plan {reference} was made by {plan.owner}, not by {owner}")
    if plan.tenant != tenant:
        raise PlanRefused(f"plan {reference} was made for {plan.tenant}, not for {tenant}")
    if plan.id != named or (reference.startswith("sha256:") and plan.id != reference):
        raise PlanRefused(f"plan {reference} was edited: its content gives another id; make a new plan")
    return plan


def _is_same(content: bytes, plan: Plan) -> bool:
    try:
        return _parsed(content, "")[0].id == plan.id
    except PlanRefused:
        return False


def _parsed(content: bytes, address: str) -> tuple[Plan, str]:
    lines = content.split(b"\n")
    try:
        header = msgspec.json.decode(lines[0])
        if header.get("forgotten"):
            raise PlanRefused(f"plan {address} holds people who were deleted since; make a new plan")
        changes = [msgspec.json.decode(line, type=Change) for line in lines[1:] if line]
        plan = Plan(
            owner=header["owner"],
            tenant=header["tenant"],
            changes=changes,
            source=header["source"],
            settings=header["settings"],
            as_of=header["as_of"],
            base=header["base"],
            info=header["info"],
        )
        if datetime.fromisoformat(plan.as_of).tzinfo is None or not isinstance(plan.base, int):
            raise TypeError("as_of or base is wrong")
        complete = header["changes"] == len(changes) and not lines[-1]
        named = header["plan"]
    except (msgspec.MsgspecError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise PlanRefused(f"plan {address} cannot be read ({error}); make a new plan") from error
    if not complete:
        raise PlanRefused(f"plan {address} is cut: its header counts {header['changes']} changes; make a new plan")
    return plan, str(named)
