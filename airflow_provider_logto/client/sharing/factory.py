"""Where tokens and pace are shared: one decision, taken from the Connection's ``shared_state``."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Literal

from airflow_provider_logto.client.auth.credentials import Credentials
from airflow_provider_logto.client.auth.token_cache import PROCESS_TOKENS, TokenCache
from airflow_provider_logto.client.endpoint import Endpoint
from airflow_provider_logto.client.sharing.encryption import Vault
from airflow_provider_logto.client.sharing.fallback import FallbackPacer, FallbackTokenCache, warn_once
from airflow_provider_logto.client.sharing.host_files import FileCell, HostTokenCache, prepare_directory, schedule_path
from airflow_provider_logto.client.sharing.pacing import CellPacer, Pacer, process_pacer
from airflow_provider_logto.client.sharing.redis_server import RedisPacer, RedisServer, RedisStore, RedisTokenCache
from airflow_provider_logto.exceptions import ConfigurationError, SharedStateUnavailable

#: What a process that was meant to share the pace, but cannot, takes of its share.
ALONE = 0.25

#: ``alone``: meant to be shared, but what was named does not exist.
Mode = Literal["process", "host", "alone"] | RedisServer


def token_cache_and_pacer(
    endpoint: Endpoint,
    credentials: Credentials,
    *,
    mode: Mode,
    rate_limit: float | None,
    share: float,
    directories: Sequence[Path] = (),
) -> tuple[TokenCache, Pacer]:
    """Build the token cache and the pacer of one Connection. Never fails: what is broken is warned of, once.

    :param mode: ``process``, ``host``, the Redis server that all hosts share, or ``alone``.
    :param rate_limit: requests per 10 s that the server allows; None where it has no limit.
    :param share: part of it that may be used, in (0, 1].
    :param directories: where ``host`` may keep its files, the best place first; the first safe one is taken.
    """
    tenant = hashlib.sha256(endpoint.base_url.encode()).hexdigest()[:32]
    if mode == "process":
        return PROCESS_TOKENS, process_pacer(tenant, rate_limit, share)
    vault = Vault(credentials.app_secret)
    alone = process_pacer(tenant, rate_limit, share * ALONE)
    if isinstance(mode, RedisServer):
        store = RedisStore(mode)
        return (
            FallbackTokenCache(RedisTokenCache(store, vault), PROCESS_TOKENS),
            FallbackPacer(RedisPacer(store, schedule_name(endpoint.base_url, mode.password), rate_limit, share), alone),
        )
    directory = _first_safe(directories) if mode == "host" else None
    if directory is None:
        return PROCESS_TOKENS, alone
    return (
        FallbackTokenCache(HostTokenCache(directory, vault), PROCESS_TOKENS),
        FallbackPacer(
            CellPacer(FileCell(schedule_path(directory, tenant)), rate_limit, share),
            alone,
        ),
    )


@lru_cache(maxsize=64)
def schedule_name(base_url: str, password: str | None) -> str:
    """Names a tenant's schedule in Redis, for everybody who has the same Redis password.

    Slow to compute on purpose (tens of milliseconds, once a process), so that the keys show neither the tenant's
    address nor let all possible ones be tried. Without a password, a single guess can be checked.
    """
    salt = (password or "").encode()
    return hashlib.scrypt(base_url.encode(), salt=salt, n=2**14, r=8, p=1, dklen=16).hex()


async def check_mode(mode: Mode, directories: Sequence[Path] = ()) -> None:
    """Try what :func:`shared_state` would use, for a Connection test.

    :raises ConfigurationError: naming what is wrong and how to fix it.
    """
    try:
        if isinstance(mode, RedisServer):
            store = RedisStore(mode)
            try:
                await RedisPacer(store, "check", None, 1.0).run("look")
            finally:
                await store.close()
        elif mode == "host" and directories:
            prepare_directory(directories[0])
    except SharedStateUnavailable as error:
        raise ConfigurationError(f"extra.shared_state: {error}") from error


def _first_safe(directories: Sequence[Path]) -> Path | None:
    for directory in directories:
        try:
            prepare_directory(directory)
        except SharedStateUnavailable as error:
            warn_once(f"token and pace cannot be shared there: {error}")
        else:
            return directory
    return None
