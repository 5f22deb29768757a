"""The keys of audit logs that Logto lists.

Source: Logto, ``packages/schemas/src/types/log``; which of them ``GET /api/logs`` shows was seen on a server of 1.42.
"""

from __future__ import annotations

from collections.abc import Iterable

from airflow_provider_logto.exceptions import InvalidInput

#: Keys without a second part.
_WHOLE = ("RevokeToken", "RevokeGrants", "Unknown")
#: First parts of keys.
_FAMILIES = ("Action", "ExchangeTokenBy", "Interaction", "JwtCustomizer", "SamlApplication")
#: What the server stores, but leaves out of its list.
_NOT_LISTED = {
    "TriggerHook": "deliveries of webhooks are read from GET /hooks/{id}/recent-logs",
    "TrustedDevice": "Logto does not list them",
}


def check_log_keys(keys: Iterable[str], field: str = "log_keys") -> None:
    """
    :raises InvalidInput: for a key that no listed row can have: the result would be empty without a word.
    """
    for key in keys:
        family, _, rest = key.partition(".")
        if "," in key:
            raise InvalidInput(field, f"{key!r} is one text; give a list, one key each")
        if "*" in key or key in _FAMILIES:
            raise InvalidInput(field, f"{key!r} is not a whole key; Logto compares whole keys, e.g. {_EXAMPLE}")
        if family in _NOT_LISTED:
            raise InvalidInput(field, f"{key!r} is not among the audit logs that can be listed: {_NOT_LISTED[family]}")
        if key not in _WHOLE and not (family in _FAMILIES and rest and key.isascii() and key.isprintable()):
            known = ", ".join([*_WHOLE, *(f"{one}.…" for one in _FAMILIES)])
            raise InvalidInput(field, f"{key!r} is unknown; keys are {known}, e.g. {_EXAMPLE}")


_EXAMPLE = "Interaction.SignIn.Submit"
