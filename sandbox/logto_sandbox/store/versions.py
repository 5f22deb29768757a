"""What a client notices between Logto versions, as one table."""

from __future__ import annotations

# 1.43 is not released: it stands for the state of August 2026, which the recordings are from.
SUPPORTED = ("1.36", "1.39", "1.40", "1.42", "1.43")
LATEST = "1.43"

Version = tuple[int, int]

# difference -> first version that has it
SINCE: dict[str, Version] = {
    "password_hash": (1, 38),  # includePasswordHash
    "user_sessions": (1, 38),
    "organization_bodies": (1, 39),  # POST organization users and their roles answer JSON, not text
    "log_window": (1, 40),  # start_time, end_time
    "log_cap": (1, 40),  # enableCap
    "organization_users_ordered": (1, 40),
    "organization_users_delta": (1, 40),  # PUT keeps the roles of members that stay
    "application_roles_idempotent": (1, 41),
    "organization_role_filter": (1, 41),
    "organization_role_transaction": (1, 41),
    "message_throttle": (1, 41),
    "application_access_control": (1, 41),
    "password_expiration": (1, 41),
    "cimd": (1, 43),  # users carry cimdClientId
    "empty_role_lists": (1, 43),  # adding no roles to a member is no error
    "log_window_inclusive": (1, 42),
    "internal_secret_hidden": (1, 42),
    "suspension_ends_exchange": (1, 43),  # a suspended user's token buys no further tokens
}


def parse(version: str) -> Version:
    """``"1.40"`` -> (1, 40).

    :raises ValueError: for a version the sandbox does not know.
    """
    if version not in SUPPORTED:
        raise ValueError(f"logto_version must be one of {', '.join(SUPPORTED)}, not {version!r}")
    major, minor = version.split(".")
    return int(major), int(minor)


def has(version: Version, difference: str) -> bool:
    """Whether this version shows the named difference."""
    return version >= SINCE[difference]
