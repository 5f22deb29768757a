"""What outlives a suspension and must end with an offboarding by a roster."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_logto.client.client import LogtoClient
from airflow_provider_logto.management.offboarding.steps import STEPS, do_all


async def end_access(client: LogtoClient, user: Mapping[str, Any]) -> None:
    """Suspend, and end what renews access or goes around a suspension: the first steps of every offboarding."""
    await do_all(client, user, [step for step in STEPS if step.ends_access])
