"""Operators for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_logto.compat import mask_secret, task_state
from airflow_provider_logto.failures import fail_on_permanent_error
from airflow_provider_logto.links import UserLink
from airflow_provider_logto.operators.base import LogtoOperator

if TYPE_CHECKING:
    from airflow_provider_logto.compat import Context


class CreateUserOperator(LogtoOperator):
    """Make sure that a person exists in Logto.

    One identifier says who it is: ``match_on``, by default the first given of username, primary_email, primary_phone.
    It is searched for together with the others, in one exact search; a person is created only when nobody is found.
    None and "" leave a field alone, e-mails are lower-cased, phones lose their "+".

    Run again, it changes nothing. A retry knows the person that an earlier try created, where that is proven: by the
    task's own note (Airflow 3.3 and newer), a ``POST`` of the same try whose answer was lost, or a literal password
    that verifies. A person who only looks alike never counts as created.

    :param username: letters, digits and underscores, not starting with a digit (templated).
    :param primary_email: e-mail address (templated).
    :param primary_phone: international number, e.g. ``+81 90 1234 5678`` (templated).
    :param default_region: two letters (ISO 3166), e.g. ``JP``: how a phone number without ``+`` is read; needs the
        extra ``phone``. Without it, such a number is refused (templated).
    :param name: display name, at most 128 characters (templated).
    :param avatar: URL of a picture (templated).
    :param password: sent at creation only (templated; shown nowhere).
    :param password_digest: a hash made elsewhere, instead of ``password``; sent at creation only (templated).
    :param password_algorithm: Argon2i, Argon2id, Argon2d, SHA1, SHA256, MD5, Bcrypt or Legacy (templated).
    :param custom_data: JSON object; on update its top-level keys are merged into what is there (templated).
    :param profile: OpenID standard claims (``givenName``, ``address`` ...); merged like custom_data (templated).
    :param if_exists: what to do with a person who exists: ``fail``, ``skip`` or ``update`` (templated).
    :param match_on: which identifier says who the person is: ``username``, ``primary_email`` or ``primary_phone``
        (templated).
    :param allow_identifier_change: let ``update`` overwrite another identifier that the person found has already, and
        ``skip`` accept one.
    :param logto_conn_id: the Connection of type ``logto``.
    :returns: ``{"id", "outcome": "created" | "updated" | "unchanged", "changed": [fields], "username", "primaryEmail",
        "primaryPhone"}``; it serves as a reference to the user.
    :raises InvalidInput: for a field that cannot be right, before any request.
    :raises Ambiguous: where another identifier belongs to somebody else.
    :raises AlreadyExists: where the person exists and ``if_exists`` is ``fail``, or has another identifier already.

    .. seealso:: Logto Management API, ``POST /api/users``.
    """

    template_fields: Sequence[str] = (
        "username",
        "primary_email",
        "primary_phone",
        "name",
        "avatar",
        "password",
        "password_digest",
        "password_algorithm",
        "custom_data",
        "profile",
        "if_exists",
        "match_on",
        "default_region",
        "logto_conn_id",
    )
    operator_extra_links = (UserLink(),)
    template_fields_renderers = {"custom_data": "json", "profile": "json"}  # noqa: RUF012

    def __init__(
        self,
        *,
        username: str | None = None,
        primary_email: str | None = None,
        primary_phone: str | None = None,
        name: str | None = None,
        avatar: str | None = None,
        password: str | None = None,
        password_digest: str | None = None,
        password_algorithm: str | None = None,
        custom_data: Mapping[str, Any] | None = None,
        profile: Mapping[str, Any] | None = None,
        if_exists: Literal["fail", "skip", "update"] = "fail",
        match_on: Literal["username", "primary_email", "primary_phone"] | None = None,
        allow_identifier_change: bool = False,
        default_region: str | None = None,
        logto_conn_id: str = "logto_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(logto_conn_id=logto_conn_id, **kwargs)
        self.username = username
        self.primary_email = primary_email
        self.primary_phone = primary_phone
        self.name = name
        self.avatar = avatar
        self.password = password
        self.password_digest = password_digest
        self.password_algorithm = password_algorithm
        self.custom_data = custom_data
        self.profile = profile
        self.if_exists = if_exists
        self.match_on = match_on
        self.allow_identifier_change = allow_identifier_change
        self.default_region = default_region

    @fail_on_permanent_error
    def execute(self, context: Context) -> dict[str, Any]:
        from airflow_provider_logto.management.passwords import checked_password
        from airflow_provider_logto.management.users import OwnCreation, UserSpec, ensure_user

        for secret in (self.password, self.password_digest):
            if secret:
                mask_secret(secret)
        spec = UserSpec.checked(
            username=self.username,
            primary_email=self.primary_email,
            primary_phone=self.primary_phone,
            name=self.name,
            avatar=self.avatar,
            custom_data=self.custom_data,
            profile=self.profile,
            default_region=self.default_region,
        )
        password = checked_password(self.password, self.password_digest, self.password_algorithm)
        dag_run = context.get("dag_run")
        began = dag_run.start_date.timestamp() if dag_run is not None and dag_run.start_date else None
        result = self.hook.run(
            ensure_user,
            spec,
            password,
            self.if_exists,
            match_on=self.match_on,
            allow_identifier_change=self.allow_identifier_change,
            own=OwnCreation(task_state(context), began),
        )
        changed = f" ({', '.join(result['changed'])})" if result["changed"] else ""
        self.log.info("User %s: %s%s", result["id"], result["outcome"], changed)
        return result


class UpdateUserOperator(LogtoOperator):
    """Change fields of a person who exists. Sends nothing where nothing differs.

    None and "" leave a field alone; ``clear`` empties it.

    :param user: a reference: id, e-mail, username, phone, or what CreateUserOperator returned (templated).
    :param username: the new username, and so on with the fields of CreateUserOperator (templated).
    :param custom_data: JSON object (templated).
    :param profile: OpenID standard claims (templated).
    :param custom_data_mode: ``merge`` its top-level keys into what is there, ``deep_merge`` at every depth, or
        ``replace`` (this package's own mark stays) (templated).
    :param profile_mode: the same for ``profile``; ``merge`` keeps the other parts of an address (templated).
    :param clear: fields to empty, e.g. ``["avatar"]``, and keys to remove: ``custom_data.<key>``, ``profile.<claim>``
        (templated).
    :param logto_conn_id: the Connection of type ``logto``.
    :returns: ``{"id", "outcome": "updated" | "unchanged", "changed": [fields], "username", "primaryEmail",
        "primaryPhone"}``; it serves as a reference to the user.
    :raises InvalidInput: before any write: a wrong field, nobody meant, nothing left to know the person by.
    :raises Ambiguous: where more than one is meant.
    :raises Conflict: where somebody else has one of the identifiers.

    .. seealso:: Logto Management API, ``PATCH /api/users/{id}``.
    """

    template_fields: Sequence[str] = (
        "user",
        "username",
        "primary_email",
        "primary_phone",
        "name",
        "avatar",
        "custom_data",
        "profile",
        "custom_data_mode",
        "profile_mode",
        "clear_fields",
        "logto_conn_id",
    )
    operator_extra_links = (UserLink(),)
    template_fields_renderers = {"custom_data": "json", "profile": "json"}  # noqa: RUF012

    def __init__(
        self,
        *,
        user: Any,
        username: str | None = None,
        primary_email: str | None = None,
        primary_phone: str | None = None,
        name: str | None = None,
        avatar: str | None = None,
        custom_data: Mapping[str, Any] | None = None,
        profile: Mapping[str, Any] | None = None,
        custom_data_mode: Literal["merge", "deep_merge", "replace"] = "merge",
        profile_mode: Literal["merge", "deep_merge", "replace"] = "merge",
        clear_fields: Sequence[str] = (),
        logto_conn_id: str = "logto_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(logto_conn_id=logto_conn_id, **kwargs)
        self.user = user
        self.username = username
        self.primary_email = primary_email
        self.primary_phone = primary_phone
        self.name = name
        self.avatar = avatar
        self.custom_data = custom_data
        self.profile = profile
        self.custom_data_mode = custom_data_mode
        self.profile_mode = profile_mode
        self.clear_fields = clear_fields

    @fail_on_permanent_error
    def execute(self, context: Context) -> dict[str, Any]:
        from airflow_provider_logto.management.user_changes import UserChanges, change_user
        from airflow_provider_logto.management.user_fields import UserSpec

        spec = UserSpec.checked(
            username=self.username,
            primary_email=self.primary_email,
            primary_phone=self.primary_phone,
            name=self.name,
            avatar=self.avatar,
            custom_data=self.custom_data,
            profile=self.profile,
            identified=False,
        )
        changes = UserChanges.checked(spec, self.custom_data_mode, self.profile_mode, self.clear_fields)
        result = self.hook.run(change_user, self.user, changes)
        self.log.info("User %s: %s (%s)", result["id"], result["outcome"], ", ".join(result["changed"]) or "nothing")
        return result


class SuspendUserOperator(LogtoOperator):
    """Suspend a person, or bring them back.

    A suspension ends sessions and refresh tokens. It touches neither personal access tokens nor access tokens already
    issued: to end all access, use OffboardUserOperator.

    :param user: a reference to the person (templated).
    :param suspended: False brings them back.
    :param protect: who must not be suspended, besides those that the Connection protects (templated).
    :param if_absent: ``fail``, or ``skip`` where there is no such person (templated).
    :param logto_conn_id: the Connection of type ``logto``.
    :returns: ``{"id", "outcome": "suspended" | "reinstated" | "unchanged" | "absent"}``.
    :raises InvalidInput: before any write: nobody meant, or somebody protected.

    .. seealso:: Logto Management API, ``PATCH /api/users/{id}/is-suspended``.
    """

    template_fields: Sequence[str] = ("user", "protect", "if_absent", "logto_conn_id")
    operator_extra_links = (UserLink(),)

    def __init__(
        self,
        *,
        user: Any,
        suspended: bool = True,
        protect: Any = (),
        if_absent: Literal["fail", "skip"] = "fail",
        logto_conn_id: str = "logto_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(logto_conn_id=logto_conn_id, **kwargs)
        self.user = user
        self.suspended = suspended
        self.protect = protect
        self.if_absent = if_absent

    @fail_on_permanent_error
    def execute(self, context: Context) -> dict[str, Any]:
        from airflow_provider_logto.management.removal import suspend_user

        protection = self.hook.protection(self.protect)
        result = self.hook.run(suspend_user, self.user, self.suspended, protection, self.if_absent)
        self.log.info("User %s: %s", result["id"], result["outcome"])
        return result


class DeleteUserOperator(LogtoOperator):
    """Delete a person with everything that hangs on them. This cannot be undone.

    Refuses without ``confirm=True`` or a condition; looks at the person again right before it deletes.

    :param user: a reference to the person (templated).
    :param confirm: True deletes whoever is meant.
    :param suspended_for: days; deletes only who is suspended for that long, as this package wrote it down when it
        suspended or offboarded them (templated).
    :param protect: who must not be deleted, besides those that the Connection protects (templated).
    :param if_absent: ``fail``, or ``skip`` where there is no such person (templated).
    :param logto_conn_id: the Connection of type ``logto``.
    :returns: ``{"id", "outcome": "deleted" | "absent"}``.
    :raises InvalidInput: before any write: not confirmed, nobody meant, or somebody protected.
    :raises Refused: where the condition does not hold, or its date cannot be trusted.

    .. seealso:: Logto Management API, ``DELETE /api/users/{id}``.
    """

    template_fields: Sequence[str] = ("user", "suspended_for", "protect", "if_absent", "logto_conn_id")

    def __init__(
        self,
        *,
        user: Any,
        confirm: bool = False,
        suspended_for: float | None = None,
        protect: Any = (),
        if_absent: Literal["fail", "skip"] = "fail",
        logto_conn_id: str = "logto_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(logto_conn_id=logto_conn_id, **kwargs)
        self.user = user
        self.confirm = confirm
        self.suspended_for = suspended_for
        self.protect = protect
        self.if_absent = if_absent

    @fail_on_permanent_error
    def execute(self, context: Context) -> dict[str, Any]:
        from airflow_provider_logto.management.removal import check_deletion, days_of, delete_user

        days = days_of(self.suspended_for)
        check_deletion(self.confirm, days)
        protection = self.hook.protection(self.protect)
        result = self.hook.run(delete_user, self.user, protection, self.confirm, days, self.if_absent)
        self.log.info("User %s: %s", result["id"], result["outcome"])
        return result
