"""Operators for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_logto.compat import mask_secret
from airflow_provider_logto.failures import fail_on_permanent_error
from airflow_provider_logto.links import UserLink
from airflow_provider_logto.operators.base import LogtoOperator

if TYPE_CHECKING:
    from airflow_provider_logto.compat import Context


class CreateUserOperator(LogtoOperator):
    """Make sure that a person exists in Logto.

    Looks for them by every identifier given, in one exact search; creates them only when nobody is found. None and ""
    leave a field alone, e-mails are lower-cased, phones lose their "+". Run again, it changes nothing: a user that this
    DAG run itself created counts as created, even with ``if_exists="fail"``.

    :param username: letters, digits and underscores, not starting with a digit (templated).
    :param primary_email: e-mail address (templated).
    :param primary_phone: international number, e.g. ``+81 90 1234 5678`` (templated).
    :param name: display name, at most 128 characters (templated).
    :param avatar: URL of a picture (templated).
    :param password: sent at creation only (templated; shown nowhere).
    :param password_digest: a hash made elsewhere, instead of ``password``; sent at creation only (templated).
    :param password_algorithm: Argon2i, Argon2id, Argon2d, SHA1, SHA256, MD5, Bcrypt or Legacy (templated).
    :param custom_data: JSON object; on update its top-level keys are merged into what is there (templated).
    :param profile: OpenID standard claims (``givenName``, ``address`` ...); merged like custom_data (templated).
    :param if_exists: what to do with a person who exists: ``fail``, ``skip`` or ``update`` (templated).
    :param logto_conn_id: the Connection of type ``logto``.
    :returns: ``{"id", "outcome": "created" | "updated" | "unchanged", "changed": [fields], "username", "primaryEmail",
        "primaryPhone"}``; it serves as a reference to the user.
    :raises InvalidInput: for a field that cannot be right, before any request.
    :raises Ambiguous: where the identifiers belong to different people.
    :raises AlreadyExists: where the person exists and ``if_exists`` is ``fail``.

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

    @fail_on_permanent_error
    def execute(self, context: Context) -> dict[str, Any]:
        from airflow_provider_logto.management.passwords import checked_password
        from airflow_provider_logto.management.users import UserSpec, ensure_user

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
        )
        password = checked_password(self.password, self.password_digest, self.password_algorithm)
        dag_run = context.get("dag_run")
        began = dag_run.start_date.timestamp() if dag_run is not None and dag_run.start_date else None
        result = self.hook.run(ensure_user, spec, password, self.if_exists, own_since=began)
        changed = f" ({', '.join(result['changed'])})" if result["changed"] else ""
        self.log.info("User %s: %s%s", result["id"], result["outcome"], changed)
        return result
