"""Operators for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_logto.compat import mask_secret, order_of, task_state
from airflow_provider_logto.failures import fail_on_permanent_error
from airflow_provider_logto.links import UserLink
from airflow_provider_logto.operators.base import LogtoOperator, changes_of, counted

if TYPE_CHECKING:
    from airflow_provider_logto.compat import Context
    from airflow_provider_logto.export.stop import StopSwitch


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
    :param external_id: the person's key at HR, kept in the mark that rosters and HR events read. Somebody who exists is
        this person only if their mark has it, whatever ``if_exists`` says (templated).
    :param logto_conn_id: the Connection of type ``logto``.
    :returns: ``{"id", "outcome": "created" | "updated" | "unchanged", "changed": [fields], "username", "primaryEmail",
        "primaryPhone"}``; it serves as a reference to the user.
    :raises InvalidInput: for a field that cannot be right, before any request.
    :raises Ambiguous: where another identifier belongs to somebody else.
    :raises AlreadyExists: where the person exists and ``if_exists`` is ``fail``, or has another identifier already, or
        no mark with the external id.
    :raises Refused: with ``external_id``, where the person exists and end users may edit customData, so that a mark
        proves nothing.

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
        "external_id",
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
        external_id: str | None = None,
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
        self.external_id = external_id

    @fail_on_permanent_error
    def execute(self, context: Context) -> dict[str, Any]:
        from airflow_provider_logto.management import fields
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
            external_id=fields.identifier("external_id", self.external_id),
            own=OwnCreation(task_state(context), began),
        )
        self.log_summary(f"User {result['id']}", changes_of(result))
        return result


class UpdateUserOperator(LogtoOperator):
    """Change fields of a person who exists. Sends nothing where nothing differs.

    None and "" leave a field alone; ``clear_fields`` empties it.

    :param user: a reference: id, e-mail, username, phone, or what CreateUserOperator returned (templated).
    :param username: the new username, and so on with the fields of CreateUserOperator (templated).
    :param custom_data: JSON object (templated).
    :param profile: OpenID standard claims (templated).
    :param custom_data_mode: ``merge`` its top-level keys into what is there, ``deep_merge`` at every depth, or
        ``replace`` (this package's own keys stay) (templated).
    :param profile_mode: the same for ``profile``; ``merge`` keeps the other parts of an address (templated).
    :param clear_fields: fields to empty, e.g. ``["avatar"]``, and keys to remove: ``custom_data.<key>``,
        ``profile.<claim>`` (templated).
    :param logto_conn_id: the Connection of type ``logto``.
    :returns: ``{"id", "outcome": "updated" | "unchanged", "changed": [fields], "username", "primaryEmail",
        "primaryPhone"}``; it serves as a reference to the user.
    :raises InvalidInput: before any write: a wrong field, nobody meant, nothing left to know the person by.
    :raises Ambiguous: before any write: where more than one is meant; where ``custom_data`` or ``profile`` are given
        too and somebody else has one of the identifiers.
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
        self.log_summary(f"User {result['id']}", changes_of(result))
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
        self.log_summary(f"User {result['id']}", changes_of(result))
        return result


class DeleteUserOperator(LogtoOperator):
    """Delete a person with everything that belongs to them. This cannot be undone.

    Refuses without ``confirm=True`` or a condition; looks at the person again right before it deletes. Unused one-time
    tokens and pending invitations of their e-mail address, with which they would come back, go first; where one of them
    cannot be removed, the person is not deleted.

    :param user: a reference to the person (templated).
    :param confirm: True deletes the person without a further condition.
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
        state = task_state(context)
        result = self.hook.run(
            delete_user, self.user, protection, self.confirm, days, self.if_absent, state, order_of(context)
        )
        self.log_summary(f"User {result['id']}", changes_of(result))
        return result


class ExportUsersOperator(LogtoOperator):
    """Export people into files and a manifest: everybody who is there throughout, each once, or the task fails.

    The rows are ordered by (createdAt, id). Files are written locally first and uploaded whole; the manifest comes last
    and lists every file with its row count and SHA-256. The same people exported again give the same bytes under the
    same names, and what is there already is not uploaded again. Rows never go into XCom.

    :param destination: a folder, as anything that ObjectStoragePath takes: ``s3://aws_default@bucket/users/{{ ds }}``
        (templated).
    :param where: a search as a plain dict, e.g. ``{"primaryEmail": {"like": "%@acme.example"}}``; None means everybody.
        See the page "Find and export people" (templated).
    :param suspended: True for the suspended only, False for the others only, None for all.
    :param fields: the fields to write, e.g. ``["id", "primaryEmail"]``; all by default (templated).
    :param include_roles: add the names of each person's roles.
    :param include_organizations: add each person's organizations and roles there: True for all organizations, or
        references to some (templated).
    :param include_password_digests: add ``passwordDigest`` and ``passwordAlgorithm`` (Logto 1.38 and newer). They stand
        in the files as they are: choose a destination that is encrypted and private.
    :param file_format: ``jsonl``, or ``parquet`` with the extra ``parquet`` (templated).
    :param compression: ``gzip``, ``zstd`` (extra ``zstd`` for JSON lines) or ``none`` (templated).
    :param max_rows_per_file: a file ends after this many rows.
    :param logto_conn_id: the Connection of type ``logto``.
    :returns: ``{"manifest": address, "files": [addresses], "count": people}``.
    :raises InvalidInput: for an argument that cannot be right, before any request.
    :raises IncompleteList: where it cannot be shown that everybody was read.

    .. seealso:: Logto Management API, ``GET /api/users``.
    """

    template_fields: Sequence[str] = (
        "destination",
        "where",
        "fields",
        "include_organizations",
        "file_format",
        "compression",
        "logto_conn_id",
    )
    template_fields_renderers = {"where": "json"}  # noqa: RUF012

    def __init__(
        self,
        *,
        destination: str,
        where: Mapping[str, Any] | None = None,
        suspended: bool | None = None,
        fields: Sequence[str] | None = None,
        include_roles: bool = False,
        include_organizations: Any = False,
        include_password_digests: bool = False,
        file_format: str = "jsonl",
        compression: str = "gzip",
        max_rows_per_file: int = 1_000_000,
        logto_conn_id: str = "logto_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(logto_conn_id=logto_conn_id, **kwargs)
        self.destination = destination
        self.where = where
        self.suspended = suspended
        self.fields = fields
        self.include_roles = include_roles
        self.include_organizations = include_organizations
        self.include_password_digests = include_password_digests
        self.file_format = file_format
        self.compression = compression
        self.max_rows_per_file = max_rows_per_file
        self._stop: StopSwitch | None = None

    @fail_on_permanent_error
    def execute(self, context: Context) -> dict[str, Any]:
        from airflow_provider_logto.destinations import folder_at
        from airflow_provider_logto.export.stop import StopSwitch
        from airflow_provider_logto.export.users import UserExport, export_users

        self._stop = StopSwitch()
        job = UserExport.checked(
            self.where,
            self.fields,
            suspended=self.suspended,
            roles=self.include_roles,
            organizations=self.include_organizations,
            digests=self.include_password_digests,
            file_format=self.file_format,
            compression=self.compression,
            max_rows_per_file=self.max_rows_per_file,
        )
        folder = folder_at(self.destination)
        folder.check(job.name(self.logto_conn_id))
        result = self.hook.run(export_users, job, folder, self._stop)
        files = counted(len(result["files"]), "file")
        self.log_summary("Users", f"{result['count']} exported into {files}, {result['manifest']}")
        return result

    def on_kill(self) -> None:
        """End the export within seconds."""
        if self._stop is not None:
            self._stop.stop()
