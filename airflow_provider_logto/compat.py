"""Every question about Airflow's version, in one place.

Airflow 3 moved what providers use into ``airflow.sdk``; 2.11 keeps it elsewhere. A name of :data:`_HOMES` is looked up
when it is first asked for, so that importing this module costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from airflow.providers.standard.triggers.temporal import DateTimeTrigger
    from airflow.sdk import (
        BaseHook,
        BaseOperator,
        BaseOperatorLink,
        BaseSensorOperator,
        Connection,
        Context,
        ObjectStoragePath,
        get_current_context,
    )
    from airflow.sdk._shared.secrets_masker import redact
    from airflow.sdk.configuration import conf
    from airflow.sdk.definitions.retry_policy import RetryDecision, RetryPolicy
    from airflow.sdk.exceptions import (
        AirflowFailException,
        AirflowNotFoundException,
        AirflowSensorTimeout,
        AirflowSkipException,
        AirflowTaskTerminated,
        AirflowTaskTimeout,
        TaskDeferred,
    )
    from airflow.sdk.execution_time.xcom import XCom
    from airflow.sdk.lineage import get_hook_lineage_collector
    from airflow.sdk.log import mask_secret

    from airflow_provider_logto.task_state import TaskState

__all__ = [
    "AirflowFailException",
    "AirflowNotFoundException",
    "AirflowSensorTimeout",
    "AirflowSkipException",
    "AirflowTaskTerminated",
    "AirflowTaskTimeout",
    "BaseHook",
    "BaseOperator",
    "BaseOperatorLink",
    "BaseSensorOperator",
    "Connection",
    "Context",
    "DateTimeTrigger",
    "ObjectStoragePath",
    "RetryDecision",
    "RetryPolicy",
    "TaskDeferred",
    "XCom",
    "conf",
    "get_current_context",
    "get_hook_lineage_collector",
    "mask_secret",
    "redact",
]

T = TypeVar("T")

#: Name -> the modules that may hold it, the newest Airflow's first.
_HOMES: dict[str, tuple[str, ...]] = {
    "AirflowNotFoundException": ("airflow.exceptions",),
    "AirflowFailException": ("airflow.sdk.exceptions", "airflow.exceptions"),
    "AirflowSensorTimeout": ("airflow.sdk.exceptions", "airflow.exceptions"),
    "AirflowSkipException": ("airflow.sdk.exceptions", "airflow.exceptions"),
    "AirflowTaskTerminated": ("airflow.sdk.exceptions", "airflow.exceptions"),
    "AirflowTaskTimeout": ("airflow.sdk.exceptions", "airflow.exceptions"),
    "BaseHook": ("airflow.sdk", "airflow.hooks.base"),
    "BaseOperator": ("airflow.sdk", "airflow.models.baseoperator"),
    "BaseOperatorLink": ("airflow.sdk", "airflow.models.baseoperatorlink"),
    "BaseSensorOperator": ("airflow.sdk", "airflow.sensors.base"),
    "Connection": ("airflow.sdk", "airflow.models.connection"),
    "Context": ("airflow.sdk", "airflow.utils.context"),
    "DateTimeTrigger": ("airflow.providers.standard.triggers.temporal", "airflow.triggers.temporal"),
    "ObjectStoragePath": ("airflow.sdk", "airflow.io.path"),
    "RetryDecision": ("airflow.sdk.definitions.retry_policy",),
    "RetryPolicy": ("airflow.sdk.definitions.retry_policy",),
    "TaskDeferred": ("airflow.sdk.exceptions", "airflow.exceptions"),
    "XCom": ("airflow.sdk.execution_time.xcom", "airflow.models.xcom"),
    "conf": ("airflow.sdk.configuration", "airflow.configuration"),
    "get_current_context": ("airflow.sdk", "airflow.operators.python"),
    "get_hook_lineage_collector": ("airflow.sdk.lineage", "airflow.lineage.hook"),
    "redact": (
        "airflow.sdk.log",
        "airflow.sdk._shared.secrets_masker",
        "airflow.sdk.execution_time.secrets_masker",
        "airflow.utils.log.secrets_masker",
    ),
    "mask_secret": (
        "airflow.sdk.log",
        "airflow.sdk.execution_time.secrets_masker",
        "airflow.utils.log.secrets_masker",
    ),
}
#: What stands in for a name that an older Airflow does not know: before 3.3 nothing asks a retry policy.
_STAND_INS: dict[str, Any] = {"RetryDecision": None, "RetryPolicy": object}


def __getattr__(name: str) -> Any:
    """A name of :data:`_HOMES`, from wherever this Airflow keeps it."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return _find(name)


