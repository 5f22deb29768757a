"""Operators for people in bulk: a roster as the desired state, and imports."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_logto.exceptions import InvalidInput
from airflow_provider_logto.failures import fail_on_permanent_error
from airflow_provider_logto.operators.base import Hidden, LogtoOperator, counts_of

if TYPE_CHECKING:
    from airflow_provider_logto.compat import Context
    from airflow_provider_logto.plans.journal import Run
    from airflow_provider_logto.roster.columns import Columns
    from airflow_provider_logto.roster.job import RosterJob
    from airflow_provider_logto.roster.people import Person
    from airflow_provider_logto.roster.sources import Reading
    from airflow_provider_logto.roster.sync import Options

_NO_ADDRESS = re.compile(r"\s*[\[{(]|.*\n", re.DOTALL)
_KEYS = ("id", "external_id", "username", "primary_email", "primary_phone")


class SyncRosterOperator(LogtoOperator):
    """Make Logto agree with a roster of people: plan, brakes, approval, apply, journal.

    A roster owns the people it made or adopted, by a mark in their customData, and touches nobody else. What could cost
    somebody their access is planned first, counted by brakes before the first write, and done last. Killed at any
    point, the next try goes on. See the page "Rosters".

    :param roster: name of the roster; its people carry it in their mark.
    :param source: rows (any sequence of objects, such as XCom of another task), or the address of a CSV, JSON lines or
        JSON file (templated).
    :param folder: where plans and journals lie, e.g. ``s3://aws_default@bucket/rosters`` (templated).
    :param mode: ``plan`` writes nothing but the plan; ``apply`` makes the changes; ``check`` fails unless there are
        none; ``dump`` writes the tenant or the population as a roster file (templated).
    :param mapping: standard column -> column of the source, or ``"scim"``, ``"auth0"``, ``"keycloak"``.
    :param transform: function of a row (a dict) that returns the row to take instead, or None to leave it out.
    :param match_on: what a row is matched by: ``id``, ``external_id``, ``username``, ``primary_email``,
        ``primary_phone``.
    :param adopt: ``none``: somebody without the roster's mark is a conflict; ``matched``: people whom a row matches
        are taken over, and can lose something from the next run on (templated).
    :param population: ``{"role": name}`` or ``{"organization": name}`` that everybody of the roster gets and keeps:
        they are found there, instead of walking the tenant.
    :param manage: what is managed: ``profile``, ``custom_data``, ``suspension``, ``roles``, ``organizations``,
        ``organization_roles``.
    :param exact: ``{"roles": [...], "organizations": [...]}``: the only ones that are ever taken away.
    :param clear_blank: columns whose blank cells clear the field; others leave it alone.
    :param on_missing: what happens to somebody who is missing from the source: ``ignore``, ``report``, ``drop_access``,
        ``suspend``, ``offboard`` or ``delete`` (templated).
    :param delete_after_days: days after the suspension by this roster before ``delete`` deletes.
    :param lead_days: days before ``start_date`` on which somebody is created.
    :param timezone: whose days ``start_date`` and ``end_date`` are.
    :param brakes: limits instead of the defaults, e.g. ``{"disables": (50, "10%"), "required_rows": ["E1"]}``.
    :param on_brake: ``fail`` does nothing where a brake holds; ``apply_safe`` does what is not destructive, and fails.
    :param plan: id or address of the stored plan to apply (templated).
    :param approve_plan: id of the plan whose brakes are released (templated).
    :param protect: people who must not be touched, besides those of the Connection: ids, e-mails, usernames, patterns
        with ``*``, ``{"role": name}`` (templated).
    :param keep_days: days that plans and journals stay after they were applied; those that never were stay as long, at
        least a week, and are refused afterwards.
    :param file_format: ``csv``, ``jsonl`` or ``json``; by default the ending of the file's name says it.
    :param delimiter: between the cells of a CSV file.
    :param encoding: of the file; the default understands a byte order mark.
    :param date_format: of dates, e.g. ``%d.%m.%Y``; by default ISO.
    :param list_separator: between the entries of a list in one cell.
    :param journal_values: whether the journal holds the values before and after.
    :param logto_conn_id: the Connection of type ``logto``.
    :returns: ``{"plan": address, "plan_id", "journal": address, "counts", "held": rows, "failed": rows, "applied"}``;
        no personal data.
    :raises InvalidInput: for the first argument that is wrong, before any request.
    :raises InvalidSource: naming the rows that cannot be right (the first 100 problems), before any write.
    :raises ConfigurationError: where end users may edit customData and the settings rely on marks.
    :raises PlanRefused: where a stored plan was edited, cut, made by another roster, of other rows or settings.
    :raises BrakeHeld: where a brake holds; never retried.
    :raises ChangesFailed: where some changes failed; a retry makes what is left.
    :raises OutOfSync: with ``mode="check"``.

    .. seealso:: Logto Management API, tags "Users", "Roles" and "Organizations".
    """

    template_fields: Sequence[str] = (
        "source",
        "folder",
        "mode",
        "adopt",
        "on_missing",
        "plan",
        "approve_plan",
        "protect",
        "logto_conn_id",
    )

    def __init__(
        self,
        *,
        roster: str,
        source: Any = None,
        folder: str,
        mode: Literal["plan", "apply", "check", "dump"] = "plan",
        mapping: Mapping[str, str] | str | None = None,
        transform: Callable[[dict[str, Any]], dict[str, Any] | None] | None = None,
        match_on: Sequence[str] = _KEYS,
        adopt: Literal["none", "matched"] = "none",
        population: Mapping[str, str] | None = None,
        manage: Sequence[str] = ("profile",),
        exact: Mapping[str, Sequence[str]] | None = None,
        clear_blank: Sequence[str] = (),
        on_missing: Literal["ignore", "report", "drop_access", "suspend", "offboard", "delete"] = "ignore",
        delete_after_days: float = 30,
        lead_days: int = 0,
        timezone: str = "UTC",
        brakes: Mapping[str, Any] | None = None,
        on_brake: Literal["fail", "apply_safe"] = "fail",
        plan: str | None = None,
        approve_plan: str | None = None,
        protect: Any = (),
        keep_days: float = 90,
        file_format: Literal["csv", "jsonl", "json"] | None = None,
        delimiter: str = ",",
        encoding: str = "utf-8-sig",
        date_format: str | None = None,
        list_separator: str = ";",
        journal_values: bool = False,
        logto_conn_id: str = "logto_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(logto_conn_id=logto_conn_id, **kwargs)
        self.roster = roster
        self.source = source
        self.folder = folder
        self.mode = mode
        self.mapping = mapping
        self.transform = transform
        self.match_on = match_on
        self.adopt = adopt
        self.population = population
        self.manage = manage
        self.exact = exact
        self.clear_blank = clear_blank
        self.on_missing = on_missing
        self.delete_after_days = delete_after_days
        self.lead_days = lead_days
        self.timezone = timezone
        self.brakes = brakes
        self.on_brake = on_brake
        self.plan = plan
        self.approve_plan = approve_plan
        self.protect = protect
        self.keep_days = keep_days
        self.file_format = file_format
        self.delimiter = delimiter
        self.encoding = encoding
        self.date_format = date_format
        self.list_separator = list_separator
        self.journal_values = journal_values
        self._stopped = False

    @fail_on_permanent_error
    def execute(self, context: Context) -> dict[str, Any]:
        from airflow_provider_logto.plans.store import Store
        from airflow_provider_logto.roster.dump import dump_roster
        from airflow_provider_logto.roster.sync import FailedRun, sync_roster

        job = self._job()
        store = Store(_path("folder", self.folder))
        if job.mode == "dump":
            dumped = self.hook.run(dump_roster, job, store)
            self.log_summary(f"Roster {job.roster}", f"{counts_of(dumped['counts'])}; dumped to {dumped['plan']}")
            return dumped
        people = self._people(job)
        try:
            result = self.hook.run(sync_roster, job, people, self._options(context, store))
        except FailedRun as failed:
            # Whoever looks at a failed run finds the plan and the journal all the same.
            _push(context, failed.result)
            raise failed.error from failed.error.__cause__
        self.log_summary(f"Roster {job.roster}", counts_of(result["counts"]))
        return result

    def hide_secrets(self) -> None:
        self.source = _hidden(self.source)

    def on_kill(self) -> None:
        """End between two requests; the next try goes on."""
        self._stopped = True

    def _job(self) -> RosterJob:
        from airflow_provider_logto.roster.job import RosterJob

        return RosterJob.checked(
            roster=self.roster,
            mode=self.mode,
            match_on=self.match_on,
            adopt=self.adopt,
            population=self.population,
            manage=self.manage,
            exact=self.exact,
            on_missing=self.on_missing,
            delete_after_days=self.delete_after_days,
            lead_days=self.lead_days,
            timezone=self.timezone,
            brakes=self.brakes,
            on_brake=self.on_brake,
        )

    def _people(self, job: RosterJob) -> list[Person]:
        from airflow_provider_logto.roster.columns import Columns
        from airflow_provider_logto.roster.sources import Reading

        if self.source is None:
            raise InvalidInput("source", 'missing: give rows or an address; only mode="dump" needs none')
        reading = Reading.checked(self.file_format, self.delimiter, self.encoding)
        columns = Columns.checked(self.mapping, self.transform, self.clear_blank, self.date_format, self.list_separator)
        return _read(self.source, reading, columns, job.match_on)

    def _options(self, context: Context, store: Any) -> Options:
        from airflow_provider_logto.management.fields import switch
        from airflow_provider_logto.plans.retention import days
        from airflow_provider_logto.roster.sync import Options

        return Options(
            store=store,
            protection=self.hook.protection(self.protect or None),
            plan=self.plan or None,
            approve_plan=self.approve_plan or None,
            journal_values=switch("journal_values", self.journal_values),
            keep_days=days("keep_days", self.keep_days),
            place=self.hook.lock_place(),
            run=_run(context),
            stopped=lambda: self._stopped,
        )


class ImportUsersOperator(LogtoOperator):
    """Bring people in, once, with their passwords and identities: for migrations.

    Reads, matches and reports as :class:`SyncRosterOperator` does, but takes nobody out and keeps no state. It imports
    no roles and no organizations, and knows no first and last days; the log warns of columns that it ignores. Who was
    made carries an import mark, so that a retry goes on where the last try stopped and never makes anybody twice.
    Passwords and digests go into the request that creates the person, and into no file. The Connection's ``protect``
    holds: a row that would change a protected person fails.

    :param source: rows, or the address of a CSV, JSON lines or JSON file (templated).
    :param folder: where the journal lies (templated).
    :param mapping: standard column -> column of the source, or ``"auth0"``, ``"keycloak"``, ``"scim"``. Besides the
        standard columns: ``password``, ``password_digest``, ``password_algorithm``, ``identities``
        (``{"google": {"userId": "..."}}``).
    :param transform: function of a row (a dict) that returns the row to take instead, or None to leave it out.
    :param match_on: what a row is matched by: ``id``, ``username``, ``primary_email``, ``primary_phone``; the first
        that a row has names it in the journal.
    :param if_exists: ``fail`` the row, ``skip`` it, or ``update`` the person (never the password) (templated).
    :param only: row numbers and keys to run again, such as ``failed`` of an earlier result (templated).
    :param max_errors: failed rows after which it stops.
    :param file_format: ``csv``, ``jsonl`` or ``json``; by default the ending of the file's name says it.
    :param delimiter: between the cells of a CSV file.
    :param encoding: of the file; the default understands a byte order mark.
    :param list_separator: between the entries of a list in one cell.
    :param journal_values: whether the journal holds the values before and after; never a password.
    :param keep_days: days that the journal stays.
    :param logto_conn_id: the Connection of type ``logto``.
    :returns: ``{"counts", "failed": row numbers, "journal": address}``.
    :raises InvalidInput: for the first argument that is wrong, before any request.
    :raises InvalidSource: naming the rows that cannot be right (the first 100 problems), before any request.
    :raises ChangesFailed: where rows failed, which it names; the others were made. A retry tries them again, unless all
        of them are conflicts that were found before any write.
    :raises ApplyStopped: after ``max_errors`` failed rows; the rest was not tried.

    .. seealso:: Logto docs, "User migration"; Logto Management API, ``POST /api/users``.
    """

    template_fields: Sequence[str] = ("source", "folder", "if_exists", "only", "logto_conn_id")

    def __init__(
        self,
        *,
        source: Any,
        folder: str,
        mapping: Mapping[str, str] | str | None = None,
        transform: Callable[[dict[str, Any]], dict[str, Any] | None] | None = None,
        match_on: Sequence[str] = _KEYS,
        if_exists: Literal["fail", "skip", "update"] = "skip",
        only: Sequence[int | str] | None = None,
        max_errors: int = 50,
        file_format: Literal["csv", "jsonl", "json"] | None = None,
        delimiter: str = ",",
        encoding: str = "utf-8-sig",
        list_separator: str = ";",
        journal_values: bool = False,
        keep_days: float = 90,
        logto_conn_id: str = "logto_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(logto_conn_id=logto_conn_id, **kwargs)
        self.source = source
        self.folder = folder
        self.mapping = mapping
        self.transform = transform
        self.match_on = match_on
        self.if_exists = if_exists
        self.only = only
        self.max_errors = max_errors
        self.file_format = file_format
        self.delimiter = delimiter
        self.encoding = encoding
        self.list_separator = list_separator
        self.journal_values = journal_values
        self.keep_days = keep_days
        self._stopped = False

    @fail_on_permanent_error
    def execute(self, context: Context) -> dict[str, Any]:
        from airflow_provider_logto.management.fields import switch
        from airflow_provider_logto.plans.retention import days
        from airflow_provider_logto.plans.store import Store
        from airflow_provider_logto.roster.columns import Columns
        from airflow_provider_logto.roster.importing import ImportJob, import_users
        from airflow_provider_logto.roster.sources import Reading
        from airflow_provider_logto.roster.sync import FailedRun, Options

        job = ImportJob.checked(self.match_on, self.if_exists, self.only, self.max_errors)
        columns = Columns.checked(self.mapping, self.transform, list_separator=self.list_separator, secrets=True)
        reading = Reading.checked(self.file_format, self.delimiter, self.encoding)
        people = _read(self.source, reading, columns, job.match_on)
        options = Options(
            store=Store(_path("folder", self.folder)),
            protection=self.hook.protection(),
            journal_values=switch("journal_values", self.journal_values),
            keep_days=days("keep_days", self.keep_days),
            place=self.hook.lock_place(),
            run=_run(context),
            stopped=lambda: self._stopped,
        )
        try:
            result = self.hook.run(import_users, job, people, options)
        except FailedRun as failed:
            _push(context, failed.result)
            raise failed.error from failed.error.__cause__
        self.log_summary("Import", counts_of(result["counts"]))
        return result

    def hide_secrets(self) -> None:
        self.source = _hidden(self.source)

    def on_kill(self) -> None:
        """End between two requests; the next try goes on."""
        self._stopped = True


def _hidden(source: Any) -> Any:
    """Rows, and what a template made a text of; an address stays as it is."""
    if (
        source is None
        or isinstance(source, os.PathLike | Hidden)
        or (isinstance(source, str) and not _NO_ADDRESS.match(source))
    ):
        return source
    return Hidden(source)


def _read(source: Any, reading: Reading, columns: Columns, keys: Sequence[str]) -> list[Person]:
    """The people of a source; every bad row is named at once."""
    from airflow_provider_logto.roster.people import read_people
    from airflow_provider_logto.roster.sources import Problems, read_rows

    problems = Problems()
    people = read_people(read_rows(_source(source), reading, problems), columns, keys, problems)
    problems.refuse()
    return people


def _source(source: Any) -> Any:
    """An address -> a path object; rows go through, those of XCom at once instead of one by one."""
    if isinstance(source, Hidden):
        source = source.value
    if isinstance(source, str):
        return _path("source", source)
    if isinstance(source, Sequence) and not isinstance(source, list | tuple):
        return source[:]
    return source


def _path(field: str, address: Any) -> Any:
    from airflow_provider_logto.destinations import path_at

    return path_at(address, field)


def _run(context: Context) -> Run:
    from airflow_provider_logto.plans.journal import Run

    ti = context.get("ti")
    return Run(str(context.get("run_id") or ""), int(getattr(ti, "try_number", 1) or 1))


def _push(context: Context, result: dict[str, Any]) -> None:
    ti = context.get("ti")
    if ti is not None:
        ti.xcom_push(key="return_value", value=result)
