"""What the shared stores have in common."""

from __future__ import annotations


class StoreUnavailable(Exception):
    """What is shared cannot be reached; who gets this goes on alone."""
