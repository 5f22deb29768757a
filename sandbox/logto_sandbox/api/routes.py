"""Route templates as statistics and faults name them."""

from __future__ import annotations

import re

from logto_sandbox.api import ROUTER

_PARAMETER = re.compile(r"\{[^{}]*\}")
# Served outside the table of the Management API.
_OTHER = ("/oidc/token", "/oidc/jwks", "/oidc/.well-known/openid-configuration")


def shape(template: str) -> str:
    """A template without its parameters' names: ``/api/users/{}/roles``."""
    return _PARAMETER.sub("{}", template)


def is_route(path: str) -> bool:
    """Whether some method knows this template (whatever its parameters are called) or concrete path."""
    methods = ROUTER.find("", _PARAMETER.sub("x", path))[2]
    return bool(methods) or path in _OTHER
