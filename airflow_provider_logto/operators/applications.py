"""Operators for applications and their secrets."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_logto.compat import mask_secret, task_state
from airflow_provider_logto.exceptions import InvalidInput
from airflow_provider_logto.failures import fail_on_permanent_error
from airflow_provider_logto.operators.base import LogtoOperator, changes_of

if TYPE_CHECKING:
    from airflow_provider_logto.compat import Context
    from airflow_provider_logto.management.application_spec import ApplicationType


class ProvisionApplicationOperator(LogtoOperator):
    """Make sure that an application exists, with its redirect URIs, settings and roles.

    Logto lets two applications have one name. Give an ``external_id`` (kept in customData) to know yours by; without
    one, its name must be unique. An application of the same name that has no external id is not taken over unless
    ``adopt_existing`` says so. Run again, it sends no write. The secret of a new application stays in Logto: hand it on
    with RotateApplicationSecretOperator.

    :param name: the application's name, at most 256 characters (templated).
    :param application_type: ``Native``, ``SPA``, ``Traditional`` or ``MachineToMachine``; cannot be changed later
        (templated).
    :param external_id: your own key for it (templated).
    :param description: at most 256 characters (templated).
    :param redirect_uris: where users may return after signing in; added to those there are (templated).
    :param post_logout_redirect_uris: where users may return after signing out (templated).
    :param cors_allowed_origins: origins that may call Logto's endpoints from a browser (templated).
    :param client_metadata: other settings of ``customClientMetadata``, e.g. ``{"refreshTokenTtlInDays": 14}``; merged
        into what is there (templated).
    :param custom_data: JSON object, merged into what is there (templated).
    :param third_party: make it a third-party application; at creation only.
    :param roles: machine-to-machine roles, by name or id; added to those held (templated).
    :param exact: URIs, origins and roles become exactly those listed, instead of only growing. Roles of the
        Connection's own application are never taken away.
    :param adopt_existing: write ``external_id`` onto the only application of that name without one.
    :param logto_conn_id: the Connection of type ``logto``.
    :returns: ``{"id", "name", "type", "outcome": "created" | "updated" | "unchanged", "changed": [fields], "roles":
        {"added", "removed", "unchanged"}}``, the last where roles are given. It serves as a reference to the
        application.
    :raises InvalidInput: before the first write: a wrong argument, an unknown role, another type.
    :raises Ambiguous: where several applications fit.
    :raises AlreadyExists: where an application of that name without external id stands in the way.
    :raises NotKept: where Logto left out some of the settings, for example one with a misspelt name.

    .. seealso:: Logto Management API, ``POST /api/applications``.
    """

    template_fields: Sequence[str] = (
        "name",
        "application_type",
        "external_id",
        "description",
        "redirect_uris",
        "post_logout_redirect_uris",
        "cors_allowed_origins",
        "client_metadata",
        "custom_data",
        "roles",
        "logto_conn_id",
    )
    template_fields_renderers = {"client_metadata": "json", "custom_data": "json"}  # noqa: RUF012

    def __init__(
        self,
        *,
        name: str,
        application_type: ApplicationType,
        external_id: str | None = None,
        description: str | None = None,
        redirect_uris: Any = None,
        post_logout_redirect_uris: Any = None,
        cors_allowed_origins: Any = None,
        client_metadata: Mapping[str, Any] | None = None,
        custom_data: Mapping[str, Any] | None = None,
        third_party: bool | None = None,
        roles: Any = None,
        exact: bool = False,
        adopt_existing: bool = False,
        logto_conn_id: str = "logto_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(logto_conn_id=logto_conn_id, **kwargs)
        self.name = name
        self.application_type = application_type
        self.external_id = external_id
        self.description = description
        self.redirect_uris = redirect_uris
        self.post_logout_redirect_uris = post_logout_redirect_uris
        self.cors_allowed_origins = cors_allowed_origins
        self.client_metadata = client_metadata
        self.custom_data = custom_data
        self.third_party = third_party
        self.roles = roles
        self.exact = exact
        self.adopt_existing = adopt_existing

    @fail_on_permanent_error
    def execute(self, context: Context) -> dict[str, Any]:
        from airflow_provider_logto.management.application_spec import ApplicationSpec
        from airflow_provider_logto.management.applications import ensure_application

        spec = ApplicationSpec.checked(
            self.name,
            self.application_type,
            self.external_id,
            description=self.description,
            redirect_uris=self.redirect_uris,
            post_logout_redirect_uris=self.post_logout_redirect_uris,
            cors_allowed_origins=self.cors_allowed_origins,
            client_metadata=self.client_metadata,
            custom_data=self.custom_data,
            third_party=self.third_party,
            roles=self.roles,
            exact=self.exact,
        )
        report = self.hook.run(ensure_application, spec, self.adopt_existing)
        self.log_summary(f"Application {report['id']}", changes_of(report))
        return report


class RotateApplicationSecretOperator(LogtoOperator):
    """Make a new secret for an application, hand it to your secrets backend, and only then delete old ones.

    A kill between any two steps leaves a working secret: old secrets go only after ``hand_over`` has returned in the
    same try, and a retry takes up the secret that an earlier try made, by its note in the task state store. Before
    Airflow 3.3, which brings that store, a retry fails where there is a secret of that name: delete it, and clear the
    task. An old secret that fetched a token within ``grace``, by the audit log, is kept and reported; name it again in
    the next run. The secret is masked in the log and never goes into XCom.

    An application made before Logto 1.19 still has its legacy secret, which no list of secrets shows and no rotation
    ended: it is reported as ``kept`` until ``old_secrets`` names it.

    :param application: reference to the application: id, name, ``{"external_id": ...}`` or what
        ProvisionApplicationOperator returned (templated).
    :param hand_over: a function that is given the secret and ``{"id", "name", "secret_name"}``, and returns when it is
        stored. It may be called twice with the same secret.
    :param secret_name: name of the new secret, another one for each rotation; at most 256 characters (templated).
    :param expires_in: when the new secret expires: a timedelta or seconds. None (the default) makes one that never
        does, so that a DAG that is paused causes no outage.
    :param old_secrets: names of the secrets to delete; others are never touched (templated). An entry with ``*`` is a
        pattern, as in a shell, where case counts: ``["Default secret", "airflow-*"]`` on a schedule leaves nothing
        behind. The new secret and the Connection's own stay. ``Legacy secret``, as in the Console, is the legacy
        secret, which no pattern means; where another one has that name, neither is deleted.
    :param grace: how long an old secret must have been unused, as a timedelta or seconds: longer than the longest
        pause of whoever uses it, and than the lifetime of its tokens. What fits a pattern must also be as old, since
        another run may have made it.
    :param logto_conn_id: the Connection of type ``logto``.
    :returns: ``{"application", "secret_name", "outcome": "created" | "handed_over_again", "deleted": [names], "kept":
        [{"name", "reason"}], "others": [names]}``; ``others`` are still valid and meant by no entry of
        ``old_secrets``.
    :raises InvalidInput: for a wrong argument, before any request; for an unknown application.
    :raises AlreadyExists: where there is a secret of that name that no earlier try is proven to have made.

    .. seealso:: Logto Management API, ``POST /api/applications/{id}/secrets``, ``DELETE
        /api/applications/{id}/legacy-secret``.
    """

    template_fields: Sequence[str] = ("application", "secret_name", "old_secrets", "logto_conn_id")

    def __init__(
        self,
        *,
        application: Any,
        hand_over: Callable[[str, dict[str, Any]], Any],
        secret_name: str = "airflow-{{ run_id }}",  # noqa: S107
        expires_in: timedelta | float | None = None,
        old_secrets: Any = (),
        grace: timedelta | float = timedelta(days=1),
        logto_conn_id: str = "logto_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(logto_conn_id=logto_conn_id, **kwargs)
        self.application = application
        self.hand_over = hand_over
        self.secret_name = secret_name
        self.expires_in = expires_in
        self.old_secrets = old_secrets
        self.grace = grace

    @fail_on_permanent_error
    def execute(self, context: Context) -> dict[str, Any]:
        from airflow_provider_logto.management.application_secrets import checked_name, new_secret, retire_secrets
        from airflow_provider_logto.management.references import listed

        if not callable(self.hand_over):
            raise InvalidInput("hand_over", f"must be a function, not {type(self.hand_over).__name__}")
        given = enumerate(listed("old_secrets", self.old_secrets or ()))
        old = [checked_name(one, f"old_secrets[{at}]") for at, one in given]
        name = checked_name(self.secret_name)
        if name in old:
            raise InvalidInput("old_secrets", f"{name!r} is the new secret's name")
        expires_in = None if self.expires_in is None else _seconds("expires_in", self.expires_in)
        grace = _seconds("grace", self.grace)

        secret = self.hook.run(new_secret, self.application, name, expires_in, task_state(context))
        mask_secret(secret.value)
        if secret.legacy is not None:
            mask_secret(secret.legacy)
        about = {"id": secret.application["id"], "name": secret.application["name"], "secret_name": name}
        self.log.info("Secret %r of application %s: handing it over", name, about["id"])
        self.hand_over(secret.value, about)
        retired = self.hook.run(retire_secrets, secret.application, name, old, grace, secret.legacy)
        outcome = "created" if secret.created else "handed_over_again"
        old_ones = f"old secrets deleted: {len(retired['deleted'])}, kept: {len(retired['kept'])}"
        old_ones += f", others still valid: {len(retired['others'])}"
        self.log_summary(f"Application {about['id']}", f"secret {name!r} {outcome.replace('_', ' ')}; {old_ones}")
        return {"application": about["id"], "secret_name": name, "outcome": outcome, **retired}


def _seconds(name: str, value: Any) -> float:
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds < float("inf"):
        raise InvalidInput(name, f"{value!r} is not a span of time; give a timedelta, or seconds above 0")
    return float(seconds)
