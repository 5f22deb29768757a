"""``python -m logto_sandbox``: a local Logto until it is interrupted."""

from __future__ import annotations

import argparse
import ipaddress
import json
import signal
import sys
from collections.abc import Sequence
from typing import Any

from logto_sandbox.faults.limiters import LIMITERS
from logto_sandbox.faults.middleware import RETRY_AFTER
from logto_sandbox.faults.spec import KINDS, FaultError
from logto_sandbox.server import Sandbox
from logto_sandbox.store.defaults import Settings
from logto_sandbox.store.versions import SUPPORTED

_ENDING = {signal.SIGINT, signal.SIGTERM}
_TEXTS = {
    "app_id": "M2M application with the Management API role",
    "app_secret": "its secret",
    "norole_id": "M2M application without a role",
    "norole_secret": "its secret",
    "resource": "indicator of the Management API",
    "endpoint": "origin of the issuer (default: the host the client dials)",
}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="logto-sandbox",
        description="A local Logto for tests. It is no identity provider: never put it where real people sign in.",
        epilog=f"kinds of faults: {', '.join(KINDS)}",
    )
    parser.add_argument("--port", type=_port, required=True, help="0 = any free one")
    parser.add_argument("--host", default="127.0.0.1", help="default: this machine only")
    parser.add_argument("--seed", metavar="FILE", help="JSON: roles, organizationRoles, users, ..., logs")
    parser.add_argument("--state-file", metavar="FILE", help="keeps the state between runs")
    parser.add_argument("--logto-version", choices=SUPPORTED, default=Settings.logto_version)
    for name, text in _TEXTS.items():
        parser.add_argument(f"--{name.replace('_', '-')}", default=getattr(Settings, name), help=text)
    parser.add_argument("--rate-limit", type=int, metavar="N", help="requests per 10 s")
    parser.add_argument("--limiter", choices=list(LIMITERS), default="token_bucket")
    parser.add_argument("--retry-after", choices=RETRY_AFTER, default="none", help="on the limiter's 429")
    parser.add_argument(
        "--fault", action="append", default=[], type=_fault, metavar="JSON", help='e.g. {"kind": "error"}; repeatable'
    )
    return parser


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= 65535:
        raise argparse.ArgumentTypeError(f"{port} is no port (0-65535)")
    return port


def _fault(text: str) -> dict[str, Any]:
    try:
        fault = json.loads(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"no JSON: {error}: {text}") from error
    if not isinstance(fault, dict):
        raise argparse.ArgumentTypeError(f"expected an object: {text}")
    return fault


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until SIGINT or SIGTERM.

    :return: exit status: 0, or 2 for a wrong argument
    """
    parser = _parser()
    options = vars(parser.parse_args(arguments))
    faults = options.pop("fault")
    # From here on the signals wait until the end, in this thread and the server's.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
    try:
        sandbox = _started(parser, options, faults)
        try:
            _announce(sandbox, options["logto_version"])
            signal.sigwait(_ENDING)
        finally:
            sandbox.stop()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return 0


def _started(parser: argparse.ArgumentParser, options: dict[str, Any], faults: list[dict[str, Any]]) -> Sandbox:
    try:
        sandbox = Sandbox(**options)
        for fault in faults:
            sandbox.add_fault(**fault)
        return sandbox.start()
    except FaultError as error:
        parser.error(f"argument --fault: {error}")
    except ValueError as error:
        parser.error(str(error))
    except (OSError, OverflowError) as error:
        parser.error(f"cannot listen on {options['host']}:{options['port']}: {error}")


def _announce(sandbox: Sandbox, version: str) -> None:
    print(f"Logto sandbox on {sandbox.url} (behaves as Logto {version}; no identity provider, for tests only)")
    print(f"  App ID {sandbox.app_id}, App secret {sandbox.app_secret}, resource {sandbox.resource}")
    print(f"  control plane: {sandbox.url}/sandbox/stats", flush=True)
    if not _is_loopback(sandbox.host):
        print(f"warning: {sandbox.host} can be reached from other machines", file=sys.stderr, flush=True)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


if __name__ == "__main__":
    sys.exit(main())
