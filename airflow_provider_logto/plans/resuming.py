"""Which stored plan an apply goes by."""

from __future__ import annotations

import logging
from collections.abc import Callable

from airflow_provider_logto.exceptions import PlanRefused
from airflow_provider_logto.plans.journal import Run
from airflow_provider_logto.plans.plan import Plan, read_plan
from airflow_provider_logto.plans.retention import is_applied, plan_under_way
from airflow_provider_logto.plans.store import Store

log = logging.getLogger(__name__)


def plan_to_apply(
    store: Store,
    owner: str,
    tenant: str,
    run: Run,
    *,
    plan: str | None,
    approved: str | None,
    check: Callable[[Plan], None],
) -> Plan | None:
    """The plan named, that of an earlier try of this task, or an approved one; None where a new plan is to be made.

    :param plan: id or address of the plan that was asked for.
    :param approved: id of the plan whose brakes are released.
    :param check: raises PlanRefused where rows, configuration or settings differ from those a plan was made of.
    :raises PlanRefused: where the plan that was asked for is of no use.
    """
    if plan:
        named = read_plan(store, plan, owner, tenant)
        check(named)
        return named
    reference = plan_under_way(store, owner, run) or approved
    if not reference:
        return None
    try:
        found = read_plan(store, reference, owner, tenant)
        # One that was applied to its end approves nothing any more.
        if is_applied(store, found.name):
            return None
        check(found)
    except PlanRefused as error:
        log.warning("The earlier plan cannot be used any more: %s", error)
        return None
    return found
