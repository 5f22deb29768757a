"""What benchmarks of a whole tenant share: the tenant, and a client that counts its requests."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from airflow_provider_logto.client.auth.credentials import Credentials
from airflow_provider_logto.client.auth.token_cache import ProcessTokenCache
from airflow_provider_logto.client.client import LogtoClient
from airflow_provider_logto.client.endpoint import Endpoint


class Counted(LogtoClient):
    """Counts what it is asked for; tokens and repetitions are none of it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.counts: Counter[str] = Counter()

    async def send(self, method: str, *args: Any, **kwargs: Any) -> Any:
        self.counts["reads" if method == "GET" else "writes"] += 1
        return await super().send(method, *args, **kwargs)


C = TypeVar("C", bound=Counted)


@contextmanager
def tenant(arguments: argparse.Namespace) -> Iterator[dict[str, str]]:
    """The tenant named, or a sandbox in a process of its own."""
    if arguments.endpoint:
        yield {"endpoint": arguments.endpoint, "id": arguments.app_id, "secret": arguments.app_secret}
        return
    command = [sys.executable, "-u", "-m", "logto_sandbox", "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert process.stdout is not None
        url = next(word for line in process.stdout for word in line.split() if word.startswith("http://127"))
        yield {"endpoint": url.rstrip("/,."), "id": "sandbox-m2m", "secret": "sandbox-m2m-secret"}
    finally:
        process.terminate()
        process.wait(10)


def client(address: dict[str, str], kind: type[C], **options: Any) -> C:
    """A client of it with a token of its own; options are its arguments."""
    credentials = Credentials(address["id"], address["secret"])
    return kind(Endpoint.parse(address["endpoint"]), credentials, token_cache=ProcessTokenCache(), **options)
