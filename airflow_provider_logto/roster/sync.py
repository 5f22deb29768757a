"""One run of a roster: observe, plan, brake, apply, report."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from airflow_provider_logto.client.client import LogtoClient
from airflow_provider_logto.exceptions import BrakeHeld, ChangesFailed, LogtoError, OutOfSync, PlanRefused
from airflow_provider_logto.management.protection import Protection
from airflow_provider_logto.plans.apply import Applier, Report, dry
from airflow_provider_logto.plans.brakes import Held, holding, tell
from airflow_provider_logto.plans.changes import Change
from airflow_provider_logto.plans.drift import agreed
from airflow_provider_logto.plans.journal import Journal, Outcome, Run
from airflow_provider_logto.plans.lock import Place, only_run
from airflow_provider_logto.plans.plan import Plan, make_plan, write_plan
from airflow_provider_logto.plans.resuming import plan_to_apply
from airflow_provider_logto.plans.retention import (
    begin_plan,
    forget,
    mark_applied,
    remove_old,
)
from airflow_provider_logto.plans.store import Store
from airflow_provider_logto.roster.columns import KEYS
from airflow_provider_logto.roster.job import RosterJob, count_missing_rows
from airflow_provider_logto.roster.matching import Notice
from airflow_provider_logto.roster.observe import Found, observe
from airflow_provider_logto.roster.people import Person, digest_of_people, ignored_columns
from airflow_provider_logto.roster.writer import RosterWriter

log = logging.getLogger(__name__)

#: Change -> the brake that counts it.
_BRAKE_OF = {
    "user.suspend": "disables",
    "user.offboard": "disables",
    "role.remove": "role_removals",
    "organization_role.remove": "role_removals",
    "member.remove": "member_removals",
    "user.delete": "deletes",
    "user.create": "creates",
    "user.reactivate": "reactivations",
    "user.release": "releases",
}
#: Rows that a result names; the journal names all.
_NAMED = 1000
#: Rows left alone that the task's log explains; the plan has all.
_LOGGED = 20


@dataclass(frozen=True)
class Options:
    """How a run goes about its work; decides over no change.

    :param store: where plans and journals lie.
    :param plan: id or address of the stored plan to apply.
    :param approve_plan: id of the plan whose brakes are released.
    :param journal_values: whether the journal holds values before and after.
    :param keep_days: days that plans and journals stay after they were applied, or made where they never were.
    :param place: where runs are kept apart.
    :param stopped: True when the task is told to stop.
    :param now: the moment that dates are compared with; None: the present.
    """

    store: Store
    protection: Protection = field(default_factory=Protection.checked)
    plan: str | None = None
    approve_plan: str | None = None
    journal_values: bool = False
    keep_days: float = 90
    place: Place = ()
    run: Run = field(default_factory=Run)
    stopped: Callable[[], bool] = lambda: False
    now: datetime | None = None


class FailedRun(Exception):
    """A run that ends badly, with what it did: for the operator, which hands both on.

    :param result: as :func:`sync_roster` returns it.
    :param error: why.
    """

    def __init__(self, result: dict[str, Any], error: LogtoError) -> None:
        super().__init__(str(error))
        self.result = result
        self.error = error


async def sync_roster(
    client: LogtoClient, job: RosterJob, people: Sequence[Person], options: Options
) -> dict[str, Any]:
    """Plan, check or apply.

    :param people: from :func:`read_people`; nothing of a source with bad rows comes here.
    :returns: ``{"plan", "plan_id", "journal", "counts", "held", "failed", "applied"}``.
    :raises FailedRun: a brake holds, changes failed, or mode ``check`` found some.
    :raises LogtoError: before any write.
    """
    tenant = client.endpoint.base_url
    async with only_run(options.place, f"roster/{job.roster}", tenant):
        remove_old(options.store, f"roster/{job.roster}", options.keep_days, options.now)
        stored = _stored(job, people, options, tenant)
        # Dates are compared with this moment for a stored plan too: what they do not allow any more is not done.
        as_of = options.now or datetime.now(UTC)
        found = await observe(client, job, people, options.protection, as_of)
        plan = _plan(job, people, found, tenant, as_of)
        run = _Run(client, job, people, options, found)
        return await run.carry_out(stored or plan, plan)


def _plan(job: RosterJob, people: Sequence[Person], found: Found, tenant: str, as_of: datetime) -> Plan:
    statuses = Counter(notice.status for notice in found.notices)
    return make_plan(
        owner=f"roster/{job.roster}",
        tenant=tenant,
        changes=found.changes,
        source=digest_of_people(people),
        settings=job.settings(),
        as_of=as_of.isoformat(timespec="seconds"),
        base=found.base,
        info={
            "rows": len(people),
            **dict(sorted(statuses.items())),
            **{f"ignored.{column}": rows for column, rows in ignored_columns(people, job.manage).items()},
            "left_alone": [_described(notice) for notice in found.notices[:_NAMED]],
        },
    )


def _stored(job: RosterJob, people: Sequence[Person], options: Options, tenant: str) -> Plan | None:
    """The stored plan to apply: the one named, that of an earlier try of this task, or an approved one.

    :raises PlanRefused: as a whole where rows or settings differ from those it was made of.
    """
    if job.mode != "apply":
        return None
    return plan_to_apply(
        options.store,
        f"roster/{job.roster}",
        tenant,
        options.run,
        plan=options.plan,
        approved=options.approve_plan,
        check=lambda plan: _check_fits(plan, job, people),
    )


def _check_fits(plan: Plan, job: RosterJob, people: Sequence[Person]) -> None:
    if plan.source != digest_of_people(people):
        raise PlanRefused(f"plan {plan.id} was made of other rows than the source holds now; make a new plan")
    if dict(plan.settings) != job.settings():
        differing = sorted(name for name, value in job.settings().items() if plan.settings.get(name) != value)
        raise PlanRefused(f"plan {plan.id} was made with other settings ({', '.join(differing)}); make a new plan")


def _described(notice: Notice) -> dict[str, Any]:
    return {"row": notice.row, "key": notice.key, "id": notice.id, "status": notice.status, "reason": notice.reason}


class _Run:
    """What follows once the changes are known."""

    def __init__(
        self, client: LogtoClient, job: RosterJob, people: Sequence[Person], options: Options, found: Found
    ) -> None:
        self._job = job
        self._people = people
        self._options = options
        self._found = found
        writer = RosterWriter(client, job.roster, found.users, job.delete_after_days, found.protected)
        self._operations = writer.operations()

    async def carry_out(self, plan: Plan, now: Plan) -> dict[str, Any]:
        """
        :param plan: what is to be done.
        :param now: what a plan made in this moment says.
        """
        store = self._options.store
        address = write_plan(store, plan) if plan is now else store.uri(f"{plan.name}.plan.jsonl")
        held = self._holding(plan)
        released = self._job.mode == "apply" and self._options.approve_plan == plan.id
        result: dict[str, Any] = {
            "plan": address,
            "plan_id": plan.id,
            "journal": None,
            "counts": {
                **{key: value for key, value in plan.info.items() if key != "left_alone"},
                **plan.counts(),
            },
            "held": self._rows(("held", "conflict")),
            "failed": [],
            "applied": False,
        }
        await Applier(dry(self._operations)).run(plan.changes)
        for line in plan.table(address):
            log.info("%s", line)
        result["counts"] |= tell(held, released)
        for name, count in plan.info.items():
            if name.startswith("ignored."):
                log.warning(
                    "%9d  rows have values of %s, IGNORED: manage does not cover it", count, name.partition(".")[2]
                )
        self._log_left_alone(address)
        if self._job.mode == "check" and plan.changes:
            raise FailedRun(result, OutOfSync(f"{plan.due}, see {address} ({plan.id})"))
        if self._job.mode != "apply":
            return result
        if released:
            held = []
        if held and self._job.on_brake == "fail":
            raise FailedRun(result, self._brake_error(held, plan, address))
        report = await self._apply(plan, now, held, result)
        return self._finish(plan, report, held, result)

    async def _apply(self, plan: Plan, now: Plan, held: Sequence[Held], result: dict[str, Any]) -> Report:
        store = self._options.store
        begin_plan(store, plan.owner, plan.id, self._options.run)
        journal = Journal(store, plan.name, self._options.run, self._options.journal_values)
        result["journal"] = journal.uri
        applier = Applier(self._operations, journal, stopped=self._options.stopped)
        try:
            changes = self._settle(applier, plan, now, held)
            self._note_left_alone(journal)
            await applier.run(changes)
        except LogtoError as error:
            self._tell(applier.report, result)
            raise FailedRun(result, error) from error
        finally:
            journal.close()
            forget(store, plan.owner, applier.report.deleted)
        return applier.report

    def _settle(self, applier: Applier, plan: Plan, now: Plan, held: Sequence[Held]) -> list[Change]:
        """What is left to do after drift and brakes; the rest is reported."""
        left_alone = {notice.key for notice in self._found.notices if notice.status in ("held", "conflict")}
        due, done, drifted = agreed(plan.changes, now.changes, left_alone)
        applier.settle(done, Outcome("skipped", "is as planned already, or not needed any more"))
        applier.settle(drifted, Outcome("skipped", "drifted: what it depends on is not as it was planned"))
        brakes = {one.brake for one in held}
        if "identifier_changes" in brakes:  # nobody gives up what they get nothing for
            brakes.add("releases")
        stopped = [change for change in due if held and (change.destructive or _brake_of(change) in brakes)]
        # Whoever is held waits as a whole: a role for somebody who is not created makes no sense.
        keys = {change.key for change in stopped if change.name == "user.create"}
        stopped_ids = {id(change) for change in stopped} | {id(change) for change in due if change.key in keys}
        applier.settle([one for one in due if id(one) in stopped_ids], Outcome("held", "a brake holds"))
        return [change for change in due if id(change) not in stopped_ids]

    def _log_left_alone(self, plan: str) -> None:
        notices = [notice for notice in self._found.notices if notice.status in ("held", "conflict")]
        for one in notices[:_LOGGED]:
            place = one.id if one.row is None else f"row {one.row}"
            log.warning("%s %s: %s", place, "is held" if one.status == "held" else "is a conflict", one.reason)
        if len(notices) > _LOGGED:
            log.warning("and %d more; see left_alone in %s", len(notices) - _LOGGED, plan)

    def _note_left_alone(self, journal: Journal) -> None:
        for notice in self._found.notices:
            if notice.status in ("held", "conflict"):
                change = Change(kind="row", action="apply", key=notice.key, id=notice.id, row=notice.row)
                journal.add(change, Outcome(notice.status, notice.reason))  # type: ignore[arg-type]

    def _finish(self, plan: Plan, report: Report, held: Sequence[Held], result: dict[str, Any]) -> dict[str, Any]:
        self._tell(report, result)
        if report.failed:
            raise FailedRun(
                result,
                ChangesFailed(
                    f"{len(report.failed)} changes failed, in rows {_short(result['failed'])}; the others were made. "
                    f"The journal says why: {result['journal']}"
                ),
            )
        if held:
            raise FailedRun(result, self._brake_error(held, plan, result["plan"]))
        result["applied"] = True
        mark_applied(self._options.store, plan.name, dict(report.statuses))
        return result

    def _tell(self, report: Report, result: dict[str, Any]) -> None:
        result["counts"] |= {f"made.{name}": count for name, count in sorted(report.done.items())}
        result["counts"] |= {f"changes.{status}": count for status, count in sorted(report.statuses.items())}
        rows = dict.fromkeys(change.row if change.row is not None else change.id for change, _ in report.failed)
        result["failed"] = list(rows)[:_NAMED]

    def _holding(self, plan: Plan) -> list[Held]:
        job = self._job
        figures = Counter(brake for change in plan.changes if (brake := _brake_of(change)))
        # A stored plan keeps its base, since an earlier try may have suspended some; an edited one counts for nothing.
        base = min(plan.base, self._found.base + figures["disables"])
        held = holding(job.brakes or {}, figures, base)
        if len(self._people) < job.min_source_rows:
            held.append(Held("min_source_rows", len(self._people), job.min_source_rows, "rows in the source, at least"))
        keys = {value for person in self._people for key in KEYS if (value := person.value(key))}
        missing = count_missing_rows(job.required_rows, keys)
        if missing:
            held.append(Held("required_rows", missing, 0, "required rows that the source lacks"))
        return held

    def _brake_error(self, held: Sequence[Held], plan: Plan, address: str) -> BrakeHeld:
        brakes = "; ".join(str(one) for one in held)
        names = {one.brake for one in held}
        rows = dict.fromkeys(one.row or one.id for one in plan.changes if _brake_of(one) in names)
        other = self._options.approve_plan
        hint = f"approve_plan names another plan ({other}). " if other else ""
        return BrakeHeld(
            f"A brake holds: {brakes}. Rows or ids: {_short(list(rows))}. {hint}Read the plan, {address}; if it is "
            f'right, release it with approve_plan="{plan.id}"'
        )

    def _rows(self, statuses: Sequence[str]) -> list[Any]:
        found = dict.fromkeys(
            notice.row if notice.row is not None else notice.id
            for notice in self._found.notices
            if notice.status in statuses
        )
        return list(found)[:_NAMED]


def _brake_of(change: Change) -> str | None:
    if change.name == "user.update" and any(change.before.get(name) for name in ("primaryEmail", "username")):
        return "identifier_changes"
    return _BRAKE_OF.get(change.name)


def _short(values: Sequence[Any]) -> str:
    shown = ", ".join(str(value) for value in values[:20])
    return f"{shown} and {len(values) - 20} more" if len(values) > 20 else shown or "none"