def _find(name: str) -> Any:
    if name not in globals():
        globals()[name] = _look_up(name)
    return globals()[name]


def _look_up(name: str) -> Any:
    for module in _HOMES[name]:
        try:
            return getattr(import_module(module), name)
        except (ImportError, AttributeError):
            continue
    if name in _STAND_INS:
        return _STAND_INS[name]
    raise ImportError(f"this Airflow has no {name} in any of {', '.join(_HOMES[name])}")


def task_state(context: Mapping[str, Any]) -> TaskState | None:
    """The store whose values survive the retries of one task; None before Airflow 3.3 and outside a task.

    .. seealso:: Airflow docs, "Task state store".
    """
    store: TaskState | None = context.get("task_state_store")
    return store


def order_of(context: Mapping[str, Any]) -> int | None:
    """What the tries of a task have in common until it is cleared, which raises ``max_tries``; None outside a task."""
    return getattr(context.get("ti"), "max_tries", None)


def was_set_from_outside(context: Mapping[str, Any]) -> bool:
    """Whether somebody has set the running task's state: 2.11 then ends it with SIGTERM and keeps that state."""
    ti: Any = context.get("ti")
    if not hasattr(ti, "refresh_from_db"):
        return False
    ti.refresh_from_db()
    return str(getattr(ti.state, "value", ti.state)) != "running"


def poke_until_true(sensor: BaseSensorOperator, context: Context) -> Any:
    """Airflow's own ``execute`` of a sensor, for a sensor with an ``execute`` of its own.

    2.11 takes ``super().execute`` for an operator that calls another one, and warns of it in every task's log.
    """
    execute = _find("BaseSensorOperator").execute
    return getattr(execute, "__wrapped__", execute)(sensor, context)


def timeout_began(ti: Any) -> datetime | None:
    """Since when the ``execution_timeout`` of a running task counts; None for about now.

    When a deferred task resumes, 2.11 goes on counting from its first start; 3 begins anew, and 3.0 and 3.1 call that
    moment its ``start_date``. 3.3 calls the first start so, which the API then sends with the context.
    """
    if getattr(getattr(ti, "_ti_context_from_server", None), "start_date", None) is not None:
        return None
    began: datetime | None = getattr(ti, "start_date", None)
    return began


async def get_async_connection(hook: BaseHook | type[BaseHook], conn_id: str) -> Connection:
    """A Connection, from code that runs in an event loop.

    In a thread, where Airflow before 3.3.2 would mask its secrets with a synchronous call to the supervisor: that can
    dead-lock a loop.
    """
    if _masks_asynchronously():
        return await hook.aget_connection(conn_id)
    return await _in_thread(hook.get_connection, conn_id)


async def get_async_extra(connection: Connection) -> dict[str, Any]:
    """``connection.extra_dejson``, from code that runs in an event loop; see :func:`get_async_connection`."""
    if _masks_asynchronously():
        return await connection.aextra_dejson()
    return await _in_thread(lambda: connection.extra_dejson)


async def mask_secret_async(secret: str) -> None:
    """``mask_secret``, from code that runs in an event loop."""
    try:
        from airflow.sdk.log import amask_secret
    except ImportError:  # before Airflow 3.3
        await _in_thread(_find("mask_secret"), secret)
    else:
        await amask_secret(secret)


def add_output(path: ObjectStoragePath) -> None:
    """Tell the lineage collector about a file that was written.

    :raises ValueError: for an address that is none of an asset's, such as one that is not ASCII before 3.1.
    """
    collector = _find("get_hook_lineage_collector")()
    # 2.11 calls an asset a dataset.
    add = getattr(collector, "add_output_asset", None) or collector.add_output_dataset
    add(context=path, uri=str(path))


def _masks_asynchronously() -> bool:
    return hasattr(_find("Connection"), "aextra_dejson")


async def _in_thread(function: Callable[..., T], *arguments: Any) -> T:
    # Not asyncio.to_thread: from a thread of asgiref's, the triggerer's own calls find their way back to its loop.
    from asgiref.sync import sync_to_async

    result: T = await sync_to_async(function)(*arguments)
    return result
