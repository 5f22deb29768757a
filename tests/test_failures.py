"""How an error leaves a task, on every Airflow."""

from __future__ import annotations

import ast
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import airflow_provider_logto
from airflow_provider_logto.compat import AirflowFailException
from airflow_provider_logto.exceptions import (
    AuthFailed,
    ConnectionFailed,
    InvalidInput,
    LogtoError,
    OutcomeUnknown,
    RateLimited,
)
from airflow_provider_logto.failures import fail_on_permanent_error
from airflow_provider_logto.operators.users import CreateUserOperator
from airflow_provider_logto.sensors.users import UserSensor
from logto_sandbox import Sandbox

ROOT = Path(airflow_provider_logto.__file__).parent
API = ("GET /api/users", 401)
LOST = OutcomeUnknown("POST /api/users", ConnectionFailed("POST /api/users", "reset"))
PERMANENT = [InvalidInput("name", "is too long"), AuthFailed(*API), LogtoError("no")]
PASSING = [RateLimited(*API), ConnectionFailed("GET /api/users", "refused")]


def leaves_as(error: Exception, **operator: Any) -> Exception:
    """What Airflow gets when the operator's ``execute`` raises an error."""

    @fail_on_permanent_error
    def method(_: Any) -> None:
        raise error

    with pytest.raises(Exception) as caught:  # noqa: PT011
        method(SimpleNamespace(**operator))
    return caught.value


@pytest.mark.parametrize("error", PERMANENT, ids=lambda error: type(error).__name__)
def test_a_permanent_error_ends_the_task(error: LogtoError) -> None:
    for without_policy in ({}, {"retry_policy": None}):  # 2.11 to 3.2 have no such attribute
        left = leaves_as(error, **without_policy)
        assert isinstance(left, AirflowFailException)
        assert left.__cause__ is error
        assert str(left) == str(error)
    assert leaves_as(error, retry_policy=object()) is error


def test_the_function_of_a_task_ends_it_too() -> None:
    @fail_on_permanent_error
    def look(**context: Any) -> None:
        raise PERMANENT[0]

    for context in ({}, {"task": SimpleNamespace()}):
        with pytest.raises(AirflowFailException):
            look(**context)
    with pytest.raises(InvalidInput):
        look(task=SimpleNamespace(retry_policy=object()))


@pytest.mark.parametrize("error", [*PASSING, LOST, ValueError("foreign")], ids=lambda error: type(error).__name__)
def test_what_a_retry_can_fix_is_left_to_airflow(error: Exception) -> None:
    assert leaves_as(error) is error


@pytest.mark.parametrize("policy", [None, object()])
def test_a_lost_write_that_cannot_be_looked_up_ends_the_task_whatever_the_policy(policy: object) -> None:
    assert isinstance(leaves_as(LOST, unrepeatable=True, retry_policy=policy), AirflowFailException)


@pytest.mark.usefixtures("sandbox_tenant")
def test_operators_and_sensors(sandbox: Sandbox) -> None:
    sandbox.seed({"users": [{"username": "mika"}]})
    with pytest.raises(AirflowFailException, match="already") as caught:
        CreateUserOperator(task_id="create", username="mika").execute({})
    assert isinstance(caught.value.__cause__, LogtoError)
    for deferrable in (True, False):
        with pytest.raises(AirflowFailException, match="condition"):
            UserSensor(task_id="wait", user="mika", condition="dead", deferrable=deferrable).execute({})
    sandbox.add_fault(kind="error", status=503, path="/api/users", times=None)
    with pytest.raises(LogtoError):
        UserSensor(task_id="wait", user="mika").poke({})


def operator_modules() -> list[Path]:
    return [path for layer in ("operators", "sensors") for path in sorted((ROOT / layer).glob("[!_]*.py"))]


@pytest.mark.parametrize("path", operator_modules(), ids=lambda path: path.stem)
def test_no_method_that_airflow_calls_is_without_it(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if not isinstance(node, ast.FunctionDef) or not node.name.startswith(("execute", "poke", "resume")):
            continue
        decorators = [ast.unparse(one) for one in node.decorator_list]
        assert "fail_on_permanent_error" in decorators, f"{path.name}: {node.name}"
