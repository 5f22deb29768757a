"""What every operator of this package shares: the Connection."""

from __future__ import annotations

from collections.abc import Mapping, Sized
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_logto.compat import BaseOperator

if TYPE_CHECKING:
    from airflow_provider_logto.hooks.logto import LogtoHook


@dataclass(frozen=True)
class Hidden:
    """A rendered value of which Airflow is to store a few words: it may hold passwords under any name."""

    value: Any

    def __str__(self) -> str:
        if isinstance(self.value, str) or not isinstance(self.value, Sized):
            return f"a {type(self.value).__name__}"
        return f"{len(self.value)} rows"


class LogtoOperator(BaseOperator):
    """Base of the operators; a subclass implements ``execute``, decorated with ``fail_on_permanent_error``.

    :param logto_conn_id: the Connection of type ``logto``.
    """

    #: Whether a lost write cannot be looked up, so that not even a retry of the task may repeat it.
    unrepeatable: ClassVar[bool] = False

    def __init__(self, *, logto_conn_id: str = "logto_default", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.logto_conn_id = logto_conn_id

    @cached_property
    def hook(self) -> LogtoHook:
        """The hook for this operator's Connection."""
        from airflow_provider_logto.hooks.logto import LogtoHook

        return LogtoHook(self.logto_conn_id)

    def hide_secrets(self) -> None:
        """Make known what is secret in the rendered fields, before Airflow stores them."""

    def _do_render_template_fields(self, parent: Any, *args: Any, **kwargs: Any) -> None:
        # Rendering ends here for mapped tasks too. Before 3.2 Airflow looks for secrets by the names of fields, but in
        # what is long only after it has made it a text.
        super()._do_render_template_fields(parent, *args, **kwargs)
        if parent is self:
            self.hide_secrets()

    def log_summary(self, subject: str, happened: str) -> None:
        """The last line of a task: about what, in which tenant, what happened, and how many requests it took.

        :param subject: kind and id, never personal data: ``User abc123``.
        """
        self.log.info("%s in %s: %s (%s)", subject, self.hook.tenant, happened, self.hook.traffic)


def changes_of(report: Mapping[str, Any]) -> str:
    """What a report says that changed: ``updated (name); members: 1 added, 2 roles removed``.

    ``unchanged`` stands alone: only where no part changed either.
    """
    fields = ", ".join(report.get("changed") or ())
    parts = [f"{report['outcome']} ({fields})" if fields else str(report["outcome"])]
    for part, counts in report.items():
        if isinstance(counts, Mapping) and (said := _counts(counts)):
            parts.append(f"{part.replace('_', ' ')}: {said}")
    if len(parts) > 1 and report["outcome"] == "unchanged":
        parts = parts[1:]
    return "; ".join(parts)


def _counts(counts: Mapping[str, Any]) -> str:
    said = []
    for name, found in counts.items():
        count = len(found) if isinstance(found, list) else found
        if name == "unchanged" or not isinstance(count, int) or not count:
            continue
        noun, _, verb = name.rpartition("_")  # roles_added
        said.append(f"{count} {noun.removesuffix('s') if count == 1 else noun} {verb}" if noun else f"{count} {name}")
    return ", ".join(said)


def counts_of(counts: Mapping[str, int]) -> str:
    """The counts of a run: ``rows: 20, user.create: 3``."""
    return ", ".join(f"{name}: {count}" for name, count in counts.items()) or "nothing"


def counted(count: int, noun: str) -> str:
    """``1 user``, ``2 users``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
