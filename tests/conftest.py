"""An Airflow of the tests' own, and a Logto to talk to: the sandbox, or a real one named by LOGTO_TEST_* variables."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import tempfile
import uuid
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from airflow_provider_logto.client.auth.token_cache import PROCESS_TOKENS
from logto_sandbox import Sandbox

from .clients import Connect, Run, client_of

PROJECT = Path(__file__).resolve().parent.parent
EXAMPLES = PROJECT / "dags_examples"
DEMO_SEED = PROJECT / "scripts" / "demo_seed.json"

RunDag = Callable[..., Any]

# A busy machine makes no test fail.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

# Airflow reads these when it is first imported; whatever the caller's shell says about Airflow must not reach it.
AIRFLOW_HOME = Path(tempfile.mkdtemp(prefix="airflow-provider-logto-"))
for inherited in [name for name in os.environ if name.startswith("AIRFLOW_")]:
    del os.environ[inherited]
os.environ.update(
    AIRFLOW_HOME=str(AIRFLOW_HOME),
    AIRFLOW__CORE__LOAD_EXAMPLES="False",
    AIRFLOW__CORE__DAGS_FOLDER=str(EXAMPLES),
)


@pytest.hookimpl(tryfirst=True)  # xdist reads the groups at the same hook
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """On a real tenant one test runs at a time: they take away what they made, but must not see each other's."""
    if os.environ.get("LOGTO_TEST_ENDPOINT"):
        for item in items:
            item.add_marker(pytest.mark.xdist_group("tenant"))


def pytest_unconfigure() -> None:
    """The last thing that pytest does."""
    shutil.rmtree(AIRFLOW_HOME, ignore_errors=True)


@dataclass(frozen=True)
class Tenant:
    """A Logto tenant with an M2M application that may do everything.

    :param sandbox: the sandbox behind it, for its counts and faults; None for a real Logto.
    """

    endpoint: str
    app_id: str
    app_secret: str
    sandbox: Sandbox | None = None

    def connection(self, extra: dict[str, Any] | None = None, **fields: Any) -> str:
        """As an ``AIRFLOW_CONN_*`` variable; nothing is shared with other processes of this machine.

        :param extra: merged into the Connection's extra.
        :param fields: replace the Connection's; None leaves one out.
        """
        connection = {
            "conn_type": "logto",
            "host": self.endpoint,
            "login": self.app_id,
            "password": self.app_secret,
            **fields,
            "extra": {"shared_state": "process", **(extra or {})},
        }
        return json.dumps({name: value for name, value in connection.items() if value is not None})


def execute(task: Any, context: dict[str, Any] | None = None) -> Any:
    """``task.execute``; of a permanent error, which leaves a task as AirflowFailException, the one that caused it."""
    from airflow_provider_logto.compat import AirflowFailException

    try:
        return task.execute(context or {})
    except AirflowFailException as error:
        raise (error.__cause__ or error) from None


@pytest.fixture(scope="session")
def session_sandbox() -> Iterator[Sandbox]:
    """One sandbox for all tests, with the demo's roles; take ``sandbox``, which is fresh for each test."""
    with Sandbox(seed=DEMO_SEED) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(session_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """A local Logto with the demo's roles and organization template, nobody in it and nothing counted."""
    session_sandbox.reset()
    # A test before may have made the sandbox's tokens void (a rotated key), or left one that this test does not expect.
    monkeypatch.setattr(PROCESS_TOKENS, "_tokens", {})
    return session_sandbox


@pytest.fixture
def sandbox_tenant(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Tenant:
    """The sandbox, and the Connection ``logto_default`` that leads to it."""
    tenant = Tenant(sandbox.url, sandbox.app_id, sandbox.app_secret, sandbox)
    monkeypatch.setenv("AIRFLOW_CONN_LOGTO_DEFAULT", tenant.connection())
    return tenant


@pytest.fixture
def tenant(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Tenant:
    """The Logto named by LOGTO_TEST_ENDPOINT, LOGTO_TEST_APP_ID and LOGTO_TEST_APP_SECRET, else the sandbox.

    The Connection ``logto_default`` leads to it. What a test makes there it takes away again.
    """
    endpoint = os.environ.get("LOGTO_TEST_ENDPOINT")
    if not endpoint:
        found: Tenant = request.getfixturevalue("sandbox_tenant")
        return found
    real = Tenant(endpoint, os.environ["LOGTO_TEST_APP_ID"], os.environ["LOGTO_TEST_APP_SECRET"])
    monkeypatch.setenv("AIRFLOW_CONN_LOGTO_DEFAULT", real.connection())
    return real


@pytest.fixture
def connect(sandbox_tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> Connect:
    """``connect(extra=None, **fields)`` -> a hook whose Connection leads to the sandbox, but for what is given.

    The same as :meth:`Tenant.connection`; the Connection is ``logto_default``.
    """

    # Not in the test itself: the first import of Airflow sets logging up anew, without caplog.
    from airflow_provider_logto.hooks.logto import LogtoHook

    def connect(extra: dict[str, Any] | None = None, **fields: Any) -> Any:
        monkeypatch.setenv("AIRFLOW_CONN_LOGTO_DEFAULT", sandbox_tenant.connection(extra, **fields))
        return LogtoHook()

    return connect


@pytest.fixture
def run(sandbox: Sandbox) -> Run:
    """``run(function, *args, **kwargs)`` gives the function a client of the sandbox first; returns what it returns.

    ``client={...}`` are options of the client, see :func:`tests.clients.client_of`.
    """

    def run(
        function: Callable[..., Awaitable[Any]], *args: Any, client: dict[str, Any] | None = None, **kwargs: Any
    ) -> Any:
        async def call() -> Any:
            async with client_of(sandbox, **(client or {})) as made:
                return await function(made, *args, **kwargs)

        return asyncio.run(call())

    return run


@pytest.fixture
def unique() -> str:
    """A word that no other test and no earlier run used, for the names of what a test makes."""
    return f"t{uuid.uuid4().hex[:10]}"


@pytest.fixture(scope="session")
def airflow_database() -> None:
    """An empty database in the tests' AIRFLOW_HOME."""
    from tests.airflow_names import make_database

    make_database()


@pytest.fixture
def run_dag(airflow_database: None) -> RunDag:
    """``run_dag(file, dag_id, logical_date=None, conf=None)`` -> the DagRun, after its tasks ran in this process."""

    def run(file: Path, dag_id: str, logical_date: datetime | None = None, conf: dict[str, Any] | None = None) -> Any:
        from tests.airflow_names import run_in_process

        return run_in_process(file, dag_id, logical_date, conf)

    return run
