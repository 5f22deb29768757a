"""Operators for roles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_logto.failures import fail_on_permanent_error
from airflow_provider_logto.operators.base import LogtoOperator, counted

if TYPE_CHECKING:
    from airflow_provider_logto.compat import Context


class AssignRolesOperator(LogtoOperator):
    """Give user roles to many people at once, take them away, or make them exact.

    Reads who holds the roles and sends only the difference, in bulk. A replacement adds before it removes, so nobody
    ends with fewer roles because it failed half-way. Run again, it sends no write.

    :param users: references to users: ids, e-mails, usernames, phones, or what CreateUserOperator returned; any
        sequence will do, such as the output of a mapped task (templated).
    :param roles: names or ids of user roles (templated).
    :param mode: ``add``, ``remove``, or ``replace``: exactly these roles and no others (templated).
    :param on_missing: what to do where a reference means nobody: ``fail``, naming up to 21 of them, or
        ``skip``. With ``remove`` it is never an error (templated).
    :param protect: who must not lose a role, besides those that the Connection protects (templated).
    :param logto_conn_id: the Connection of type ``logto``.
    :returns: ``{"added", "removed", "unchanged"}``, each role name -> ids of users; ``"missing"``, the references that
        mean nobody, only where there are any.
    :raises InvalidInput: before the first write: unknown users or roles, a machine-to-machine role, an empty ``roles``
        with ``replace``, ``users=None``, somebody protected who would lose a role.
    :raises Ambiguous: where a reference means more than one user or role.

    .. seealso:: Logto Management API, ``POST /api/roles/{id}/users``.
    """

    template_fields: Sequence[str] = ("users", "roles", "mode", "on_missing", "protect", "logto_conn_id")

    def __init__(
        self,
        *,
        users: Any,
        roles: Any,
        mode: Literal["add", "replace", "remove"] = "add",
        on_missing: Literal["fail", "skip"] = "fail",
        protect: Any = (),
        logto_conn_id: str = "logto_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(logto_conn_id=logto_conn_id, **kwargs)
        self.users = users
        self.roles = roles
        self.mode = mode
        self.on_missing = on_missing
        self.protect = protect

    @fail_on_permanent_error
    def execute(self, context: Context) -> dict[str, Any]:
        from airflow_provider_logto.management.references import listed
        from airflow_provider_logto.management.roles import assign_roles

        # Taken out of their lazy sequences here: that resolves XComs, which must not happen on an event loop.
        protection = self.hook.protection(self.protect)
        report = self.hook.run(
            assign_roles,
            listed("users", self.users),
            listed("roles", self.roles),
            self.mode,
            self.on_missing,
            protection,
        )
        if "missing" in report:
            self.log.warning("Users who do not exist in Logto: %d", len(report["missing"]))
        changed = [
            f"{name} {outcome} for {counted(len(ids), 'user')}"
            for outcome in ("added", "removed")
            for name, ids in report[outcome].items()
            if ids
        ]
        self.log_summary("Roles", "; ".join(changed) or "unchanged")
        return report
