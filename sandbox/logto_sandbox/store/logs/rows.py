"""What a generated audit-log row looks like: derived from a few small numbers, so that a million need no dicts."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

# Keys with the share they have on a tenant whose people mostly sign in with a password.
DEFAULT_KEYS: Mapping[str, float] = {
    "Interaction.Create": 20,
    "Interaction.SignIn.Create": 15,
    "Interaction.SignIn.Verification.Password.Submit": 15,
    "Interaction.SignIn.Submit": 13,
    "Interaction.End": 12,
    "ExchangeTokenBy.AuthorizationCode": 12,
    "ExchangeTokenBy.RefreshToken": 10,
    "ExchangeTokenBy.ClientCredentials": 2,
    "RevokeToken": 1,
}
PATTERNS = ("random", "even", "bursts")
# Rows of the two lists: audit logs, and a webhook's recent deliveries.
AUDIT, WEBHOOK = 0, 1
_NOT_AUDIT = ("TriggerHook.", "TrustedDevice.")


@dataclass(frozen=True)
class LogSpec:
    """How rows are to be generated.

    :param count: number of rows, 0 or more
    :param start_ms: first moment, epoch ms
    :param end_ms: last moment, epoch ms (inclusive)
    :param pattern: ``random`` (uniform), ``even`` (equal distances) or ``bursts``
    :param bursts: number of bursts (pattern ``bursts``)
    :param burst_ms: length of one burst in ms
    :param ties: how many rows share each timestamp, 1 or more
    :param whole_ms: true = timestamps without microseconds, as rows copied in by SQL have
    :param keys: log keys with their weight, or a list of keys of equal weight
    :param users: user ids, or how many invented users
    :param applications: application ids
    :param hook_id: ``payload.hookId`` for keys ``TriggerHook.*``
    :param error_share: share of rows with ``result`` = ``Error``, 0-1
    :param seed: the same seed gives the same rows
    """

    count: int
    start_ms: int
    end_ms: int
    pattern: str = "random"
    bursts: int = 10
    burst_ms: int = 1000
    ties: int = 1
    whole_ms: bool = False
    keys: Mapping[str, float] | Sequence[str] = field(default_factory=lambda: DEFAULT_KEYS)
    users: int | Sequence[str] = 50
    applications: Sequence[str] = ("demo-app",)
    hook_id: str | None = None
    error_share: float = 0.05
    seed: int = 0

    def weights(self) -> tuple[list[str], list[float]]:
        """The keys and their weights."""
        keys = self.keys if isinstance(self.keys, Mapping) else dict.fromkeys(self.keys, 1.0)
        return list(keys), [float(weight) for weight in keys.values()]

    def user_ids(self) -> list[str]:
        """The user ids named, or that many invented ones (12 characters as Logto's)."""
        if isinstance(self.users, int):
            return [f"sandboxu{number:04d}" for number in range(self.users)]
        return list(self.users)


def moments(spec: LogSpec) -> list[int]:
    """The timestamps of a spec, ascending, epoch microseconds."""
    rng = random.Random(spec.seed)  # noqa: S311 - test data
    distinct = -(-spec.count // spec.ties)
    first, last = spec.start_ms * 1000, spec.end_ms * 1000
    if spec.pattern == "even":
        found = [first + (last - first) * number // max(distinct - 1, 1) for number in range(distinct)]
    else:
        found = sorted(_random_moments(rng, spec, distinct, first, last - first))
    if spec.whole_ms:
        found = [moment // 1000 * 1000 for moment in found]
    if spec.ties > 1:
        found = [moment for moment in found for _ in range(spec.ties)][: spec.count]
    return found


def _random_moments(rng: random.Random, spec: LogSpec, count: int, first: int, span: int) -> Iterator[int]:
    uniform = rng.random
    if spec.pattern == "random":
        return (first + int(uniform() * span) for _ in range(count))
    width = min(spec.burst_ms * 1000, span)
    starts = [first + int(uniform() * (span - width)) for _ in range(spec.bursts)]
    return (starts[number % spec.bursts] + int(uniform() * width) for number in range(count))


#: Rows that name no user: what an application or the server itself did.
_ANONYMOUS = ("ExchangeTokenBy.ClientCredentials", "TriggerHook.")


def series(key: str) -> int:
    """Which list shows the rows of a key: :data:`AUDIT` or :data:`WEBHOOK`."""
    return WEBHOOK if key.startswith(_NOT_AUDIT) else AUDIT


def names_user(key: str) -> bool:
    """Whether rows of a key name the user they are about."""
    return not key.startswith(_ANONYMOUS)


def payload(number: int, key: str, user: str | None, application: str | None, hook: str | None) -> dict[str, Any]:
    """The payload of a generated row; ``number`` decides what the columns do not hold.

    :param number: bit 0 = failed, the rest varies address and session
    """
    failed, number = number & 1, number >> 1
    body: dict[str, Any] = {"key": key, "result": "Error" if failed else "Success"}
    if failed:
        body["error"] = {"code": "session.invalid_credentials", "message": "Incorrect account or password."}
    if key.startswith("TriggerHook."):
        status = 500 if failed else 200
        body |= {"hookId": hook, "hookRequest": {"body": {"event": key.removeprefix("TriggerHook.")}}}
        return body | {"response": {"statusCode": status, "body": ""}}
    body["ip"] = f"203.0.113.{number % 254 + 1}"
    if key == "ExchangeTokenBy.ClientCredentials":
        return body | {"applicationId": application, "params": {"grant_type": "client_credentials"}}
    body["userAgent"] = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
    body["userAgentParsed"] = {"browser": {"name": "Firefox", "major": "128"}, "os": {"name": "Linux"}}
    if user:
        body["userId"] = user
    if application:
        body["applicationId"] = application
    return body | {"sessionId": f"sandbox-session-{number % 9973:04d}"}
