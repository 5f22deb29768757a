"""Operators for a tenant's configuration as code."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_logto.compat import mask_secret
from airflow_provider_logto.exceptions import storage_error
from airflow_provider_logto.failures import fail_on_permanent_error
from airflow_provider_logto.operators.base import LogtoOperator, counts_of

if TYPE_CHECKING:
    from airflow_provider_logto.compat import Context


class ApplyConfigurationOperator(LogtoOperator):
    """Make roles, API resources, applications, connectors, webhooks and sign-in agree with a configuration.

    Plan, brakes, approval, apply, journal, as for a roster. Only what is listed is touched; the Connection's own
    application, its roles and the Management API never are. See the page "Configuration as code".

    :param configuration: its name: the owner of what it creates.
    :param config: an object, or the address of a YAML or JSON file (templated).
    :param folder: where plans and journals lie, e.g. ``s3://aws_default@bucket/logto`` (templated).
    :param mode: ``plan`` writes nothing but the plan; ``apply`` makes the changes; ``check`` fails unless there are
        none (templated).
    :param prune: sections of which objects that this configuration created are deleted when they are no longer listed,
        e.g. ``["roles", "scopes"]``.
    :param secrets: name -> value, for ``{"$secret": name}`` in the configuration (templated; shown nowhere).
    :param brakes: limits instead of the defaults: ``{"destructive": 0}`` counts deletions, what gives access to the
        Management API, and changes of default roles and of sign-in; connectors that replace another one, or keep no
        tokens any more.
    :param plan: id or address of the stored plan to apply (templated).
    :param approve_plan: id of the plan whose brakes are released (templated).
    :param keep_days: days that plans and journals stay after they were applied; those that never were stay as long, at
        least a week, and are refused afterwards.
    :param logto_conn_id: the Connection of type ``logto``.
    :returns: ``{"plan": address, "plan_id", "journal": address, "counts", "held": names, "failed": names, "applied"}``.
    :raises InvalidInput: naming the place in the configuration, before any write.
    :raises Ambiguous: where two objects have one name.
    :raises PlanRefused: where a stored plan was edited, cut, or made of another configuration.
    :raises BrakeHeld: where a brake holds.
    :raises ChangesFailed: where some changes failed; a retry makes what is left. It names what Logto did not keep of
        what it was sent, such as a setting with a misspelt name.
    :raises OutOfSync: with ``mode="check"``.

    .. seealso:: Logto Management API, tags "Resources", "Roles", "Organization roles", "Applications", "Connectors",
        "Hooks" and "Sign-in experience".
    """

    template_fields: Sequence[str] = (
        "config",
        "folder",
        "mode",
        "secrets",
        "plan",
        "approve_plan",
        "logto_conn_id",
    )

    def __init__(
        self,
        *,
        configuration: str,
        config: Mapping[str, Any] | str,
        folder: str,
        mode: Literal["plan", "apply", "check"] = "plan",
        prune: Sequence[str] = (),
        secrets: Mapping[str, Any] | None = None,
        brakes: Mapping[str, Any] | None = None,
        plan: str | None = None,
        approve_plan: str | None = None,
        keep_days: float = 90,
        logto_conn_id: str = "logto_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(logto_conn_id=logto_conn_id, **kwargs)
        self.configuration = configuration
        self.config = config
        self.folder = folder
        self.mode = mode
        self.prune = prune
        self.secrets = secrets
        self.brakes = brakes
        self.plan = plan
        self.approve_plan = approve_plan
        self.keep_days = keep_days
        self._stopped = False

    @fail_on_permanent_error
    def execute(self, context: Context) -> dict[str, Any]:
        from airflow_provider_logto.configuration.sync import (
            ConfigurationJob,
            FailedConfiguration,
            Options,
            apply_configuration,
        )
        from airflow_provider_logto.destinations import path_at
        from airflow_provider_logto.plans.journal import Run
        from airflow_provider_logto.plans.retention import days
        from airflow_provider_logto.plans.store import Store

        # One by one: of an object, Airflow masks only what has a name like a secret's.
        for secret in _texts_in(self.secrets):
            mask_secret(secret)
        config = _read(self.config) if isinstance(self.config, str) else self.config
        job = ConfigurationJob.checked(self.configuration, config, self.mode, self.prune, self.secrets, self.brakes)
        instance = context.get("ti")
        options = Options(
            store=Store(path_at(self.folder, "folder")),
            plan=self.plan or None,
            approve_plan=self.approve_plan or None,
            keep_days=days("keep_days", self.keep_days),
            place=self.hook.lock_place(),
            run=Run(str(context.get("run_id") or ""), int(getattr(instance, "try_number", 1) or 1)),
            stopped=lambda: self._stopped,
        )
        try:
            result = self.hook.run(apply_configuration, job, options)
        except FailedConfiguration as failed:
            # Whoever looks at a failed run finds the plan and the journal all the same.
            if instance is not None:
                instance.xcom_push(key="return_value", value=failed.result)
            raise failed.error from failed.error.__cause__
        self.log_summary(f"Configuration {job.configuration}", counts_of(result["counts"]))
        return result

    def on_kill(self) -> None:
        """End between two requests; the next try goes on."""
        self._stopped = True


class ExportConfigurationOperator(LogtoOperator):
    """Write a tenant as a configuration file; the next plan from it is empty.

    The Connection's own application, its roles and the Management API are left out. Secrets become placeholders:
    ``{"$secret": "smtp.config.password"}``.

    :param destination: a file, e.g. ``file:///data/logto.yaml``; JSON where it ends in ``.json`` (templated).
    :param sections: which, e.g. ``["resources", "roles"]``; all but ``sign_in_experience`` by default (templated).
    :param logto_conn_id: the Connection of type ``logto``.
    :returns: ``{"destination": address, "counts": {section: objects}}``.
    :raises InvalidInput: for an unknown section or a destination that cannot be written.

    .. seealso:: :class:`ApplyConfigurationOperator`.
    """

    template_fields: Sequence[str] = ("destination", "sections", "logto_conn_id")

    def __init__(
        self,
        *,
        destination: str,
        sections: Sequence[str] | None = None,
        logto_conn_id: str = "logto_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(logto_conn_id=logto_conn_id, **kwargs)
        self.destination = destination
        self.sections = sections

    @fail_on_permanent_error
    def execute(self, context: Context) -> dict[str, Any]:
        import json

        import yaml

        from airflow_provider_logto.configuration.export import checked_sections, export_configuration
        from airflow_provider_logto.destinations import file_at

        checked_sections(self.sections)
        folder, name = file_at(self.destination)
        folder.check(name)
        config = self.hook.run(export_configuration, self.sections)
        if name.endswith(".json"):
            content = json.dumps(config, indent=2, ensure_ascii=False) + "\n"
        else:
            content = yaml.safe_dump(config, sort_keys=False, allow_unicode=True)
        folder.write(name, content.encode())
        counts = {section: len(objects) if isinstance(objects, list) else 1 for section, objects in config.items()}
        self.log_summary("Configuration", f"{counts_of(counts)}; exported to {folder.uri(name)}")
        return {"destination": folder.uri(name), "counts": counts}


def _texts_in(value: Any) -> Iterator[str]:
    if isinstance(value, str) and value:
        yield value
    elif isinstance(value, Mapping | list | tuple):
        for one in value.values() if isinstance(value, Mapping) else value:
            yield from _texts_in(one)


def _read(address: str) -> Any:
    from airflow_provider_logto.configuration.desired import read_config
    from airflow_provider_logto.destinations import path_at

    path = path_at(address, "config")
    try:
        content = path.read_bytes()
    except Exception as error:  # file systems raise whatever their library raises
        raise storage_error("config", f"{address!r} cannot be read", error) from error
    return read_config(content, path.name)
