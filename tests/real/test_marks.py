"""What people write about themselves while they sign in is no mark."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from airflow_provider_logto.management.marks import OWN_KEYS
from tests.conftest import Tenant
from tests.real.conftest import Corner
from tests.real.end_user import PASSWORD, Application


@pytest.fixture
def application(tenant: Tenant, corner: Corner) -> Iterator[Application]:
    if tenant.sandbox is not None:
        pytest.skip("the sandbox has no sign-in page on which people write about themselves")
    application = Application.create(tenant, corner.hook, f"{corner.word} web")
    yield application
    corner.hook.request("DELETE", f"/applications/{application.id}")


@pytest.mark.parametrize("value", [None, {"roster": "hr", "externalId": "E1"}])
@pytest.mark.parametrize("key", OWN_KEYS)
def test_a_person_cannot_write_a_mark(application: Application, corner: Corner, key: str, value: Any) -> None:
    kept = {key: {"roster": "hr", "externalId": "E7"}}
    body = {"username": corner.username("forger"), "password": PASSWORD, "customData": kept}
    user = corner.hook.request("POST", "/users", body=body)
    with pytest.raises(httpx.HTTPStatusError, match="400"):
        application.sign_in(user, extra_profile={key: value})
    application.sign_in(user, extra_profile={"shoeSize": 40})
    assert corner.hook.request("GET", f"/users/{user['id']}")["customData"] == {**kept, "shoeSize": 40}
