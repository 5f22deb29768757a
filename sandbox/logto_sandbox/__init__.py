"""A local Logto for tests and demos: no identity provider, nothing of it belongs where real people sign in.

``Sandbox`` is imported when it is first asked for, so that importing this package costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from logto_sandbox.server import Sandbox

__all__ = ["Sandbox"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name == "Sandbox":
        from logto_sandbox.server import Sandbox

        return Sandbox
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
