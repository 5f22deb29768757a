"""The operator that ends a person's access."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_logto.destinations import folder_at
from airflow_provider_logto.exceptions import InvalidInput
from airflow_provider_logto.failures import fail_on_permanent_error
from airflow_provider_logto.links import UserLink
from airflow_provider_logto.operators.base import LogtoOperator

if TYPE_CHECKING:
    from airflow_provider_logto.compat import Context
    from airflow_provider_logto.management.offboarding.snapshot import Files


class OffboardUserOperator(LogtoOperator):
    """End a person's access to everything behind this Logto, now.

    Writes a snapshot of what the person has, blocks them, and takes away what renews access or goes around a
    suspension: personal access tokens, sessions, grants, one-time tokens, pending invitations. Roles, organizations and
    credentials stay unless asked for. Marks the person with the date, looks whether it is all true, and reports. Access
    ends first, whatever fails later; a run that failed or was killed anywhere is simply run again. What cannot be
    revoked, and how to undo all this: ``docs/offboarding.md``.

    :param user: a reference to the person (templated).
    :param folder: where snapshots are written, e.g. ``s3://aws_default@bucket/logto``; any ObjectStoragePath. None is
        ever overwritten (templated).
    :param remove: ``roles``, ``organizations``, both or none (templated).
    :param reset_credentials: also set a random password and take social identities and MFA factors away: only needed
        where somebody may lift the suspension by mistake.
    :param protect: who must not be offboarded, besides those that the Connection protects (templated).
    :param if_absent: ``fail``, or ``skip`` where there is no such person (templated).
    :param logto_conn_id: the Connection of type ``logto``.
    :returns: ``{"id", "outcome": "offboarded" | "unchanged" | "absent", "steps", "unsupported", "access_ends_at",
        "bounded", "unbounded_by", "ways_back", "snapshot"}``: what each step did and how often; steps that this version
        of Logto does not have; when the last access token already issued expires (ISO 8601); False where a live token
        can be exchanged for a new one, and the applications that do so; ``{"id", "name", "because"}`` of organizations
        that would take the person in again by themselves; the address of the snapshot.
    :raises InvalidInput: before any write: nobody meant, or somebody protected.
    :raises OffboardingIncomplete: where a step failed; the others that end access were tried, without a snapshot only
        the suspension.

    .. seealso:: Logto Management API, ``PATCH /api/users/{id}/is-suspended`` and the operations of each step.
    """

    template_fields: Sequence[str] = ("user", "folder", "remove", "protect", "if_absent", "logto_conn_id")
    operator_extra_links = (UserLink(),)

    def __init__(
        self,
        *,
        user: Any,
        folder: str,
        remove: Sequence[str] = (),
        reset_credentials: bool = False,
        protect: Any = (),
        if_absent: Literal["fail", "skip"] = "fail",
        logto_conn_id: str = "logto_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(logto_conn_id=logto_conn_id, **kwargs)
        self.user = user
        self.folder = folder
        self.remove = remove
        self.reset_credentials = reset_credentials
        self.protect = protect
        self.if_absent = if_absent

    @fail_on_permanent_error
    def execute(self, context: Context) -> dict[str, Any]:
        from airflow_provider_logto.management.offboarding.offboard import checked_removals, offboard_user

        removals = checked_removals(self.remove)
        files = self._files()
        report = self.hook.run(
            offboard_user,
            self.user,
            files,
            run=str(context.get("run_id") or self.task_id),
            remove=removals,
            reset_credentials=self.reset_credentials,
            protection=self.hook.protection(self.protect),
            if_absent=self.if_absent,
            on_step=self._tell,
        )
        if report["outcome"] == "absent":
            self.log_summary("User", "absent; there is no such user any more")
            return report
        if not report["bounded"]:
            self.log.warning("Not bounded: %s exchange live tokens for new ones", ", ".join(report["unbounded_by"]))
        for organization in report["ways_back"]:
            self.log.warning("Organization %s would take the person in again: %s", *list(organization.values())[1:])
        ends = f"access tokens end at {report['access_ends_at']}"
        self.log_summary(f"User {report['id']}", f"{report['outcome']}; {ends}")
        return report

    def _files(self) -> Files:
        from airflow_provider_logto.management.offboarding.snapshot import NoFiles
        from airflow_provider_logto.plans.store import Store

        try:
            return Store(folder_at(self.folder, "folder").path)
        except InvalidInput as error:
            if error.__cause__ is None:  # no address at all
                raise
            # The person is suspended all the same.
            return NoFiles(error)

    def _tell(self, name: str, entry: dict[str, Any]) -> None:
        level = self.log.warning if entry["outcome"] in ("failed", "unsupported") else self.log.info
        count = f" ({entry['count']})" if entry.get("count") else ""
        level("%s: %s%s%s", name, entry["outcome"], count, f": {entry['error']}" if "error" in entry else "")
