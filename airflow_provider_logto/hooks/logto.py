"""Connection -> LogtoClient. The only place that reads an Airflow Connection."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from airflow_provider_logto.client.auth.token_cache import ProcessTokenCache
from airflow_provider_logto.client.cleaning import Secrets
from airflow_provider_logto.client.client import LogtoClient
from airflow_provider_logto.client.loop_client import shared_client
from airflow_provider_logto.client.retrying import RetryOptions
from airflow_provider_logto.client.sharing.factory import Mode, check_mode, token_cache_and_pacer
from airflow_provider_logto.client.sharing.fallback import warn_once
from airflow_provider_logto.client.sharing.pacing import NoPacer
from airflow_provider_logto.client.sharing.redis_server import RedisServer
from airflow_provider_logto.client.traffic import Traffic
from airflow_provider_logto.compat import (
    AirflowNotFoundException,
    BaseHook,
    get_async_connection,
    get_async_extra,
    mask_secret,
    mask_secret_async,
)
from airflow_provider_logto.connection_fields import EXTRA_FIELDS
from airflow_provider_logto.exceptions import ConfigurationError, InvalidInput, LogtoError
from airflow_provider_logto.hooks import event_loop, shared_state
from airflow_provider_logto.hooks.settings import ConnectionSettings, checked_console_url, checked_extra, why_missing

if TYPE_CHECKING:
    from airflow_provider_logto.compat import Connection
    from airflow_provider_logto.management.protection import Protection

P = ParamSpec("P")
T = TypeVar("T")


class LogtoHook(BaseHook):
    """Turns an Airflow Connection of type ``logto`` into calls of Logto's Management API.

    :param logto_conn_id: the Connection: host = endpoint, login = App ID, password = App secret of a
        machine-to-machine application that holds the Management API permission ``all``.

    .. seealso:: Logto docs, "Interact with Management API".
    """

    conn_name_attr = "logto_conn_id"
    default_conn_name = "logto_default"
    conn_type = "logto"
    hook_name = "Logto"

    def __init__(self, logto_conn_id: str = default_conn_name, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.logto_conn_id = logto_conn_id
        #: No request waits or is repeated beyond this moment of ``time.monotonic()``.
        self.deadline: float | None = None
        #: What :meth:`run`, :meth:`request`, :meth:`iterate` and :meth:`check` sent.
        self.traffic = Traffic()
        #: The endpoint of the Connection, once it was read.
        self.tenant: str | None = None

    def run(
        self, function: Callable[Concatenate[LogtoClient, P], Awaitable[T]], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run one async function to its end; it is given a :class:`LogtoClient` first.

        :returns: what the function returns.
        :raises RuntimeError: inside a running event loop; use :meth:`client` there.
        """
        self._refuse_running_loop("run")
        settings = self._settings()
        mode = self._mode(settings)

        async def call() -> T:
            async with self._make(settings, mode, _mask_in_thread, self.traffic) as client:
                return await function(client, *args, **kwargs)

        return event_loop.run(call())

    @asynccontextmanager
    async def client(self) -> AsyncIterator[LogtoClient]:
        """A :class:`LogtoClient` for code that already runs in an event loop (triggers, async tasks).

        Everybody in the loop who uses the same Connection gets the same one.
        """
        try:
            connection = await get_async_connection(self, self.logto_conn_id)
        except AirflowNotFoundException as error:
            raise self._not_found(error) from error
        settings = ConnectionSettings.of(connection, await get_async_extra(connection))
        try:
            mode = await shared_state.resolve_async(settings.shared_state)
        except ConfigurationError as error:
            mode = _alone(error)
        async with shared_client(settings, lambda: self._make(settings, mode, mask_secret_async)) as client:
            yield client

    def request(self, method: str, path: str, query: Mapping[str, Any] | None = None, body: Any = None) -> Any:
        """Call one operation; see :meth:`LogtoClient.request`.

        :returns: parsed JSON, text, or None.
        """
        self._refuse_running_loop("request")
        return self.run(LogtoClient.request, method, path, query, body)

    def iterate(self, path: str, query: Mapping[str, Any] | None = None, where: Any = None) -> Iterator[Any]:
        """Every item of a list operation, each once, fetched page by page as they are taken.

        :param where: a search as a plain dict, e.g. ``{"primaryEmail": {"like": "%@acme.example"}}``; see
            the page "Find and export people".
        """
        self._refuse_running_loop("iterate")
        if where is not None:
            from airflow_provider_logto.management.where import search_query

            query = {**(query or {}), **search_query(where, path.removeprefix("/api"))}
        settings = self._settings()
        mode = self._mode(settings)
        with asyncio.Runner() as runner:
            client = self._make(settings, mode, _mask_in_thread, self.traffic)
            items = client.iterate(path, query)

            async def following() -> Any:
                return await anext(items, _END)

            try:
                while (item := event_loop.run(following(), runner)) is not _END:
                    yield item
            finally:
                event_loop.run(client.close(), runner)

    def protection(self, protect: Any = None) -> Protection:
        """Who must not be suspended, deleted or lose access: the Connection's extra ``protect`` and further entries.

        :param protect: entries of the task, see :class:`Protection`; they only add to the Connection's.
        :raises InvalidInput: naming the entry and what would be right.
        """
        from airflow_provider_logto.management.protection import Protection

        self._refuse_running_loop("protection")
        kept = checked_extra(self._connection().extra_dejson).get("protect")
        if isinstance(kept, str):  # as the Connection form sends it
            kept = _protected(kept)
        return Protection.checked(Protection.checked(kept, field="extra.protect"), protect)

    def console_url(self) -> str | None:
        """The address of the Logto Console, without a slash at its end; None where the Connection names none."""
        return checked_console_url(self._connection().extra_dejson, tolerant=True)

    def mask_secrets(self) -> None:
        """Mask the Connection's secrets in the log of this task, as a client does before its first request."""
        self._refuse_running_loop("mask_secrets")
        credentials = self._settings().credentials
        event_loop.run(Secrets(credentials.app_secret, credentials.basic, _mask_in_thread).announce_own())

    def check(self) -> dict[str, Any]:
        """Fetch a new token and count the users, past every cache.

        :returns: ``{"endpoint", "app_id", "users"}``: what was reached, as whom, and how many users are there.
        :raises LogtoError: what is wrong with the Connection, and what to fix.
        """
        self._refuse_running_loop("check")
        settings = self._settings(tolerant=False)
        mode = shared_state.resolve(settings.shared_state, self.get_connection)
        users = event_loop.run(self._probe(settings, mode))
        return {"endpoint": settings.endpoint.base_url, "app_id": settings.credentials.app_id, "users": users}

    def lock_place(self) -> RedisServer | list[Path]:
        """Where runs that must not overlap keep each other out: the Connection's Redis, or this host's directories."""
        mode = self._mode(self._settings())
        return mode if isinstance(mode, RedisServer) else shared_state.state_directories()

    def test_connection(self) -> tuple[bool, str]:
        """:meth:`check`, as the form's button wants it.

        :returns: whether it works, and a sentence: what was reached, or what to fix.
        """
        try:
            return True, "{endpoint} answers: application {app_id} may use the Management API ({users} users)".format(
                **self.check()
            )
        except LogtoError as error:
            return False, str(error)

    @classmethod
    def get_connection_form_widgets(cls) -> dict[str, Any]:
        """Form fields for Airflow before 3.2 (later versions read them from the provider's metadata)."""
        from flask_appbuilder.fieldwidgets import BS3TextFieldWidget
        from flask_babel import lazy_gettext
        from wtforms import BooleanField, IntegerField, StringField
        from wtforms.validators import Optional

        widgets = {"integer": IntegerField, "boolean": BooleanField}
        return {
            name: widgets.get(field.kind, StringField)(
                lazy_gettext(field.label),
                # Airflow 2.11 takes it for HTML, in which <tenant> is a tag.
                description=lazy_gettext(field.description.replace("<", "[").replace(">", "]")),
                **({} if field.kind == "boolean" else {"widget": BS3TextFieldWidget(), "validators": [Optional()]}),
            )
            for name, field in EXTRA_FIELDS.items()
        }

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """Labels of the standard fields for Airflow before 3.2: the same as in the provider's metadata."""
        from airflow_provider_logto.get_provider_info import get_provider_info

        metadata: Any = get_provider_info()
        behaviour = metadata["connection-types"][0]["ui-field-behaviour"]
        return {name.replace("-", "_"): value for name, value in behaviour.items()}

    def _connection(self) -> Connection:
        try:
            return self.get_connection(self.logto_conn_id)
        except AirflowNotFoundException as error:
            raise self._not_found(error) from error

    def _not_found(self, error: Exception) -> ConfigurationError:
        missing = ConfigurationError(f"{error}: {why_missing(self.logto_conn_id)}")
        # Airflow says so too where a secrets backend does not answer for a moment.
        missing.transient = True
        return missing

    def _settings(self, tolerant: bool = True) -> ConnectionSettings:
        # Before the event loop: resolving a Connection synchronously inside one can dead-lock the task.
        connection = self._connection()
        settings = ConnectionSettings.of(connection, connection.extra_dejson, tolerant)
        self.tenant = settings.endpoint.base_url
        return settings

    def _mode(self, settings: ConnectionSettings) -> Mode:
        try:
            return shared_state.resolve(settings.shared_state, self.get_connection)
        except ConfigurationError as error:
            return _alone(error)

    def _until(self) -> float | None:
        known = [moment for moment in (self.deadline, shared_state.task_deadline()) if moment is not None]
        return min(known, default=None)

    def _make(
        self,
        settings: ConnectionSettings,
        mode: Mode,
        on_secret: Callable[[str], Awaitable[None]],
        traffic: Traffic | None = None,
    ) -> LogtoClient:
        cache, pacer = token_cache_and_pacer(
            settings.endpoint,
            settings.credentials,
            mode=mode,
            rate_limit=settings.rate_limit,
            share=settings.rate_limit_share,
            directories=shared_state.state_directories(),
        )
        return LogtoClient(
            settings.endpoint,
            settings.credentials,
            token_cache=cache,
            pacer=pacer,
            retry=RetryOptions(until=self._until()),
            timeout=settings.timeout,
            verify=settings.verify,
            on_secret=on_secret,
            traffic=traffic,
        )

    async def _probe(self, settings: ConnectionSettings, mode: Mode) -> int | None:
        await check_mode(mode, shared_state.state_directories())
        client = LogtoClient(
            settings.endpoint,
            settings.credentials,
            token_cache=ProcessTokenCache(),
            pacer=NoPacer(),
            retry=RetryOptions(attempts=1, max_wait=0),
            timeout=min(settings.timeout, 15.0),
            verify=settings.verify,
            on_secret=_mask_in_thread,
            traffic=self.traffic,
        )
        async with client:
            return await client.count("/users")

    @staticmethod
    def _refuse_running_loop(name: str) -> None:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return
        raise RuntimeError(
            f"LogtoHook.{name}() cannot be called inside a running event loop; there, use "
            "`async with hook.client() as client`"
        )


_END = object()


def _protected(text: str) -> Any:
    """The entries of the form's field ``protect``: JSON, or separated by commas or lines."""
    if not text.lstrip().startswith(("[", "{")):
        return [entry for part in text.splitlines() for entry in part.split(",") if entry.strip()]
    try:
        return json.loads(text)
    except ValueError as error:
        raise InvalidInput(
            "extra.protect",
            f'begins like JSON and is none ({error}); write [{{"role": "admin"}}, "root"], or root, ada',
        ) from None


def _alone(error: ConfigurationError) -> Mode:
    """A task goes on without what its Connection names wrongly; the Connection test says what to fix."""
    warn_once(str(error))
    return "alone"


async def _mask_in_thread(secret: str) -> None:
    # In a thread, since the synchronous form must not run on an event loop.
    await asyncio.to_thread(mask_secret, secret)
