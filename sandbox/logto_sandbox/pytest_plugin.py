"""pytest fixtures for DAG authors: a local Logto and an Airflow Connection to it.

Loaded by pytest in every environment that has the provider, so nothing but pytest is imported before a fixture is used.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from logto_sandbox import Sandbox

CONNECTION_ID = "logto_default"
_MARKER = "logto_sandbox(**options): how the fixture logto_sandbox is started: seed=..., rate_limit=..., ..."


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known to ``--strict-markers``."""
    config.addinivalue_line("markers", _MARKER)


@pytest.fixture
def logto_sandbox(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    """A fresh local Logto on a free port; see :class:`logto_sandbox.server.Sandbox`.

    ``@pytest.mark.logto_sandbox(seed="people.json", rate_limit=200)`` passes options; a marker on a test adds to,
    and wins over, one on its class or module.
    """
    try:
        from logto_sandbox import Sandbox
    except ImportError as error:
        pytest.fail(f"the sandbox needs airflow-provider-logto[sandbox]: {error}", pytrace=False)
    options: dict[str, object] = {}
    for marker in request.node.iter_markers("logto_sandbox"):
        options = marker.kwargs | options
    with Sandbox(**options) as sandbox:  # type: ignore[arg-type]
        yield sandbox


@pytest.fixture
def logto_connection(logto_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> str:
    """The id of an Airflow Connection (``logto_default``) to :func:`logto_sandbox`, for the length of one test.

    Token and pace stay in the test's process: nothing is shared with other tests on this machine.
    """
    connection = {
        "conn_type": "logto",
        "host": logto_sandbox.url,
        "login": logto_sandbox.app_id,
        "password": logto_sandbox.app_secret,
        "extra": {"resource": logto_sandbox.resource, "shared_state": "process"},
    }
    monkeypatch.setenv(f"AIRFLOW_CONN_{CONNECTION_ID.upper()}", json.dumps(connection))
    return CONNECTION_ID
