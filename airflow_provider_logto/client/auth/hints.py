"""What is known about refusals: which answer means which mistake, and the sentence that says how to fix it.

One row a mistake; the first row whose conditions all hold decides. To add a hint, add a row.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from airflow_provider_logto.exceptions import LogtoApiError, NotFromLogto, QuotaExhausted

#: Fact -> what it must be: a value, or a pattern that must be found in it. Facts are those of :func:`facts_of`.
Conditions = Mapping[str, Any]

_TOKEN = {"token_request": True}
_HOST = "is host a Logto endpoint?"

HINTS: tuple[tuple[Conditions, str], ...] = (
    # The token endpoint: by OAuth's ``error``, since 400 and 401 both mean wrong credentials.
    ({**_TOKEN, "port": 3002}, "port 3002 is usually Logto's admin endpoint: use the tenant's own (3001 by default)"),
    (
        {**_TOKEN, "error": "invalid_client", "description": re.compile("^invalid client")},
        "no application {app_id!r} in this tenant: check login (App ID) and host",
    ),
    ({**_TOKEN, "error": "invalid_client"}, "the secret is wrong: check password (App secret) for typos and spaces"),
    (
        {**_TOKEN, "error": "invalid_request", "description": re.compile("secret has expired")},
        "the application's secret has expired: make a new one in the Console and put it into password",
    ),
    (
        {**_TOKEN, "error": "invalid_request", "description": re.compile("grant type")},
        "the application is not of type machine-to-machine: create one and use its id and secret",
    ),
    (
        {**_TOKEN, "error": "invalid_target"},
        "the API resource {resource!r} is unknown there: on a self-hosted Logto it is "
        "https://default.logto.app/api, on Logto Cloud https://<tenant>.logto.app/api; fix `resource` in extra",
    ),
    (
        {**_TOKEN, "error": re.compile("^(access_denied|invalid_request)$"), "kind": re.compile("^(?!RateLimited)")},
        "the token endpoint (or the tenant's own token script) refused: {description}",
    ),
    ({**_TOKEN, "status": 404}, f"nothing gives out tokens there: {_HOST}"),
    (
        {**_TOKEN, "error": re.compile("^(unsupported_grant_type|unauthorized_client)$")},
        f"this server does not issue client-credentials tokens: {_HOST}",
    ),
    # The Management API refuses the token.
    (
        {"status": 403, "code": "auth.forbidden"},
        "the token lacks the scope `all`: give the application a role that holds the Management API permission",
    ),
    (
        {"claim": "aud"},
        "the token is for {resource!r}, not for this tenant's Management API: fix `resource` in extra",
    ),
    (
        {"claim": "iss"},
        "the token was issued under another host name: use the tenant's own host, not its custom domain",
    ),
    (
        {"reason": "ERR_JWKS_NO_MATCHING_KEY"},
        "this host does not know the key that signed the token: it is another tenant's, or the admin port",
    ),
    # Anything else.
    (
        {"status": 429, "kind": LogtoApiError.__name__},
        "the recipient has been sent too many messages: wait ten minutes",
    ),
    (
        {"kind": QuotaExhausted.__name__},
        "the tenant's plan has no quota left for this: waiting minutes does not help",
    ),
    (
        {"kind": NotFromLogto.__name__},
        "a proxy did in its place: Logto is restarting, or host is not the tenant's Logto endpoint",
    ),
    (
        {"status": 404, "code": None},
        "no such operation on this server (wrong path, older Logto, or a body over 1 MB)",
    ),
    ({"status": 405}, "this path takes {allow}"),
    ({"status": 413}, "the body is too large for the server"),
)


def hint_for(
    kind: type[LogtoApiError], status: int, body: Mapping[str, Any], clean: Callable[[str], str], **more: Any
) -> str:
    """The sentence for a refusal; empty where nothing is known about it.

    :param kind: the class of the error.
    :param body: the answer's JSON object, or an empty one.
    :param clean: applied to what the sentence repeats of the server's words.
    :param more: ``allow`` (the header), and ``token_request``, ``app_id``, ``resource``, ``port`` of the request.
    """
    facts = facts_of(kind, status, body, **more)
    for conditions, sentence in HINTS:
        if all(_holds(expected, facts.get(name)) for name, expected in conditions.items()):
            said = {name: clean(facts[name]) for name in ("description", "allow")}
            return sentence.format_map({**facts, **said})
    return ""


def facts_of(kind: type[LogtoApiError], status: int, body: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """What the conditions of :data:`HINTS` may name; facts that an answer lacks are None."""
    data = body.get("data")
    detail = data if isinstance(data, dict) else {}
    return {
        "kind": kind.__name__,
        "status": status,
        "code": body.get("code") if isinstance(body.get("code"), str) else None,
        "error": body.get("error"),
        "description": str(body.get("error_description") or "no reason given"),
        "claim": detail.get("claim"),
        "reason": detail.get("code"),
        **more,
        "allow": more.get("allow") or "other methods",
    }


def _holds(expected: Any, fact: Any) -> bool:
    if isinstance(expected, re.Pattern):
        return isinstance(fact, str) and expected.search(fact) is not None
    return bool(fact == expected)
