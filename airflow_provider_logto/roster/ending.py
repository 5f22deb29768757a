"""What outlives a suspension and must end with an offboarding by a roster."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_logto.client.client import LogtoClient
from airflow_provider_logto.exceptions import LogtoApiError
from airflow_provider_logto.management.offboarding.steps import STEPS, Leaver
from airflow_provider_logto.management.presence import is_unknown_operation


async def end_access(client: LogtoClient, user: Mapping[str, Any]) -> None:
    """Suspend, and end what renews access or goes around a suspension: the first steps of every offboarding.

    What an older server does not know cannot be there.
    """
    leaver = Leaver(dict(user), None)
    for step in STEPS:
        if not step.ends_access:
            continue
        try:
            await step.work(client, leaver)
        except LogtoApiError as error:
            if not is_unknown_operation(error):
                raise
