"""Pruning connectors never locks everybody out."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_logto.configuration.desired import Item
from airflow_provider_logto.configuration.differences import changes_of
from airflow_provider_logto.configuration.observed import Observed
from airflow_provider_logto.exceptions import InvalidInput

API = "https://default.logto.app/api"
CONNECTORS = {
    "smtp": {"id": "c1", "connectorId": "smtp", "type": "Email", "target": "smtp"},
    "sms": {"id": "c2", "connectorId": "sms", "type": "Sms", "target": "sms"},
    "github": {"id": "c3", "connectorId": "github", "type": "Social", "target": "github"},
}
NAME = "sign_in_experience"


def code(identifier: str, password: bool = False) -> dict[str, Any]:
    return {"identifier": identifier, "password": password, "verificationCode": True}


def deleted(methods: list[Any], targets: list[str], listed: tuple[str, ...] = (), **experience: Any) -> set[str]:
    """Connectors that go where ``listed`` are still listed and all were made by this configuration."""
    found = Observed()
    for name, row in CONNECTORS.items():
        found.add("connector", name, row)
    found.rows[NAME, NAME] = {"id": "default", "signIn": {"methods": methods}, "socialSignInConnectorTargets": targets}
    desired = {("connector", name): Item("connector", name) for name in listed}
    if experience:
        desired[NAME, NAME] = Item(NAME, NAME, fields=experience)
    owned = {"connector": [str(row["id"]) for row in CONNECTORS.values()]}
    return {
        change.key
        for change in changes_of(desired, found, owned, ("connectors",), API)
        if change.name.endswith("delete")
    }


@pytest.mark.parametrize(
    ("methods", "targets", "listed"),
    [
        ([code("email")], [], ("sms", "github")),
        ([code("phone")], [], ("smtp", "github")),
        ([], ["github"], ("smtp", "sms")),
        ([code("email")], ["github"], ("sms",)),
    ],
)
def test_the_connector_of_the_last_way_stays(methods: list[Any], targets: list[str], listed: tuple[str, ...]) -> None:
    with pytest.raises(InvalidInput, match="the last way to sign in"):
        deleted(methods, targets, listed)


@pytest.mark.parametrize(
    ("methods", "targets", "listed", "gone"),
    [
        ([code("email", password=True)], ["github"], (), {"smtp", "sms", "github"}),
        ([code("email")], ["github"], ("github",), {"smtp", "sms"}),
        ([code("email"), code("phone")], [], ("sms",), {"smtp", "github"}),
        # Nobody could sign in before either.
        ([], [], (), {"smtp", "sms", "github"}),
    ],
)
def test_others_go(methods: list[Any], targets: list[str], listed: tuple[str, ...], gone: set[str]) -> None:
    assert deleted(methods, targets, listed) == gone


def test_what_sign_in_becomes_decides() -> None:
    password = {"methods": [{"identifier": "username", "password": True, "verificationCode": False}]}
    assert deleted([code("email")], [], ("github",), signIn=password) == {"smtp", "sms"}


def changed(row: dict[str, Any], **fields: Any) -> list[str]:
    """Fields of the sign-in experience that change."""
    found = Observed()
    found.rows[NAME, NAME] = {"id": "default", **row}
    desired = {(NAME, NAME): Item(NAME, NAME, fields=fields)}
    return [name for change in changes_of(desired, found, {}, (), API) for name in change.after]


def test_where_nobody_can_sign_in_already_the_rest_may_change() -> None:
    """Before a launch."""
    open_ = {"signIn": {"methods": [code("email")]}, "socialSignInConnectorTargets": []}
    color = {"primaryColor": "#fff"}
    assert changed({**open_, "signInMode": "Register"}, color=color, signInMode="Register") == ["color"]
    closed = {"signIn": {"methods": []}, "socialSignInConnectorTargets": [], "signInMode": "SignIn"}
    assert changed(closed, color=color) == ["color"]
    assert changed({**open_, "signInMode": "Register"}, signInMode="SignIn") == ["signInMode"]
    for row, fields in (
        ({**open_, "signInMode": "SignIn"}, {"signInMode": "Register"}),
        ({**open_, "signInMode": "SignIn"}, {"signIn": {"methods": []}}),
        ({**closed, "socialSignInConnectorTargets": ["github"]}, {"socialSignInConnectorTargets": []}),
    ):
        with pytest.raises(InvalidInput, match="no way to sign in"):
            changed(row, **fields)
