"""Operators for organizations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_logto.compat import order_of, task_state
from airflow_provider_logto.exceptions import InvalidInput
from airflow_provider_logto.failures import fail_on_permanent_error
from airflow_provider_logto.links import OrganizationLink
from airflow_provider_logto.operators.base import LogtoOperator, changes_of, counted

if TYPE_CHECKING:
    from airflow_provider_logto.compat import Context


class ProvisionOrganizationOperator(LogtoOperator):
    """Make sure that an organization exists, with its members, applications, their roles, and its settings.

    Logto lets two organizations have one name. Give an ``external_id`` (kept in customData) to know yours by; without
    one, its name must be unique. An organization of the same name that has no external id is not taken over unless
    ``adopt_existing`` says so. Run again, it sends no write.

    :param name: the organization's name, at most 128 characters (templated).
    :param external_id: your own key for it, e.g. the customer number (templated).
    :param description: at most 256 characters (templated).
    :param custom_data: JSON object, merged into what is there (templated).
    :param members: references to users, or ``{"user": reference, "roles": [...]}``; any sequence will do, such as the
        output of a mapped task (templated).
    :param member_roles: organization roles for all of them, by name or id (templated).
    :param applications: machine-to-machine applications, or ``{"application": reference, "roles": [...]}`` with
        organization roles; added (templated).
    :param jit_email_domains: e-mail domains whose new users join by themselves; added (templated).
    :param jit_roles: organization roles that they get, by name or id; added (templated).
    :param jit_sso_connectors: SSO connectors whose users join by themselves, by name or id; added (templated).
    :param branding: ``logoUrl``, ``darkLogoUrl``, ``favicon``, ``darkFavicon``; merged into what is there (templated).
    :param color: ``primaryColor``, ``darkPrimaryColor``, ``isDarkModeEnabled``; merged into what is there (templated).
    :param custom_css: CSS of its sign-in page (templated).
    :param mfa_required: whether members need a second factor (templated).
    :param former_external_id: the external id that it may still carry; ``external_id`` takes its place (templated).
    :param clear_fields: names of fields to empty: ``description``, ``custom_data`` (the external id stays),
        ``branding``, ``color``, ``custom_css`` (templated).
    :param prune_applications: make applications and their roles exact. Refuses an empty list.
    :param exact_jit: make the just-in-time domains, roles and connectors that are given exact. Refuses empty lists.
    :param prune_members: make members exact: whoever is not listed leaves. The roles of a member are made exact too
        where roles are given (``[]``: none); where none are given, they are left alone. Refuses an empty list.
    :param max_member_removals: fail before the first write where more people than this would lose their membership or
        a role; None is no limit.
    :param on_missing: what to do with members who do not exist in Logto: ``fail``, naming up to 21 of them, or
        ``skip`` (templated).
    :param adopt_existing: write ``external_id`` onto the only organization of that name without one.
    :param protect: who must not lose their membership or a role, besides those that the Connection protects
        (templated).
    :param logto_conn_id: the Connection of type ``logto``.
    :returns: ``{"id", "outcome": "created" | "updated" | "unchanged", "members": {"added", "removed", "unchanged",
        "roles_added", "roles_removed"}}``; such counts for ``applications``, ``jit_email_domains``, ``jit_roles`` and
        ``jit_sso_connectors``, each where given; ``"missing"``, the references of members who were skipped, only where
        there are any.
    :raises InvalidInput: before the first write: unknown users or an unknown organization role, an empty list to prune
        by, more removals than ``max_member_removals``, somebody protected who would lose something.
    :raises Ambiguous: where several organizations fit (all are named).
    :raises AlreadyExists: where an organization of that name without external id stands in the way.

    .. seealso:: Logto Management API, ``POST /api/organizations``.
    """

    template_fields: Sequence[str] = (
        "name",
        "external_id",
        "description",
        "custom_data",
        "members",
        "member_roles",
        "applications",
        "jit_email_domains",
        "jit_roles",
        "jit_sso_connectors",
        "branding",
        "color",
        "custom_css",
        "mfa_required",
        "former_external_id",
        "clear_fields",
        "on_missing",
        "protect",
        "logto_conn_id",
    )
    operator_extra_links = (OrganizationLink(),)
    template_fields_renderers = {"custom_data": "json"}  # noqa: RUF012

    def __init__(
        self,
        *,
        name: str,
        external_id: str | None = None,
        description: str | None = None,
        custom_data: Mapping[str, Any] | None = None,
        members: Any = None,
        member_roles: Any = None,
        applications: Any = None,
        jit_email_domains: Any = None,
        jit_roles: Any = None,
        jit_sso_connectors: Any = None,
        branding: Mapping[str, Any] | None = None,
        color: Mapping[str, Any] | None = None,
        custom_css: str | None = None,
        mfa_required: bool | None = None,
        former_external_id: str | None = None,
        clear_fields: Sequence[str] = (),
        prune_applications: bool = False,
        exact_jit: bool = False,
        prune_members: bool = False,
        max_member_removals: int | None = None,
        on_missing: Literal["fail", "skip"] = "fail",
        protect: Any = (),
        adopt_existing: bool = False,
        logto_conn_id: str = "logto_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(logto_conn_id=logto_conn_id, **kwargs)
        self.name = name
        self.external_id = external_id
        self.description = description
        self.custom_data = custom_data
        self.members = members
        self.member_roles = member_roles
        self.applications = applications
        self.jit_email_domains = jit_email_domains
        self.jit_roles = jit_roles
        self.jit_sso_connectors = jit_sso_connectors
        self.branding = branding
        self.color = color
        self.custom_css = custom_css
        self.mfa_required = mfa_required
        self.former_external_id = former_external_id
        self.clear_fields = clear_fields
        self.prune_applications = prune_applications
        self.exact_jit = exact_jit
        self.prune_members = prune_members
        self.max_member_removals = max_member_removals
        self.on_missing = on_missing
        self.protect = protect
        self.adopt_existing = adopt_existing

    @fail_on_permanent_error
    def execute(self, context: Context) -> dict[str, Any]:
        from airflow_provider_logto.management.members import checked_members
        from airflow_provider_logto.management.organization_details import Details
        from airflow_provider_logto.management.organization_spec import OrganizationSpec
        from airflow_provider_logto.management.organizations import ensure_organization

        spec = OrganizationSpec.checked(
            self.name,
            self.external_id,
            self.description,
            self.custom_data,
            branding=self.branding,
            color=self.color,
            custom_css=self.custom_css,
            mfa_required=self.mfa_required,
            former_external_id=self.former_external_id,
            clear_fields=self.clear_fields,
        )
        details = Details.checked(
            self.applications,
            self.prune_applications,
            self.jit_email_domains,
            self.jit_roles,
            self.jit_sso_connectors,
            self.exact_jit,
        )
        members = None if self.members in (None, "") else checked_members(self.members, self.member_roles)
        if self.prune_members and not members:
            raise InvalidInput("members", "is empty: pruning by it would remove everybody; list who stays")
        report = self.hook.run(
            ensure_organization,
            spec,
            members,
            prune_members=self.prune_members,
            adopt_existing=self.adopt_existing,
            on_missing=self.on_missing,
            max_member_removals=self.max_member_removals,
            protection=self.hook.protection(self.protect),
            details=details,
        )
        self.log_summary(f"Organization {report['id']}", changes_of(report))
        return report


class RemoveMembersOperator(LogtoOperator):
    """Take people out of an organization, without listing those who stay. People who are not members are left alone.

    :param organization: id or name, ``{"external_id": ...}``, or what ProvisionOrganizationOperator gave (templated).
    :param members: references to users; any sequence will do, such as the output of a mapped task (templated).
    :param protect: who must not be removed, besides those that the Connection protects (templated).
    :param logto_conn_id: the Connection of type ``logto``.
    :returns: ``{"id", "removed": [user ids], "absent": [user ids of those who were no members], "unknown": [references
        that mean nobody]}``.
    :raises InvalidInput: before any write: an unknown organization, or a protected person.
    :raises Ambiguous: where a reference means more than one.

    .. seealso:: Logto Management API, ``DELETE /api/organizations/{id}/users/{userId}``.
    """

    template_fields: Sequence[str] = ("organization", "members", "protect", "logto_conn_id")
    operator_extra_links = (OrganizationLink(),)

    def __init__(
        self,
        *,
        organization: Any,
        members: Any,
        protect: Any = (),
        logto_conn_id: str = "logto_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(logto_conn_id=logto_conn_id, **kwargs)
        self.organization = organization
        self.members = members
        self.protect = protect

    @fail_on_permanent_error
    def execute(self, context: Context) -> dict[str, Any]:
        from airflow_provider_logto.management.member_removal import remove_members
        from airflow_provider_logto.management.references import listed

        # Taken out of its lazy sequence here: that resolves XComs, which must not happen on an event loop.
        members = listed("members", self.members or ())
        protection = self.hook.protection(self.protect)
        result = self.hook.run(remove_members, self.organization, members, protection)
        if result["unknown"]:
            self.log.warning("References that mean nobody in Logto: %d", len(result["unknown"]))
        self.log_summary(f"Organization {result['id']}", f"{counted(len(result['removed']), 'member')} removed")
        return result


class DeleteOrganizationOperator(LogtoOperator):
    """Delete an organization with its memberships, invitations and just-in-time rules. This cannot be undone.

    Its members stay users. Refuses without ``confirm=True`` or a condition.

    :param organization: id or name, ``{"external_id": ...}``, or what ProvisionOrganizationOperator gave (templated).
    :param confirm: True deletes the organization without a further condition.
    :param max_members: deletes only one with at most so many members; 0: only an empty one.
    :param protect: who must not lose their membership, besides those that the Connection protects (templated).
    :param if_absent: ``fail``, or ``skip`` where there is no such organization (templated).
    :param logto_conn_id: the Connection of type ``logto``.
    :returns: ``{"id", "outcome": "deleted" | "absent"}``.
    :raises InvalidInput: before any write: not confirmed, none meant, or a protected member.
    :raises Refused: where it has more members than ``max_members``.

    .. seealso:: Logto Management API, ``DELETE /api/organizations/{id}``.
    """

    template_fields: Sequence[str] = ("organization", "protect", "if_absent", "logto_conn_id")

    def __init__(
        self,
        *,
        organization: Any,
        confirm: bool = False,
        max_members: int | None = None,
        protect: Any = (),
        if_absent: Literal["fail", "skip"] = "fail",
        logto_conn_id: str = "logto_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(logto_conn_id=logto_conn_id, **kwargs)
        self.organization = organization
        self.confirm = confirm
        self.max_members = max_members
        self.protect = protect
        self.if_absent = if_absent

    @fail_on_permanent_error
    def execute(self, context: Context) -> dict[str, Any]:
        from airflow_provider_logto.management.organization_removal import (
            check_organization_deletion,
            delete_organization,
        )

        check_organization_deletion(self.confirm, self.max_members)
        protection = self.hook.protection(self.protect)
        result = self.hook.run(
            delete_organization,
            self.organization,
            protection,
            self.confirm,
            self.max_members,
            self.if_absent,
            task_state(context),
            order_of(context),
        )
        self.log_summary(f"Organization {result['id']}", changes_of(result))
        return result
