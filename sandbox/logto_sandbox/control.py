"""The control plane: what is under ``/sandbox/``, for this machine only, without a token."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from logto_sandbox.environment import Environment
from logto_sandbox.errors import ApiError
from logto_sandbox.faults.exchange import Receive, Scope, Send
from logto_sandbox.faults.spec import FaultError
from logto_sandbox.seed import SeedError
from logto_sandbox.store.logs.spec import LogSpecError

PREFIX = "/sandbox/"


class ControlError(ValueError):
    """A request to the control plane that cannot be understood."""


def _faults(environment: Environment, body: Any) -> list[dict[str, Any]]:
    """All faults of a list, or none of them when one is wrong."""
    specs = body if isinstance(body, list) else [body]
    kept = list(environment.injector.faults)
    try:
        return [environment.injector.add_fault(spec).describe() for spec in specs]
    except FaultError:
        environment.injector.faults[:] = kept
        raise


def _limit(environment: Environment, body: Any) -> None:
    known = {"rate_limit": None, "limiter": "token_bucket", "retry_after": "none"}
    if not isinstance(body, dict) or (set(body) - set(known)):
        raise ControlError(f"limit: expected an object with {', '.join(known)}")
    values: dict[str, Any] = known | body
    environment.injector.limit(values["rate_limit"], str(values["limiter"]), str(values["retry_after"]))


def _object(name: str, body: Any) -> dict[str, Any]:
    if not isinstance(body, dict):
        raise ControlError(f"{name}: expected an object, got {body!r}")
    return body


def _sign_in(environment: Environment, body: Any) -> dict[str, str]:
    names = _object("sign-ins", body)
    try:
        return environment.sign_in(str(names.get("userId")), str(names.get("applicationId")))
    except ApiError as error:
        raise ControlError(f"sign-ins: {error.code}") from error


def _shown(environment: Environment) -> list[dict[str, Any]]:
    return [fault.describe() for fault in environment.injector.faults]


# (method, name below /sandbox/) -> what it does with the parsed body; None is answered 204
ACTIONS: dict[tuple[str, str], Callable[[Environment, Any], Any]] = {
    ("GET", "stats"): lambda environment, _: environment.recorder.stats(),
    ("DELETE", "stats"): lambda environment, _: environment.recorder.reset(),
    ("GET", "requests"): lambda environment, _: environment.recorder.requests(),
    ("GET", "faults"): lambda environment, _: _shown(environment),
    ("POST", "faults"): _faults,
    ("DELETE", "faults"): lambda environment, _: environment.injector.clear_faults(),
    ("PUT", "limit"): _limit,
    ("POST", "logs"): lambda environment, body: environment.insert_logs(body),
    ("POST", "sign-ins"): _sign_in,
    ("GET", "state"): lambda environment, _: environment.state(),
    ("POST", "reset"): lambda environment, _: environment.reset(),
    ("POST", "seed"): lambda environment, body: environment.seed(_object("seed", body)),
}
_NEEDS_BODY = {("POST", "faults"), ("PUT", "limit"), ("POST", "logs"), ("POST", "sign-ins"), ("POST", "seed")}


class Control:
    """The control plane of one sandbox, as an ASGI app."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        response = await self._respond(request)
        await response(scope, receive, send)

    async def _respond(self, request: Request) -> Response:
        if refusal := _refusal(request):
            return _error(403, f"the control plane answers this machine only: {refusal}")
        name = request.url.path.removeprefix(PREFIX).rstrip("/")
        allowed = sorted(method for method, known in ACTIONS if known == name)
        if not allowed:
            names = ", ".join(sorted({known for _, known in ACTIONS}))
            return _error(404, f"there is no {PREFIX}{name}; there are: {names}")
        if request.method not in allowed:
            return _error(405, f"{PREFIX}{name} takes {', '.join(allowed)}", {"Allow": ", ".join(allowed)})
        body = None
        if (request.method, name) in _NEEDS_BODY:
            try:
                body = json.loads(await request.body())
            except ValueError as error:
                return _error(400, f"the body is no JSON: {error}")
        try:
            result = ACTIONS[request.method, name](self._environment, body)
        except (ControlError, FaultError, LogSpecError, SeedError, ValueError) as error:
            return _error(400, str(error))
        return Response(status_code=204) if result is None else JSONResponse(result)


def _error(status: int, message: str, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse({"error": message}, status, headers)


_FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip")


def _refusal(request: Request) -> str | None:
    """Why a request may not come from this machine's user; None when it may.

    A page in a browser here can send requests too: its name resolved to this machine (``Host``), or it sends across
    origins (``Origin``). Behind a proxy on this machine everybody seems to be local.
    """
    if request.client is None or not _is_loopback(request.client.host):
        return "not from a loopback address"
    if any(name in request.headers for name in _FORWARDED):
        return "it came through a proxy"
    host = request.headers.get("host", "")
    if not _is_loopback(_name(host)):
        return f"{host!r} as Host"
    origin = request.headers.get("origin")
    if origin is not None and origin != f"{request.url.scheme}://{host}":
        return f"{origin!r} as Origin"
    return None


def _name(host: str) -> str:
    """A Host header without its port, "" where it is none."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


App = Callable[[Scope, Receive, Send], Awaitable[None]]


def dispatch(environment: Environment) -> App:
    """The whole sandbox as one ASGI app: ``/sandbox/*`` here, everything else through fault injection."""
    control = Control(environment)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            chosen = control if scope["path"].startswith(PREFIX) else environment.injector
            await chosen(scope, receive, send)

    return app
