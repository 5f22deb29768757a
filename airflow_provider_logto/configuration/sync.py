"""One run of a configuration: observe, plan, brake, apply, report."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from airflow_provider_logto.client.client import LogtoClient
from airflow_provider_logto.configuration.desired import Item, desired_items
from airflow_provider_logto.configuration.differences import changes_of, foreign_in
from airflow_provider_logto.configuration.kinds import KINDS
from airflow_provider_logto.configuration.ledger import Ledger
from airflow_provider_logto.configuration.observed import observe, observe_factories, observe_given_roles
from airflow_provider_logto.configuration.writer import ConfigurationWriter
from airflow_provider_logto.exceptions import (
    BrakeHeld,
    ChangesFailed,
    InvalidInput,
    LogtoError,
    OutOfSync,
    PlanRefused,
)
from airflow_provider_logto.management.json_values import wrong_type
from airflow_provider_logto.plans.apply import Applier, Report, dry
from airflow_provider_logto.plans.brakes import Brake, Held, holding, set_brakes, tell
from airflow_provider_logto.plans.changes import Change, encoded
from airflow_provider_logto.plans.drift import agreed
from airflow_provider_logto.plans.journal import Journal, Outcome, Run
from airflow_provider_logto.plans.lock import Place, only_run
from airflow_provider_logto.plans.plan import Plan, make_plan, write_plan
from airflow_provider_logto.plans.resuming import plan_to_apply
from airflow_provider_logto.plans.retention import begin_plan, is_applied, mark_applied, plan_under_way, remove_old
from airflow_provider_logto.plans.store import Store

log = logging.getLogger(__name__)

Mode = Literal["plan", "apply", "check"]
MODES = ("plan", "apply", "check")
#: ``destructive`` counts deletions, what gives access to the Management API, and changes of default roles and sign-in.
BRAKES = (Brake("destructive", 0),)
#: How many failures a message names.
_NAMED = 20
_PRUNABLE = tuple(kind.section for name, kind in KINDS.items() if name != "sign_in_experience")


@dataclass(frozen=True)
class ConfigurationJob:
    """What a run is asked to do. Make one with :meth:`checked`.

    :param configuration: its name: the owner of what it creates.
    :param config: as it is written.
    :param secrets: name -> value.
    """

    configuration: str
    config: Mapping[str, Any]
    mode: Mode = "plan"
    prune: tuple[str, ...] = ()
    secrets: Mapping[str, Any] = field(default_factory=dict, repr=False)
    brakes: Mapping[str, Brake] = field(default_factory=dict)

    @classmethod
    def checked(
        cls, configuration: Any, config: Any, mode: Any, prune: Any, secrets: Any, brakes: Any
    ) -> ConfigurationJob:
        """
        :raises InvalidInput: naming the argument and what would be right.
        """
        if not isinstance(configuration, str) or not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", configuration):
            raise InvalidInput("configuration", f"{configuration!r} is not a name; use letters, digits, - and _")
        if mode not in MODES:
            raise InvalidInput("mode", f"{mode!r} is unknown; use {', '.join(MODES)}")
        if secrets is not None and not isinstance(secrets, Mapping):
            raise InvalidInput("secrets", wrong_type("an object of names to values", secrets))
        sections = (prune,) if isinstance(prune, str) else tuple(prune or ())
        for section in sections:
            if section not in _PRUNABLE:
                raise InvalidInput("prune", f"{section!r} is unknown; use {', '.join(_PRUNABLE)}")
        return cls(configuration, config, mode, sections, dict(secrets or {}), set_brakes(BRAKES, brakes))

    @property
    def owner(self) -> str:
        """Begins the names of its files."""
        return f"configuration/{self.configuration}"


@dataclass(frozen=True)
class Options:
    """How a run goes about its work; decides over no change.

    :param store: where plans and journals lie.
    :param plan: id or address of the stored plan to apply.
    :param approve_plan: id of the plan whose brakes are released.
    :param place: where runs are kept apart.
    """

    store: Store
    plan: str | None = None
    approve_plan: str | None = None
    keep_days: float = 90
    place: Place = ()
    run: Run = field(default_factory=Run)
    stopped: Callable[[], bool] = lambda: False


class FailedConfiguration(Exception):
    """A run that ends badly, with what it did: for the operator, which hands both on."""

    def __init__(self, result: dict[str, Any], error: LogtoError) -> None:
        super().__init__(str(error))
        self.result = result
        self.error = error


async def apply_configuration(client: LogtoClient, job: ConfigurationJob, options: Options) -> dict[str, Any]:
    """Plan, check or apply.

    :returns: ``{"plan", "plan_id", "journal", "counts", "held", "failed", "applied"}``.
    :raises FailedConfiguration: a brake holds, changes failed, or mode ``check`` found some.
    :raises LogtoError: before any write.
    """
    tenant, management_api = client.endpoint.base_url, client.endpoint.resource
    desired = desired_items(job.config, job.secrets, management_api)
    async with only_run(options.place, job.owner, tenant):
        ledger = Ledger(client, job.configuration)
        await ledger.load()
        found = await observe(client, _kinds(desired, job.prune), _related(desired), management_api)
        connectors = {key: item.name for (kind, key), item in desired.items() if kind == "connector"}
        await observe_factories(client, found, connectors)
        await observe_given_roles(client, found, desired, management_api)
        ledger.recognize(found.rows)
        changes = list(changes_of(desired, found, ledger.ids, job.prune, management_api))
        if foreign := foreign_in(desired, found, ledger.ids, job.prune):
            shown = ", ".join(foreign[:20]) + (" ..." if len(foreign) > 20 else "")
            log.info("Listed, but maybe made by somebody else; prune will leave them (%d): %s", len(foreign), shown)
        # Keyed, since the configuration holds secrets.
        source = client.fingerprint(encoded([[*name, item.fields, item.relations] for name, item in desired.items()]))
        now = make_plan(
            owner=job.owner,
            tenant=tenant,
            changes=changes,
            source=source,
            settings={"prune": sorted(job.prune)},
            as_of=datetime.now(UTC).isoformat(timespec="seconds"),
            base=len(desired),
        )
        remove_old(options.store, job.owner, options.keep_days)
        writer = ConfigurationWriter(client, desired, found, ledger)
        return await _Run(job, options, writer, ledger).carry_out(_stored(job, options, now) or now, now)


def _kinds(desired: Mapping[tuple[str, str], Item], prune: Collection[str]) -> set[str]:
    """The kinds whose lists have to be read: those wanted, those referred to, those pruned."""
    kinds = {kind for kind, _ in desired}
    for (kind, _), item in desired.items():
        targets = dict((KINDS[kind].relations or {}).values())
        kinds |= {targets[relation] for relation in item.relations}
    kinds |= {name for name, about in KINDS.items() if about.section in prune}
    # Which connectors people sign in with.
    kinds |= {"sign_in_experience"} if "connectors" in prune else set()
    experience = desired.get(("sign_in_experience", "sign_in_experience"))
    kinds |= {"connector"} if experience and experience.fields.get("socialSignInConnectorTargets") else set()
    return kinds | ({"resource"} if "scope" in kinds else set())


def _related(desired: Mapping[tuple[str, str], Item]) -> dict[tuple[str, str], tuple[str, ...]]:
    return {name: tuple(item.relations) for name, item in desired.items() if item.relations}


def _stored(job: ConfigurationJob, options: Options, now: Plan) -> Plan | None:
    """The stored plan to apply: the one named, that of an earlier try of this task, or an approved one.

    :raises PlanRefused: where the plan named was applied, or made of another configuration or with other settings.
    """
    if job.mode != "apply":
        return None

    def check(plan: Plan) -> None:
        # The try before this one may have ended after it: then nothing is left to do.
        own = plan_under_way(options.store, job.owner, options.run) == plan.id
        if is_applied(options.store, plan.name) and not own:
            raise PlanRefused(f"plan {plan.id} was applied already")
        if plan.source != now.source or dict(plan.settings) != dict(now.settings):
            raise PlanRefused(
                f"plan {plan.id} was made of another configuration, secrets or prune, or with another App secret; make "
                "a new plan"
            )

    return plan_to_apply(
        options.store,
        job.owner,
        now.tenant,
        options.run,
        plan=options.plan,
        approved=options.approve_plan,
        check=check,
    )


class _Run:
    """What follows once the changes are known."""

    def __init__(self, job: ConfigurationJob, options: Options, writer: ConfigurationWriter, ledger: Ledger) -> None:
        self._job = job
        self._ledger = ledger
        self._options = options
        self._operations = writer.operations()

    async def carry_out(self, plan: Plan, now: Plan) -> dict[str, Any]:
        """
        :param plan: what is to be done.
        :param now: what a plan made in this moment says.
        """
        store = self._options.store
        address = write_plan(store, plan) if plan is now else store.uri(f"{plan.name}.plan.jsonl")
        figures = {"destructive": sum(change.destructive for change in plan.changes)}
        held = holding(self._job.brakes, figures, plan.base)
        released = self._job.mode == "apply" and self._options.approve_plan == plan.id
        result: dict[str, Any] = {
            "plan": address,
            "plan_id": plan.id,
            "journal": None,
            "counts": plan.counts(),
            "held": [change.key for change in plan.changes if held and not released and change.destructive],
            "failed": [],
            "applied": False,
        }
        await Applier(dry(self._operations)).run(plan.changes)
        for line in plan.table(address):
            log.info("%s", line)
        result["counts"] |= tell(held, released)
        if self._job.mode == "check" and plan.changes:
            raise FailedConfiguration(result, OutOfSync(f"{plan.due}, see {address} ({plan.id})"))
        if self._job.mode != "apply":
            return result
        if held and not released:
            raise FailedConfiguration(result, _brake_error(held, plan, address))
        report = await self._apply(plan, now, result)
        if report.failed:
            raise FailedConfiguration(result, _failure(report, result["journal"]))
        result["applied"] = True
        mark_applied(store, plan.name, dict(report.statuses))
        return result

    async def _apply(self, plan: Plan, now: Plan, result: dict[str, Any]) -> Report:
        begin_plan(self._options.store, plan.owner, plan.id, self._options.run)
        journal = Journal(self._options.store, plan.name, self._options.run)
        result["journal"] = journal.uri
        applier = Applier(self._operations, journal, stopped=self._options.stopped, row=_object_of)
        try:
            due, done, drifted = agreed(plan.changes, now.changes, row=_object_of)
            applier.settle(done, Outcome("skipped", "is as planned already, or not needed any more"))
            applier.settle(drifted, Outcome("skipped", "drifted: what it depends on is not as it was planned"))
            await applier.run(due)
            await self._ledger.save()
        except LogtoError as error:
            _tell(applier.report, result)
            raise FailedConfiguration(result, error) from error
        finally:
            journal.close()
        _tell(applier.report, result)
        return applier.report


def _object_of(change: Change) -> tuple[str, str]:
    """Objects of two kinds may have one name."""
    return change.kind, change.key


def _tell(report: Report, result: dict[str, Any]) -> None:
    counts: Counter[str] = report.done
    result["counts"] |= {f"made.{name}": count for name, count in sorted(counts.items())}
    result["counts"] |= {f"changes.{status}": count for status, count in sorted(report.statuses.items())}
    result["failed"] = [change.key for change, _ in report.failed]


def _failure(report: Report, journal: str) -> ChangesFailed:
    names = ", ".join(f"{change.kind} {change.key}" for change, _ in report.failed[:_NAMED])
    lost = "".join(f" {change.kind} {change.key}: {outcome.reason}." for change, outcome in report.not_kept[:_NAMED])
    error = ChangesFailed(
        f"{len(report.failed)} changes failed ({names}); the others were made.{lost} The journal says why: {journal}"
    )
    error.transient = len(report.not_kept) < len(report.failed)
    return error


def _brake_error(held: Sequence[Held], plan: Plan, address: str) -> BrakeHeld:
    brakes = "; ".join(str(one) for one in held)
    names = ", ".join(_named(change) for change in plan.changes if change.destructive)
    return BrakeHeld(
        f"A brake holds: {brakes}. Changes: {names}. Read the plan, {address}; if it is right, release it with "
        f'approve_plan="{plan.id}"'
    )


def _named(change: Change) -> str:
    return f"{change.name} {change.key}"
